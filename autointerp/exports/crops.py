"""Pictures of a feature's strongest images, cropped to where it fires."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from autointerp.dump.reader import Dump
from autointerp.errors import ImageError
from autointerp.images.picture import Picture, Tile
from autointerp.images.renderer import Renderer
from autointerp.reports.image_rows import descending
from autointerp.schema import Exemplar, Feature
from autointerp.settings import RegionSettings
from autointerp.tiles import region_box, tile_of

QUALITY = 60
"""JPEG quality."""


def strongest(feature: Feature, n: int) -> list[Exemplar]:
    """The `n` images on which it fires most, the strongest first; of equal ones the lower number."""
    ordered = descending(sorted(feature.active, key=lambda e: e.image))
    seen: dict[int, Exemplar] = {}
    for exemplar in ordered:
        seen.setdefault(exemplar.image, exemplar)
    return list(seen.values())[:n]


class Crops:
    """Makes JPEGs over several threads.

    Args:
        dump: whose images are shown.
        renderer: makes the pictures; whoever opened it closes it.
        threads: pictures that are made at once.
        region: where a feature fires, as the explainer was shown it.
        side: longest side in pixels.
    """

    def __init__(
        self, dump: Dump, renderer: Renderer, threads: ThreadPoolExecutor, region: RegionSettings, side: int
    ) -> None:
        self._dump, self._renderer, self._threads = dump, renderer, threads
        self._region, self.side = region, side
        self.broken = 0
        """Pictures that could not be made so far."""

    def jpegs(self, exemplars: Sequence[Exemplar]) -> Iterator[bytes | None]:
        """The picture of each; None where its image cannot be read."""
        for made in self._threads.map(self._jpeg, exemplars):
            self.broken += made is None
            yield made

    def sheet(self, exemplars: Sequence[Exemplar], columns: int, ground: tuple[int, int, int]) -> Image.Image:
        """All pictures in one, row by row in cells of `side` pixels; a cell whose image cannot be read stays empty.

        Args:
            exemplars: one at least.
            columns: cells in a row, at most.
            ground: colour around the pictures.
        """
        side = self.side
        sheet = Image.new("RGB", (side * min(columns, len(exemplars)), side * -(-len(exemplars) // columns)), ground)
        for place, drawn in enumerate(self._threads.map(self._drawn, exemplars)):
            if drawn is None:
                self.broken += 1
                continue
            x, y = side * (place % columns), side * (place // columns)
            sheet.paste(drawn, (x + (side - drawn.width) // 2, y + (side - drawn.height) // 2))
        return sheet

    def _jpeg(self, exemplar: Exemplar) -> bytes | None:
        try:
            return self._renderer.jpeg_now(Picture((self._tile(exemplar),), side=self.side, quality=QUALITY))
        except ImageError:
            return None

    def _drawn(self, exemplar: Exemplar) -> Image.Image | None:
        try:
            return self._renderer.tile_now(self._tile(exemplar), self.side)
        except ImageError:
            return None

    def _tile(self, exemplar: Exemplar) -> Tile:
        grid, image = self._dump.info.patch_grid, self._dump.image(exemplar.image)
        return tile_of(exemplar, image, "crop", region_box(exemplar, image, grid, self._region), grid)
