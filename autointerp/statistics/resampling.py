"""Computes intervals by a bootstrap, and p-values by permutations, of judgements that were drawn with weights."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from autointerp.statistics.rates import Bools, Floats, Interval, Ints, f1_of, weighted_rates


@dataclass(frozen=True, slots=True)
class Draws:
    """How many replicates a bootstrap or a permutation test draws, and with which seed."""

    replicates: int
    seed: int


@dataclass(frozen=True, slots=True)
class Columns:
    """The judgements of one feature as columns, each of shape [n]."""

    active: Floats
    """y: 1 where the feature fires, else 0."""
    belief: Floats
    """c in [0, 1]; where no answer came it is a guess."""
    weight: Floats
    """w > 0: the number of images of the population that each stands for."""
    activation: Floats
    """The activation in raw units; NaN where it is unknown."""
    stratum: Ints
    """The stratum of the draw; a stratum is all active or all silent."""
    phase: Ints
    """What the first look said of the image, by number; 0 throughout where there was one look only. Stratum and phase
    together are the cell of an image."""
    looked: Ints
    """How many images the first look put in that cell."""
    cleared: Bools
    """Where the first look decides: the belief is its own, and no second look could change it."""
    group: Ints
    """Near-duplicates have the same group and are drawn together."""
    answered: Bools
    """Whether a usable answer came."""

    def bounds(self) -> tuple["Columns", "Columns"]:
        """Returns the same with unanswered judgements as bad, and as good, as they could be for agreement."""
        worst = np.where(self.answered, self.belief, 1 - self.active)
        best = np.where(self.answered, self.belief, self.active)
        return replace(self, belief=worst), replace(self, belief=best)


def one_look(active: Floats, belief: Floats, weight: Floats, stratum: Ints) -> Columns:
    """Makes columns of images that were looked at once; each is a group of its own, and all were answered."""
    n = len(active)
    _, at, sizes = np.unique(stratum, return_inverse=True, return_counts=True)
    return Columns(
        active=active,
        belief=belief,
        weight=weight,
        activation=np.full(n, np.nan),
        stratum=stratum,
        phase=np.zeros(n, np.int64),
        looked=sizes[at].astype(np.int64),
        cleared=np.zeros(n, bool),
        group=np.arange(n, dtype=np.int64),
        answered=np.ones(n, bool),
    )


@dataclass(frozen=True, slots=True)
class Replicates:
    """Bootstrap replicates, as weights over the judged images and, behind them, imagined ones (two a cell)."""

    weights: Floats
    """The weights, [replicates, n + imagined]; each replicate stands for the population."""
    source: Ints
    """A judged image of the same cell as each imagined one, [imagined]."""
    imagined: Floats
    """The beliefs in the imagined images, 0 or 1, [imagined]."""

    def belief(self, judged: Columns) -> Floats:
        """Returns the beliefs in judged and imagined images, [n + imagined]."""
        return np.concatenate([judged.belief, self.imagined])

    def extended(self, values: Floats) -> Floats:
        """Returns a column of the judged images, with that of the imagined ones behind it."""
        return np.concatenate([values, values[self.source]])


def resample(judged: Columns, draws: Draws) -> Replicates:
    """Draws near-duplicate groups within each cell of each stratum, and the sizes of the cells within the stratum.

    Equal judgements throughout would give an interval of no width, as if the share were known exactly. To the n
    active images looked at, and likewise to the silent ones, two imagined ones are therefore added, one judged either
    way: each draw meets one of them with probability 2/(n + 2). With n equal judgements the bound is then near 3/n, as
    the rule of three has it (Hanley & Lippman-Hand 1983). The two are shared by all strata of a side, since a pair
    in each would drown strata of two or three images. Where images were looked at twice, n counts those of the first
    look, and a cell of which the second look saw m of M has (1 - m/M) of a pair of its own.

    Of m groups m - 1 are drawn, without which small strata look too sure (Rao & Wu 1988). Each replicate's weights
    are scaled to what is known: the size of each active band, and that of all silent images together (how many of them
    the guided draw stands for is itself chance). With two looks the size of each cell is drawn too.

    Args:
        judged: the judgements.
        draws: how the replicates are drawn.
    """
    replicates, rng = draws.replicates, np.random.default_rng(draws.seed)
    cells = _cells(judged)
    shares = _cell_shares(judged, cells, replicates, rng)
    # Counted in groups: near-duplicates are no further evidence.
    groups = [len(np.unique(judged.group[own])) for own, _, _ in cells]
    seen = [max(1, round(n * g / len(own))) for (own, n, _), g in zip(cells, groups, strict=True)]
    looked = {side: sum(n for n, (_, _, y) in zip(seen, cells, strict=True) if y == side) for side in (0.0, 1.0)}
    weights = np.zeros((replicates, len(judged.active) + 2 * len(cells)))
    for k, (own, n, side) in enumerate(cells):
        share = 2 / (looked[side] + 2)
        if not judged.cleared[own[0]]:
            share = max(share, (1 - len(own) / n) * 2 / (groups[k] + 2))
        real, imagined = _cell_weights(judged, own, share, replicates, rng)
        total = judged.weight[own].sum() * shares[k]
        whole = real.sum(axis=1) + imagined.sum(axis=1)
        scale = total / (whole if side else whole.mean())
        weights[:, own] = real * np.reshape(scale, (-1, 1))
        place = len(judged.active) + 2 * k
        weights[:, place : place + 2] = imagined * np.reshape(scale, (-1, 1))
    silent = np.concatenate([judged.active == 0, np.repeat([side == 0 for _, _, side in cells], 2)])
    if silent.any():
        weights[:, silent] *= judged.weight[judged.active == 0].sum() / weights[:, silent].sum(axis=1, keepdims=True)
    source = np.repeat(np.array([own[0] for own, _, _ in cells], np.int64), 2)
    return Replicates(weights, source, np.tile([0.0, 1.0], len(cells)))


Cell = tuple[Ints, int, float]
"""The places of its judged images, how many images the first look put there, and the side (1 active, 0 silent)."""


def _cells(judged: Columns) -> list[Cell]:
    names = np.stack([judged.stratum, judged.phase], axis=1)
    out: list[Cell] = []
    for name in np.unique(names, axis=0):
        own = np.flatnonzero((names == name).all(axis=1))
        out.append((own, int(judged.looked[own[0]]), float(judged.active[own[0]])))
    return out


def _cell_shares(
    judged: Columns, cells: list[Cell], replicates: int, rng: np.random.Generator
) -> dict[int, Floats | float]:
    """Draws the size of each cell in each replicate, as a multiple of its size in the sample."""
    out: dict[int, Floats | float] = {}
    strata = [int(judged.stratum[own[0]]) for own, _, _ in cells]
    for stratum in dict.fromkeys(strata):
        members = [k for k, s in enumerate(strata) if s == stratum]
        sizes = np.array([cells[k][1] for k in members], float)
        if len(members) == 1:
            out[members[0]] = 1.0
            continue
        n = int(sizes.sum())
        drawn = rng.multinomial(max(1, n - 1), sizes / n, size=replicates) / max(1, n - 1) * n / sizes
        # Cells may differ in weight an image, so the stratum's known size is restored.
        mass = np.array([judged.weight[cells[k][0]].sum() for k in members])
        drawn *= (mass.sum() / (drawn @ mass))[:, None]
        out |= {k: drawn[:, i] for i, k in enumerate(members)}
    return out


def _cell_weights(
    judged: Columns, own: Ints, open_share: float, replicates: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draws unscaled weights of a cell's images, [replicates, m], and of its two imagined ones, [replicates, 2]."""
    _, group = np.unique(judged.group[own], return_inverse=True)
    n = int(group.max()) + 1
    mass = np.bincount(group, judged.weight[own])
    shape = (replicates, max(1, n - 1))
    picked = rng.integers(0, n, size=shape)
    imagined = rng.random(shape) < open_share
    coin = rng.integers(0, 2, size=shape)
    # One histogram a replicate: groups first, then the two imagined answers, weighing as the group they replace.
    slot = np.where(imagined, n + coin, picked) + np.arange(replicates)[:, None] * (n + 2)
    counts = np.bincount(slot.ravel(), np.where(imagined, mass[picked], 1.0).ravel(), replicates * (n + 2))
    counts = counts.reshape(replicates, n + 2)
    return counts[:, :n][:, group] * judged.weight[own], counts[:, n:].astype(np.float64)


def interval_of(
    statistic: Callable[[Floats, Floats, Floats, Floats], Floats], judged: Columns, drawn: Replicates
) -> Interval:
    """Computes a statistic with its 95 % percentile interval, widened to what unanswered judgements could make of it.

    Args:
        statistic: a function of y [n], c [n], a [n] and weights [r, n] that gives [r].
        judged: the judgements.
        drawn: replicates of them.
    """

    def samples(of: Columns) -> Floats:
        y, a = drawn.extended(of.active), drawn.extended(of.activation)
        return statistic(y, drawn.belief(of), a, drawn.weights)

    value = float(statistic(judged.active, judged.belief, judged.activation, judged.weight[None])[0])
    if judged.answered.all():
        return percentiles(value, samples(judged))
    worst, best = (percentiles(value, samples(of)) for of in judged.bounds())
    return Interval(value, min(worst.low, best.low), max(worst.high, best.high))


def percentiles(value: float, samples: Floats) -> Interval:
    """Returns the central 95 % of samples, widened to hold the value; [0, 1] where no sample is finite."""
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return Interval(value, 0.0, 1.0)
    low, high = np.quantile(finite, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)))


def permuted_f1(judged: Columns, draws: Draws) -> tuple[Interval, float]:
    """Tests F1 against that of the same beliefs dealt to the images at random.

    Of near-duplicates the first stands for all, since their answers are not independent.

    Returns:
        The mean of the permutations with their central 95 %, and the one-sided p-value
        (1 + #{permuted >= true}) / (1 + replicates) (Phipson & Smyth 2010).
    """
    _, first, group = np.unique(judged.group, return_index=True, return_inverse=True)
    active, belief = judged.active[first], judged.belief[first]
    weight = np.bincount(group, judged.weight).astype(np.float64)
    rng = np.random.default_rng(draws.seed)
    dealt = rng.permuted(np.tile(belief, (draws.replicates, 1)), axis=1)
    samples = f1_of(dealt @ (weight * active), np.sum(weight * active), dealt @ weight)
    p = upper_p(samples, weighted_rates(active, belief, weight).f1)
    low, high = np.quantile(samples, [0.025, 0.975])
    return Interval(float(samples.mean()), float(low), float(high)), p


def swapped_f1(judged: Columns, other: Floats, draws: Draws) -> float:
    """Gives the one-sided p-value of one explanation's F1 over another's, on the same images.

    Under the hypothesis that neither is better, their answers to an image (with its near-duplicates) may be swapped:
    the paired randomisation test (Fisher 1935).

    Args:
        judged: the explanation's own answers.
        other: the beliefs under the other explanation, [n].
        draws: how the swaps are drawn.
    """
    rng = np.random.default_rng(draws.seed)
    _, group = np.unique(judged.group, return_inverse=True)
    swap = rng.integers(0, 2, size=(draws.replicates, int(group.max()) + 1), dtype=bool)[:, group]
    own = np.where(swap, other, judged.belief)
    others = np.where(swap, judged.belief, other)
    y, w = judged.active, judged.weight
    samples = f1_of(own @ (w * y), np.sum(w * y), own @ w) - f1_of(others @ (w * y), np.sum(w * y), others @ w)
    true = weighted_rates(y, judged.belief, w).f1 - weighted_rates(y, other, w).f1
    return upper_p(samples, true)


def upper_p(samples: Floats, true: float) -> float:
    """Gives the p-value (1 + #{samples >= true}) / (1 + samples), which is never 0 (Phipson & Smyth 2010)."""
    return (1 + int(np.sum(samples >= true - 1e-12))) / (1 + len(samples))
