"""Sees planted pictures: objects, whether they are whole, and the image's number, from the pixels of a JPEG alone."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from standin.planted import COLOURS, FIRST_LEVEL, LEVELS, STEP, Pair, tints

from autointerp.schema import Box

Pixels = npt.NDArray[np.int16]
VIVID = 95
"""Objects differ between their channels by 130 and more, grounds by 60 at most."""
LEAST = 40
"""Pixels of one colour below which it is a smear of the JPEG."""
EDGE = 4
"""Pixels between a whole object and the tile's edge, at least: planted ones have 5."""
PAPER = 226
"""Ground of a contact sheet, lighter than any tint."""
_NUMBER = {tint: i for i, tint in enumerate(tints())}


@dataclass(frozen=True)
class Seen:
    """What one tile shows."""

    image: int | None
    """The number that the ground's tint spells; None where no ground is seen."""
    whole: frozenset[Pair]
    """Objects that do not touch the tile's edge."""
    colours: frozenset[str]
    """Of all objects, also of those cut off."""
    places: tuple[tuple[Pair, Box], ...] = ()
    """Where each whole object is, in the tile's pixels."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the tile."""

    def fits(self, pairs: frozenset[Pair]) -> bool:
        """Whether an object of these kinds is there; of a colour in any shape, a cut one will do."""
        every = {c for c in COLOURS if sum(p[0] == c for p in pairs) == 3}
        return bool(self.whole & pairs or self.colours & every)


def pixels(jpeg: bytes) -> Pixels:
    """RGB, shape [rows, columns, 3]."""
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG", image.format
        return np.asarray(image.convert("RGB"), dtype=np.int16)


def look(tile: Pixels) -> Seen:
    """Finds the objects and the ground."""
    spread = _spread(tile)
    vivid = spread > VIVID
    strongest = tile.argmax(axis=2)
    whole: dict[Pair, Box] = {}
    colours: set[str] = set()
    for channel, colour in enumerate(("red", "green", "blue")):
        rows, columns = np.nonzero(vivid & (strongest == channel))
        if len(rows) < LEAST:
            continue
        colours.add(colour)
        (top, bottom), (left, right) = _extent(rows), _extent(columns)
        if min(top, left, tile.shape[0] - bottom, tile.shape[1] - right) < EDGE:
            continue
        filled = len(rows) / ((bottom - top) * (right - left))
        shape = "square" if filled > 0.86 else "circle" if filled > 0.67 else "triangle"
        whole[colour, shape] = Box(left, top, right, bottom)
    size = (tile.shape[1], tile.shape[0])
    return Seen(_number(tile, spread), frozenset(whole), frozenset(colours), tuple(whole.items()), size)


def _extent(places: npt.NDArray[np.intp]) -> tuple[int, int]:
    """First and past-the-last line with three pixels or more: single ones are ringing of the JPEG, all a cut edge."""
    lines = np.flatnonzero(np.bincount(places) >= 3)
    return (int(lines[0]), int(lines[-1]) + 1) if len(lines) else (0, 0)


def _spread(tile: Pixels) -> npt.NDArray[np.int16]:
    """The strongest channel less the weakest; three columns are compared faster than numpy reduces an axis of three."""
    r, g, b = tile[..., 0], tile[..., 1], tile[..., 2]
    return np.maximum(np.maximum(r, g), b) - np.minimum(np.minimum(r, g), b)


def _number(tile: Pixels, spread: npt.NDArray[np.int16]) -> int | None:
    ground = tile[spread < VIVID - 15]
    if len(ground) < LEAST:
        return None
    # The median of some thousand pixels is that of all, and much sooner found.
    ground = ground[:: max(1, len(ground) // 2000)]
    steps = np.rint((np.median(ground, axis=0) - FIRST_LEVEL) / STEP).astype(int)
    if steps.min() < 0 or steps.max() >= LEVELS:
        return None
    r, g, b = (FIRST_LEVEL + STEP * steps).tolist()
    return _NUMBER.get((r, g, b))


def cells(sheet: Pixels, n: int, rows: int, columns: int) -> list[Pixels]:
    """The tiles of a contact sheet, cut by its rows and columns alone."""
    height, width = sheet.shape[0] // rows, sheet.shape[1] // columns
    assert sheet.shape[:2] == (rows * height, columns * width), "rows and columns do not divide the sheet"
    out: list[Pixels] = []
    for i in range(n):
        y, x = i // columns * height, i % columns * width
        cell = sheet[y : y + height, x : x + width]
        # Under the strip with the number, all that is not paper is the tile.
        body = cell[height // 8 :]
        r, g, b = (np.abs(body[..., i] - PAPER) > 24 for i in range(3))
        rows_of, columns_of = np.nonzero(r | g | b)
        assert len(rows_of), f"cell {i + 1} of the sheet is empty"
        out.append(body[rows_of.min() : rows_of.max() + 1, columns_of.min() : columns_of.max() + 1])
    return out
