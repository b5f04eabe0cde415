"""From an exemplar to the tiles that show it."""

from collections.abc import Sequence
from random import Random

from autointerp.images.picture import Rendering, Tile
from autointerp.images.region import region_of, tells
from autointerp.schema import Box, Exemplar, ImageRow
from autointerp.settings import RegionSettings

WHOLE = 0.8
"""A region that covers more of its image than this is shown as the whole image."""


def region_box(exemplar: Exemplar, image: ImageRow, grid: tuple[int, int] | None, region: RegionSettings) -> Box | None:
    """The region to show, None for the whole image."""
    size = (image.width, image.height)
    box = region_of(exemplar, grid, size, mass=region.mass, margin=region.margin)
    if box is None:
        return None
    x0, x1 = _widened(box.x0, box.x1, region.least, size[0])
    y0, y1 = _widened(box.y0, box.y1, region.least, size[1])
    if (x1 - x0) * (y1 - y0) > WHOLE * image.width * image.height:
        return None
    return Box(x0, y0, x1, y1)


def _widened(low: int, high: int, least: float, length: int) -> tuple[int, int]:
    """The span, about its middle at least that fraction of the length, moved inside it."""
    span = max(high - low, round(least * length))
    first = min(max(0, low - (span - (high - low)) // 2), length - span)
    return first, first + span


def tile_of(
    exemplar: Exemplar,
    image: ImageRow,
    rendering: Rendering,
    box: Box | None,
    grid: tuple[int, int] | None,
) -> Tile:
    """One rendering of one exemplar; without a region it is the whole image, unmarked."""
    size = (image.width, image.height)
    if box is None or rendering == "full":
        return Tile(image.image, image.sha256, size, "full", None)
    heat = exemplar.heat if tells(exemplar.heat) else None
    return Tile(image.image, image.sha256, size, rendering, box, heat, grid if heat else None)


def borrowed_box(image: ImageRow, lenders: Sequence[tuple[Box | None, ImageRow]], chance: Random) -> Box | None:
    """A region for an image that has none of its own: the relative place and size of one drawn from `lenders`.

    A judge that sees crops of active images beside whole silent ones could tell them apart by their scale alone;
    silent crops therefore follow the distribution of the active ones.
    """
    box, lender = chance.choice(lenders)
    if box is None:
        return None
    across, down = image.width / lender.width, image.height / lender.height
    x0, y0 = round(box.x0 * across), round(box.y0 * down)
    x1, y1 = max(x0 + 1, round(box.x1 * across)), max(y0 + 1, round(box.y1 * down))
    return Box(min(x0, image.width - 1), min(y0, image.height - 1), min(x1, image.width), min(y1, image.height))
