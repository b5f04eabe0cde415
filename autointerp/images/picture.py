"""Recipes of the pictures that are sent: which region of which image, rendered how. Their digest needs no pixel."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from autointerp.schema import Box, Erasure

Rendering = Literal["crop", "outline", "mask", "full"]
"""`crop`: the box alone. `outline`: the whole image with the region's contour drawn. `mask`: the whole image dimmed
outside the region. `full`: the whole image, unmarked."""

ExplainerRendering = Literal["crop", "outline", "mask", "full", "auto"]
"""How an explainer is shown an active image: one of the above, or `auto`, a crop where that alone fires the feature and
an outline where it does not."""

JudgeRendering = Literal["full", "zoom", "crop", "outline", "mask"]
"""How a judge is shown an image: one of the above, or `zoom`, the whole image and beside it the box alone."""

ERASER = 1
"""Raised whenever the same recipe would fill a region with other pixels."""

OutlineStyle = Literal["contour", "line", "box"]
"""How an `outline` marks a region. `contour`: a light line along its contour and a dark one around that. `line`: the
dark line alone. `box`: both lines, around the box of the region."""

RENDERER = 1
"""Raised whenever the same recipe would give other pixels to the eye, so that cached answers of the old ones are not
used; a library that rounds otherwise is no reason (`tests/images/test_images_likeness.py` says how far that goes)."""
OUTLINE = 2
"""The same of outlines alone, so that answers about pictures without one stay in use."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Says how one image is shown in one rendering."""

    image: int
    """Where to find it in the dump; not part of the digest."""
    sha256: str
    """Of the source file's bytes."""
    size: tuple[int, int]
    """Width and height in pixels of the source as displayed."""
    rendering: Rendering
    box: Box | None
    """None: the whole image."""
    heat: bytes | None = None
    """Only `outline` and `mask` look at it; without it they mark the box."""
    grid: tuple[int, int] | None = None
    """Rows and columns of `heat`."""
    style: OutlineStyle = "contour"
    """Only `outline` looks at it."""
    erased: Erasure | None = None
    """Of `full` alone: how the box is taken away from the image; None where it stays."""

    file: Path | None = field(default=None, compare=False)
    """Of a picture that is no image of the dump: where it lies; not part of the digest."""

    def recipe(self) -> list[object]:
        """All that decides the pixels, as JSON values."""
        box = [self.box.x0, self.box.y0, self.box.x1, self.box.y1] if self.box else None
        marked = self.rendering in ("outline", "mask")
        heat = hashlib.sha256(self.heat).hexdigest() if marked and self.heat is not None else None
        whole = [self.sha256, self.rendering, box, heat, list(self.grid) if heat and self.grid else None]
        # Left out where they are the usual ones, so that the keys of answers about such pictures stay what they were.
        if self.erased is not None:
            return [*whole, "without", self.erased, ERASER]
        return [*whole, self.style] if self.rendering == "outline" and self.style != "contour" else whole


def longest(tile: Tile) -> int:
    """Pixels that the source has on the longest side of what the tile shows."""
    region = shown_part(tile)
    return max(region.width, region.height)


def shown_part(tile: Tile) -> Box:
    """The part of the source that the tile shows, one pixel at least."""
    return clipped(tile.box if tile.rendering == "crop" else None, tile.size)


def clipped(box: Box | None, size: tuple[int, int]) -> Box:
    """The part of the box inside an image of that size, one pixel at least; the whole image for None."""
    width, height = size
    if box is None:
        return Box(0, 0, width, height)
    x0, y0 = min(max(box.x0, 0), width - 1), min(max(box.y0, 0), height - 1)
    return Box(x0, y0, min(max(box.x1, x0 + 1), width), min(max(box.y1, y0 + 1), height))


@dataclass(frozen=True, slots=True)
class Picture:
    """One JPEG: a single tile, or a numbered sheet of several."""

    tiles: tuple[Tile, ...]
    side: int
    """Longest side in pixels of each tile, at most."""
    quality: int
    """JPEG quality, 1–95."""
    columns: int = 0
    """0: a single unnumbered tile. Else the columns of a sheet whose tiles are numbered from 1, row by row."""
    per_number: int = 1
    """How many tiles of a sheet follow each other under one number: with 2, an image and a part of it."""
    least: int = 0
    """Longest side in pixels of each tile, at least: what has fewer pixels is enlarged. At most `side`."""
    recipe: str = field(init=False, compare=False, repr=False)
    """All that decides the pixels, as text; it stands for the picture in a request's key."""

    def __post_init__(self) -> None:
        """Writes the picture's recipe."""
        assert self.tiles
        assert self.columns or len(self.tiles) == 1
        assert len(self.tiles) % self.per_number == 0
        assert self.least <= self.side
        recipe = [RENDERER, [t.recipe() for t in self.tiles], self.side, self.quality, self.columns]
        # Left out where each tile has its own number, so that the keys of such sheets stay what they were.
        recipe += [self.per_number] if self.per_number > 1 else []
        # The same holds of pictures that nothing is enlarged in, and that no outline is drawn in.
        recipe += ["least", self.least] if any(longest(t) < self.least for t in self.tiles) else []
        recipe += ["outline", OUTLINE] if any(t.rendering == "outline" for t in self.tiles) else []
        # Lists, texts, whole numbers and None: repr writes them one way only, and in a tenth of the time of JSON.
        object.__setattr__(self, "recipe", repr(recipe))

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, hex; not stored, since a question answered from the cache never needs it."""
        return hashlib.sha256(self.recipe.encode()).hexdigest()
