"""The population: scenes as columns of attributes, an embedding of them, and every concept that is true of some."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.synthetic.scenes import VALUES, draw_scenes

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Term = frozenset[tuple[str, str]]
"""An object that has all these (attribute, value): "a small red circle"."""
Concept = frozenset[Term]
"""One of these is in the image; the empty set stands for "an image", which is true of all."""
GENERIC: Concept = frozenset([frozenset()])

DEPTH = 4
"""Attributes of a term at most."""
DRAWN_TERMS = 1500
"""Terms of three and more attributes that are looked at; all of one and two are."""
EMBEDDED = 96
"""Dimensions of the embedding."""
NOISE = 0.3
"""Length of the noise in it beside that of what is seen."""


class Candidate(NamedTuple):
    """A term and how common it is."""

    term: Term
    rate: float


@dataclass(frozen=True)
class World:
    """A population of images without pixels."""

    codes: dict[str, npt.NDArray[np.int8]]
    """By attribute, the value's index of each of up to four objects; shape [n, 4], -1 where there is none."""
    seed: int

    def __len__(self) -> int:
        return len(self.codes["shape"])

    @cached_property
    def _masks(self) -> dict[tuple[str, str], Bools]:
        return {(a, v): self.codes[a] == i for a, values in VALUES.items() for i, v in enumerate(values)}

    def true_of(self, concept: Concept) -> Bools:
        """Of which images a concept is true; shape [n]."""
        out = np.zeros(len(self), bool)
        for term in concept:
            out |= self._having(term, len(term)).any(axis=1) if term else True
        return out

    def near(self, concept: Concept) -> Bools:
        """Which images hold an object that has all but one attribute of a term, though the concept is not true."""
        out = np.zeros(len(self), bool)
        for term in concept:
            if len(term) > 1:
                out |= self._having(term, len(term) - 1).any(axis=1)
        return out & ~self.true_of(concept)

    def _having(self, term: Term, least: int) -> Bools:
        if least == len(term):
            met = np.ones(self.codes["shape"].shape, bool)
            for key in term:
                met &= self._masks[key]
            return met
        met_so_far = np.zeros(self.codes["shape"].shape, np.int8)
        for key in term:
            met_so_far += self._masks[key]
        return met_so_far >= least

    @cached_property
    def embedding(self) -> npt.NDArray[np.float32]:
        """What an image encoder would give: what is in the image, by value and by shape with colour, and noise.

        Random directions for each thing seen, of unit length as a whole; shape [n, EMBEDDED].
        """
        chance = np.random.default_rng((0xE3B, self.seed))
        seen = [mask.any(axis=1) for mask in self._masks.values()]
        pairs = [(s, c) for s in VALUES["shape"] for c in VALUES["colour"]]
        seen += [(self._masks["shape", s] & self._masks["colour", c]).any(axis=1) for s, c in pairs]
        present = np.stack(seen, axis=1).astype(np.float32)
        # What is everywhere tells images apart no more than what is nowhere.
        rarity = np.sqrt(-np.log(np.clip(present.mean(axis=0), 1e-6, 1))).astype(np.float32)
        directions = chance.normal(size=(len(seen), EMBEDDED)).astype(np.float32) / np.float32(np.sqrt(EMBEDDED))
        out = (present - present.mean(axis=0)) * rarity @ directions
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        noise = chance.normal(size=out.shape).astype(np.float32) * np.float32(NOISE / np.sqrt(EMBEDDED))
        out += noise
        return out / np.linalg.norm(out, axis=1, keepdims=True)

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Terms with the share of images that hold them, rarest first."""
        chance = np.random.default_rng((0xCA4D, self.seed))
        keys = [(a, v) for a in VALUES for v in VALUES[a]]
        terms = {frozenset(c) for r in (1, 2) for c in combinations(keys, r) if len({a for a, _ in c}) == r}
        names = tuple(VALUES)
        for _ in range(DRAWN_TERMS):
            drawn = chance.choice(len(names), int(chance.integers(3, DEPTH + 1)), replace=False)
            terms.add(frozenset((names[i], str(chance.choice(VALUES[names[i]]))) for i in drawn))
        part = World({a: codes[: min(len(self), 50_000)] for a, codes in self.codes.items()}, self.seed)
        # Sets have no order of their own that lasts from run to run.
        ordered = sorted(terms, key=lambda t: sorted(t))
        found = [Candidate(t, float(part.true_of(frozenset([t])).mean())) for t in ordered]
        return tuple(sorted((c for c in found if c.rate > 0), key=lambda c: (c.rate, sorted(c.term))))


@lru_cache(maxsize=2)
def make_world(n: int, seed: int) -> World:
    """The population of a run."""
    return World(draw_scenes(n, seed).codes, seed)
