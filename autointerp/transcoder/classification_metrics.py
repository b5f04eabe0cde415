"""Measures how good probabilities are: ranking (AUROC with an interval over groups), calibration, Brier score."""

from math import exp, log, log1p, sqrt

import numpy as np
from scipy.special import expit
from scipy.stats import rankdata

from autointerp.record import Record
from autointerp.statistics.rates import Z95, Bools, Floats, Interval, Ints

N_BINS = 10
"""Reliability bins of equal width."""
N_DRAWS = 500
"""Label sets drawn for the calibration error of a perfect forecast."""


class Bin(Record):
    """Is a reliability bin: the images whose probability lies in it."""

    low: float
    high: float
    n: int
    mean: float
    """Mean probability."""
    rate: float
    """Share that has label 1."""


class Quality(Record):
    """Holds the figures of a set of probabilities against its labels."""

    n: int
    n_positive: int
    n_groups: int
    auroc: float
    auroc_low: float
    auroc_high: float
    """95 % interval, which takes groups and not images for independent."""
    accuracy: float
    """At a probability of one half."""
    brier: float
    """Mean squared error of the probability."""
    log_loss: float
    """Mean negative log likelihood, nats."""
    ece: float
    """Expected calibration error over 10 bins of equal width (Naeini et al. 2015; Guo et al. 2017)."""
    ece_calibrated: float
    """What it would be on average for these very probabilities if they were true: it is above 0 for chance alone."""
    bins: tuple[Bin, ...]
    """Those that hold images."""


def quality(logits: Floats, labels: Bools, groups: Ints, *, seed: int) -> Quality:
    """Computes all figures of a set of log odds.

    Args:
        logits: log odds of label 1, shape [n].
        labels: shape [n]; both values occur.
        groups: shape [n].
        seed: of the draws behind `ece_calibrated`.
    """
    probability = expit(logits)
    area = auroc(logits, labels, groups)
    bins = reliability(probability, labels)
    return Quality(
        n=len(labels),
        n_positive=int(labels.sum()),
        n_groups=len(np.unique(groups)),
        auroc=area.value,
        auroc_low=area.low,
        auroc_high=area.high,
        accuracy=float(np.mean((probability > 0.5) == labels)),
        brier=float(np.mean((probability - labels) ** 2)),
        log_loss=float(np.mean(np.logaddexp(0.0, np.where(labels, -logits, logits)))),
        ece=calibration_error(bins),
        ece_calibrated=_error_if_calibrated(probability, seed),
        bins=bins,
    )


def auroc(scores: Floats, labels: Bools, groups: Ints) -> Interval:
    """Computes the chance that an image of label 1 scores higher than one of label 0, ties counting half.

    The interval is that of Obuchowski (1997, Biometrics 53:567) for clustered data, which is DeLong's (1988) where each
    group has one image, taken on the logit scale (Pepe 2003, section 5.2) so that it stays within 0 and 1. Where it
    has no width because the scores separate the labels, the far bound is Wilson's for as many successes as the rarer
    label has groups.

    Args:
        scores: shape [n].
        labels: shape [n]; both values occur.
        groups: shape [n].
    """
    positive, negative = scores[labels], scores[~labels]
    m, n = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    # Share of the other label's images that each image beats, from midranks (Sun & Xu 2014).
    beats = (ranks[:m] - rankdata(positive)) / n
    beaten = 1 - (ranks[m:] - rankdata(negative)) / m
    value = float(beats.mean())
    number = np.unique(groups, return_inverse=True)[1]
    of_positive = np.bincount(number[labels], weights=beats - value, minlength=number.max() + 1)
    of_negative = np.bincount(number[~labels], weights=beaten - value, minlength=number.max() + 1)
    n_positive, n_negative = (len(np.unique(number[side])) for side in (labels, ~labels))
    fewest, n_groups = min(n_positive, n_negative), len(of_positive)
    if fewest < 2:
        return Interval(value, 0.0, 1.0)
    variance = float(
        n_positive / (n_positive - 1) * np.sum(of_positive**2) / m**2
        + n_negative / (n_negative - 1) * np.sum(of_negative**2) / n**2
        + 2 * n_groups / (n_groups - 1) * (of_positive @ of_negative) / (m * n)
    )
    if variance <= 1e-15 or not 0 < value < 1:
        slack = Z95**2 / (fewest + Z95**2)
        return Interval(value, max(0.0, value - slack), min(1.0, value + slack))
    half = Z95 * sqrt(variance) / (value * (1 - value))
    middle = log(value) - log1p(-value)
    return Interval(value, 1 / (1 + exp(half - middle)), 1 / (1 + exp(-half - middle)))


def clustered_mean(values: Floats, groups: Ints) -> Interval:
    """Computes a mean with its 95 % interval, which takes groups and not images for independent.

    That is the ratio estimator of cluster sampling (Cochran 1977, section 11.6), within 0 and 1; with a single group
    nothing is known of the spread, and the interval is 0 to 1.

    Args:
        values: shape [n], 0 to 1.
        groups: shape [n].
    """
    value, number = float(values.mean()), np.unique(groups, return_inverse=True)[1]
    apart = np.bincount(number, weights=values - value)
    if len(apart) < 2:
        return Interval(value, 0.0, 1.0)
    half = Z95 * sqrt(len(apart) / (len(apart) - 1) * float(apart @ apart)) / len(values)
    return Interval(value, max(0.0, value - half), min(1.0, value + half))


def reliability(probability: Floats, labels: Bools) -> tuple[Bin, ...]:
    """Sorts images into bins of equal width over [0, 1], and leaves the empty ones out.

    Args:
        probability: shape [n], within [0, 1].
        labels: shape [n].
    """
    which = np.minimum((probability * N_BINS).astype(np.int64), N_BINS - 1)
    return tuple(
        Bin(
            low=b / N_BINS,
            high=(b + 1) / N_BINS,
            n=int(np.sum(which == b)),
            mean=float(probability[which == b].mean()),
            rate=float(labels[which == b].mean()),
        )
        for b in np.unique(which).tolist()
    )


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Averages the distance of probability and rate over the bins, weighted by their images."""
    return sum(b.n * abs(b.mean - b.rate) for b in bins) / sum(b.n for b in bins)


def _error_if_calibrated(probability: Floats, seed: int) -> float:
    draw = np.random.default_rng((0xECE, seed)).random((N_DRAWS, len(probability)))
    which = np.minimum((probability * N_BINS).astype(np.int64), N_BINS - 1)
    # |Σ p - Σ label| over a bin is its images times the distance of the means.
    apart = np.abs(((draw < probability) - probability) @ (which[:, None] == np.arange(N_BINS)))
    return float(apart.sum(axis=1).mean() / len(probability))
