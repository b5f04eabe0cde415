"""Helps scorers that ask questions of their own: deals crops, draws places, and makes means with intervals."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

import numpy as np

from autointerp.evidence import Images, duplicate_keys
from autointerp.schema import Exemplar
from autointerp.statistics.rates import Floats, Interval, recall_samples
from autointerp.statistics.resampling import Draws, interval_of, one_look, resample


def distinct(exemplars: Iterable[Exemplar], images: Images) -> list[Exemplar]:
    """Leaves out each exemplar that is a near-duplicate of an earlier one."""
    taken: set[str] = set()
    out: list[Exemplar] = []
    for exemplar in exemplars:
        keys = duplicate_keys(images[exemplar.image])
        if not keys & taken:
            taken |= keys
            out.append(exemplar)
    return out


class Deck:
    """Deals exemplars; those dealt least come first, and ties are broken at random."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._dealt: Counter[int] = Counter()

    def deal(self, exemplars: Sequence[Exemplar], n: int) -> list[Exemplar]:
        """Deals `n` of the exemplars in random order, or all of them where there are fewer."""
        order = sorted(exemplars, key=lambda e: (self._dealt[e.image], self._chance.random()))[:n]
        self._dealt.update(e.image for e in order)
        self._chance.shuffle(order)
        return order


def places(n: int, of: int, chance: Random) -> list[int]:
    """Draws a place in range(of) for each of `n` questions; every place comes as often as any other, to within one."""
    start = chance.randrange(of)
    out = [(start + i) % of for i in range(n)]
    chance.shuffle(out)
    return out


def joined_labels(names: Sequence[Sequence[str]]) -> list[str]:
    """Labels each row of names; rows that a chain of shared names joins have the same label."""
    joined: dict[str, str] = {name: name for row in names for name in row}

    def root(name: str) -> str:
        while joined[name] != name:
            name = joined[name]
        return name

    for row in names:
        for name in row[1:]:
            joined[root(name)] = root(row[0])
    return [root(row[0]) for row in names]


def weighted_mean(
    credit: Floats,
    weight: Floats,
    group: Sequence[str],
    answered: Sequence[bool],
    draws: Draws,
) -> Interval:
    """Computes a mean of credits with its bootstrap interval over groups.

    Args:
        credit: the credits in [0, 1], shape [n]; an unanswered question has what guessing earns.
        weight: the weights w > 0, shape [n].
        group: credits of the same group are drawn together.
        answered: whether a usable answer came; where none came, the bounds take the credit for 0 and for 1.
        draws: how the bootstrap samples are drawn.
    """
    n = len(credit)
    _, label = np.unique(list(group), return_inverse=True)
    judged = replace(
        one_look(np.ones(n), credit, weight, np.zeros(n, np.int64)),
        group=label.astype(np.int64),
        answered=np.array(answered, bool),
    )
    return interval_of(recall_samples, judged, resample(judged, draws))
