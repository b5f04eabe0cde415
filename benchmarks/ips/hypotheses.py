"""Two tasks with many admissible answers, after HypoSpace (arXiv 2510.15614): causal graphs and Boolean functions.

Each row of a task is an instance: a hidden hypothesis of which part is observed. A hypothesis is written token by
token, and only tokens that can still lead to a well-formed one are allowed; it is valid where it agrees with every
observation. Its outcome is what it means: the graph, or the truth table, however the formula is written.
"""

from functools import cache
from itertools import product
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.ips.methods import INVALID, Ints

Bools = npt.NDArray[np.bool_]


class Judged(NamedTuple):
    """What a batch of hypotheses comes to."""

    outcomes: Ints
    """By meaning; `INVALID` where it contradicts an observation. Shape [n, G]."""
    texts: Ints
    """By the tokens, likewise."""


class Task(Protocol):
    """Instances of a task, and how hypotheses are written and judged."""

    n_tokens: int
    length: int
    n_outcomes: int
    admissible: Bools
    """Of each instance, which outcomes agree with the observations; shape [n, n_outcomes]."""

    def allowed(self, written: Ints) -> Bools:
        """Tokens that may follow those written [n, G, t], shape [n, G, n_tokens]."""
        ...

    def judge(self, written: Ints) -> Judged:
        """Whole hypotheses [n, G, length]."""
        ...


def texts_of(written: Ints, n_tokens: int, outcomes: Ints) -> Ints:
    """A number for each string of tokens; `INVALID` where the outcome is."""
    numbers = written @ (n_tokens ** np.arange(written.shape[-1]))
    return np.where(outcomes == INVALID, INVALID, numbers)


NODES = 4
PAIRS = tuple((i, j) for i, j in product(range(NODES), repeat=2) if i != j)


def descendants(edges: Ints) -> Bools:
    """Of graphs given by their edges [..., 12] in the order of `PAIRS`: which node reaches which, [..., 4, 4]."""
    reach = np.zeros((*edges.shape[:-1], NODES, NODES), bool)
    for k, (i, j) in enumerate(PAIRS[: edges.shape[-1]]):
        reach[..., i, j] = edges[..., k] == 1
    for k in range(NODES):
        reach |= reach[..., :, k, None] & reach[..., None, k, :]
    return reach


@cache
def graphs() -> Ints:
    """All 543 directed acyclic graphs on four nodes, edge by edge; shape [543, 12]."""
    every = np.array(list(product((0, 1), repeat=len(PAIRS))))
    return every[~np.diagonal(descendants(every), axis1=-2, axis2=-1).any(-1)]


class Causal:
    """Graphs on four nodes; two nodes were perturbed, and it was seen which others answered (their descendants)."""

    n_tokens = 2
    length = len(PAIRS)

    def __init__(self, n: int, seed: int, between: tuple[int, int]) -> None:
        """Draws n instances whose number of admissible graphs lies in `between`."""
        chance = np.random.default_rng(seed)
        self.n_outcomes = len(graphs())
        self._index = np.full(2 ** len(PAIRS), INVALID)
        self._index[graphs() @ (2 ** np.arange(len(PAIRS)))] = np.arange(self.n_outcomes)
        reach, found = descendants(graphs()), list[Bools]()
        while len(found) < n:
            hidden, perturbed = chance.integers(self.n_outcomes), chance.choice(NODES, 2, replace=False)
            agree = np.all(reach[:, perturbed] == reach[hidden, perturbed], (1, 2))
            if between[0] <= agree.sum() <= between[1]:
                found.append(agree)
        self.admissible: Bools = np.stack(found)

    def allowed(self, written: Ints) -> Bools:
        """An edge may be left out always, and drawn where it closes no cycle."""
        i, j = PAIRS[written.shape[-1]]
        out = np.ones((*written.shape[:-1], 2), bool)
        out[..., 1] = ~descendants(written)[..., j, i]
        return out

    def judge(self, written: Ints) -> Judged:
        """The outcome is the graph; each is written in one way."""
        graph = self._index[written @ (2 ** np.arange(len(PAIRS)))]
        agree = self.admissible[np.arange(len(written))[:, None], graph]
        outcomes = np.where(agree, graph, INVALID)
        return Judged(outcomes, outcomes)


VARIABLES = (0b11110000, 0b11001100, 0b10101010)
"""Truth tables of x, y and z over the eight rows, as bits."""
NOT, AND, OR, PAD = 3, 4, 5, 6
ARITY = np.array([0, 0, 0, 1, 2, 2, 0])
ROWS = 8


class Boolean:
    """Formulas of x, y, z with ¬, ∧, ∨ in prefix notation, of at most nine tokens; four of eight rows are observed."""

    n_tokens = 7
    length = 9
    n_outcomes = 2**ROWS

    def __init__(self, n: int, seed: int, observed: int) -> None:
        """Draws n instances: a hidden function that some formula writes, and the rows that are seen."""
        chance = np.random.default_rng(seed)
        written, found = np.flatnonzero(shortest() <= self.length), list[Bools]()
        for _ in range(n):
            hidden = int(chance.choice(written))
            seen = int(np.sum(2 ** chance.choice(ROWS, observed, replace=False)))
            found.append((np.arange(2**ROWS) & seen == hidden & seen) & (shortest() <= self.length))
        self.admissible: Bools = np.stack(found)

    def allowed(self, written: Ints) -> Bools:
        """Tokens after which the formula can still be completed; padding once it is complete."""
        # A formula is complete when each operand that was opened has been given; at first one is wanted.
        open_ = 1 + np.where(written == PAD, 0, ARITY[written] - 1).sum(-1)
        left = self.length - written.shape[-1] - 1
        out = (open_[..., None] > 0) & (open_[..., None] - 1 + ARITY <= left)
        out[..., PAD] = open_ == 0
        return out

    def judge(self, written: Ints) -> Judged:
        """The outcome is the truth table."""
        tables = truth_tables(written)
        agree = self.admissible[np.arange(len(written))[:, None], tables]
        outcomes = np.where(agree, tables, INVALID)
        return Judged(outcomes, texts_of(written, self.n_tokens, outcomes))


def truth_tables(written: Ints) -> Ints:
    """Of complete formulas [..., length] in prefix notation, read from the right; shape [...]."""
    flat = written.reshape(-1, written.shape[-1])
    stack = np.zeros((len(flat), flat.shape[1] + 2), np.int64)
    height = np.zeros(len(flat), np.int64)
    rows = np.arange(len(flat))
    for token in flat.T[::-1]:
        top, second = stack[rows, height - 1], stack[rows, height - 2]
        constants = [np.full(len(flat), table) for table in VARIABLES]
        value = np.stack([*constants, 255 ^ top, top & second, top | second, top])[token, rows]
        height += np.where(token == PAD, 0, 1 - ARITY[token])
        stack[rows, height - 1] = np.where(token == PAD, stack[rows, height - 1], value)
    return stack[:, 0].reshape(written.shape[:-1])


@cache
def shortest() -> Ints:
    """Least number of tokens of a formula for each truth table of three variables, shape [256]; 99 beyond eleven."""
    size = np.full(2**ROWS, 99)
    size[list(VARIABLES)] = 1
    for n in range(2, 12):
        for a in np.flatnonzero(size == n - 1):
            size[255 ^ a] = min(size[255 ^ a], n)
        for a, b in product(np.flatnonzero(size < n - 1), repeat=2):
            if size[a] + size[b] == n - 1:
                for c in (a & b, a | b):
                    size[c] = min(size[c], n)
    return size
