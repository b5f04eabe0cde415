"""How far two judges agree on the same questions, with intervals over features, whose answers err together."""

from collections.abc import Callable, Iterator

import numpy as np

from autointerp.record import Record
from autointerp.statistics.comparison import Estimate
from autointerp.statistics.rates import Floats, wilson
from autointerp.statistics.resampling import Draws, times_drawn

NO, UNSURE, YES = range(3)
"""The places of the answers in a table."""
MOST = 2_000
"""Features that the bootstrap draws from; of more, several are drawn together, which leaves the interval as it is."""
_CHUNK = 2_000_000
"""So many numbers are drawn at once."""
Statistic = Callable[[Floats], Floats]
"""Computes a figure of each table, shape [..., 3, 3]; NaN where it has none."""


class Agreed(Record):
    """How the answers of two judges to the same questions compare; every figure has a 95 % interval.

    An interval is that of a bootstrap over features (Efron & Tibshirani 1993), and at least as wide as the answers
    would have if they were independent of each other.
    """

    n: int
    """Questions that both decided, by yes or no."""
    features: int
    """Features that they are of."""
    equal: Estimate | None
    """The share of equal answers among them; None where there are none."""
    kappa: Estimate | None
    """Cohen's kappa (1960), the agreement beyond chance; None where chance alone would give nothing but agreement."""
    n_true: int = 0
    """Questions that the reference answered with yes and the other judge in any way."""
    n_false: int = 0
    """The same with no."""
    sensitivity: Estimate | None = None
    """The share of yes of the other judge where the reference says yes, an unsure answer counting half."""
    specificity: Estimate | None = None
    """The share of no where the reference says no, an unsure answer counting half."""


def tables_of(first: Floats, second: Floats, feature: Floats, n_features: int) -> Floats:
    """Counts the pairs of answers by feature.

    Args:
        first: the beliefs of the first judge, each 0, 0.5 or 1, shape [n].
        second: those of the second judge on the same questions, shape [n].
        feature: the place of the feature of each question, whole numbers from 0, shape [n].
        n_features: how many features there are.

    Returns:
        Counts, shape [n_features, 3, 3]: the first judge's answer (no, unsure, yes), then the second's.
    """
    cell = (feature * 9 + first * 6 + second * 2).astype(np.int64)
    return np.bincount(cell, minlength=9 * n_features).reshape(n_features, 3, 3).astype(float)


def agreed(tables: Floats, draws: Draws, *, with_rates: bool) -> Agreed:
    """Compares the answers of two judges.

    Args:
        tables: the answers by feature, as `tables_of` counts them, shape [n_features, 3, 3].
        draws: how the bootstrap over features is drawn.
        with_rates: whether the second judge is the reference, so that the first one's error rates are computed.
    """
    tables = tables[tables.sum(axis=(1, 2)) > 0]
    whole = tables.sum(axis=0)
    decided = whole[NO, NO] + whole[NO, YES] + whole[YES, NO] + whole[YES, YES]
    n_true, n_false = int(whole[:, YES].sum()), int(whole[:, NO].sum())
    samples = list(_resampled(tables, draws)) if len(tables) else []
    equal = _share(equal_share, whole, int(decided), samples)
    return Agreed(
        n=int(decided),
        features=len(tables),
        equal=equal,
        kappa=_kappa(whole, equal, samples),
        n_true=n_true if with_rates else 0,
        n_false=n_false if with_rates else 0,
        sensitivity=_share(sensitivity, whole, n_true, samples) if with_rates else None,
        specificity=_share(specificity, whole, n_false, samples) if with_rates else None,
    )


def equal_share(tables: Floats) -> Floats:
    """Computes the share of equal answers among those that both decided."""
    agree = tables[..., NO, NO] + tables[..., YES, YES]
    return _ratio(agree, agree + tables[..., NO, YES] + tables[..., YES, NO])


def chance_share(tables: Floats) -> Floats:
    """Computes the share of equal answers that two judges with these shares of yes would have by chance."""
    both = tables[..., NO, NO] + tables[..., NO, YES] + tables[..., YES, NO] + tables[..., YES, YES]
    one = _ratio(tables[..., YES, NO] + tables[..., YES, YES], both)
    other = _ratio(tables[..., NO, YES] + tables[..., YES, YES], both)
    return one * other + (1 - one) * (1 - other)


def kappa(tables: Floats) -> Floats:
    """Computes Cohen's kappa (1960) of the answers that both decided: (equal - chance) / (1 - chance)."""
    chance = chance_share(tables)
    return _ratio(equal_share(tables) - chance, 1 - chance)


def sensitivity(tables: Floats) -> Floats:
    """Computes the first judge's share of yes where the second says yes; an unsure answer counts half."""
    return _ratio(tables[..., YES, YES] + tables[..., UNSURE, YES] / 2, tables[..., :, YES].sum(axis=-1))


def specificity(tables: Floats) -> Floats:
    """Computes the first judge's share of no where the second says no; an unsure answer counts half."""
    return _ratio(tables[..., NO, NO] + tables[..., UNSURE, NO] / 2, tables[..., :, NO].sum(axis=-1))


def _ratio(part: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(whole) > 1e-12, part / whole, np.nan)


def _resampled(tables: Floats, draws: Draws) -> Iterator[Floats]:
    """Sums of as many features drawn with replacement, some replicates at a time, shape [r, 3, 3]."""
    rng, n = np.random.default_rng(draws.seed), min(len(tables), MOST)
    flat, at_once = np.zeros((n, 9)), max(1, _CHUNK // n)
    # At random, since neighbours may be alike.
    np.add.at(flat, rng.permutation(len(tables)) % n, tables.reshape(-1, 9))
    for start in range(0, draws.replicates, at_once):
        replicates = min(at_once, draws.replicates - start)
        yield (times_drawn(n, n, replicates, rng) @ flat).reshape(replicates, 3, 3)


def _share(statistic: Statistic, whole: Floats, n: int, samples: list[Floats]) -> Estimate | None:
    """A share of `n` answers, with the wider of the bootstrap's and Wilson's bounds on each side."""
    if n == 0:
        return None
    value = float(statistic(whole))
    alone = wilson(value * n, n)
    return _widened(value, alone.low, alone.high, statistic, samples)


def _kappa(whole: Floats, equal: Estimate | None, samples: list[Floats]) -> Estimate | None:
    """Kappa; where the bootstrap has less, its bounds are those of the equal share at this chance (Cohen 1960)."""
    value, chance = float(kappa(whole)), float(chance_share(whole))
    if equal is None or equal.low is None or equal.high is None or not np.isfinite(value):
        return None
    low, high = ((bound - chance) / (1 - chance) for bound in (equal.low, equal.high))
    return _widened(value, max(-1.0, low), min(1.0, high), kappa, samples)


def _widened(value: float, low: float, high: float, statistic: Statistic, samples: list[Floats]) -> Estimate:
    drawn = np.concatenate([statistic(tables) for tables in samples])
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn):
        low, high = min(low, float(np.quantile(drawn, 0.025))), max(high, float(np.quantile(drawn, 0.975)))
    return Estimate(value=value, low=min(value, low), high=max(value, high))
