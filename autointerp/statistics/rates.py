"""Computes rates, scores and intervals from labels, beliefs and weights."""

from dataclasses import dataclass
from math import pi, sqrt, tan

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % bounds."""

    value: float
    low: float
    high: float


def wilson(successes: float, n: int) -> Interval:
    """Computes a share with its 95 % score interval (Wilson 1927), which stays in [0, 1] and has width at 0 and n.

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
    """The agreement of an explanation with a feature, over the population that the weights stand for."""

    precision: float
    """The share of the images that fit the explanation on which the feature fires; 0 where none fits."""
    recall: float
    """The share of the images that fire the feature which fits."""
    specificity: float
    """The share of the silent images that does not fit."""
    f1: float
    """2·Σwyc / (Σwy + Σwc)."""


@dataclass(frozen=True, slots=True)
class JudgeRates:
    """How often a judge is right, from judgements whose truth was known."""

    sensitivity: float
    """The share of the images that fit to which it says yes."""
    n_true: int
    """The number of judgements behind the sensitivity."""
    specificity: float
    """The share of the images that do not fit to which it says no."""
    n_false: int
    """The number of judgements behind the specificity."""


def corrected_f1(recall: Floats, false_yes: Floats, odds: float, sensitivity: Floats, specificity: Floats) -> Floats:
    """Computes F1 with the judge's errors taken out of both shares of yes, elementwise.

    Each share p̂ becomes (p̂ + sp - 1)/(se + sp - 1), clipped to [0, 1] (Rogan & Gladen 1978); then, with r the share
    among the active and f among the silent images, F1 = 2r / (1 + r + f·odds).

    Args:
        recall: the share of yes among the images that fire the feature.
        false_yes: the share of yes among the silent images.
        odds: the number of silent images for each active one.
        sensitivity: the judge's sensitivity se.
        specificity: the judge's specificity sp; where se + sp is not above 1 the result is NaN.
    """
    informed = sensitivity + specificity - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        r, f = (np.clip((share + specificity - 1) / informed, 0, 1) for share in (recall, false_yes))
    return np.where(informed > 0, 2 * r / (1 + r + f * odds), np.nan)


def weighted_rates(active: Floats, belief: Floats, weight: Floats) -> Rates:
    """Computes rates from y, c and w of shape [n]; y and c in [0, 1], w > 0 the inverse inclusion probabilities.

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


def f1_of(both: Floats, fires: Floats | np.float64, fits: Floats) -> Floats:
    """Computes 2·Σwyc / (Σwy + Σwc), elementwise; 0 where no image fires or fits."""
    return 2 * both / np.maximum(fires + fits, np.finfo(float).tiny)


def f1_samples(y: Floats, c: Floats, a: Floats, w: Floats) -> Floats:
    """Computes weighted F1 for each row of weights; y, c, a of shape [n] (a unused), w [r, n], result [r]."""
    return f1_of(w @ (y * c), w @ y, w @ c)


def precision_samples(y: Floats, c: Floats, a: Floats, w: Floats) -> Floats:
    """Computes Σwyc / Σwc, the share of the images that fit which fires; 0 where none fits. Shapes as for F1."""
    return w @ (y * c) / np.maximum(w @ c, np.finfo(float).tiny)


def recall_samples(y: Floats, c: Floats, a: Floats, w: Floats) -> Floats:
    """Computes Σwyc / Σwy, the share of the images that fire which fits; 0 where none fires. Shapes as for F1."""
    return w @ (y * c) / np.maximum(w @ y, np.finfo(float).tiny)


def specificity_samples(y: Floats, c: Floats, a: Floats, w: Floats) -> Floats:
    """Computes Σw(1-y)(1-c) / Σw(1-y), the share of the silent images that does not fit. Shapes as for F1."""
    return w @ ((1 - y) * (1 - c)) / np.maximum(w @ (1 - y), np.finfo(float).tiny)


def auprc_samples(y: Floats, c: Floats, a: Floats, w: Floats) -> Floats:
    """Computes the area under the weighted precision-recall curve of c as a ranking.

    It is the average precision Σ (R_k - R_(k-1))·P_k, and 0 where no image fires. Images of equal belief enter together
    (Davis & Goadrich 2006 on why points are not joined by lines). Shapes as for F1.
    """
    fires = np.maximum(w @ y, np.finfo(float).tiny)
    total, before = np.zeros(len(w)), np.zeros(len(w))
    for level in np.unique(c)[::-1]:
        reached = c >= level
        hits, kept = w @ (y * reached), w @ reached.astype(float)
        total += (hits - before) / fires * hits / np.maximum(kept, np.finfo(float).tiny)
        before = hits
    return total


def pearson_samples(y: Floats, c: Floats, a: Floats, w: Floats) -> Floats:
    """Computes the weighted Pearson correlation of belief with activation over the population, in [-1, 1].

    It is NaN where either is constant. Shapes as for F1.
    """
    n = w.sum(axis=1)
    mean_c, mean_a = w @ c / n, w @ a / n
    covariance = w @ (c * a) / n - mean_c * mean_a
    spread_c, spread_a = w @ (c * c) / n - mean_c**2, w @ (a * a) / n - mean_a**2
    with np.errstate(invalid="ignore", divide="ignore"):
        out = covariance / np.sqrt(np.maximum(spread_c, 0) * np.maximum(spread_a, 0))
    # Cancellation leaves a trace of spread in a constant column.
    flat = (spread_c <= 1e-12 * np.maximum(mean_c**2, 1)) | (spread_a <= 1e-12 * np.maximum(mean_a**2, 1e-300))
    return np.where(flat, np.nan, np.clip(out, -1, 1))


def t_quantile(df: int) -> float:
    """Computes the 97.5 % quantile of Student's t with `df` ≥ 1 degrees of freedom, within 0.5 %.

    It is exact for one and two degrees; beyond, it is the Cornish-Fisher series around the normal quantile to the
    fourth order (Abramowitz and Stegun 26.7.5).
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
    """Computes a mean over features with its t interval, clipped to `bounds`; of a single feature it is `bounds`.

    Args:
        values: one figure a feature, all finite, shape [n], n >= 1.
        bounds: the smallest and the largest value that the figure can take.
    """
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, *bounds)
    half = t_quantile(len(values) - 1) * float(values.std(ddof=1)) / sqrt(len(values))
    return Interval(mean, min(mean, max(bounds[0], mean - half)), max(mean, min(bounds[1], mean + half)))
