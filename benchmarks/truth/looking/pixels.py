"""Draws pictures in which everything that texts speak of can be seen, and reads it back from pixels alone."""

import colorsys
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from benchmarks.truth.looking.things import Things

Pixels = npt.NDArray[np.uint8]
Reals = npt.NDArray[np.float64]

DEGREES = (0, 58, 120, 180, 235, 300)
"""The hues, in the order of `HUES`."""
SATURATION, BRIGHT, DARK = 0.8, 0.8, 0.46
"""Of a thing's colour; a textured one is part bright and part dark."""
PLAIN = 0.65
SIDES = (128, 144, 160)
"""Pixels of the pictures' sides: all are square."""
STRIPES = 4
COLOURED = 0.33
"""Saturation from which a pixel belongs to a thing; paper, frames, ground and dots are grey."""
DIM = 60
"""Brightness up to which a pixel has no colour."""
SPECK = 12
"""Pixels: what is smaller is no thing."""
WHITE, BLACK = 228, 45
"""Brightness of a dot's pixels: from the one on, or up to the other."""
UNEVEN = 20
"""Standard deviation of the brightness within a thing, from which it is textured."""
DIRECTED = 0.6
"""The share of that deviation that lies between its rows, or its columns, from which it is banded."""


def size_of(image: int, scale: int = 1) -> int:
    """The pixels of a picture's side, `scale` times those of `SIDES`."""
    return scale * SIDES[image * 7919 % len(SIDES)]


def draw(things: Things, image: int, scale: int = 1) -> bytes:
    """The PNG of one picture."""
    side = size_of(image, scale)
    chance = np.random.default_rng((0xD0, image))
    slope = np.linspace(-1, 1, side) * chance.uniform(-15, 15)
    ground = chance.uniform(150, 185) + (slope[:, None] if chance.random() < 0.5 else slope[None, :])
    canvas = np.repeat(np.broadcast_to(ground, (side, side))[:, :, None], 3, axis=2).copy()
    for at in np.flatnonzero(things.there[image]):
        body = _body(round(float(things.side[image, at]) * side), *(c[image, at] for c in (things.hue, things.texture)))
        _dot(body, int(things.dot[image, at]))
        x, y = (round(float(c[image, at]) * side - len(body) / 2) for c in (things.x, things.y))
        canvas[y : y + len(body), x : x + len(body)] = body
    target = BytesIO()
    Image.fromarray(canvas.astype(np.uint8)).save(target, "PNG", compress_level=1)
    return target.getvalue()


def _body(side: int, hue: int, texture: int) -> Reals:
    """A square of one hue; shape [side, side, 3]."""
    down, across = np.mgrid[0:side, 0:side] * STRIPES // side
    patterns = (np.full((side, side), PLAIN), down % 2, across % 2, (down // 2 + across // 2) % 2)
    value = patterns[texture] if texture == 0 else np.where(patterns[texture] == 1, DARK, BRIGHT)
    colours = {v: 255 * np.array(colorsys.hsv_to_rgb(DEGREES[hue] / 360, SATURATION, v)) for v in np.unique(value)}
    out = np.zeros((side, side, 3))
    for v, colour in colours.items():
        out[value == v] = colour
    return out


def _dot(body: Reals, dot: int) -> None:
    """Fills the middle third."""
    a, b = round(len(body) / 3), round(2 * len(body) / 3)
    if dot:
        body[a:b, a:b] = 255 if dot == 1 else 0


def read(cell: Pixels) -> Things:
    """What can be seen in a picture or a part of one, shape [h, w, 3]; columns of shape [1, things]."""
    high, low = extremes(cell)
    coloured = (high - low >= COLOURED * high) & (high > DIM)
    hue = np.full(high.shape, -1)
    hue[coloured] = _nearest_hue(cell[coloured].astype(float), high[coloured], low[coloured])
    found: list[tuple[int, int, int, float, float, float]] = []
    for h in np.unique(hue[coloured]):
        places, _ = ndimage.label(hue == h)
        for number, place in enumerate(ndimage.find_objects(places), 1):
            own = places[place] == number
            if own.sum() >= SPECK and min(own.shape) >= 3:
                found.append(_thing(int(h), own, high[place], place, cell.shape[:2]))
    columns = list(zip(*found, strict=True)) or [()] * 6
    hues, textures, dots, x, y, side = columns
    return Things(
        there=np.ones((1, len(found)), bool),
        hue=np.array([hues], np.int64),
        texture=np.array([textures], np.int64),
        dot=np.array([dots], np.int64),
        x=np.array([x], float),
        y=np.array([y], float),
        side=np.array([side], float),
    )


def extremes(cell: Pixels) -> tuple[Reals, Reals]:
    """The largest and the smallest of each pixel's three values; shape [h, w] each."""
    red, green, blue = cell[..., 0], cell[..., 1], cell[..., 2]
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    return high.astype(float), low.astype(float)


def _nearest_hue(colour: Reals, high: Reals, low: Reals) -> npt.NDArray[np.int64]:
    """Of pixels, shape [n, 3]; shape [n]."""
    red, green, blue = colour.T
    span = np.maximum(high - low, 1)
    options = [(green - blue) / span % 6, (blue - red) / span + 2]
    sector = np.select([high == red, high == green], options, (red - green) / span + 4)
    apart = abs((60 * sector[:, None] - np.array(DEGREES) + 180) % 360 - 180)
    return np.argmin(apart, axis=1)


def _thing(
    hue: int, own: npt.NDArray[np.bool_], bright: Reals, place: tuple[slice, slice], size: tuple[int, ...]
) -> tuple[int, int, int, float, float, float]:
    """One row of `Things`."""
    rows, columns = place
    # Away from its edges and from its dot, whose colours run into it.
    mask = ndimage.binary_erosion(own)
    dot = 1 if _speck(~own, bright, WHITE, above=True) else 2 if _speck(~own, bright, BLACK, above=False) else 0
    x, y = (columns.start + columns.stop) / 2 / size[1], (rows.start + rows.stop) / 2 / size[0]
    side = max((columns.stop - columns.start) / size[1], (rows.stop - rows.start) / size[0])
    return hue, _texture(bright, mask if mask.any() else own), dot, x, y, side


def _speck(other: npt.NDArray[np.bool_], bright: Reals, level: float, *, above: bool) -> bool:
    """Whether a dot is there: some pixels of it that are none of the thing's own."""
    like = bright >= level if above else bright <= level
    return bool((like & other).sum() >= max(4, 0.02 * other.size))


def _texture(bright: Reals, own: npt.NDArray[np.bool_]) -> int:
    spread = float(bright[own].std())
    if spread < UNEVEN:
        return 0
    filled = np.where(own, bright, np.nan)
    down, across = (float(_means(filled, axis).std()) for axis in (1, 0))
    if max(down, across) < DIRECTED * spread:
        return 3
    return 1 if down > across else 2


def _means(filled: Reals, axis: int) -> Reals:
    """Of the rows or columns that have any pixel."""
    known = ~np.isnan(filled)
    count = known.sum(axis=axis)
    return np.where(known, filled, 0).sum(axis=axis)[count > 0] / count[count > 0]
