"""Simple visual properties measured from pixels: each gives a crop a value from 0 to 1, and has words for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]

SIDE = 96
"""Crops are measured at this longest side."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """What the measures look at."""

    hue: Floats
    """0 to 360."""
    saturation: Floats
    value: Floats
    grey: Floats
    """Luminance; these four are [rows, columns] and all but the hue run from 0 to 1."""
    edge: Floats
    """Largest difference to the neighbours right and below."""
    content: Mask
    """Not the colour of the border."""


def pixels_of(picture: Image.Image) -> Pixels:
    """Reads the pixels of a crop."""
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    rgb: Floats = (np.asarray(small) / np.float32(255)).astype(np.float32)
    value, low = rgb.max(axis=2), rgb.min(axis=2)
    spread = value - low
    saturation = np.where(value > 0, spread / np.maximum(value, 1e-6), 0)
    grey: Floats = rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    edge: Floats = np.zeros(grey.shape, dtype=np.float32)
    edge[:, :-1] = np.abs(np.diff(grey, axis=1))
    edge[:-1] = np.maximum(edge[:-1], np.abs(np.diff(grey, axis=0)))
    border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    content = np.abs(rgb - np.median(border, axis=0)).max(axis=2) > 0.12
    hue = _hue(rgb, value, spread)
    return Pixels(hue, saturation.astype(np.float32), value, grey, edge, content)


def _hue(rgb: Floats, value: Floats, spread: Floats) -> Floats:
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    safe = np.maximum(spread, 1e-6)
    sector = np.where(
        value == red,
        ((green - blue) / safe) % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return (60 * sector).astype(np.float32)


def _ramp(x: float, low: float, high: float) -> float:
    """0 at `low` and below, 1 at `high` and above, straight between."""
    return float(min(1.0, max(0.0, (x - low) / (high - low))))


def _share(p: Pixels, colour: Mask) -> float:
    """Share of the content in a colour; where nothing stands out from the border, of the whole crop."""
    inside = p.content if p.content.mean() > 0.04 else np.ones_like(p.content)
    return _ramp(float(colour[inside].mean()), 0.1, 0.6)


def _hues(low: float, high: float, *, dark: bool | None = None) -> Callable[[Pixels], float]:
    def measure(p: Pixels) -> float:
        inside = (p.hue >= low) & (p.hue < high) if low < high else (p.hue >= low) | (p.hue < high)
        vivid = inside & (p.saturation > 0.3) & (p.value > 0.2)
        if dark is not None:
            vivid &= (p.value < 0.68) == dark
        return _share(p, vivid)

    return measure


def _black(p: Pixels) -> float:
    return _share(p, p.value < 0.2)


def _white(p: Pixels) -> float:
    return _ramp(float(((p.saturation < 0.1) & (p.value > 0.9)).mean()), 0.5, 0.95)


def _grey(p: Pixels) -> float:
    return _share(p, (p.saturation < 0.12) & (p.value > 0.25) & (p.value < 0.88))


def _pink(p: Pixels) -> float:
    inside = (p.hue > 300) | (p.hue < 12)
    return _share(p, inside & (p.saturation > 0.12) & (p.saturation < 0.6) & (p.value > 0.75))


def _colourless(p: Pixels) -> float:
    return 1 - _ramp(float((p.saturation * p.value)[p.content].mean()) if p.content.any() else 0.0, 0.03, 0.15)


def _colourful(p: Pixels) -> float:
    vivid = (p.saturation > 0.4) & (p.value > 0.4)
    if vivid.mean() < 0.05:
        return 0.0
    share = np.histogram(p.hue[vivid], bins=12, range=(0, 360))[0] / vivid.sum()
    entropy = -float((share[share > 0] * np.log(share[share > 0])).sum())
    return _ramp(entropy, 0.6, 1.8) * _ramp(float(vivid.mean()), 0.05, 0.3)


def _dark(p: Pixels) -> float:
    return 1 - _ramp(float(p.grey.mean()), 0.15, 0.5)


def _line_drawing(p: Pixels) -> float:
    paper = ((p.value > 0.85) & (p.saturation < 0.15)).mean()
    thin = (p.edge[p.content] > 0.15).mean() if p.content.any() else 0.0
    return _ramp(float(paper), 0.5, 0.8) * _ramp(float(thin), 0.3, 0.7) * _colourless(p)


def _flat(p: Pixels) -> float:
    inside = p.content if p.content.mean() > 0.1 else np.ones_like(p.content)
    return _ramp(float((p.edge[inside] < 0.004).mean()), 0.3, 0.75)


def _photograph(p: Pixels) -> float:
    return _ramp(float(((p.edge > 0.004) & (p.edge < 0.12)).mean()), 0.45, 0.85)


def _silhouette(p: Pixels) -> tuple[float, float]:
    """Share of its bounding box that the content fills, and width over height; rows and columns closed up."""
    rows, columns = np.flatnonzero(p.content.any(axis=1)), np.flatnonzero(p.content.any(axis=0))
    if len(rows) < 4 or len(columns) < 4:
        return 0.0, 1.0
    part = p.content[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    across = np.maximum.accumulate(part, axis=1) & np.maximum.accumulate(part[:, ::-1], axis=1)[:, ::-1]
    down = np.maximum.accumulate(part, axis=0) & np.maximum.accumulate(part[::-1], axis=0)[::-1]
    return float((across & down).mean()), len(columns) / len(rows)


def _round(p: Pixels) -> float:
    fill, aspect = _silhouette(p)
    return (1 - _ramp(abs(fill - 0.785), 0.03, 0.1)) * (1 - _ramp(max(aspect, 1 / aspect), 1.1, 1.5))


def _rectangular(p: Pixels) -> float:
    fill, _ = _silhouette(p)
    return _ramp(fill, 0.88, 0.98) * _ramp(float(p.content.mean()), 0.1, 0.3)


def _wide(p: Pixels) -> float:
    return _ramp(_silhouette(p)[1], 1.5, 3.5)


def _tall(p: Pixels) -> float:
    return _ramp(1 / _silhouette(p)[1], 1.5, 3.5)


def _stripes(axis: int) -> Callable[[Pixels], float]:
    """Share of the variance between lines, where it goes up and down several times."""

    def measure(p: Pixels) -> float:
        profile = p.grey.mean(axis=axis)
        if p.grey.var() < 0.004:
            return 0.0
        middle = np.sign(profile - profile.mean())
        turns = int((np.diff(middle[np.abs(profile - profile.mean()) > 0.02]) != 0).sum())
        return _ramp(float(profile.var() / p.grey.var()), 0.25, 0.75) * _ramp(turns, 2, 5)

    return measure


def _busy(p: Pixels) -> float:
    return _ramp(float((p.edge > 0.12).mean()), 0.15, 0.45)


def _mirrored(p: Pixels) -> float:
    flipped = p.grey[:, ::-1]
    if p.grey.var() < 0.004:
        return 0.0
    return _ramp(float(np.corrcoef(p.grey.ravel(), flipped.ravel())[0, 1]), 0.6, 0.95)


def _blurred(p: Pixels) -> float:
    return (1 - _ramp(float(np.quantile(p.edge, 0.98)), 0.05, 0.2)) * _photograph(p)


@dataclass(frozen=True, slots=True)
class Property:
    """A measure and how people speak of it."""

    phrase: str
    """A noun phrase that stands alone."""
    modifier: str
    """Put after an object: `birds` + `in red`."""
    words: tuple[str, ...]
    """Words and phrases of an explanation that mean it."""
    measure: Callable[[Pixels], float]


PROPERTIES: tuple[Property, ...] = (
    Property("red things", "in red", ("red", "reddish", "crimson", "scarlet"), _hues(345, 14)),
    Property("orange things", "in orange", ("orange-coloured", "orange colour", "orange"), _hues(14, 42, dark=False)),
    Property("yellow things", "in yellow", ("yellow", "golden", "gold"), _hues(42, 70)),
    Property("green things", "in green", ("green", "greenish"), _hues(70, 170)),
    Property("blue things", "in blue", ("blue", "bluish", "cyan", "turquoise"), _hues(170, 255)),
    Property("purple things", "in purple", ("purple", "violet", "magenta"), _hues(255, 330)),
    Property("pink things", "in pink", ("pink", "rosy"), _pink),
    Property("brown things", "in brown", ("brown", "tan", "brownish"), _hues(10, 48, dark=True)),
    Property("black shapes", "in black", ("black", "silhouette", "silhouettes"), _black),
    Property("grey things", "in grey", ("grey", "gray", "silver", "metallic"), _grey),
    Property("mostly white areas", "on plain white", ("white", "white background", "blank"), _white),
    Property(
        "black-and-white pictures",
        "without colour",
        ("black-and-white", "black and white", "monochrome", "colourless", "grayscale", "greyscale"),
        _colourless,
    ),
    Property(
        "many bright colours",
        "in many bright colours",
        ("colourful", "colorful", "multicoloured", "rainbow"),
        _colourful,
    ),
    Property("dark pictures", "in dark tones", ("dark", "shadow", "shadowy"), _dark),
    Property(
        "black line drawings",
        "drawn in thin lines",
        ("line drawing", "line drawings", "line art", "outlined", "sketch", "thin lines", "contour"),
        _line_drawing,
    ),
    Property("flat areas of one colour", "in flat colours", ("flat", "solid colour", "flat colours"), _flat),
    Property(
        "photographs",
        "with photographic shading",
        ("photograph", "photographs", "photo", "photographic", "realistic", "shading"),
        _photograph,
    ),
    Property("round shapes", "of round shape", ("round", "circular", "circle", "circles", "disc"), _round),
    Property(
        "rectangular shapes",
        "of rectangular shape",
        ("rectangular", "rectangle", "rectangles", "square", "squares"),
        _rectangular,
    ),
    Property("wide, flat shapes", "of long horizontal shape", ("wide", "horizontal", "elongated"), _wide),
    Property("tall, narrow shapes", "of tall narrow shape", ("tall", "narrow", "vertical", "slender"), _tall),
    Property(
        "horizontal stripes", "with horizontal stripes", ("horizontal stripes", "stripes", "striped"), _stripes(1)
    ),
    Property("vertical stripes", "with vertical stripes", ("vertical stripes", "stripes", "striped"), _stripes(0)),
    Property(
        "busy fine detail", "with busy fine detail", ("busy", "fine detail", "detailed", "texture", "pattern"), _busy
    ),
    Property(
        "shapes with left-right symmetry",
        "with left-right symmetry",
        ("symmetry", "symmetric", "symmetrical"),
        _mirrored,
    ),
    Property("blurred pictures", "with blur", ("blur", "blurred", "blurry", "smooth"), _blurred),
)


def measure_all(picture: Image.Image) -> Floats:
    """The value of every property, in the order of PROPERTIES."""
    pixels = pixels_of(picture)
    return np.array([p.measure(pixels) for p in PROPERTIES], dtype=np.float32)
