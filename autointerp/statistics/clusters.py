"""Shares, differences and ranks of several sets of images, where images of one cluster do not count as independent.

A cluster is what was made from one prompt, and near-duplicates. Two sets may share clusters: then they are paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, erfc, sqrt

import numpy as np
import numpy.typing as npt

from autointerp.statistics.rates import Z95, Bools, Floats, Interval, Ints, t_quantile

_CHUNK = 1_000_000
"""So many weights are drawn at once, whatever the number of clusters."""
LEAST_VARIANCE = 0.1
"""The variance of a difference is at least this part of what it were if the two sets were unrelated."""


@dataclass(frozen=True, slots=True)
class Share:
    """The share of a set's images that are hits."""

    value: float
    low: float
    high: float
    """`low` and `high` bound a 95 % interval."""
    hits: int
    n: int
    n_clusters: int
    n_effective: float
    """As many independent images say as much; above 0."""

    @property
    def angle(self) -> float:
        """Returns the share on a scale on which its variance depends on the number of images alone (Anscombe 1948)."""
        return asin(sqrt((self.n_effective * self.value + 0.375) / (self.n_effective + 0.75)))

    @property
    def angle_variance(self) -> float:
        """Returns the variance of `angle`."""
        return 1 / (4 * self.n_effective + 2)


@dataclass(frozen=True, slots=True)
class Difference:
    """The share of B less the share of A."""

    value: float
    low: float
    high: float
    """`low` and `high` bound a 95 % interval."""
    p: float
    """Two-sided; the null hypothesis is that both shares are equal but for what `systematic` explains."""
    correlation: float
    """Of the two estimates, by the clusters that both sets have; 0 without such."""
    n_shared: int
    """Clusters that both sets have."""


def share_of(hits: Bools, clusters: Ints) -> Share:
    """Computes a share with Wilson's interval at the effective number of images.

    That number is n / deff, the design effect being the variance between clusters (ratio estimator, Cochran 1977,
    section 11.6) over that of independent images, at least 1; it is reduced by (z/t)² for few clusters (Korn & Graubard
    1998, Survey Methodology 24: 193-201). Where all images or none are hits, or there is but one cluster, no spread is
    seen, and the number is (Σm)²/Σm² of the sizes m of clusters, as if each were one image (Kish 1965).

    Args:
        hits: shape [n], n >= 1.
        clusters: shape [n], any numbers.
    """
    n, which = len(hits), np.unique(clusters, return_inverse=True)[1]
    sizes, value = np.bincount(which).astype(float), float(hits.mean())
    if 0 < value < 1 and len(sizes) > 1:
        independent = value * (1 - value) / n
        effective = n / max(1.0, _variance(_apart(hits, which, value), n) / independent)
    else:
        effective = n * n / float(sizes @ sizes)
    effective *= (Z95 / t_quantile(max(1, len(sizes) - 1))) ** 2
    low, high = wilson_bounds(value, effective)
    return Share(value, low, high, int(hits.sum()), n, len(sizes), effective)


def wilson_bounds(value: float, n: float) -> tuple[float, float]:
    """Computes Wilson's bounds of a share of n images, n > 0 being any number."""
    zz = Z95 * Z95
    middle, scale = (value + zz / (2 * n)) / (1 + zz / n), Z95 / (1 + zz / n)
    half = scale * sqrt(value * (1 - value) / n + zz / (4 * n * n))
    return max(0.0, min(value, middle - half)), min(1.0, max(value, middle + half))


def _apart(values: Floats | Bools, which: Ints, mean: float, n_clusters: int | None = None) -> Floats:
    """By how much each cluster's sum is above what the mean lets expect, [clusters]."""
    return np.bincount(which, weights=values - mean, minlength=n_clusters or 0).astype(np.float64)


def _variance(apart: Floats, n: int) -> float:
    """The variance of a mean of n images from the clusters' sums; infinite with a single cluster."""
    m = len(apart)
    return m / (m - 1) * float(apart @ apart) / (n * n) if m > 1 else np.inf


def average_of(values: Floats, clusters: Ints) -> Interval | None:
    """Computes a mean with a 95 % t interval over clusters; None with fewer than two clusters.

    Args:
        values: shape [n].
        clusters: shape [n].
    """
    which = np.unique(clusters, return_inverse=True)[1] if len(clusters) else np.zeros(0, np.int64)
    if not len(which) or which.max() == 0:
        return None
    mean = float(values.mean())
    apart = _apart(values, which, mean)
    half = t_quantile(len(apart) - 1) * sqrt(_variance(apart, len(values)))
    return Interval(mean, mean - half, mean + half)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Which images of a set are hits."""

    hits: Bools
    """Shape [n], n >= 1."""
    clusters: Ints
    """Shape [n]; the same number in two sets is the same cluster."""

    @property
    def share(self) -> Share:
        """Returns the share of hits with its interval."""
        return share_of(self.hits, self.clusters)


def correlation_of(a: Sample, b: Sample) -> tuple[float, int]:
    """Computes how the shares of two sets go together by the clusters that both have, and how many those are."""
    names, which = np.unique(np.concatenate([a.clusters, b.clusters]), return_inverse=True)
    of_a, of_b = which[: len(a.hits)], which[len(a.hits) :]
    n_shared = len(np.intersect1d(of_a, of_b))
    one, other = (_apart(s.hits, w, float(s.hits.mean()), len(names)) for s, w in ((a, of_a), (b, of_b)))
    spread = sqrt(float(one @ one) * float(other @ other))
    return (float(one @ other) / spread if spread > 0 and n_shared > 1 else 0.0), n_shared


def difference_of(a: Sample, b: Sample, systematic: float = 0.0) -> Difference:
    """Compares the shares of two sets.

    The interval joins the two shares' own (MOVER: Zou & Donner 2008, Statistics in Medicine 27: 1693-1702). The test is
    on the scale of angles.

    Args:
        a: the one set.
        b: the other set.
        systematic: the variance, on the scale of angles, of what shifts one set's shares against the other's although
            nothing is wrong with it, as `systematic_variance` gives it. The test allows for it, and the interval is
            wider by as much.
    """
    rho, n_shared = correlation_of(a, b)
    return difference_of_shares(a.share, b.share, systematic, rho=rho, n_shared=n_shared)


def difference_of_shares(
    one: Share, other: Share, systematic: float = 0.0, *, rho: float = 0.0, n_shared: int = 0
) -> Difference:
    """Compares two shares as `difference_of` does; `rho` is their correlation."""
    spread = _angle_variance(one, other, rho)
    wider = sqrt(1 + systematic / spread)
    value, twice = other.value - one.value, 2 * rho
    below = (other.value - other.low, one.high - one.value)
    above = (other.high - other.value, one.value - one.low)
    down, up = (wider * sqrt(max(0.0, x * x + y * y - twice * x * y)) for x, y in (below, above))
    z = (other.angle - one.angle) / sqrt(spread + systematic)
    p = erfc(abs(z) / sqrt(2))
    return Difference(value, max(-1.0, value - down), min(1.0, value + up), p, rho, n_shared)


def _angle_variance(one: Share, other: Share, rho: float) -> float:
    """The variance of the difference of two angles."""
    a, b = one.angle_variance, other.angle_variance
    return max(LEAST_VARIANCE * (a + b), a + b - 2 * rho * sqrt(a * b))


@dataclass(frozen=True, slots=True, eq=False)
class Angles:
    """The shares of many features in one set, on the scale of angles."""

    angle: Floats
    """[features]."""
    variance: Floats
    """[features]."""
    names: Ints
    """The set's clusters, ascending, [clusters]."""
    apart: Floats
    """By how much each cluster has more hits than the share lets expect, [clusters, features]."""


def angles_of(hits: Bools, clusters: Ints) -> Angles:
    """Computes the shares of many features at once, each as `share_of` does.

    Args:
        hits: shape [n, features].
        clusters: shape [n].
    """
    names, which = np.unique(clusters, return_inverse=True)
    n, m, value = len(hits), len(names), hits.mean(axis=0)
    sums = np.zeros((m, hits.shape[1]))
    np.add.at(sums, which, hits.astype(float))
    sizes = np.bincount(which).astype(float)
    apart = sums - sizes[:, None] * value
    spread = (apart**2).sum(axis=0) * m / max(1, m - 1) / (n * n)
    mixed = (value > 0) & (value < 1) & (m > 1)
    independent = np.where(mixed, value * (1 - value) / n, 1.0)
    effective = np.where(mixed, n / np.maximum(1.0, spread / independent), n * n / float(sizes @ sizes))
    effective *= (Z95 / t_quantile(max(1, m - 1))) ** 2
    angle = np.arcsin(np.sqrt((effective * value + 0.375) / (effective + 0.75)))
    return Angles(angle, 1 / (4 * effective + 2), names, apart)


def shift_between(a: Angles, b: Angles) -> float:
    """Estimates from negative controls how far two sets' shares are apart for other reasons, by `systematic_variance`.

    Args:
        a: the negative controls in the one set.
        b: the same features in the other set.
    """
    _, of_a, of_b = np.intersect1d(a.names, b.names, return_indices=True)
    rho = np.zeros(len(a.angle))
    if len(of_a) > 1:
        spread = np.sqrt((a.apart**2).sum(axis=0) * (b.apart**2).sum(axis=0))
        both = (a.apart[of_a] * b.apart[of_b]).sum(axis=0)
        rho = np.divide(both, spread, out=rho, where=spread > 0)
    whole = a.variance + b.variance
    variance = np.maximum(LEAST_VARIANCE * whole, whole - 2 * rho * np.sqrt(a.variance * b.variance))
    return systematic_variance(b.angle - a.angle, variance)


def systematic_variance(differences: Floats, variances: Floats) -> float:
    """Estimates how much more negative controls differ between two sets than chance has it (Schuemie et al. 2014).

    Negative controls are features that have nothing to do with errors. If they differ all the same, the sets differ in
    something else, such as their style, which moves the features of errors too. By moments, the variance of that shift
    is the mean of d² - s², and never below 0.

    Args:
        differences: d of each control between the two sets, on the scale of angles, shape [n].
        variances: s² of each, shape [n].

    Returns:
        The variance; 0 without controls.
    """
    return max(0.0, float(np.mean(differences**2 - variances))) if len(differences) else 0.0


def replicated(samples: Sequence[Sample], replicates: int, rng: np.random.Generator) -> Floats:
    """Draws clusters with replacement, and computes every set's share each time, [replicates, sets].

    A cluster that several sets have is drawn for all of them at once. Clusters are drawn among those that the same sets
    have, so that each set keeps its size.

    Args:
        samples: one of each set.
        replicates: how many times.
        rng: chance.
    """
    names, which = np.unique(np.concatenate([s.clusters for s in samples]), return_inverse=True)
    hits, sizes = np.zeros((2, len(names), len(samples)))
    start = 0
    for i, sample in enumerate(samples):
        own = which[start : start + len(sample.hits)]
        start += len(own)
        hits[:, i] = np.bincount(own, weights=sample.hits, minlength=len(names))
        sizes[:, i] = np.bincount(own, minlength=len(names))
    pattern = np.unique(sizes > 0, axis=0, return_inverse=True)[1].ravel()
    groups = [np.flatnonzero(pattern == kind) for kind in range(pattern.max() + 1)]
    out = np.zeros((replicates, len(samples)))
    at_once = max(1, _CHUNK // len(names))
    for first in range(0, replicates, at_once):
        rows = slice(first, min(first + at_once, replicates))
        weights = np.zeros((rows.stop - rows.start, len(names)))
        for own in groups:
            weights[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), len(weights))
        out[rows] = weights @ hits / np.maximum(weights @ sizes, 1.0)
    return out


def rank_shares(draws: Floats) -> Floats:
    """Computes how often each set has each rank, the lowest value being first, [sets, ranks].

    Sets that are equal in a draw share their ranks evenly.

    Args:
        draws: shape [draws, sets].
    """
    n_draws, n = draws.shape
    out = np.zeros((n, n))
    below = (draws[:, :, None] > draws[:, None, :]).sum(axis=2)
    equal = (draws[:, :, None] == draws[:, None, :]).sum(axis=2)
    for rank in range(n):
        held = (below <= rank) & (rank < below + equal)
        out[:, rank] = (held / equal).sum(axis=0) / n_draws
    return out


@dataclass(frozen=True, slots=True)
class Looked:
    """What a judge said of some images of a part of a set."""

    yes: float
    n: int
    copies: float = 1.0
    """So many of the images say as much as one: Σm²/n, m images being copies of one file (Kish 1965)."""


def two_phase(fired: Share, of_fired: Looked, of_silent: Looked, *, draws: int, rng: np.random.Generator) -> Interval:
    """Estimates how many images show an error, from a judge's word on some that fire its features and some that do not.

    The share is s·p + (1 - s)·m, with s the share that fires, p the judge's yes among those (precision) and m among the
    silent ones (what is missed): double sampling for misclassified images (Tenenbein 1970). The interval is that of
    draws of each from Jeffreys' posterior, independent of each other.

    Args:
        fired: the share that fires.
        of_fired: of images that fire, drawn at random.
        of_silent: of images that do not fire, drawn at random.
        draws: how many.
        rng: chance.
    """
    drawn = two_phase_draws(fired, of_fired, of_silent, draws=draws, rng=rng)
    value = fired.value * _part(of_fired) + (1 - fired.value) * _part(of_silent)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)))


def two_phase_draws(
    fired: Share, of_fired: Looked, of_silent: Looked, *, draws: int, rng: np.random.Generator
) -> Floats:
    """Draws what `two_phase` takes its interval from, [draws]."""
    n = fired.n_effective
    s = _jeffreys(fired.value * n, n, draws, rng)
    p, m = (
        _jeffreys(looked.yes / looked.copies, looked.n / looked.copies, draws, rng) for looked in (of_fired, of_silent)
    )
    return s * p + (1 - s) * m


def without_false_alarms(share: Floats, on_sound: Floats) -> Floats:
    """Takes out of judged shares what the same judge says of images that are known to be sound, elementwise.

    That is Rogan & Gladen's (1978) estimate for a judge who finds every error: (r - f) / (1 - f), no less than 0.

    Args:
        share: r, judged shares or draws of them.
        on_sound: f, the same of sound images.
    """
    return np.clip((share - on_sound) / np.maximum(1 - on_sound, 1e-9), 0.0, 1.0)


def _part(looked: Looked) -> float:
    return looked.yes / looked.n if looked.n else 0.0


def _jeffreys(yes: float, n: float, draws: int, rng: np.random.Generator) -> Floats:
    return rng.beta(yes + 0.5, n - yes + 0.5, draws)


def best_threshold(peaks: npt.NDArray[np.floating], attribute: Bools, least: float) -> float:
    """Finds the level above which a feature tells images with the attribute best, by Youden's J.

    J is the share of images with the attribute above the level less that of the others.

    Args:
        peaks: the feature's maximum on each image, shape [n].
        attribute: which images have the attribute, shape [n]; some have it and some have not.
        least: the level is at least this one.

    Returns:
        A level that an image has, or `least`; of equally good ones the highest.
    """
    levels = np.unique(np.concatenate([[least], peaks[peaks > least]]))
    having, others = np.sort(peaks[attribute]), np.sort(peaks[~attribute])
    above = [len(side) - np.searchsorted(side, levels, "right") for side in (having, others)]
    # In whole numbers, so that what is equal is so.
    gain = above[0] * len(others) - above[1] * len(having)
    return float(levels[np.flatnonzero(gain == gain.max())[-1]])
