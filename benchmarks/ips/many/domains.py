"""What the three domains of HypoSpace (arXiv 2510.15614) have in common: questions, hypotheses, what is admissible.

A question is an observation that many hypotheses explain. A hypothesis is written in words, says something of each
fact that can be observed, and may break a rule of its domain (a cycle, a floating block). It is *admissible* where it
breaks none and contradicts nothing that was observed. What it means is its outcome: the graph, the structure, or the
mechanism, however it is worded. The published code is not used; tests compare with what it publishes.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.ips.methods import INVALID, Floats, Ints

Bools = npt.NDArray[np.bool_]
Words = tuple[str, ...]
SIZES = (3, 9, 27, 81)
"""Admissible hypotheses of a question; for graphs and mechanisms within a sixth, for voxels exactly."""
MISREAD = 1.5
"""Each fact that a hypothesis contradicts makes it so many nats less likely in the starting policy."""
SKEW = 1.0
"""Standard deviation of what the starting policy prefers without a reason, nats."""


@dataclass(frozen=True)
class Question:
    """An observation."""

    prompt: str
    """In words, parted by blanks."""
    seen: Ints
    """Which facts, shape [f]."""
    values: Bools
    """What was seen of them, shape [f]."""


@dataclass(frozen=True)
class Hypotheses:
    """Those that a table of a question holds, admissible or not."""

    texts: Sequence[Words]
    """As they are written; two may mean the same. Length K."""
    meanings: Ints
    """Number of the outcome of each, from 0; those that mean the same have one number. Shape [K]."""
    facts: Bools
    """What each says, shape [K, n_facts]."""
    flaws: Ints
    """Rules of the domain that each breaks, shape [K]."""


class Domain(Protocol):
    """Questions, and how hypotheses are read and judged."""

    name: str
    vocabulary: Words
    """Of hypotheses and prompts."""
    longest: int
    """Words of a hypothesis, at most."""

    def draw(self, size: int, chance: np.random.Generator) -> Question:
        """A question with about `size` admissible outcomes."""
        ...

    def hypotheses(self, question: Question) -> Hypotheses:
        """What a table holds."""
        ...

    def outcome(self, words: Sequence[str], question: Question) -> Hashable | None:
        """The meaning of an admissible hypothesis; None for another, and for what is none."""
        ...


def wrong(all_: Hypotheses, question: Question) -> Ints:
    """Observed facts that each hypothesis contradicts, and rules that it breaks, shape [K]; admissible ones have 0."""
    return (all_.facts[:, question.seen] != question.values).sum(1) + all_.flaws


def outcomes(all_: Hypotheses, question: Question) -> Ints:
    """Meaning of each admissible hypothesis, numbered from 0 without gaps, else `INVALID`; shape [K]."""
    fits = wrong(all_, question) == 0
    found = np.full(len(fits), INVALID)
    found[fits] = np.unique(all_.meanings[fits], return_inverse=True)[1]
    return found


def starting_logits(all_: Hypotheses, question: Question, chance: np.random.Generator) -> Floats:
    """A policy that knows the grammar, misreads facts now and then, and has preferences; shape [K]."""
    return -MISREAD * wrong(all_, question) + SKEW * chance.normal(0, 1, len(all_.texts))


def near(n: int, size: int) -> bool:
    """Whether n admissible outcomes count as `size`."""
    return abs(n - size) <= size // 6
