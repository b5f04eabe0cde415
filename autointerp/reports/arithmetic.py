"""Figures over features: means and shares with their intervals, histograms, an even choice of ranks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Z = NormalDist().inv_cdf(0.975)
"""Two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure over `n` features; `low` and `high` bound a 95 % interval and are None where n < 2."""

    value: float
    low: float | None
    high: float | None
    n: int


def t_quantile(df: int) -> float:
    """The 97.5 % quantile of Student's t with `df` ≥ 1 degrees of freedom, within 0.5 %.

    Exact for one and two degrees; beyond, the Cornish-Fisher series around the normal quantile to the fourth order
    (Abramowitz and Stegun 26.7.5).
    """
    if df == 1:
        return math.tan(math.pi * 0.475)
    if df == 2:
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    z = Z
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / df**i for i, term in enumerate(terms, start=1))


def mean_estimate(values: NDArray[np.float64], bounds: tuple[float, float]) -> Estimate | None:
    """The mean of `values` (shape n) with its t interval, clipped to what a mean can be; None for no values.

    Args:
        values: one figure a feature, all finite.
        bounds: smallest and largest value the figure can take.
    """
    n = len(values)
    if n == 0:
        return None
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, None, None, 1)
    half = t_quantile(n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Estimate(mean, min(mean, max(bounds[0], mean - half)), max(mean, min(bounds[1], mean + half)), n)


def share_estimate(hits: int, n: int) -> Estimate | None:
    """The share of `hits` among `n` with Wilson's interval, which stays inside 0–1; None for n = 0."""
    if n == 0:
        return None
    share, square = hits / n, Z * Z
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = Z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half), n)


def bin_counts(values: NDArray[np.float64], bounds: tuple[float, float], n_bins: int) -> list[int]:
    """How many of `values` fall into each of `n_bins` equal bins of `bounds`; outliers count in the end bins."""
    return np.histogram(np.clip(values, *bounds), bins=n_bins, range=bounds)[0].tolist()


def log_heights(counts: Sequence[int]) -> list[float]:
    """Bar heights in 0–1 that grow with the logarithm of the counts; 0 stays 0 and a count of 1 stays visible."""
    most = max(counts, default=0)
    return [math.log1p(c) / math.log1p(most) if most else 0.0 for c in counts]


def even_ranks(n: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` ranks of 0…n-1, evenly spread, the first and the last among them (the first alone for 1)."""
    if limit >= n:
        return np.arange(n)
    return np.rint(np.linspace(0, n - 1, limit)).astype(np.int64)
