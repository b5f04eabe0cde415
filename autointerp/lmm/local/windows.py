"""The places of a whole image that the embedded model looks through to find something."""

from dataclasses import replace
from itertools import product

from autointerp.images.picture import Tile
from autointerp.schema import Box

SIDE, PLACES = 333, (0, 333, 667)
"""The windows' side, and where they begin across and down, in thousandths of the image. On the demo's features larger
windows, and more of them, told the region that fires no better from another."""


def windows() -> tuple[Box, ...]:
    """The places looked at, in thousandths of the image's width and height."""
    return tuple(Box(x, y, x + SIDE, y + SIDE) for y, x in product(PLACES, PLACES))


def cut(tile: Tile) -> list[Tile]:
    """The windows of a whole image as crops of it."""
    w, h = tile.size
    places = [Box(b.x0 * w // 1000, b.y0 * h // 1000, -(-b.x1 * w // 1000), -(-b.y1 * h // 1000)) for b in windows()]
    return [replace(tile, rendering="crop", box=place) for place in places]
