"""The arithmetic of scores: pure functions of labels, beliefs and weights."""

from dataclasses import dataclass
from math import pi, sqrt, tan

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Z95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % bounds."""

    value: float
    low: float
    high: float


def wilson(successes: float, n: int) -> Interval:
    """A share with its 95 % score interval (Wilson 1927); never leaves [0, 1], nor collapses at 0 or n.

    Raises:
        ValueError: n is 0.
    """
    if n <= 0:
        raise ValueError("a share of nothing")
    p, zz = successes / n, Z95 * Z95
    middle = (p + zz / (2 * n)) / (1 + zz / n)
    half = Z95 / (1 + zz / n) * sqrt(p * (1 - p) / n + zz / (4 * n * n))
    return Interval(p, max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)))


@dataclass(frozen=True, slots=True)
class Rates:
    """Agreement of an explanation with a feature, over the population that the weights stand for."""

    precision: float
    """Of the images that fit the explanation, the share that fires. 0 where none fits."""
    recall: float
    """Of the images that fire, the share that fits."""
    specificity: float
    """Of the silent images, the share that does not fit."""
    f1: float
    """2·Σwyc / (Σwy + Σwc)."""


def weighted_rates(active: Floats, belief: Floats, weight: Floats) -> Rates:
    """Rates from y, c and w of shape [n]; y and c in [0, 1], w > 0 the inverse inclusion probabilities.

    Belief enters as it is: an unsure answer of 0.5 counts half on each side (NeuronEval, arXiv 2506.05774, eq. for
    soft labels).
    """
    both = float(np.sum(weight * active * belief))
    fires, fits = float(np.sum(weight * active)), float(np.sum(weight * belief))
    silent = float(np.sum(weight * (1 - active)))
    spared = float(np.sum(weight * (1 - active) * (1 - belief)))
    return Rates(
        precision=both / fits if fits else 0.0,
        recall=both / fires if fires else 0.0,
        specificity=spared / silent if silent else 0.0,
        f1=2 * both / (fires + fits) if fires + fits else 0.0,
    )


def bootstrap_rates(
    active: Floats, belief: Floats, weight: Floats, stratum: npt.NDArray[np.int64], *, replicates: int, seed: int
) -> dict[str, Interval]:
    """Each rate with its 95 % percentile interval, resampling images within strata.

    Equal judgements throughout would give an interval of no width, as if the share were known exactly. To the n
    active images, and likewise to the silent ones, two imagined ones are therefore added, one judged either way:
    each draw meets one of them with probability 2/(n + 2). With n equal judgements the bound is then near 3/n, as
    the rule of three has it (Hanley & Lippman-Hand 1983). The two are shared by all strata of a side, since a pair
    in each would drown strata of two or three images. A stratum of m images is drawn m - 1 times, without which
    small strata look too sure (Rao & Wu 1988).

    Args:
        active: y in {0, 1}, shape [n].
        belief: c in [0, 1], shape [n].
        weight: w > 0, shape [n].
        stratum: index of each image's stratum, shape [n]; a stratum is all active or all silent.
        replicates: bootstrap samples.
        seed: of the resampling.
    """
    point = weighted_rates(active, belief, weight)
    rng = np.random.default_rng(seed)
    totals = np.zeros((replicates, 4))
    for s in np.unique(stratum):
        own = stratum == s
        open_share = 2 / (int(np.sum(active == active[own][0])) + 2)
        totals += _stratum_totals(active[own], belief[own], weight[own], open_share, replicates, rng)
    both, fires, fits, silent = totals.T
    with np.errstate(invalid="ignore", divide="ignore"):
        samples = {
            "precision": both / fits,
            "recall": both / fires,
            "specificity": 1 - (fits - both) / silent,
            "f1": 2 * both / (fires + fits),
        }
    return {name: _percentiles(getattr(point, name), values) for name, values in samples.items()}


def _stratum_totals(
    active: Floats, belief: Floats, weight: Floats, open_share: float, replicates: int, rng: np.random.Generator
) -> Floats:
    """Bootstrap replicates of (Σwyc, Σwy, Σwc, Σw(1-y)) of one stratum; shape [replicates, 4]."""
    shape = (replicates, max(1, len(weight) - 1))
    picked = rng.integers(0, len(weight), size=shape)
    coin = rng.integers(0, 2, size=shape).astype(float)
    c = np.where(rng.random(shape) < open_share, coin, belief[picked])
    y, w = active[picked], weight[picked]
    # The stratum's size is known, so every replicate stands for as many images as the stratum itself.
    w = w * (weight.sum() / w.sum(axis=1, keepdims=True))
    return np.stack([(w * y * c).sum(1), (w * y).sum(1), (w * c).sum(1), (w * (1 - y)).sum(1)], axis=1)


def _percentiles(value: float, samples: Floats) -> Interval:
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return Interval(value, 0.0, 1.0)
    low, high = np.quantile(finite, [0.025, 0.975])
    return Interval(value, max(0.0, min(value, float(low))), min(1.0, max(value, float(high))))


def permuted_f1(
    active: Floats, belief: Floats, weight: Floats, *, replicates: int, seed: int
) -> tuple[Interval, float]:
    """F1 when the same beliefs are dealt to the images at random, and the p-value of the true one.

    Returns:
        Mean with the central 95 % of the permutations, and (1 + #{permuted >= true}) / (1 + replicates)
        (Phipson & Smyth 2010), one-sided.
    """
    rng = np.random.default_rng(seed)
    dealt = rng.permuted(np.tile(belief, (replicates, 1)), axis=1)
    both, fits = dealt @ (weight * active), dealt @ weight
    fires = float(np.sum(weight * active))
    samples = 2 * both / np.maximum(fires + fits, np.finfo(float).tiny)
    true = weighted_rates(active, belief, weight).f1
    p = (1 + int(np.sum(samples >= true - 1e-12))) / (1 + replicates)
    low, high = np.quantile(samples, [0.025, 0.975])
    return Interval(float(samples.mean()), float(low), float(high)), p


def t_quantile(df: int) -> float:
    """The 97.5 % quantile of Student's t with `df` ≥ 1 degrees of freedom, within 0.5 %.

    Exact for one and two degrees; beyond, the Cornish-Fisher series around the normal quantile to the fourth order
    (Abramowitz and Stegun 26.7.5).
    """
    if df == 1:
        return tan(pi * 0.475)
    if df == 2:
        return 0.95 * sqrt(2 / (1 - 0.95**2))
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / df**i for i, term in enumerate(terms, start=1))


def mean_interval(values: Floats, bounds: tuple[float, float]) -> Interval:
    """Mean over features with its t interval, clipped to what a mean can be; all of `bounds` for a single feature.

    Args:
        values: one figure a feature, all finite; shape [n], n >= 1.
        bounds: smallest and largest value the figure can take.
    """
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, *bounds)
    half = t_quantile(len(values) - 1) * float(values.std(ddof=1)) / sqrt(len(values))
    return Interval(mean, min(mean, max(bounds[0], mean - half)), max(mean, min(bounds[1], mean + half)))
