"""From pixels of any mode to 8-bit RGB over white, a strip at a time, so that no more is held than both images."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

STRIP = 2**18
"""Pixels that are converted at a time."""


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB: transparency over white, deep greyscale as 8 bit; itself where it is RGB already."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    deep = _range(image) if image.mode in ("I", "F") or image.mode.startswith("I;16") else None
    out = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        out.paste(_flat(strip if deep is None else _to_8_bit(strip, *deep)), (0, top))
    return out


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Pieces of all columns with the row where each begins."""
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _flat(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        colour = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB")
    return image.convert("RGB")


def _values(image: Image.Image) -> npt.NDArray[np.float64]:
    return np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)


def _range(image: Image.Image) -> tuple[float, float]:
    """What becomes black and white: 0 and 65535, or 0 and 1 for fractions; of what exceeds that, its own range."""
    low, high = 0.0, 1.0 if image.mode == "F" else 65535.0
    if image.mode not in ("I", "F"):
        return low, high
    ends = [(float(values.min()), float(values.max())) for values in (_values(strip) for _, strip in _strips(image))]
    least, most = min(end[0] for end in ends), max(end[1] for end in ends)
    return (least, most) if least < low or most > high else (low, high)


def _to_8_bit(image: Image.Image, low: float, high: float) -> Image.Image:
    scaled = np.rint((_values(image) - low) * (255.0 / (high - low)))
    return Image.fromarray(np.where(math.isfinite(high - low), scaled, 0.0).astype(np.uint8))
