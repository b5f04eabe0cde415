"""Computes how alike embedded crops are, and how much more like a text than other crops are."""

from dataclasses import dataclass

import numpy as np

from autointerp.statistics.rates import Floats, Interval, Ints
from autointerp.statistics.resampling import Draws, percentiles, upper_p


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Embedded crops of one side, active or silent."""

    vectors: Floats
    """The vectors, of unit length, [n, d]."""
    weight: Floats
    """ã > 0: what a crop counts in the likeness of the crops to each other, [n]."""
    stands_for: Floats
    """The number of images of the population that a crop stands for, > 0, [n]."""
    group: Ints
    """The group 0, 1, … of each crop, [n]; near-duplicates have the same group."""

    @property
    def n_groups(self) -> int:
        """The number of crops that are not near-duplicates of one another."""
        return int(self.group.max()) + 1 if len(self.group) else 0


def monosemanticity(vectors: Floats, weight: Floats, group: Ints) -> float:
    """Computes the weighted mean cosine over the pairs of crops that are not near-duplicates, in O(n).

    It is (‖Σãê‖² - Σ_g‖Σ_{i in g} ãê‖²) / ((Σã)² - Σ_g(Σ_{i in g} ã)²): without near-duplicates this is
    (‖Σãê‖² - Σã²) / ((Σã)² - Σã²).

    Args:
        vectors: the vectors ê, of unit length, [n, d].
        weight: the weights ã > 0, [n].
        group: the groups 0, 1, … without a gap, [n].

    Returns:
        In [-1, 1]; NaN where there is no pair.
    """
    sums, masses = _by_group(vectors, weight, group)
    whole = sums.sum(axis=0)
    pairs = whole @ whole - np.sum(sums * sums)
    mass = masses.sum() ** 2 - np.sum(masses * masses)
    return float(pairs / mass) if len(masses) > 1 else float("nan")


def alike(crops: Crops, draws: Draws) -> Interval:
    """Computes monosemanticity with its 95 % interval, by a bootstrap over near-duplicate groups.

    A replicate draws one group fewer than there are, without which few groups look too sure (Rao & Wu 1988). A group
    drawn twice makes pairs of equal crops, whose cosine of 1 would raise every replicate over the value: they are left
    out like those of near-duplicates, as a U-statistic is resampled (Arcones & Giné 1992).
    """
    value = monosemanticity(crops.vectors, crops.weight, crops.group)
    sums, masses = _by_group(crops.vectors, crops.weight, crops.group)
    times = _times(len(masses), draws.replicates, np.random.default_rng(draws.seed))
    pairs = np.sum((times @ (sums @ sums.T)) * times, axis=1) - (times**2) @ np.sum(sums * sums, axis=1)
    mass = (times @ masses) ** 2 - (times**2) @ (masses**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        samples = np.where(np.sum(times > 0, axis=1) > 1, pairs / mass, np.nan)
    return percentiles(value, samples, samples)


def p_of_labels(active: Crops, silent: Crops, draws: Draws) -> float:
    """Gives the one-sided p-value of the active crops being no more alike than any others, by permuted labels.

    Of near-duplicates the first stands for all. Vectors are centred on the mean of both sides, which no permutation
    moves: in a space where all vectors point one way, as those of most networks do, differences are else small beside
    what is common to all.
    """
    own, others = _firsts(active), _firsts(silent)
    vectors = centred(np.concatenate([active.vectors[own], silent.vectors[others]]))
    weight, n = active.weight[own], len(vectors)
    rng = np.random.default_rng(draws.seed)
    dealt = rng.permuted(np.tile(np.concatenate([weight, np.zeros(n - len(weight))]), (draws.replicates, 1)), axis=1)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, 0.0)
    true = np.concatenate([weight, np.zeros(n - len(weight))])
    return upper_p(np.sum((dealt @ likeness) * dealt, axis=1), float(true @ likeness @ true))


def centred(vectors: Floats, on: Floats | None = None) -> Floats:
    """Takes the mean of `on` (or of the vectors) off and norms to unit length, [n, d]; zero where nothing is left."""
    moved = vectors - (vectors if on is None else on).mean(axis=0)
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.where(length > 1e-9, moved / np.maximum(length, 1e-9), 0.0)


def weighted_auroc(active: Floats, silent: Floats, by_active: Floats, by_silent: Floats) -> float:
    """Computes the chance that an active image has a higher figure than a silent one, weighted over the pairs.

    Ties count half.

    Args:
        active: the figures of the active images, [n].
        silent: the figures of the silent images, [m].
        by_active: the weights of the active images, > 0, [n].
        by_silent: the weights of the silent images, > 0, [m].
    """
    return float(by_active @ _wins(active, silent) @ by_silent / (by_active.sum() * by_silent.sum()))


def auroc_interval(active: Floats, silent: Floats, of_active: Crops, of_silent: Crops, draws: Draws) -> Interval:
    """Computes the AUROC with population weights, and its 95 % bootstrap interval over the groups of either side."""
    value = weighted_auroc(active, silent, of_active.stands_for, of_silent.stands_for)
    rng = np.random.default_rng(draws.seed)
    by = [_times(c.n_groups, draws.replicates, rng)[:, c.group] * c.stands_for for c in (of_active, of_silent)]
    wins = np.sum((by[0] @ _wins(active, silent)) * by[1], axis=1)
    won = wins / (by[0].sum(axis=1) * by[1].sum(axis=1))
    return percentiles(value, won, won)


def _wins(active: Floats, silent: Floats) -> Floats:
    return (active[:, None] > silent[None]) + 0.5 * (active[:, None] == silent[None])


def _by_group(vectors: Floats, weight: Floats, group: Ints) -> tuple[Floats, Floats]:
    """Σãê [groups, d] and Σã [groups]."""
    n = int(group.max()) + 1 if len(group) else 0
    sums = np.zeros((n, vectors.shape[1]))
    np.add.at(sums, group, weight[:, None] * vectors)
    return sums, np.bincount(group, weight, n).astype(np.float64)


def _times(n: int, replicates: int, rng: np.random.Generator) -> Floats:
    """Draws how often each of n groups comes in each replicate, [replicates, n]."""
    return rng.multinomial(max(1, n - 1), np.full(n, 1 / n), size=replicates).astype(np.float64)


def _firsts(crops: Crops) -> Ints:
    return np.unique(crops.group, return_index=True)[1]
