"""Computes how much more often than in the population images that fire a feature carry an attribute."""

from math import exp, log, sqrt

from autointerp.statistics.rates import Z95, Interval

PSEUDO = 0.5
"""Imagined carriers, and as many images without the attribute, that are added to each side for a lift's interval."""


def lift_of(k: float, n: float, base: float, *, others: float, overlap: float) -> Interval:
    """Computes the lift (k/n) / base with its 95 % interval.

    The images that fire the feature and the other ones are two binomial samples with shares p1 and p2; with f the
    overlap, base is f·p1 + (1-f)·p2, and the variance of the log of the ratio follows by the delta method: for f = 0
    that of the ratio of two shares (Katz et al. 1978). Each sample has half a carrier and half another image added
    (Walter 1975), so that the bounds are finite for k = 0 and k = n.

    Args:
        k: the carriers among the images that fire the feature; numbers need not be whole where images do not count as
            independent.
        n: the images that fire it, above 0.
        base: the share of carriers in the population, above 0.
        others: the images behind the base rate that do not fire the feature.
        overlap: the share of the images behind the base rate that fires the feature: n/(n + others) where all are
            known, 0 where the rate is estimated from a draw of its own.
    """
    f, value = overlap, k / n / base
    rest = base * others if not f else base * (n + others) - k
    p1 = (k + PSEUDO) / (n + 2 * PSEUDO)
    p2 = (rest + PSEUDO) / (others + 2 * PSEUDO)
    p0 = f * p1 + (1 - f) * p2
    by_firing = (1 / p1 - f / p0) ** 2 * p1 * (1 - p1) / n
    by_others = ((1 - f) / p0) ** 2 * p2 * (1 - p2) / others if others else 0.0
    half, middle = Z95 * sqrt(by_firing + by_others), log(p1 / p0)
    return Interval(value, min(value, exp(middle - half)), max(value, exp(middle + half)))
