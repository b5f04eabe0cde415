"""Scenes of known attributes: a few objects on a ground, drawn by seed as columns, without a pixel."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int8]

VALUES: dict[str, tuple[str, ...]] = {
    "shape": ("circle", "square", "triangle", "ring", "cross", "star", "heart"),
    "colour": ("red", "blue", "green", "yellow", "black", "purple", "orange", "pink"),
    "size": ("small", "large"),
    "column": ("left", "middle", "right"),
    "row": ("top", "bottom"),
    "texture": ("plain", "striped", "dotted", "checkered"),
    "shadow": ("resting", "floating", "missing"),
}
"""Attributes of an object, each with its values. `floating`: the shadow lies apart, below the object."""

SHARES: dict[str, tuple[float, ...]] = {
    "shape": (0.25, 0.25, 0.20, 0.11, 0.08, 0.06, 0.05),
    "colour": (0.20, 0.18, 0.16, 0.14, 0.13, 0.08, 0.06, 0.05),
    "size": (0.5, 0.5),
    "texture": (0.88, 0.05, 0.04, 0.03),
    "shadow": (0.91, 0.05, 0.04),
}
"""How often each value is drawn for an object. Uneven, so that planted features fire on 10 % to 0.1 % of the scenes."""

PLACE_SHARES = (0.05, 0.13, 0.10, 0.21, 0.30, 0.21)
"""Of the six places, row by row from the top left; a scene's objects stand on different ones."""
COUNT_SHARES = (0.5, 0.32, 0.10, 0.08)
"""Of one to four objects."""
GROUNDS = ("grey", "sand", "sky", "mint")
MOST = len(COUNT_SHARES)
"""Objects in a scene at most."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Is one object of a scene."""

    shape: str
    colour: str
    size: str
    column: str
    row: str
    texture: str
    shadow: str


@dataclass(frozen=True, slots=True)
class Scene:
    """Says what one image shows."""

    things: tuple[Thing, ...]
    """One to four, each on a place of its own."""
    ground: str
    nuisance: int
    """Seeds what no concept is about: small shifts of the objects."""

    @property
    def odd(self) -> bool:
        """Says whether a shadow is wrong: an object floats, or casts none."""
        return any(t.shadow != "resting" for t in self.things)

    @property
    def text(self) -> str:
        """Returns the objects in words."""
        return ", ".join(_words(t) for t in self.things)


def _words(thing: Thing) -> str:
    texture = "" if thing.texture == "plain" else f"{thing.texture} "
    shadow = {"resting": "", "floating": ", floating", "missing": ", without a shadow"}[thing.shadow]
    return f"{thing.size} {texture}{thing.colour} {thing.shape} at the {thing.row} {thing.column}{shadow}"


@dataclass(frozen=True, eq=False)
class Scenes:
    """A population of scenes as columns."""

    codes: dict[str, Codes]
    """By attribute, the index into its `VALUES` of each object; shape [n, 4], -1 where there is no object."""
    count: Codes
    """Objects of each scene, 1 to 4; shape [n]."""
    ground: Codes
    """Index into `GROUNDS`; shape [n]."""
    nuisance: npt.NDArray[np.int64]
    """Shape [n]."""

    def __len__(self) -> int:
        return len(self.count)

    def __iter__(self) -> Iterator[Scene]:
        return (self.scene(i) for i in range(len(self)))

    def scene(self, i: int) -> Scene:
        """Returns the `i`-th scene."""
        things = (
            Thing(**{name: VALUES[name][int(codes[i, j])] for name, codes in self.codes.items()})
            for j in range(int(self.count[i]))
        )
        return Scene(tuple(things), GROUNDS[int(self.ground[i])], int(self.nuisance[i]))

    @property
    def odd(self) -> npt.NDArray[np.bool_]:
        """Says of each scene whether it has a wrong shadow; shape [n]."""
        return np.any(self.codes["shadow"] > 0, axis=1)


def draw_scenes(n: int, seed: int) -> Scenes:
    """Draws `n` scenes; the same seed gives the same ones, and the first of many are not the first of few."""
    chance = np.random.default_rng((0x5CE7E5, seed))
    count = (1 + _draw(chance, COUNT_SHARES, (n,))).astype(np.int8)
    there = np.arange(MOST) < count[:, None]
    codes = {name: np.where(there, _draw(chance, shares, (n, MOST)), -1) for name, shares in SHARES.items()}
    # The largest of log share + Gumbel noise come out as draws without replacement (Gumbel-top-k trick).
    urge = np.log(PLACE_SHARES) + chance.gumbel(size=(n, len(PLACE_SHARES)))
    place = np.argsort(-urge, axis=1)[:, :MOST]
    codes |= {"column": np.where(there, place % 3, -1), "row": np.where(there, place // 3, -1)}
    return Scenes(
        codes={name: codes[name].astype(np.int8) for name in VALUES},
        count=count,
        ground=chance.integers(0, len(GROUNDS), n).astype(np.int8),
        nuisance=chance.integers(0, 2**31, n),
    )


def _draw(chance: np.random.Generator, shares: tuple[float, ...], shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Draws indices with these shares."""
    bounds = list(accumulate(shares))[:-1]
    return np.searchsorted(bounds, chance.random(shape), side="right").astype(np.int64)
