"""Relevance over a whole run: which features stand out, false discoveries controlled, and the rate of false finds."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autointerp.schema import Score, Scored
from autointerp.scoring.exact import benjamini_hochberg, hypergeometric_tail
from autointerp.scoring.statistics import Interval, wilson

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LEVEL = 0.05
"""False discovery rate at which discoveries are counted."""


@dataclass(frozen=True, slots=True, eq=False)
class Discoveries:
    """The label form's tests of a run, corrected for their number."""

    features: Ints
    """Those tested, ascending; shape [n]."""
    q: Floats
    """Of each, the smallest false discovery rate at which it is a discovery; shape [n]."""
    level: float
    """The rate asked for."""

    @property
    def n_tested(self) -> int:
        """Features with a p-value."""
        return len(self.features)

    @property
    def discovered(self) -> Ints:
        """Features that carry the attribute more often than the population does, at the level; ascending."""
        return self.features[self.q <= self.level]


@dataclass(frozen=True, slots=True)
class FalsePositives:
    """The LMM form's answers over a run, beside those about shuffled image sets."""

    found: Interval
    """Share of features whose own images were said to share an error."""
    n: int
    """Features asked about."""
    shuffled: Interval
    """The same share for shuffled sets: the rate of false positives."""
    n_shuffled: int
    """Shuffled sets asked about."""
    p: float
    """One-sided, of the features being found no more often than shuffled sets (Fisher's exact test)."""


def discoveries(scores: Iterable[Score], *, level: float = LEVEL) -> Discoveries:
    """Corrects the Fisher p-values of a run's relevance scores by Benjamini and Hochberg.

    Features of one dictionary fire on overlapping images, so their tests depend on each other, mostly positively, where
    the method holds; see `benjamini_hochberg` for what it promises otherwise. The correction is over the features
    scored so far: it changes as the run goes on.

    Args:
        scores: of any scorers; the last of a feature holds.
        level: false discovery rate in (0, 1).
    """
    p: dict[int, float] = {}
    for score in scores:
        if isinstance(score, Scored) and (value := score.details.get("p_fisher")) is not None:
            p[score.feature] = float(value)
    return discovered(np.array(list(p), np.int64), np.array(list(p.values()), float), level=level)


def discovered(features: Ints, p: Floats, *, level: float = LEVEL) -> Discoveries:
    """The same from columns: distinct features and their p-values, both of shape [n]."""
    order = np.argsort(features, kind="stable")
    return Discoveries(features[order], benjamini_hochberg(p[order]), level)


def false_positive_rate(scores: Iterable[Score]) -> FalsePositives | None:
    """How often a run's second pass finds an error in images that share none, beside how often it finds one at all.

    Args:
        scores: of any scorers; the last of a feature holds.

    Returns:
        None where no shuffled set was asked about.
    """
    own: dict[int, bool] = {}
    shuffled: dict[int, bool] = {}
    for score in scores:
        if isinstance(score, Scored) and score.details.get("form") == "lmm":
            own[score.feature] = score.value == 1
            if (control := score.controls.get("shuffled")) is not None:
                shuffled[score.feature] = control.value == 1
    return false_positives(sum(own.values()), len(own), sum(shuffled.values()), len(shuffled)) if shuffled else None


def false_positives(found: int, n: int, shuffled: int, n_shuffled: int) -> FalsePositives:
    """The same from counts: yes among the features, and among the shuffled sets; `n` and `n_shuffled` at least 1."""
    p = hypergeometric_tail(found, n, found + shuffled, n + n_shuffled)
    return FalsePositives(wilson(found, n), n, wilson(shuffled, n_shuffled), n_shuffled, p)
