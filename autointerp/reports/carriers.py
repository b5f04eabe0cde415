"""Which features carry the attribute, the surest first, and what each nested prefix adds to the run."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.dump.format import DumpInfo
from autointerp.reports.aggregates import Aggregates, Column
from autointerp.reports.arithmetic import Estimate, mean_estimate, share_estimate
from autointerp.reports.summary import ScorerPlan
from autointerp.scoring.fdr import LEVEL, discovered

MOST = 30
"""Features that the page names at most."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """Is a feature whose firing goes with the attribute."""

    feature: int
    share: float
    """Of the images that fire it, those that carry the attribute."""
    lift: float
    """That share over the attribute's share of all images."""
    low: float | None
    high: float | None
    """95 % interval of the lift; None in scores of versions that had none."""
    q: float
    """Smallest false discovery rate at which it would be named (Benjamini & Hochberg 1995)."""


@dataclass(frozen=True, slots=True)
class Carriers:
    """Holds the features that carry the attribute."""

    shown: tuple[Carrier, ...]
    """By q, then by lift."""
    n: int
    """All of them, shown or not."""
    n_tested: int


def carriers_of(counted: Aggregates) -> Carriers:
    """Finds the features that carry the attribute at a false discovery rate of `LEVEL`."""
    p, lift, share = (counted.score("relevance", name) for name in ("p", "lift", "label_share"))
    tested = discovered(p.features, p.values)
    low, high = (counted.score("relevance", name) for name in ("lift_low", "lift_high"))
    found = [
        Carrier(f, share.get(f) or 0.0, own, low.get(f), high.get(f), q)
        for f, q in zip(tested.features.tolist(), tested.q.tolist(), strict=True)
        if q <= tested.level and (own := lift.get(f)) is not None
    ]
    found.sort(key=lambda c: (c.q, -c.lift, c.feature))
    return Carriers(tuple(found[:MOST]), len(found), tested.n_tested)


@dataclass(frozen=True, slots=True)
class Prefix:
    """Says what of a run stands in the band that a nested prefix adds to the one before."""

    width: int
    n: int
    """Features of the run."""
    score: Estimate | None
    """Mean of the headline scorer; None without one or without scores."""
    carrying: Estimate | None
    """Share that carries the attribute; None where nothing was tested."""
    with_parents: Estimate | None
    """Share that has a parent; None in the first prefix, which has no smaller ones."""


def prefixes_of(counted: Aggregates, plan: ScorerPlan, children: Collection[int], info: DumpInfo) -> Iterator[Prefix]:
    """Yields the figures of each prefix; none of a dump that has only one.

    Args:
        counted: the run.
        plan: says which scorer stands for a feature.
        children: features that have a parent.
        info: of the dump.
    """
    if len(info.widths) < 2:
        return
    scores = counted.score(plan.headline) if plan.headline is not None else None
    p = counted.score("relevance", "p")
    tested = discovered(p.features, p.values)
    below = 0
    for width in info.widths:
        mine = counted.features[(counted.features >= below) & (counted.features < width)]
        bound = (plan.axes[plan.headline].low, plan.axes[plan.headline].high) if plan.headline is not None else (0, 1)
        q = tested.q[(tested.features >= below) & (tested.features < width)]
        yield Prefix(
            width=width,
            n=len(mine),
            score=None if scores is None else mean_estimate(_within(scores, below, width), bound),
            carrying=share_estimate(int((q <= LEVEL).sum()), len(q)),
            with_parents=share_estimate(sum(f in children for f in mine.tolist()), len(mine)) if below else None,
        )
        below = width


def _within(column: Column, first: int, end: int) -> NDArray[np.float64]:
    """Returns the known figures of the features from `first` to before `end`."""
    inside = (column.features >= first) & (column.features < end) & np.isfinite(column.values)
    return column.values[inside]
