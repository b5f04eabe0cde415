"""Boolean gene interactions: which expression of x, y and z explains the phenotypes that were seen.

A hypothesis is an expression in prefix notation, of AND, OR, NOR and NOT nested at most two deep. What it means is its
mechanism: order and repetition within AND and OR do not matter, nor does how they are bracketed, and NOR of one input
is NOT. Two mechanisms may agree in all eight rows of the truth table and are two hypotheses all the same.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import product

import numpy as np

from benchmarks.ips.many.domains import Hypotheses, Question, Words, near, outcomes

INPUTS = ("x", "y", "z")
BINARY = ("AND", "OR", "NOR")
NOT = "NOT"
ROWS = tuple(product((0, 1), repeat=len(INPUTS)))
Mechanism = tuple[object, ...]
"""An input's name, or an operator and its mechanisms."""


def expressions(inputs: Sequence[str], depth: int) -> list[Words]:
    """All expressions in prefix notation that nest at most `depth` operators."""
    names = [(v,) for v in inputs]
    if depth == 0:
        return names
    inner = expressions(inputs, depth - 1)
    return names + [(NOT, *a) for a in inner] + [(op, *a, *b) for op in BINARY for a in inner for b in inner]


def parsed(words: Sequence[str], deepest: int) -> tuple[Mechanism, Sequence[str]]:
    """The mechanism that the first words write, and the words after it.

    Raises:
        ValueError: they write none, or one that nests more than `deepest` operators.
    """
    if not words or (words[0] not in INPUTS and deepest == 0):
        raise ValueError("no expression, or one that is nested too deep")
    first, rest = words[0], words[1:]
    if first in INPUTS:
        return (first,), rest
    if first not in (NOT, *BINARY):
        raise ValueError(f"{first} is no operator")
    one, rest = parsed(rest, deepest - 1)
    if first == NOT:
        return (NOT, one), rest
    other, rest = parsed(rest, deepest - 1)
    return combined(first, one, other), rest


def combined(operator: str, one: Mechanism, other: Mechanism) -> Mechanism:
    """Of AND and OR the set of operands, flattened; of NOR the set of the two."""
    parts: set[Mechanism] = set()
    for part in (one, other):
        inner = part[1:] if part[0] == operator and operator != "NOR" else (part,)
        parts.update(p for p in inner if isinstance(p, tuple))
    if len(parts) == 1:
        return (NOT, one) if operator == "NOR" else one
    return (operator, *sorted(parts, key=repr))


def value(mechanism: Mechanism, row: Sequence[int]) -> int:
    """Of a mechanism where x, y and z are as in the row."""
    head, parts = mechanism[0], [value(p, row) for p in mechanism[1:] if isinstance(p, tuple)]
    if head in INPUTS:
        return row[INPUTS.index(str(head))]
    if head == "AND":
        return min(parts)
    return max(parts) if head == "OR" else 1 - max(parts)


class Boolean:
    """The 3,303 expressions, which are 476 mechanisms."""

    name = "Boolean"
    vocabulary: Words = (*INPUTS, *BINARY, NOT, "0", "1", ";")
    deepest = 2
    longest = 7

    @cached_property
    def _all(self) -> Hypotheses:
        texts = expressions(INPUTS, self.deepest)
        mechanisms = [parsed(t, self.deepest)[0] for t in texts]
        numbers = {m: i for i, m in enumerate(dict.fromkeys(mechanisms))}
        facts = {m: [bool(value(m, row)) for row in ROWS] for m in numbers}
        return Hypotheses(
            texts,
            np.array([numbers[m] for m in mechanisms]),
            np.array([facts[m] for m in mechanisms]),
            np.zeros(len(texts), np.int64),
        )

    def hypotheses(self, question: Question) -> Hypotheses:
        """All expressions."""
        return self._all

    def draw(self, size: int, chance: np.random.Generator) -> Question:
        """Some rows of the truth table of a hidden mechanism."""
        while True:
            hidden = self._all.facts[chance.choice(np.unique(self._all.meanings, return_index=True)[1])]
            rows = np.sort(chance.choice(len(ROWS), chance.integers(1, len(ROWS) + 1), replace=False))
            parts = (f"{' '.join(map(str, ROWS[r]))} {int(hidden[r])} ;" for r in rows)
            question = Question(" ".join(parts), rows, hidden[rows])
            if near(int(outcomes(self._all, question).max()) + 1, size):
                return question

    def outcome(self, words: Sequence[str], question: Question) -> Mechanism | None:
        """The mechanism."""
        try:
            mechanism, rest = parsed(words, self.deepest)
        except ValueError:
            return None
        fits = all(value(mechanism, ROWS[r]) == v for r, v in zip(question.seen, question.values, strict=True))
        return mechanism if fits and not rest else None
