"""The people who voted: how often each, and how far two of them agree."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from autointerp.runs.votes import Verdict, Vote
from autointerp.statistics.agreement import Agreed, agreed, tables_of
from autointerp.statistics.resampling import Draws

BELIEF: Mapping[Verdict, float] = {"right": 1.0, "partly": 0.5, "wrong": 0.0}
"""Votes as answers of a judge: partly decides nothing."""
DRAWS = Draws(2000, 0)
MOST_PAIRED, MOST_PAIRS = 40, 100
"""People of whom every two are looked at, and pairs that are shown."""


class Voter(NamedTuple):
    """Describes what one person said."""

    name: str
    verdicts: Counter[Verdict]
    wordings: int

    @property
    def n(self) -> int:
        """Returns the number of explanations voted on."""
        return self.verdicts.total()


class Pair(NamedTuple):
    """How two people voted on the same explanations."""

    first: str
    second: str
    n: int
    """Explanations that both voted on."""
    same: int
    """Of them, with the same of the three verdicts."""
    agreed: Agreed
    """Of those that both called right or wrong."""


def voters(votes: Sequence[Vote]) -> list[Voter]:
    """The people of valid votes, by name."""
    own: dict[str, list[Vote]] = {}
    for v in votes:
        own.setdefault(v.name, []).append(v)
    return [
        Voter(name, Counter(v.verdict for v in said), sum(v.wording is not None for v in said))
        for name, said in sorted(own.items())
    ]


def pairs(votes: Sequence[Vote]) -> list[Pair]:
    """Two people each who voted on the same explanations, those with the most in common first.

    Of many people those are looked at who voted most.
    """
    said: dict[str, dict[tuple[int, str], Verdict]] = {}
    for v in votes:
        said.setdefault(v.name, {})[v.feature, v.explanation] = v.verdict
    busiest = sorted(sorted(said), key=lambda name: -len(said[name]))[:MOST_PAIRED]
    common = [(a, b, sorted(said[a].keys() & said[b].keys())) for a, b in combinations(sorted(busiest), 2)]
    common = sorted((c for c in common if c[2]), key=lambda c: -len(c[2]))[:MOST_PAIRS]
    return [_pair(a, b, [(said[a][key], said[b][key]) for key in keys]) for a, b, keys in common]


def _pair(first: str, second: str, both: Sequence[tuple[Verdict, Verdict]]) -> Pair:
    one, other = (np.array([BELIEF[pair[i]] for pair in both]) for i in (0, 1))
    # Each explanation is a feature of its own, or nearly.
    tables = tables_of(one, other, np.arange(len(both), dtype=float), len(both))
    return Pair(first, second, len(both), sum(a == b for a, b in both), agreed(tables, DRAWS, with_rates=False))
