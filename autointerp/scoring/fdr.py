"""Tests relevance over a whole run: controls false discoveries, and estimates the rate of false positives."""

from dataclasses import dataclass

import numpy as np

from autointerp.statistics.exact import benjamini_hochberg, hypergeometric_tail
from autointerp.statistics.rates import Floats, Interval, Ints, wilson

LEVEL = 0.05
"""The false discovery rate at which discoveries are counted."""


@dataclass(frozen=True, slots=True, eq=False)
class Discoveries:
    """The label form's tests of a run, corrected for their number."""

    features: Ints
    """The features tested, in ascending order, shape [n]."""
    q: Floats
    """The smallest false discovery rate at which each is a discovery, shape [n]."""
    level: float
    """The false discovery rate asked for."""

    @property
    def n_tested(self) -> int:
        """The number of features with a p-value."""
        return len(self.features)

    @property
    def discovered(self) -> Ints:
        """The features that carry the attribute more often than the population does, at the level, ascending."""
        return self.features[self.q <= self.level]


@dataclass(frozen=True, slots=True)
class FalsePositives:
    """The LMM form's answers over a run, beside those about shuffled image sets."""

    found: Interval
    """The share of features whose own images were said to share an error."""
    n: int
    """The number of features asked about."""
    shuffled: Interval
    """The same share for shuffled sets: the rate of false positives."""
    n_shuffled: int
    """The number of shuffled sets asked about."""
    p: float
    """The one-sided p-value of the features being found no more often than shuffled sets (Fisher's exact test)."""


def discovered(features: Ints, p: Floats, *, level: float = LEVEL) -> Discoveries:
    """Corrects p-values that are given as columns: distinct features and their p-values, both of shape [n]."""
    order = np.argsort(features, kind="stable")
    return Discoveries(features[order], benjamini_hochberg(p[order]), level)


def false_positives(found: int, n: int, shuffled: int, n_shuffled: int) -> FalsePositives:
    """Computes the rates from counts of yes; `n` features and `n_shuffled` sets, both at least 1."""
    p = hypergeometric_tail(found, n, found + shuffled, n + n_shuffled)
    return FalsePositives(wilson(found, n), n, wilson(shuffled, n_shuffled), n_shuffled, p)
