"""The pictures of a report: small, each distinct one made and embedded once."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from autointerp.errors import ImageError
from autointerp.images.picture import Picture, Rendering, Tile
from autointerp.images.threads import worker_threads
from autointerp.reports.data import ReportData
from autointerp.schema import Exemplar
from autointerp.tiles import region_box, tile_of

SIDE = 144
"""Longest side in pixels."""
QUALITY = 55
"""JPEG quality; at this size its artefacts are smaller than what the reader looks for."""
THREADS = 4


@dataclass(frozen=True, slots=True)
class Thumb:
    """One picture in its place."""

    key: str
    """Where its bytes stand in the file; `broken` gives nothing under it."""
    ratio: float
    """Width over height."""
    alt: str
    caption: str
    flag: str = ""
    """A short mark over the picture, e.g. `misfit`."""


@dataclass(slots=True)
class PictureBook:
    """Hands out keys for pictures and makes each distinct picture once.

    Keys are handed out when a place asks for a picture; `make` then renders all new ones at once, over several threads.
    """

    data: ReportData
    _keys: dict[str, str] = field(default_factory=dict)
    _wanted: dict[str, Picture] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    """Base64 of the JPEG, by key; a broken picture has none."""
    broken: int = 0

    def thumb(self, exemplar: Exemplar, rendering: Rendering, alt: str, caption: str, flag: str = "") -> Thumb:
        """The place for one exemplar; without a region the whole image is shown unmarked."""
        tile = self._tile(exemplar, rendering)
        picture = Picture(tiles=(tile,), side=SIDE, quality=QUALITY)
        key = self._keys.get(picture.digest)
        if key is None:
            key = self._keys[picture.digest] = f"p{len(self._keys)}"
            self._wanted[key] = picture
        width, height = tile.size
        if tile.rendering == "crop" and tile.box is not None:
            width, height = tile.box.width, tile.box.height
        return Thumb(key, round(width / max(height, 1), 3), alt, caption, flag)

    def _tile(self, exemplar: Exemplar, rendering: Rendering) -> Tile:
        row, grid = self.data.image(exemplar.image), self.data.patch_grid
        box = None if rendering == "full" else region_box(exemplar, row, grid, self.data.region)
        return tile_of(exemplar, row, rendering, box, grid)

    def make(self) -> None:
        """Renders the pictures that were asked for since the last call."""
        with worker_threads(THREADS) as pool:
            for key, encoded in zip(self._wanted, pool.map(self._encoded, self._wanted.values()), strict=True):
                if encoded is None:
                    self.broken += 1
                else:
                    self.made[key] = encoded
        self._wanted.clear()

    def _encoded(self, picture: Picture) -> str | None:
        try:
            return base64.b64encode(self.data.jpeg(picture)).decode("ascii")
        except ImageError:
            return None


def picture_lines(book: PictureBook) -> Iterator[str]:
    """The JSON island that maps keys to base64, a picture a line; neither holds a character HTML could trip over."""
    yield "{"
    yield from _joined(f'"{key}":"{encoded}"' for key, encoded in book.made.items())
    yield "}"


def _joined(items: Iterable[str]) -> Iterator[str]:
    for i, item in enumerate(items):
        yield f",\n{item}" if i else item
