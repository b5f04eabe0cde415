"""Shares of the images that fire a feature, by strata, weights and groups of near-duplicates, with intervals."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from autointerp.scoring.sampling import Item
from autointerp.statistics.comparison import paired
from autointerp.statistics.rates import Bools, Floats, Interval, Ints, recall_samples
from autointerp.statistics.resampling import Draws, interval_of, one_look, resample

LEAST = 8
"""Images of a stratum, at least, within which an interval is drawn."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The images as they were drawn; each column has the shape [n]."""

    weight: Floats
    """The number of images of the population that each stands for."""
    stratum: Ints
    group: Ints
    """Near-duplicates have the same number."""

    @classmethod
    def of(cls, items: Sequence[Item]) -> Self:
        """Makes the columns of some active images."""
        stratum = collapsed([i.stratum for i in items])
        _, group = np.unique([i.group or f"image {i.exemplar.image}" for i in items], return_inverse=True)
        weight = np.array([i.weight for i in items], float)
        return cls(weight, stratum, group.astype(np.int64))

    def part(self, known: Bools) -> "Drawn":
        """Gives the columns of some of the images, [n]."""
        names = [f"{number:04d}" for number in self.stratum[known].tolist()]
        return Drawn(self.weight[known], collapsed(names), self.group[known])


def collapsed(strata: Sequence[str], least: int = LEAST) -> Ints:
    """Numbers strata from low to high activation, [n], and joins neighbours until each has so many images.

    A few images of a stratum show little of its spread, which would make an interval too narrow; joined with a
    neighbour they show rather more than there is (Cochran 1977, Sampling Techniques, 5A.12). Whether a region suffices
    often hangs on the activation, so that strata differ much (`benchmarks/truth/causal.py`).

    Args:
        strata: the name of each image's stratum; sorted, they run from low to high activation.
        least: images of a joined stratum, at least, where there are as many.
    """
    counts = Counter(strata)
    numbers: dict[str, int] = {}
    number, held = 0, 0
    for name in sorted(counts):
        numbers[name] = number
        held += counts[name]
        if held >= least:
            number, held = number + 1, 0
    # What is left over at the end joins the last one that is full.
    last = max(0, number - 1) if held else number
    return np.array([min(numbers[name], last) for name in strata], np.int64)


def share(credit: Floats, drawn: Drawn, draws: Draws) -> Interval:
    """Computes the weighted mean of credits from 0 to 1 with its bootstrap interval, drawn within strata.

    Args:
        credit: what each image counts, [n].
        drawn: the images.
        draws: how the interval is drawn.
    """
    judged = replace(one_look(np.ones(len(credit)), credit, drawn.weight, drawn.stratum), group=drawn.group)
    return interval_of(recall_samples, judged, resample(judged, draws))


def p_above(own: Floats, other: Floats, draws: Draws) -> float:
    """Gives the two-sided p-value of a difference between credits of the same images, by flips of signs."""
    return paired(other, own, draws).tested.p


def kept(made: Floats, original: Floats) -> Floats:
    """Computes what is left of an activation, as a share of it between 0 and 1, [n]."""
    return np.clip(made / original, 0.0, 1.0)
