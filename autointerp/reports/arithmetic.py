"""Figures over features: means and shares with their intervals, histograms, an even choice of ranks, axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.statistics.rates import mean_interval, wilson


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure over `n` features; `low` and `high` bound a 95 % interval and are None where n < 2."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values of a scorer to 0–100 % of a drawing's width."""

    low: float
    high: float
    chance: float | None = None
    """What guessing scores; None where that is not one number."""

    def place(self, value: float) -> float:
        """Returns the percent of the width at which a value stands, cut at the ends."""
        return round(100 * min(1.0, max(0.0, (value - self.low) / (self.high - self.low))), 2)


def mean_estimate(values: NDArray[np.float64], bounds: tuple[float, float]) -> Estimate | None:
    """Returns the mean of `values` (shape n) with its t interval, clipped to what a mean can be; None for no values.

    Args:
        values: one figure a feature, all finite.
        bounds: smallest and largest value the figure can take.
    """
    n = len(values)
    if n == 0:
        return None
    mean = mean_interval(values, bounds)
    return Estimate(mean.value, mean.low, mean.high, n) if n > 1 else Estimate(mean.value, None, None, 1)


def share_estimate(hits: int, n: int) -> Estimate | None:
    """Returns the share of `hits` among `n` with Wilson's interval, which stays inside 0–1; None for n = 0."""
    if n == 0:
        return None
    share = wilson(hits, n)
    return Estimate(share.value, share.low, share.high, n)


def bin_counts(values: NDArray[np.float64], bounds: tuple[float, float], n_bins: int) -> list[int]:
    """Counts how many of `values` fall into each of `n_bins` equal bins of `bounds`; outliers count in the end bins."""
    return np.histogram(np.clip(values, *bounds), bins=n_bins, range=bounds)[0].tolist()


def heights(counts: Sequence[int], *, log: bool = False) -> list[float]:
    """Returns bar heights in percent of the tallest; in logarithm 0 stays 0 and a count of 1 stays visible."""
    tall = np.log1p(counts) if log else np.array(counts, float)
    return (100 * tall / max(tall.max(initial=0), 1e-9)).round(1).tolist()


def drawn_ranks(n: int, limit: int, seed: int) -> NDArray[np.int64]:
    """Returns `limit` ranks of 0…n-1, ascending: one at random from each of as many runs of ranks of even length.

    Args:
        n: how many ranks there are.
        limit: at least 1; where it is no less than `n`, all ranks are returned.
        seed: of the draw.
    """
    if limit >= n:
        return np.arange(n)
    edges = np.arange(limit + 1, dtype=np.int64) * n // limit
    return np.random.default_rng(seed).integers(edges[:-1], edges[1:])


def even_ranks(n: int, limit: int) -> NDArray[np.int64]:
    """Returns at most `limit` ranks of 0…n-1, evenly spread, with the first and the last; for 1 the first alone."""
    if limit >= n:
        return np.arange(n)
    return np.rint(np.linspace(0, n - 1, limit)).astype(np.int64)
