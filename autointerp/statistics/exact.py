"""Computes exact tests of counts, and corrects p-values for the number of tests."""

import sys
from collections.abc import Sequence
from functools import lru_cache
from math import ceil, comb, fsum, sqrt

import numpy as np

from autointerp.statistics.rates import Floats

TINY = sys.float_info.min
"""The smallest p-value that differs from zero, about 2e-308: a test never says that something cannot be."""


def hypergeometric_tail(k: int, n: int, carriers: int, population: int) -> float:
    """Computes P[X >= k] where n of a population are drawn and X of them are carriers: Fisher's one-sided exact test.

    The weights of the distribution follow from each other by their ratios, w(x+1)/w(x) = (K-x)(n-x) /
    ((x+1)(N-K-n+x+1)), from the mode outwards; their sum norms them. No factorial is needed, whose logarithms would
    lose nine digits at ten million. Terms beyond ten standard deviations are left out.

    Args:
        k: the least number of carriers among those drawn.
        n: the number drawn.
        carriers: the carriers in the population.
        population: the size of the population.

    Returns:
        The chance in [2e-308, 1], to a relative error of some 1e-10.

    Raises:
        ValueError: the counts contradict each other.
    """
    low, high = max(0, n + carriers - population), min(n, carriers)
    if not (0 <= n <= population and 0 <= carriers <= population and k <= high):
        raise ValueError(f"{k} carriers of {n} drawn, with {carriers} in a population of {population}")
    mode = min(high, max(low, (n + 1) * (carriers + 1) // (population + 2)))
    share = carriers / population if population else 0.0
    reach = ceil(10 * sqrt(n * share * (1 - share))) + 50
    first = max(low, mode - reach)
    if k <= first:
        return 1.0
    x = np.arange(first, min(high, max(k, mode) + reach), dtype=np.float64)
    step = np.log((carriers - x) * (n - x)) - np.log((x + 1) * (population - carriers - n + x + 1))
    logs = np.concatenate([[0.0], np.cumsum(step)])
    weight = np.exp(logs - logs[mode - first])
    return float(max(TINY, weight[k - first :].sum() / weight.sum()))


def benjamini_hochberg(p: Floats) -> Floats:
    """Gives the smallest false discovery rate at which each hypothesis would be rejected.

    q_(i) is the minimum over j >= i of m·p_(j)/j. It holds for independent tests and for positively dependent ones
    (Benjamini & Hochberg 1995; Benjamini & Yekutieli 2001). Under any other dependence the rate may be higher by at
    most 1 + 1/2 + ... + 1/m, about ln m + 0.58 (the latter's theorem 1.3).

    Args:
        p: p-values in [0, 1], shape [m].

    Returns:
        The q-values in [0, 1], shape [m], in the order of p.
    """
    m = len(p)
    order = np.argsort(p, kind="stable")
    raised = p[order] * m / np.arange(1, m + 1)
    out = np.empty(m)
    out[order] = np.minimum(1.0, np.minimum.accumulate(raised[::-1])[::-1])
    return out


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Adjusts p-values so that any false finding among the tests has its stated chance (Holm 1979)."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    out, most = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        most = max(most, min(1.0, (len(p) - rank) * p[i]))
        out[i] = most
    return tuple(out)


def binomial_tail(successes: int, n: int, p: float) -> float:
    """Computes P[X >= successes] where each of n trials succeeds with probability p: the one-sided binomial test.

    Args:
        successes: the least number of successes, 0 to n.
        n: the number of trials, at most 1000; with none the result is 1.
        p: the chance of a success in [0, 1].

    Returns:
        The chance in [0, 1]; 1 where no success is asked for.
    """
    assert 0 <= successes <= n <= 1000, "beyond a thousand the coefficients are no floats"
    if successes == 0:
        return 1.0
    return min(1.0, fsum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(successes, n + 1)))


@lru_cache(maxsize=65_536)
def sign_tail(up: int, down: int) -> float:
    """Computes P[X >= up] of up + down fair coins: the one-sided sign test, from which ties were left out.

    As `binomial_tail` with p = 1/2, for any number of signs: the coefficients follow from each other by their ratios,
    C(n, x+1)/C(n, x) = (n-x)/(x+1), and their sum norms them.

    Args:
        up: the number of signs in the direction that was said beforehand, 0 or more.
        down: the number in the other one.

    Returns:
        The chance in [2e-308, 1]; 1 without any sign.
    """
    n = up + down
    x = np.arange(n, dtype=np.float64)
    logs = np.concatenate([[0.0], np.cumsum(np.log((n - x) / (x + 1)))])
    weight = np.exp(logs - logs.max())
    return float(min(1.0, max(TINY, weight[up:].sum() / weight.sum())))
