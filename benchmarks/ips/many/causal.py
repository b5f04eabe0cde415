"""Causal graphs from perturbations: nodes were perturbed one at a time, and it was seen which others answered.

A hypothesis is a directed graph on four nodes, written as its edges in any order; it must have no cycle. A perturbed
node moves its descendants and no other.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import product

import numpy as np

from benchmarks.ips.hypotheses import NODES, PAIRS, descendants
from benchmarks.ips.many.domains import Hypotheses, Question, Words, near, wrong
from benchmarks.ips.methods import Ints

LETTERS = "ABCD"
EDGES = tuple(f"{LETTERS[i]}>{LETTERS[j]}" for i, j in PAIRS)
NONE = "none"
"""The graph without an edge."""


class Causal:
    """Directed graphs on A, B, C, D: 4,096, of which 543 are acyclic."""

    name = "causal"
    vocabulary: Words = (*LETTERS, "perturb", "moves", ";", NONE, *EDGES)
    longest = 6
    """An acyclic graph on four nodes has no more edges."""

    @cached_property
    def _all(self) -> Hypotheses:
        graphs: Ints = np.array(list(product((0, 1), repeat=len(PAIRS))))
        reach = descendants(graphs)
        cyclic: Ints = np.asarray(np.diagonal(reach, axis1=-2, axis2=-1).any(-1), np.int64)
        texts = [tuple(EDGES[k] for k in np.flatnonzero(g)) or (NONE,) for g in graphs]
        return Hypotheses(texts, np.arange(len(graphs)), reach.reshape(len(graphs), -1), cyclic)

    def hypotheses(self, question: Question) -> Hypotheses:
        """All graphs, cyclic ones among them."""
        return self._all

    def draw(self, size: int, chance: np.random.Generator) -> Question:
        """The effects of one to three perturbations in a hidden graph."""
        acyclic = np.flatnonzero(self._all.flaws == 0)
        while True:
            hidden = self._all.facts[chance.choice(acyclic)].reshape(NODES, NODES)
            question = observed(hidden, np.sort(chance.choice(NODES, chance.integers(1, 4), replace=False)))
            if near(int((wrong(self._all, question) == 0).sum()), size):
                return question

    def outcome(self, words: Sequence[str], question: Question) -> frozenset[str] | None:
        """The set of edges."""
        edges = frozenset(words)
        if edges == {NONE}:
            edges = frozenset[str]()
        if not edges <= set(EDGES) or len(edges) != len([w for w in words if w != NONE]):
            return None
        reach = descendants(np.array([int(e in edges) for e in EDGES]))
        fits = bool((reach.ravel()[question.seen] == question.values).all())
        return edges if fits and not np.diagonal(reach).any() else None


def observed(reach: np.ndarray, perturbed: Sequence[int] | Ints) -> Question:
    """What is seen when nodes are perturbed; a node's effect on itself says nothing."""
    pairs = [(i, j) for i in perturbed for j in range(NODES) if j != i]
    parts: list[str] = []
    for i in perturbed:
        moved = [LETTERS[j] for j in range(NODES) if j != i and reach[i, j]]
        parts.append(f"perturb {LETTERS[i]} moves {' '.join(moved) or NONE} ;")
    seen = np.array([i * NODES + j for i, j in pairs])
    return Question(" ".join(parts), seen, np.array([bool(reach[i, j]) for i, j in pairs]))
