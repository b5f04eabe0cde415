"""From decoded pixels to what is sent: crops, outlines, masks, and numbered sheets of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from autointerp.images.decode import shrink_for
from autointerp.images.picture import Picture, Tile
from autointerp.images.region import contours, region_mask
from autointerp.schema import Box

GROUND = (226, 226, 226)
STRIP = (58, 58, 58)
INK = (255, 255, 255)
STROKE = (235, 20, 20)
HALO = (255, 255, 255)
DIMMED = 0.25
"""Brightness outside the region of a `mask`."""
LEAST_CELL = 112
"""Pixels that a cell of a sheet has on a side at least, so that its number can be read."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of a sheet, in pixels of the sheet."""

    whole: Box
    strip: Box
    """Top of the cell, as wide as it; the number stands at its left."""
    frame: Box
    """`side` by `side` pixels, in whose middle the tile is."""


@dataclass(frozen=True, slots=True)
class SheetLayout:
    """Where everything is on a sheet: rows by columns of equal cells, with nothing between or around them."""

    rows: int
    columns: int
    cell: tuple[int, int]
    """Width and height in pixels; so the sheet has columns·width by rows·height."""
    cells: tuple[Cell, ...]
    """Row by row, one for each tile."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet in pixels."""
        return self.columns * self.cell[0], self.rows * self.cell[1]


def sheet_layout(n: int, columns: int, side: int) -> SheetLayout:
    """Computes the geometry of a sheet.

    Args:
        n: tiles, at least 1.
        columns: cells in a row, at least 1; all are there even where n is less.
        side: longest side of a tile in pixels.

    Returns:
        The layout; cell sizes depend on `side` alone.
    """
    assert n >= 1
    assert columns >= 1
    gap, strip = _gap(side), _strip(side)
    width, height = side + 2 * gap, strip + side + 2 * gap
    cells = []
    for i in range(n):
        x, y = (i % columns) * width, (i // columns) * height
        frame = Box(x + gap, y + strip + gap, x + gap + side, y + strip + gap + side)
        cells.append(Cell(Box(x, y, x + width, y + height), Box(x, y, x + width, y + strip), frame))
    return SheetLayout(-(-n // columns), columns, (width, height), tuple(cells))


def picture_size(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels of the encoded picture, without touching one."""
    if picture.columns:
        return sheet_layout(len(picture.tiles), picture.columns, picture.side).size
    return tile_size(picture.tiles[0], picture.side)


def tile_size(tile: Tile, side: int) -> tuple[int, int]:
    """Width and height in pixels of a rendered tile: longest side at most `side`, never more than its own."""
    region = _shown(tile)
    longest = max(region.width, region.height)
    if longest <= side:
        return region.width, region.height
    return max(1, round(region.width * side / longest)), max(1, round(region.height * side / longest))


def snug_side(tiles: Sequence[Tile], side: int) -> int:
    """Longest side of a sheet's cells in pixels: no longer than the tiles need, since empty paper costs tokens too.

    Args:
        tiles: of one sheet.
        side: longest side that a tile may have.
    """
    longest = max(max(tile_size(tile, side)) for tile in tiles)
    return min(side, max(longest, LEAST_CELL))


def tile_shrink(tile: Tile, side: int) -> int:
    """The coarsest decoding scale (1, 2, 4 or 8) that has all the pixels that the tile shows."""
    region = _shown(tile)
    return shrink_for(max(region.width, region.height), side)


def render_tile(tile: Tile, image: Image.Image, scale: int, side: int) -> Image.Image:
    """Draws the picture of one tile.

    Args:
        tile: what to draw.
        image: the source, upright, RGB.
        scale: full-size pixels per pixel of `image`, each way.
        side: longest side of the result in pixels, at most.

    Returns:
        A new RGB image of size `tile_size(tile, side)`.
    """
    shown = _resample(image, _shown(tile), scale, tile_size(tile, side))
    if tile.rendering == "outline":
        _stroke(shown, _polygons(tile, shown.size))
    elif tile.rendering == "mask":
        dim = shown.point([int(v * DIMMED) for v in range(256)] * 3)
        return Image.composite(shown, dim, _soft_mask(tile, shown.size))
    return shown


def render_sheet(tiles: Sequence[Image.Image], columns: int, side: int, per_number: int = 1) -> Image.Image:
    """Puts rendered tiles on one sheet, numbered from 1, row by row.

    Args:
        tiles: RGB, longest side at most `side`.
        columns: cells in a row.
        side: as the tiles were rendered for.
        per_number: tiles under one number; those after the first are named parts.

    Returns:
        RGB of size `sheet_layout(len(tiles), columns, side).size`.
    """
    layout = sheet_layout(len(tiles), columns, side)
    sheet = Image.new("RGB", layout.size, GROUND)
    draw = ImageDraw.Draw(sheet)
    font = _font(max(8, _strip(side) * 4 // 5))
    for place, (tile, cell) in enumerate(zip(tiles, layout.cells, strict=True)):
        number, further = divmod(place, per_number)
        strip, frame = cell.strip, cell.frame
        # One pixel of ground at the left sets the strips of neighbours apart.
        draw.rectangle((strip.x0 + (strip.x0 > 0), strip.y0, strip.x1 - 1, strip.y1 - 1), fill=STRIP)
        name = f"{number + 1} part" if further else str(number + 1)
        draw.text((frame.x0 + _gap(side), (strip.y0 + strip.y1) / 2), name, font=font, fill=INK, anchor="lm")
        corner = (frame.x0 + (frame.width - tile.width) // 2, frame.y0 + (frame.height - tile.height) // 2)
        sheet.paste(tile, corner)
    return sheet


def _gap(side: int) -> int:
    return max(2, side // 40)


def _strip(side: int) -> int:
    return max(14, side // 9)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _clip(box: Box | None, size: tuple[int, int]) -> Box:
    """The part of the box inside the image, one pixel at least; the whole image for None."""
    width, height = size
    if box is None:
        return Box(0, 0, width, height)
    x0, y0 = min(max(box.x0, 0), width - 1), min(max(box.y0, 0), height - 1)
    return Box(x0, y0, min(max(box.x1, x0 + 1), width), min(max(box.y1, y0 + 1), height))


def _shown(tile: Tile) -> Box:
    return _clip(tile.box if tile.rendering == "crop" else None, tile.size)


def _resample(image: Image.Image, box: Box, scale: int, size: tuple[int, int]) -> Image.Image:
    """The box alone at the given size."""
    x0, y0 = box.x0 // scale, box.y0 // scale
    # Cut out first: resize(box=…) lets pixels from beyond the box bleed in.
    part = image.crop((x0, y0, -(-box.x1 // scale), -(-box.y1 // scale)))
    if scale == 1 and size == part.size:
        return part
    exact = (box.x0 / scale - x0, box.y0 / scale - y0, box.x1 / scale - x0, box.y1 / scale - y0)
    # Hamming costs half of bicubic; made smaller, the two look alike.
    return part.resize(size, Image.Resampling.HAMMING, box=exact)


def _region_mask(tile: Tile) -> Image.Image | None:
    """The heat map's region as an L image, one pixel a cell, 0 or 255; None where the box is to be marked."""
    if tile.heat is None or tile.grid is None:
        return None
    mask = region_mask(tile.heat, tile.grid)
    return Image.fromarray(mask.astype("uint8") * 255) if mask.any() else None


def _marked(tile: Tile, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box to mark in pixels of the rendered tile."""
    box = _clip(tile.box, tile.size)
    across, down = size[0] / tile.size[0], size[1] / tile.size[1]
    return box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down


def _polygons(tile: Tile, size: tuple[int, int]) -> list[list[tuple[float, float]]]:
    """What to outline, in pixels of the rendered tile."""
    if tile.heat is not None and tile.grid is not None:
        mask = region_mask(tile.heat, tile.grid)
        if mask.any():
            across, down = size[0] / tile.grid[1], size[1] / tile.grid[0]
            return [[(x * across, y * down) for x, y in polygon] for polygon in contours(mask)]
    x0, y0, x1, y1 = _marked(tile, size)
    return [[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]]


def _soft_mask(tile: Tile, size: tuple[int, int]) -> Image.Image:
    """Which part keeps its brightness, as an L image of `size` whose edge is soft."""
    cells = _region_mask(tile)
    if cells is not None:
        mask = cells.resize(size, Image.Resampling.NEAREST)
    else:
        mask = Image.new("L", size, 0)
        x0, y0, x1, y1 = _marked(tile, size)
        ImageDraw.Draw(mask).rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(max(size) / 80))


def _stroke(image: Image.Image, polygons: Iterable[Sequence[tuple[float, float]]]) -> None:
    """Draws rectilinear polygons as a coloured line between two light ones, readable on dark and on light."""
    draw = ImageDraw.Draw(image)
    core = max(1.0, max(image.size) / 220)
    halo = core + max(1.0, core * 0.7)
    edges = [(p, polygon[i - 1]) for polygon in polygons for i, p in enumerate(polygon)]
    for half, colour in ((halo, HALO), (core, STROKE)):
        for a, b in edges:
            # Lines along the image's own edge are moved inside it.
            (ax, ay), (bx, by) = (_inside(p, image.size, halo) for p in (a, b))
            corners = (min(ax, bx) - half, min(ay, by) - half, max(ax, bx) + half, max(ay, by) + half)
            draw.rectangle([round(c) for c in corners], fill=colour)


def _inside(point: tuple[float, float], size: tuple[int, int], by: float) -> tuple[float, float]:
    x, y = (max(min(max(p, by), s - 1 - by), 0.0) for p, s in zip(point, size, strict=True))
    return x, y
