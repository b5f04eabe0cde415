"""The pictures of a report: each distinct one made and embedded once, outlines of regions as lines over them."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autointerp.errors import ImageError
from autointerp.images.alteration import NO_IMAGE, Alteration, Source
from autointerp.images.picture import Picture, Rendering
from autointerp.images.region import contours, region_mask
from autointerp.images.render import picture_size
from autointerp.images.threads import worker_threads
from autointerp.lmm.images.store import FOLDER as PICTURES
from autointerp.lmm.images.store import picture_file
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
    _wanted: dict[str, Picture | Alteration] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    """Base64 of the JPEG, by key; a broken picture has none."""
    broken: int = 0
    outlined: bool = False
    """Whether any place has an outline."""

    @property
    def shown_as(self) -> Rendering:
        """Returns how the explainer saw its active images."""
        return self.data.shown_as

    def image(self, number: int) -> ImageRow:
        """Returns an image of the dump."""
        return self.data.image(number)

    def thumb(self, exemplar: Exemplar, rendering: Rendering, alt: str, caption: str, flag: str = "") -> Thumb:
        """Returns the place for one exemplar; an image without a region is shown whole, without an outline.

        An outline is no part of the picture, so that a reader can switch it off.
        """
        row, grid = self.data.image(exemplar.image), self.data.info.patch_grid
        box = None if rendering == "full" else region_box(exemplar, row, grid, self.data.region)
        drawn = "full" if rendering == "outline" else rendering
        picture = Picture(tiles=(tile_of(exemplar, row, drawn, box, grid),), side=self.side, quality=QUALITY)
        key, size = self._key(picture), picture_size(picture)
        outline = outline_path(exemplar, row, box, grid, size) if rendering == "outline" and box is not None else ""
        self.outlined |= bool(outline)
        return Thumb(key, *size, alt, caption, flag, outline)

    def altered(self, what: Alteration, alt: str, caption: str, heat: bytes | None = None) -> Thumb:
        """Returns the place for a picture that the network was shown; what fired in it is outlined."""
        width, height = what.shown
        scale = min(1.0, self.side / max(width, height))
        size = max(1, round(scale * width)), max(1, round(scale * height))
        grid = self.data.info.patch_grid
        outline = ""
        # A run that somebody shares may hold maps of another grid.
        if heat is not None and grid is not None and len(heat) == grid[0] * grid[1]:
            outline = heat_path(heat, grid, size)
        self.outlined |= bool(outline)
        return Thumb(self._key(what), *size, alt, caption, outline=outline)

    def stored(self, sha256: str, size: tuple[int, int], image: int = NO_IMAGE) -> Source:
        """Returns a picture of the run's folder."""
        return stored_source((self.data.pictures,), sha256, size, image)

    def _key(self, what: Picture | Alteration) -> str:
        key = self._keys.get(what.digest)
        if key is None:
            key = self._keys[what.digest] = f"p{len(self._keys)}"
            self._wanted[key] = what
        return key

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

    def _encoded(self, what: Picture | Alteration) -> str | None:
        try:
            jpeg = self.data.jpeg(what) if isinstance(what, Picture) else self.data.altered(what, self.side)
            return base64.b64encode(jpeg).decode("ascii")
        except ImageError:
            return None


def stored_source(folders: Sequence[Path], sha256: str, size: tuple[int, int], image: int = NO_IMAGE) -> Source:
    """Finds a picture in folders of them; where it is in none of them, whoever reads it is told so.

    Args:
        folders: of pictures, in their order.
        sha256: of its bytes, hex.
        size: width and height in pixels.
        image: of the dump, of which it was made.
    """
    found = next((file for folder in folders if (file := picture_file(folder, sha256)) is not None), None)
    return Source(image, sha256, size, found or Path(PICTURES) / sha256)


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
    if exemplar.heat is not None and grid is not None and (path := heat_path(exemplar.heat, grid, size)):
        return path
    corners = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
    return _path([corners], (image.height, image.width), size)


def heat_path(heat: bytes, grid: tuple[int, int], size: tuple[int, int]) -> str:
    """Draws the border of the cells that fire; empty where all of them do, or none. Arguments as for `outline_path`."""
    return _path(contours(region_mask(heat, grid)), grid, size)


def _path(polygons: Iterable[Sequence[tuple[int, int]]], grid: tuple[int, int], size: tuple[int, int]) -> str:
    across, down = size[0] / grid[1], size[1] / grid[0]
    return "".join(
        f"M{'L'.join(f'{_inside(x * across, size[0])} {_inside(y * down, size[1])}' for x, y in polygon)}Z"
        for polygon in polygons
    )


def _inside(at: float, length: int) -> int:
    """Moves a place so far from the edge that a line through it is seen."""
    return min(max(1, round(at)), length - 1)
