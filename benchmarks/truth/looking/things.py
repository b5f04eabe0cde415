"""What pictures of this world can hold, and texts that say something of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HUES = ("red", "yellow", "green", "cyan", "blue", "magenta")
TEXTURES = ("plain", "banded across", "banded upright", "chequered")
DOTS = ("no dot", "a white dot", "a black dot")
CLOSE = 0.5
"""The share of the picture's side from which a thing fills it."""

Zone = Callable[[Floats, Floats], Bools]
ZONES: dict[str, Zone] = {
    "": lambda x, y: np.ones(x.shape, bool),
    "in the left third of the picture": lambda x, y: x < 1 / 3,
    "in the middle of the picture": lambda x, y: (abs(x - 0.5) <= 1 / 6) & (abs(y - 0.5) <= 1 / 6),
}
"""Of the places of things' middles, as shares of the picture's width and height."""


@dataclass(frozen=True)
class Things:
    """The things of some pictures as columns of shape [pictures, most things in one]."""

    there: Bools
    """Whether there is one; the other columns say nothing where there is none."""
    hue: Ints
    texture: Ints
    dot: Ints
    x: Floats
    """Of the middle, as a share of the picture's width; `y` likewise of its height."""
    y: Floats
    side: Floats
    """The longer side, as a share of the picture's."""


@dataclass(frozen=True)
class Concept:
    """A thing of some hues, textures, dots and places; None leaves an attribute open."""

    hues: frozenset[int] | None = None
    textures: frozenset[int] | None = None
    dots: frozenset[int] | None = None
    zone: str = ""

    def of(self, things: Things) -> Bools:
        """Which things are meant; shape as the columns."""
        out = things.there & ZONES[self.zone](things.x, things.y)
        for allowed, column in ((self.hues, things.hue), (self.textures, things.texture), (self.dots, things.dot)):
            if allowed is not None:
                out &= np.isin(column, sorted(allowed))
        return out

    @property
    def text(self) -> str:
        """The concept in words; two concepts never share theirs."""
        hues = _named(self.hues, HUES) + " " if self.hues is not None else ""
        textures = f", {_named(self.textures, TEXTURES)}" if self.textures is not None else ""
        dots = f" with {_named(self.dots, DOTS)}" if self.dots is not None else ""
        return f"a {hues}thing{textures}{dots}{' ' + self.zone if self.zone else ''}"


def _named(chosen: frozenset[int], names: tuple[str, ...]) -> str:
    return " or ".join(names[i] for i in sorted(chosen))


FRAMING: dict[str, Callable[[Things], Bools]] = {
    "an object in the middle of the picture": lambda t: Concept(zone="in the middle of the picture").of(t).any(axis=1),
    "a close-up of a thing": lambda t: (t.there & (t.side >= CLOSE)).any(axis=1),
    "an image": lambda t: np.ones(len(t.there), bool),
    "a blank surface": lambda t: ~t.there.any(axis=1),
}
"""Texts that say the same of every feature."""


def fits(text: str, concepts: dict[str, Concept], things: Things) -> Bools:
    """Which pictures a text holds for; shape [pictures]."""
    return FRAMING[text](things) if text in FRAMING else concepts[text].of(things).any(axis=1)
