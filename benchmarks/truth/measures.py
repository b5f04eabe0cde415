"""How a protocol's scores stand to the truth."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.statistics.rates import Interval, wilson
from benchmarks.truth.running import Record
from benchmarks.truth.world import Floats

REPLICATES = 400


def ranks(values: Floats) -> Floats:
    """From 1; equal values share the mean of theirs."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[at]


def spearman(a: Floats, b: Floats) -> float:
    """Pearson's correlation of the ranks (Spearman 1904); 0 where one is constant."""
    x, y = ranks(a), ranks(b)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def spearman_interval(records: Sequence[Record], seed: int = 0) -> Interval:
    """Of score with true F1 over all pairs, with the 95 % bootstrap interval over features."""
    known = [r for r in records if np.isfinite(r.score)]
    own: defaultdict[int, list[int]] = defaultdict(list)
    for i, r in enumerate(known):
        own[r.feature].append(i)
    score, truth = np.array([r.score for r in known]), np.array([r.true_f1 for r in known])
    chance = np.random.default_rng(seed)
    rows = [np.array(i) for i in own.values()]
    drawn: list[float] = []
    for _ in range(REPLICATES):
        at = np.concatenate([rows[j] for j in chance.integers(len(rows), size=len(rows))])
        drawn.append(spearman(score[at], truth[at]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(spearman(score, truth), float(low), float(high))


def within_rates(records: Sequence[Record]) -> float:
    """Mean over firing rates of the Spearman correlation among features of one rate."""
    known = [r for r in records if np.isfinite(r.score)]
    out: list[float] = []
    for rate in dict.fromkeys(r.rate for r in known):
        own = [r for r in known if r.rate == rate]
        out.append(spearman(np.array([r.score for r in own]), np.array([r.true_f1 for r in own])))
    return float(np.mean(out))


@dataclass(frozen=True)
class Noticed:
    """How often a worse explanation scores lower than the true one."""

    share: float
    low: float
    high: float
    n: int


def noticed(records: Sequence[Record], kind: str, rate: float | None = None) -> Noticed | None:
    """Share of features whose explanation of a kind scores strictly lower than the true one; None without features."""
    score = {(r.feature, r.kind): r.score for r in records if rate in (None, r.rate)}
    pairs = [(value, score[feature, "true"]) for (feature, k), value in score.items() if k == kind]
    pairs = [p for p in pairs if np.all(np.isfinite(p))]
    if not pairs:
        return None
    found = wilson(sum(worse < true for worse, true in pairs), len(pairs))
    return Noticed(found.value, found.low, found.high, len(pairs))


@dataclass(frozen=True)
class Covered:
    """How often an interval holds what it should."""

    share: float
    above: float
    """Share of intervals that lie wholly above the value."""
    below: float
    width: float
    n: int


def covered(
    records: Sequence[Record], of: str = "seen", kind: str | None = None, rate: float | None = None
) -> Covered | None:
    """Coverage of the field `of`, over all records or those of a kind and a rate; None without intervals."""
    own = [r for r in records if kind in (None, r.kind) and rate in (None, r.rate) and r.low is not None]
    if not own:
        return None
    value = np.array([getattr(r, of) for r in own], float)
    low, high = np.array([r.low for r in own], float), np.array([r.high for r in own], float)
    # A bound of a share is met up to rounding.
    above, below = float(np.mean(low > value + 1e-9)), float(np.mean(high < value - 1e-9))
    return Covered(1 - above - below, above, below, float(np.mean(high - low)), len(own))


def mean_of(records: Sequence[Record], what: str, kind: str | None = None) -> float:
    """Mean of a field, NaN left out."""
    values = np.array([getattr(r, what) for r in records if kind in (None, r.kind)], float)
    return float(np.nanmean(values)) if len(values) else float("nan")


def bias(records: Sequence[Record], of: str = "true_f1") -> float:
    """Mean of score minus the field `of`."""
    return float(np.nanmean([r.score - getattr(r, of) for r in records]))
