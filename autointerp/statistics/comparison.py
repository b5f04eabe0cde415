"""Compares two runs' scores: computes differences with intervals, permutation p-values and effect sizes.

Differences are B − A throughout: a positive one means that B scores higher.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb, erfc, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np

from autointerp.record import Record
from autointerp.statistics.rates import Z95, Floats, mean_interval, t_quantile, wilson
from autointerp.statistics.resampling import Draws

FEW, MANY = 10, 5000
"""From FEW to MANY features intervals are bootstrapped. Fewer features give the bootstrap too little to draw from; more
need none, since the mean is then normal and has Student's interval."""
EXACT = 1 << 16
"""Up to so many permutations, all of them are gone through."""
DECIMALS = 9
"""Scores that agree to so many decimals are equal, since the rest is rounding."""
_CHUNK = 2_000_000
"""So many numbers are drawn at once."""
_NORMAL = NormalDist()


class Estimate(Record):
    """A figure over features; `low` and `high` bound a 95 % interval and are None where none can be made."""

    value: float
    low: float | None = None
    high: float | None = None


class Tested(Record):
    """The two-sided p-value of a difference in means, under the hypothesis that A and B are interchangeable."""

    p: float
    by: Literal["exact", "draws", "normal"]
    """By all permutations, by random ones, of which the true one is one (Phipson & Smyth 2010), or by their normal
    limit."""


class Contrast(Record):
    """The comparison of A and B under one scorer."""

    paired: bool
    n_a: int
    n_b: int
    """The number of features behind each mean; the same features where the runs are paired."""
    mean_a: Estimate
    mean_b: Estimate
    difference: Estimate
    """The mean of B less the mean of A."""
    tested: Tested
    effect: Estimate | None
    """Where paired, Cohen's d_z: the mean difference in units of its standard deviation over features, None where that
    is 0. Else Cliff's delta: P(b > a) − P(b < a) for a feature drawn from each, -1 to 1."""
    better: Estimate
    """Where paired, the share of features with B above A, as an estimate of its probability; else that of pairs of
    features."""
    equal: float
    worse: float


def paired(a: Floats, b: Floats, draws: Draws) -> Contrast:
    """Compares scores of the same features.

    Intervals of the difference and of d_z are BCa (Efron 1987) over features, their levels widened from the normal
    to Student's distribution (Hesterberg 2015, The American Statistician 69: 371-386). The p-value flips the signs of
    the differences (Fisher 1935). The share of features where B is better has a Wilson interval.

    Args:
        a: one score a feature, shape [n], n >= 1, finite.
        b: the scores of the same features under B, shape [n].
        draws: how bootstrap samples are drawn, and sign flips where not all are gone through.
    """
    a, b, rng = _rounded(a), _rounded(b), np.random.default_rng(draws.seed)
    d, n = _rounded(b - a), len(a)
    mean, spread = float(d.mean()), float(d.std())
    difference, effect = Estimate(value=mean), None
    if n > 1 and spread > 0:
        own, units = _moments(d, draws.replicates, rng) if FEW <= n <= MANY else (None, None)
        difference = _interval(mean, own, [(d - mean) / n], n - 1)
        # Influence of one feature on mean/deviation, by the delta method.
        z = (d - mean) / spread
        pull = (z - mean / (2 * spread) * (z * z - 1)) / n
        d_z = mean / float(d.std(ddof=1))
        effect = _interval(d_z, units, [pull], n - 1) if n >= FEW else Estimate(value=d_z)
    share = wilson(int(np.sum(d > 0)), n)
    return Contrast(
        paired=True,
        n_a=n,
        n_b=n,
        mean_a=_mean(a),
        mean_b=_mean(b),
        difference=difference,
        tested=sign_flips(d, rng, draws.replicates),
        effect=effect,
        better=Estimate(value=share.value, low=share.low, high=share.high),
        equal=float(np.mean(d == 0)),
        worse=float(np.mean(d < 0)),
    )


def unpaired(a: Floats, b: Floats, draws: Draws) -> Contrast:
    """Compares scores of unrelated features; shapes [n] and [m], both at least 1; arguments as for `paired`.

    The interval of the difference in means is a BCa bootstrap of each side by itself, or Welch's with the smaller
    side's degrees of freedom; the p-value deals the scores to the two sides anew.
    """
    a, b, rng = _rounded(a), _rounded(b), np.random.default_rng(draws.seed)
    n, m = len(a), len(b)
    mean, least = float(b.mean() - a.mean()), min(n, m)
    difference = Estimate(value=mean)
    if least > 1 and (np.ptp(a) > 0 or np.ptp(b) > 0):
        own = None
        if least >= FEW and max(n, m) <= MANY:
            own = _moments(b, draws.replicates, rng)[0] - _moments(a, draws.replicates, rng)[0]
        difference = _interval(mean, own, [(a.mean() - a) / n, (b - b.mean()) / m], least - 1)
    delta = cliffs_delta(a, b)
    equal = float(np.mean(np.searchsorted(np.sort(a), b, "right") - np.searchsorted(np.sort(a), b)) / n)
    return Contrast(
        paired=False,
        n_a=n,
        n_b=m,
        mean_a=_mean(a),
        mean_b=_mean(b),
        difference=difference,
        tested=shuffles(a, b, rng, draws.replicates),
        effect=delta,
        better=Estimate(value=(1 - equal + delta.value) / 2),
        equal=equal,
        worse=(1 - equal - delta.value) / 2,
    )


def sign_flips(d: Floats, rng: np.random.Generator, draws: int) -> Tested:
    """Tests whether the mean of differences d (shape [n]) is 0: each is as likely to have had the other sign."""
    moved = d[d != 0]
    true, slack = abs(float(moved.sum())), 1e-12 * float(np.abs(moved).sum())
    if 1 << min(len(moved), 64) <= EXACT:
        sums = np.zeros(1)
        for x in moved:
            sums = np.concatenate([sums + x, sums - x])
        return Tested(p=float(np.mean(np.abs(sums) >= true - slack)), by="exact")
    if len(moved) > MANY:
        return Tested(p=erfc(true / sqrt(2 * float(moved @ moved))), by="normal")
    hits = 0
    for size in _chunks(draws, len(moved)):
        heads = rng.integers(0, 2, (size, len(moved))).astype(float)
        hits += int(np.sum(np.abs(2 * (heads @ moved) - moved.sum()) >= true - slack))
    return Tested(p=(1 + hits) / (1 + draws), by="draws")


def shuffles(a: Floats, b: Floats, rng: np.random.Generator, draws: int) -> Tested:
    """Tests whether two groups (shapes [n], [m]) have one mean: each score is as likely to have stood in the other."""
    n, whole = len(a), np.concatenate([a, b])
    size, total = len(whole), float(whole.sum())
    # The difference in means grows with the sum of A alone, since the sum of both is fixed.
    middle, true = total * n / size, abs(float(a.sum()) - total * n / size)
    slack = 1e-12 * float(np.abs(whole).sum())
    if comb(size, n) <= EXACT:
        sums = whole[np.array(list(combinations(range(size), n)))].sum(axis=1)
        return Tested(p=float(np.mean(np.abs(sums - middle) >= true - slack)), by="exact")
    if size > MANY:
        deviation = sqrt(float(whole.var(ddof=1)) * n * (size - n) / size)
        return Tested(p=erfc(true / (sqrt(2) * deviation)) if deviation else 1.0, by="normal")
    hits = 0
    for part in _chunks(draws, size):
        sums = rng.permuted(np.tile(whole, (part, 1)), axis=1)[:, :n].sum(axis=1)
        hits += int(np.sum(np.abs(sums - middle) >= true - slack))
    return Tested(p=(1 + hits) / (1 + draws), by="draws")


def cliffs_delta(a: Floats, b: Floats) -> Estimate:
    """Computes P(b > a) − P(b < a) with its asymmetric interval (Cliff 1993; Feng & Cliff 2004).

    The variance is DeLong's (1988). Where every b is beyond every a there is none; the bound is then that of as many
    successes as the smaller side has features (Wilson). There is no interval where all scores are equal, or a side has
    one feature.
    """
    n, m = len(a), len(b)
    wins_b, wins_a = _placed(a, b), -_placed(b, a)
    delta = float(wins_b.mean())
    if min(n, m) < 2 or (np.ptp(wins_a) == 0 and np.ptp(wins_b) == 0 and abs(delta) < 1):
        return Estimate(value=delta)
    if abs(delta) == 1:
        bound = 2 * wilson(min(n, m), min(n, m)).low - 1
        return Estimate(value=delta, low=bound if delta > 0 else -1.0, high=1.0 if delta > 0 else -bound)
    s = Z95 * sqrt(float(wins_a.var(ddof=1)) / n + float(wins_b.var(ddof=1)) / m)
    half, below = s * sqrt((1 - delta**2) ** 2 + s * s), 1 - delta**2 + s * s
    low, high = ((delta - delta**3 + side) / below for side in (-half, half))
    return Estimate(value=delta, low=max(-1.0, low), high=min(1.0, high))


def _placed(a: Floats, b: Floats) -> Floats:
    """Computes for each b the share of a below it less the share above it."""
    ordered = np.sort(a)
    return (np.searchsorted(ordered, b) + np.searchsorted(ordered, b, "right") - len(a)) / len(a)


def _rounded(values: Floats) -> Floats:
    # Adding 0 turns -0.0 into 0.0.
    return np.round(values, DECIMALS) + 0.0


def _mean(values: Floats) -> Estimate:
    if len(values) == 1 or np.ptp(values) == 0:
        return Estimate(value=float(values.mean()))
    within = (0.0, 1.0) if values.min() >= 0 and values.max() <= 1 else (-np.inf, np.inf)
    mean = mean_interval(values, within)
    return Estimate(value=mean.value, low=mean.low, high=mean.high)


def _chunks(draws: int, width: int) -> Iterator[int]:
    most = max(1, _CHUNK // width)
    for start in range(0, draws, most):
        yield min(most, draws - start)


def _moments(x: Floats, replicates: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draws bootstrap samples of x; gives their means, and means over standard deviations, each [replicates].

    A sample without spread counts as infinitely many deviations away from 0, or as none if it is 0.
    """
    means, units = [], []
    for size in _chunks(replicates, len(x)):
        drawn = x[rng.integers(0, len(x), (size, len(x)))]
        mean, deviation = drawn.mean(axis=1), drawn.std(axis=1, ddof=1)
        flat = np.ptp(drawn, axis=1) == 0
        beyond = np.where(mean == 0, 0.0, np.copysign(np.inf, mean))
        means.append(mean)
        units.append(np.where(flat, beyond, mean / np.where(flat, 1.0, deviation)))
    return np.concatenate(means), np.concatenate(units)


def _interval(value: float, samples: Floats | None, pulls: Sequence[Floats], df: int) -> Estimate:
    """Makes a BCa interval from bootstrap samples, or value ± t standard errors where there are none.

    Args:
        value: the estimate.
        samples: the estimates of the bootstrap samples, shape [replicates].
        pulls: how far each observation moves the estimate, 0 on average; an array of shape [n], n >= 2, for each side.
        df: the degrees of freedom.
    """
    squares = sum(float(p @ p) for p in pulls)
    if samples is None or squares == 0:
        half = t_quantile(df) * sqrt(sum(float(p @ p) * len(p) / (len(p) - 1) for p in pulls))
        return Estimate(value=value, low=value - half, high=value + half)
    share = float(np.mean(samples < value) + np.mean(samples == value) / 2)
    edge = 1 / (len(samples) + 1)
    bias = _NORMAL.inv_cdf(min(1 - edge, max(edge, share)))
    skew = sum(float(np.sum(p**3)) for p in pulls) / (6 * squares**1.5)
    reach = sqrt((df + 1) / df) * t_quantile(df)
    levels: list[float] = []
    for side in (-reach, reach):
        slope = 1 - skew * (bias + side)
        levels.append(_NORMAL.cdf(bias + (bias + side) / slope) if slope > 0 else float(side > 0))
    low, high = np.quantile(samples, levels, method="closest_observation").tolist()
    low, high = min(value, low), max(value, high)
    return Estimate(value=value, low=low if low > -np.inf else None, high=high if high < np.inf else None)
