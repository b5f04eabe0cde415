"""The pictures of a report: each distinct one made and embedded once, outlines of regions as lines over them."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field

from autointerp.errors import ImageError
from autointerp.images.picture import Picture, Rendering
from autointerp.images.region import contours, region_mask
from autointerp.images.render import picture_size
from autointerp.images.threads import worker_threads
from autointerp.reports.data import ReportData
from autointerp.schema import Box, Exemplar, ImageRow
from autointerp.tiles import region_box, tile_of

SIDES = ((60, 256), (200, 176))
"""Most cards, and the longest side of their pictures in pixels: a page of few cards can afford larger ones."""
LEAST_SIDE = 128
"""The side where there are more cards."""
QUALITY = 55
"""JPEG quality; at these sizes its artefacts are smaller than what the reader looks for."""
THREADS = 4


@dataclass(frozen=True, slots=True)
class Thumb:
    """Is one picture in its place."""

    key: str
    """Where its bytes stand in the file; `broken` gives nothing under it."""
    width: int
    height: int
    """Pixels of the picture."""
    alt: str
    caption: str
    flag: str = ""
    """A short mark over the picture, e.g. `misfit`."""
    outline: str = ""
    """The border of the region that fires, as an SVG path in the picture's pixels; empty where none is drawn."""


@dataclass(slots=True)
class PictureBook:
    """Hands out keys for pictures and makes each distinct picture once.

    Keys are handed out when a place asks for a picture; `make` then renders all new ones at once, over several threads.

    Args:
        data: the run and its dump.
        side: longest side of a picture in pixels.
    """

    data: ReportData
    side: int
    _keys: dict[str, str] = field(default_factory=dict)
    _wanted: dict[str, Picture] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    """Base64 of the JPEG, by key; a broken picture has none."""
    broken: int = 0
    outlined: bool = False
    """Whether any place has an outline."""

    def thumb(self, exemplar: Exemplar, rendering: Rendering, alt: str, caption: str, flag: str = "") -> Thumb:
        """Returns the place for one exemplar; an image without a region is shown whole, without an outline.

        An outline is no part of the picture, so that a reader can switch it off.
        """
        row, grid = self.data.image(exemplar.image), self.data.info.patch_grid
        box = None if rendering == "full" else region_box(exemplar, row, grid, self.data.region)
        drawn = "full" if rendering == "outline" else rendering
        picture = Picture(tiles=(tile_of(exemplar, row, drawn, box, grid),), side=self.side, quality=QUALITY)
        key = self._keys.get(picture.digest)
        if key is None:
            key = self._keys[picture.digest] = f"p{len(self._keys)}"
            self._wanted[key] = picture
        size = picture_size(picture)
        outline = outline_path(exemplar, row, box, grid, size) if rendering == "outline" and box is not None else ""
        self.outlined |= bool(outline)
        return Thumb(key, *size, alt, caption, flag, outline)

    def make(self) -> None:
        """Renders the pictures that were asked for since the last call."""
        with worker_threads(THREADS) as pool:
            for key, encoded in zip(self._wanted, pool.map(self._encoded, self._wanted.values()), strict=True):
                if encoded is None:
                    self.broken += 1
                else:
                    self.made[key] = encoded
        self._wanted.clear()

    def lines(self) -> Iterator[str]:
        """Yields a JSON object of keys and base64; neither holds a character that HTML could trip over."""
        yield "{"
        for i, (key, encoded) in enumerate(self.made.items()):
            yield f'{"," * (i > 0)}"{key}":"{encoded}"'
        yield "}"

    def _encoded(self, picture: Picture) -> str | None:
        try:
            return base64.b64encode(self.data.jpeg(picture)).decode("ascii")
        except ImageError:
            return None


def side_for(n_cards: int) -> int:
    """Returns the longest side of the pictures of so many cards, in pixels."""
    return next((side for most, side in SIDES if n_cards <= most), LEAST_SIDE)


def outline_path(
    exemplar: Exemplar, image: ImageRow, box: Box, grid: tuple[int, int] | None, size: tuple[int, int]
) -> str:
    """Draws the border of the region that fires: by the heat map's cells, else by the box.

    Args:
        exemplar: the evidence.
        image: its image.
        box: the region's, in pixels of the image.
        grid: rows and columns of the heat map.
        size: width and height of the picture, which the path's numbers are in.
    """
    polygons = contours(region_mask(exemplar.heat, grid)) if exemplar.heat is not None and grid is not None else ()
    rows, columns = grid if polygons and grid is not None else (image.height, image.width)
    corners = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
    across, down = size[0] / columns, size[1] / rows
    return "".join(
        f"M{'L'.join(f'{_inside(x * across, size[0])} {_inside(y * down, size[1])}' for x, y in polygon)}Z"
        for polygon in polygons or (corners,)
    )


def _inside(at: float, length: int) -> int:
    """Moves a place so far from the edge that a line through it is seen."""
    return min(max(1, round(at)), length - 1)
