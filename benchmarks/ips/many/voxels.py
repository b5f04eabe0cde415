"""Voxels from a top view: blocks on a grid of three by three, at most three high, of which the view from above is seen.

A hypothesis is a structure, layer by layer from the ground, each a row of three cells at a time. A block must rest on
the ground or on another (gravity). Each cell that is seen filled may be one to three blocks high, so k of them leave
3^k admissible structures.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

from benchmarks.ips.many.domains import Hypotheses, Question, Words

SIDE, HEIGHT = 3, 3
CELLS = SIDE * SIDE
ROWS = tuple("".join(bits) for bits in product("01", repeat=SIDE))
FILLINGS = np.array(list(product((False, True), repeat=HEIGHT)))
"""What a cell can hold, from the ground up, shape [8, HEIGHT]."""


class Voxels:
    """Structures of three layers."""

    name = "voxels"
    vocabulary: Words = ROWS
    longest = SIDE * HEIGHT

    def draw(self, size: int, chance: np.random.Generator) -> Question:
        """A view with as many filled cells as give `size` structures, a power of three."""
        filled = round(np.log(size) / np.log(HEIGHT))
        view = np.zeros(CELLS, bool)
        view[chance.choice(CELLS, filled, replace=False)] = True
        return seen_from_above(view)

    def hypotheses(self, question: Question) -> Hypotheses:
        """Whatever stands on the filled cells, at most one of them left empty; floating blocks among them."""
        cells = np.flatnonzero(question.values)
        fillings = [f for f in product(range(len(FILLINGS)), repeat=len(cells)) if sum(i == 0 for i in f) <= 1]
        blocks = np.zeros((len(fillings), HEIGHT, CELLS), bool)
        blocks[:, :, cells] = FILLINGS[np.array(fillings)].transpose(0, 2, 1)
        texts = written(blocks)
        return Hypotheses(texts, np.arange(len(texts)), np.asarray(blocks.any(1)), floating(blocks))

    def outcome(self, words: Sequence[str], question: Question) -> str | None:
        """The structure itself."""
        if len(words) != self.longest or not set(words) <= set(ROWS):
            return None
        blocks = np.array([[c == "1" for c in row] for row in words]).reshape(HEIGHT, CELLS)
        fits = (blocks.any(0) == question.values).all() and not floating(blocks[None])[0]
        return " ".join(words) if fits else None


def seen_from_above(view: np.ndarray) -> Question:
    """The question that a view asks; all nine cells are seen."""
    rows = view.reshape(SIDE, SIDE).astype(int)
    return Question(" ".join("".join(map(str, row)) for row in rows), np.arange(CELLS), view)


def floating(blocks: np.ndarray) -> np.ndarray:
    """Blocks with nothing below them, of structures [K, HEIGHT, CELLS]; shape [K]."""
    return (blocks[:, 1:] & ~blocks[:, :-1]).sum((1, 2))


def written(blocks: np.ndarray) -> list[Words]:
    """Structures [K, HEIGHT, CELLS] as rows of cells."""
    numbers = blocks.reshape(len(blocks), -1, SIDE) @ (2 ** np.arange(SIDE)[::-1])
    return [tuple(ROWS[i] for i in rows) for rows in numbers.tolist()]
