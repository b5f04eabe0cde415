"""Recipes of the pictures that are sent: which region of which image, rendered how. Their digest needs no pixel."""

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from autointerp.schema import Box

Rendering = Literal["crop", "outline", "mask", "full"]
"""`crop`: the box alone. `outline`: the whole image with the region's contour drawn. `mask`: the whole image dimmed
outside the region. `full`: the whole image, unmarked."""

JudgeRendering = Literal["full", "zoom", "crop", "outline", "mask"]
"""How a judge is shown an image: one of the above, or `zoom`, the whole image and beside it the box alone."""

RENDERER = 1
"""Raised whenever the same recipe would give other pixels, so that cached answers of the old ones are not used."""


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

    def recipe(self) -> list[object]:
        """All that decides the pixels, as JSON values."""
        box = [self.box.x0, self.box.y0, self.box.x1, self.box.y1] if self.box else None
        marked = self.rendering in ("outline", "mask")
        heat = hashlib.sha256(self.heat).hexdigest() if marked and self.heat is not None else None
        return [self.sha256, self.rendering, box, heat, list(self.grid) if heat and self.grid else None]


@dataclass(frozen=True, slots=True)
class Picture:
    """One JPEG: a single tile, or a numbered sheet of several."""

    tiles: tuple[Tile, ...]
    side: int
    """Longest side in pixels of each tile; never upscaled past the source's own pixels."""
    quality: int
    """JPEG quality, 1–95."""
    columns: int = 0
    """0: a single unnumbered tile. Else the columns of a sheet whose tiles are numbered from 1, row by row."""
    per_number: int = 1
    """How many tiles of a sheet follow each other under one number: with 2, an image and a part of it."""
    recipe: str = field(init=False, compare=False, repr=False)
    """All that decides the pixels, as text; it stands for the picture in a request's key."""

    def __post_init__(self) -> None:
        """Writes the picture's recipe."""
        assert self.tiles
        assert self.columns or len(self.tiles) == 1
        assert len(self.tiles) % self.per_number == 0
        recipe = [RENDERER, [t.recipe() for t in self.tiles], self.side, self.quality, self.columns]
        # Left out where each tile has its own number, so that the keys of such sheets stay what they were.
        recipe += [self.per_number] if self.per_number > 1 else []
        # Lists, texts, whole numbers and None: repr writes them one way only, and in a tenth of the time of JSON.
        object.__setattr__(self, "recipe", repr(recipe))

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, hex; not stored, since a question answered from the cache never needs it."""
        return hashlib.sha256(self.recipe.encode()).hexdigest()
