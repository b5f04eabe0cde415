"""From decoded pixels to what is sent: crops, outlines, masks, and numbered sheets of them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from autointerp.images.alteration import erase
from autointerp.images.decode import shrink_for
from autointerp.images.enlarge import enlarged
from autointerp.images.jpeg import Pixels, image_of, pixels_of
from autointerp.images.picture import Picture, Tile, clipped, longest, shown_part
from autointerp.images.region import Mask, region_mask
from autointerp.schema import Box

GROUND = (226, 226, 226)
STRIP = (58, 58, 58)
INK = (255, 255, 255)
STROKE = (150, 0, 0)
HALO = (255, 255, 255)
"""The two lines of an outline. Every colour contrasts with one of them by 3:1 at least, as WCAG 2 asks of marks."""
OUTLINE_WIDTH = 220
"""An outlined picture is so many times as long as each line of its outline is wide."""
DIMMED = 0.25
"""Brightness outside the region of a `mask`."""
LEAST_CELL = 112
"""Pixels that a cell of a sheet has on a side at least, so that its number can be read."""


class Cell(NamedTuple):
    """One place of a sheet, in pixels of the sheet."""

    strip: Box
    """Top of the cell, as wide as it; the number stands at its left."""
    frame: Box
    """`side` by `side` pixels, in whose middle the tile is."""


def sheet_size(n: int, columns: int, side: int) -> tuple[int, int]:
    """Width and height in pixels of a sheet of `n` tiles: all `columns` cells of a row are there even where n is less.

    Args:
        n: tiles, at least 1.
        columns: cells in a row, at least 1.
        side: longest side of a tile in pixels, which alone decides the size of a cell.
    """
    gap = _gap(side)
    return columns * (side + 2 * gap), -(-n // columns) * (_strip(side) + side + 2 * gap)


def sheet_cell(place: int, columns: int, side: int) -> Cell:
    """The `place`-th cell of a sheet, from 0 row by row; equal cells, with nothing between or around them."""
    gap, strip = _gap(side), _strip(side)
    width, height = sheet_size(1, 1, side)
    x, y = (place % columns) * width, (place // columns) * height
    frame = Box(x + gap, y + strip + gap, x + gap + side, y + strip + gap + side)
    return Cell(Box(x, y, x + width, y + strip), frame)


def picture_size(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels of the encoded picture, without touching one."""
    if picture.columns:
        return sheet_size(len(picture.tiles), picture.columns, picture.side)
    return tile_size(picture.tiles[0], picture.side, picture.least)


def tile_size(tile: Tile, side: int, least: int = 0) -> tuple[int, int]:
    """Width and height in pixels of a rendered tile.

    Args:
        tile: what is drawn.
        side: longest side in pixels, at most.
        least: longest side in pixels, at least; at most `side`. With 0 a tile has never more pixels than its own.
    """
    region, own = shown_part(tile), longest(tile)
    wanted = min(max(own, least), side)
    if wanted == own:
        return region.width, region.height
    return max(1, round(region.width * wanted / own)), max(1, round(region.height * wanted / own))


def snug_side(tiles: Sequence[Tile], side: int) -> int:
    """Longest side of a sheet's cells in pixels: no longer than the tiles need, since empty paper costs tokens too.

    Args:
        tiles: of one sheet.
        side: longest side that a tile may have.
    """
    return min(side, max(*(longest(tile) for tile in tiles), LEAST_CELL))


def tile_shrink(tile: Tile, side: int) -> int:
    """The coarsest decoding scale (1, 2, 4 or 8) that has all the pixels that the tile shows."""
    return shrink_for(longest(tile), side)


def render_tile(tile: Tile, image: Image.Image | Pixels, scale: int, side: int, least: int = 0) -> Pixels:
    """Draws the picture of one tile.

    Args:
        tile: what to draw.
        image: the source, upright; an image is of mode RGB.
        scale: full-size pixels per pixel of `image`, each way.
        side: longest side of the result in pixels, at most.
        least: longest side of the result in pixels, at least; marks are drawn after the enlargement.

    Returns:
        Pixels of size `tile_size(tile, side, least)`, not to be written to: they may be those of the source.
    """
    if tile.erased is not None and tile.box is not None:
        image = (image if isinstance(image, Image.Image) else image_of(image)).copy()
        erase(image, tile.box, tile.size, tile.erased)
    shown = _resample(image, shown_part(tile), scale, tile_size(tile, side, least))
    if tile.rendering == "outline":
        return _outlined(shown, tile)
    return _masked(image_of(shown), tile) if tile.rendering == "mask" else shown


def render_sheet(tiles: Sequence[Pixels], columns: int, side: int, per_number: int = 1) -> Pixels:
    """Puts rendered tiles on one sheet, numbered from 1, row by row.

    Args:
        tiles: longest side at most `side`.
        columns: cells in a row.
        side: as the tiles were rendered for.
        per_number: tiles under one number; those after the first are named parts.

    Returns:
        Pixels of size `sheet_size(len(tiles), columns, side)`.
    """
    width, height = sheet_size(len(tiles), columns, side)
    sheet = np.full((height, width), _paint(GROUND)).view(np.uint8).reshape(height, width, 4)
    for place, tile in enumerate(tiles):
        number, further = divmod(place, per_number)
        strip, frame = sheet_cell(place, columns, side)
        # One pixel of ground at the left sets the strips of neighbours apart.
        apart = int(strip.x0 > 0)
        title = _title(f"{number + 1} part" if further else str(number + 1), side)
        sheet[strip.y0 : strip.y1, strip.x0 + apart : strip.x1] = title[:, apart:]
        high, wide, _ = tile.shape
        x, y = frame.x0 + (frame.width - wide) // 2, frame.y0 + (frame.height - high) // 2
        sheet[y : y + high, x : x + wide] = tile
    return sheet


@lru_cache(maxsize=256)
def _title(name: str, side: int) -> Pixels:
    """The top of a cell with its name."""
    strip, frame = sheet_cell(0, 1, side)
    image = Image.new("RGB", (strip.width, strip.height), STRIP)
    font = _font(max(8, _strip(side) * 4 // 5))
    place = (frame.x0 + _gap(side), strip.height / 2)
    ImageDraw.Draw(image).text(place, name, font=font, fill=INK, anchor="lm")
    return pixels_of(image)


@lru_cache
def _paint(colour: tuple[int, int, int]) -> np.uint32:
    """A whole pixel as one number, which fills memory four times as fast as its bytes."""
    return np.array((*colour, 255), np.uint8).view(np.uint32)[0]


def _gap(side: int) -> int:
    return max(2, side // 40)


def _strip(side: int) -> int:
    return max(14, side // 9)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _resample(image: Image.Image | Pixels, box: Box, scale: int, size: tuple[int, int]) -> Pixels:
    """The box alone at the given size."""
    x0, y0, x1, y1 = box.x0 // scale, box.y0 // scale, -(-box.x1 // scale), -(-box.y1 // scale)
    # Cut out first: resize(box=…) lets pixels from beyond the box bleed in.
    cut = (x0, y0, x1, y1)
    part = image.crop(cut) if isinstance(image, Image.Image) else np.ascontiguousarray(image[y0:y1, x0:x1])
    larger = max(size) > max(x1 - x0, y1 - y0)
    if scale == 1 and (larger or size == (x1 - x0, y1 - y0)):
        pixels = pixels_of(part) if isinstance(part, Image.Image) else part
        return enlarged(pixels, size) if larger else pixels
    part = part if isinstance(part, Image.Image) else image_of(part)
    exact = (box.x0 / scale - x0, box.y0 / scale - y0, box.x1 / scale - x0, box.y1 / scale - y0)
    # Hamming costs half of bicubic; made smaller, the two look alike. Made larger, it would show squares.
    return pixels_of(part.resize(size, Image.Resampling.LANCZOS if larger else Image.Resampling.HAMMING, box=exact))


def _region(tile: Tile) -> Mask | None:
    """The heat map's region by cell; None where the box is to be marked."""
    if tile.heat is None or tile.grid is None:
        return None
    mask = region_mask(tile.heat, tile.grid)
    return mask if mask.any() else None


def _marked(tile: Tile, size: tuple[int, int]) -> Box:
    """The box to mark in pixels of the rendered tile."""
    box = clipped(tile.box, tile.size)
    across, down = size[0] / tile.size[0], size[1] / tile.size[1]
    x0, y0 = box.x0 * across, box.y0 * down
    return Box(int(x0), int(y0), int(max(x0, box.x1 * across - 1)) + 1, int(max(y0, box.y1 * down - 1)) + 1)


def _marked_parts(tile: Tile, size: tuple[int, int]) -> list[Box]:
    """What is to be marked in pixels of a picture of `size`: boxes that together are the region and never overlap."""
    mask = _region(tile)
    if mask is None:
        return [_marked(tile, size)]
    if tile.rendering == "outline" and tile.style == "box":
        marked = np.argwhere(mask)
        (y0, x0), (y1, x1) = marked.min(axis=0), marked.max(axis=0) + 1
        mask = np.zeros_like(mask)
        mask[y0:y1, x0:x1] = True
    down, across = (_cell_edges(n, length) for n, length in zip(mask.shape, (size[1], size[0]), strict=True))
    # A run of cells in a row begins where the mask rises and ends where it falls.
    wide = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    wide[:, 1:-1] = mask
    steps = wide[:, 1:] - wide[:, :-1]
    rows, first = np.nonzero(steps == 1)
    past = np.nonzero(steps == -1)[1]
    runs = zip(rows.tolist(), first.tolist(), past.tolist(), strict=True)
    boxes = (Box(across[x0], down[y], across[x1], down[y + 1]) for y, x0, x1 in runs)
    return [box for box in boxes if box.width and box.height]


@lru_cache(maxsize=256)
def _cell_edges(cells: int, length: int) -> list[int]:
    """The first pixel of each cell of a side that Pillow enlarges or shrinks to `length`, and `length` itself."""
    numbers = Image.fromarray(np.arange(cells, dtype=np.int32)[None, :])
    of = np.asarray(numbers.resize((length, 1), Image.Resampling.NEAREST))[0]
    return np.searchsorted(of, np.arange(cells + 1)).tolist()


def _masked(image: Image.Image, tile: Tile) -> Pixels:
    dim = image.point([int(v * DIMMED) for v in range(256)] * 3)
    return pixels_of(Image.composite(image, dim, _soft_mask(tile, image.size)))


def _soft_mask(tile: Tile, size: tuple[int, int]) -> Image.Image:
    """Which part keeps its brightness, as an L image of `size` whose edge is soft."""
    mask = Image.new("L", size, 0)
    for box in _marked_parts(tile, size):
        mask.paste(255, box.corners)
    return mask.filter(ImageFilter.GaussianBlur(max(size) / 80))


def _outlined(pixels: Pixels, tile: Tile) -> Pixels:
    """Draws a light line around the region and a dark one around that, which leave the region itself as it is.

    Along the image's own edge, where there is no outside, the lines lie inside. With the style `line` the dark line
    is drawn alone, in the place of the light one.
    """
    size = (pixels.shape[1], pixels.shape[0])
    width = max(1, round(max(size) / OUTLINE_WIDTH))
    rim = 2 * width if min(size) > 4 * width else 0
    inner = [part for box in _marked_parts(tile, size) if (part := _inset(box, size, rim))]
    out = pixels.copy()
    whole = out.view(np.uint32)[:, :, 0]
    lines = ((width, STROKE),) if tile.style == "line" else ((2 * width, STROKE), (width, HALO))
    for by, colour in lines:
        for x0, y0, x1, y1 in inner:
            whole[max(0, y0 - by) : y1 + by, max(0, x0 - by) : x1 + by] = _paint(colour)
    for x0, y0, x1, y1 in inner:
        out[y0:y1, x0:x1] = pixels[y0:y1, x0:x1]
    return out


def _inset(box: Box, size: tuple[int, int], rim: int) -> tuple[int, int, int, int] | None:
    """The part of the box that is at least `rim` pixels from the picture's edge."""
    x0, y0, x1, y1 = max(box.x0, rim), max(box.y0, rim), min(box.x1, size[0] - rim), min(box.y1, size[1] - rim)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
