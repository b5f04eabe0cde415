"""From an exemplar to the tiles that show it."""

from collections.abc import Sequence
from random import Random

import numpy as np

from autointerp.images.picture import OutlineStyle, Rendering, Tile
from autointerp.images.region import (
    Weights,
    box_around,
    region_mask,
    region_of,
    region_parts,
    share_inside,
    tells,
)
from autointerp.schema import Box, Erasure, Exemplar, ImageRow
from autointerp.settings import RegionSettings

WHOLE = 0.8
"""A region that covers more of its image than this is shown as the whole image."""
MOST_CROPS = 3
"""More groups than these are shown in one crop around all of them."""


def region_box(exemplar: Exemplar, image: ImageRow, grid: tuple[int, int] | None, region: RegionSettings) -> Box | None:
    """The region to show, None for the whole image."""
    size = (image.width, image.height)
    box = region_of(exemplar, grid, size, mass=region.mass, margin=region.margin)
    if box is None:
        return None
    box = _at_least(box, region.least, size)
    return None if _area(box) > WHOLE * image.width * image.height else box


def region_boxes(
    exemplar: Exemplar, image: ImageRow, grid: tuple[int, int] | None, region: RegionSettings
) -> tuple[Box, ...]:
    """The regions to show to an explainer: together they hold `region.mass` of the activation that is outlined.

    A box goes around each group of cells that fired, the strongest groups first, or around all where that is smaller
    or the groups are many; `region_box` gives the peak's group alone.

    Returns:
        At most MOST_CROPS boxes; none where the whole image is to be shown.
    """
    if grid is None or exemplar.heat is None or not tells(exemplar.heat):
        box = region_box(exemplar, image, grid, region)
        return () if box is None else (box,)
    size = (image.width, image.height)

    def box_of(weights: Weights) -> Box:
        return _at_least(box_around(weights, size, mass=region.mass, margin=region.margin), region.least, size)

    parts = region_parts(exemplar.heat, grid)
    whole = parts[0] if len(parts) == 1 else np.sum(parts, axis=0)
    around = box_of(whole)
    # The box of the only group is the one around all.
    boxes = [box_of(part) for part in parts[:MOST_CROPS]] if len(parts) > 1 else []
    counts = range(1, len(boxes) + 1)
    enough = next((n for n in counts if share_inside(whole, boxes[:n], size) >= region.mass - 1e-9), None)
    if enough is not None and sum(map(_area, boxes[:enough])) < _area(around):
        return tuple(boxes[:enough])
    return () if _area(around) > WHOLE * image.width * image.height else (around,)


def removable_regions(
    exemplar: Exemplar, image: ImageRow, grid: tuple[int, int] | None, region: RegionSettings
) -> tuple[Box, ...]:
    """The regions that can be taken away from an image so that something of it is left.

    Returns:
        The region around the peak, and the one around all that fired where that is another; none where the whole image
        is the region.
    """
    peak = region_box(exemplar, image, grid, region)
    if peak is None:
        return ()
    boxes = (peak, *region_boxes(exemplar, image, grid, region))
    low = min(b.x0 for b in boxes), min(b.y0 for b in boxes)
    around = Box(*low, max(b.x1 for b in boxes), max(b.y1 for b in boxes))
    return (peak,) if around == peak or _area(around) > WHOLE * image.width * image.height else (peak, around)


def shown_tiles(
    exemplar: Exemplar,
    image: ImageRow,
    renderings: Sequence[Rendering],
    grid: tuple[int, int] | None,
    region: RegionSettings,
) -> tuple[Tile, ...]:
    """The pictures of an image on which a feature fires, in the order of the renderings.

    A crop comes for each of `region_boxes`. What fires nearly everywhere is not outlined. Without a region all
    renderings are the same picture, the whole image, which is then shown once.
    """
    boxes = region_boxes(exemplar, image, grid, region)
    marked = boxes or _marked(exemplar, image, grid)
    tiles: list[Tile] = []
    for rendering in renderings:
        shown = boxes if rendering == "crop" else marked[:1]
        tiles += [tile_of(exemplar, image, rendering, box, grid, region.outline) for box in shown]
    return tuple(tiles) or (tile_of(exemplar, image, "full", None, grid),)


def _marked(exemplar: Exemplar, image: ImageRow, grid: tuple[int, int] | None) -> tuple[Box, ...]:
    """The whole image where a region in it can be outlined though its crop would be as good as all."""
    if grid is None or exemplar.heat is None or not tells(exemplar.heat):
        return ()
    small = region_mask(exemplar.heat, grid).mean() <= WHOLE
    return (Box(0, 0, image.width, image.height),) if small else ()


def _area(box: Box) -> int:
    return box.width * box.height


def _at_least(box: Box, least: float, size: tuple[int, int]) -> Box:
    """The box, widened to that fraction of the image's sides."""
    x0, x1 = _widened(box.x0, box.x1, least, size[0])
    y0, y1 = _widened(box.y0, box.y1, least, size[1])
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
    style: OutlineStyle = "contour",
) -> Tile:
    """One rendering of one exemplar; without a region it is the whole image, unmarked."""
    size = (image.width, image.height)
    if box is None or rendering == "full":
        return Tile(image.image, image.sha256, size, "full", None)
    heat = exemplar.heat if tells(exemplar.heat) else None
    return Tile(image.image, image.sha256, size, rendering, box, heat, grid if heat else None, style)


def tile_without(image: ImageRow, box: Box, how: Erasure) -> Tile:
    """The whole image without a region."""
    return Tile(image.image, image.sha256, (image.width, image.height), "full", box, erased=how)


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
