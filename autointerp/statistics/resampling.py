"""Computes intervals by a bootstrap, and p-values by permutations, of judgements that were drawn with weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autointerp.statistics.rates import Bools, Floats, Interval, Ints, f1_of, f1_samples, weighted_rates

LEVEL = 0.95
"""The confidence of every interval."""
ROOM = 0.5
"""The part of an imagined image is drawn from Beta(ROOM, n + ROOM): Jeffreys' posterior of a share never seen in n."""


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
    """Whether an answer came that decides: neither missing nor unsure."""
    fraction: Floats
    """The share that was judged of the images for which it stands, 0 to 1; 0 where their number has no limit."""

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
        fraction=np.zeros(n),
    )


@dataclass(frozen=True, slots=True)
class Replicates:
    """Bootstrap replicates, as weights over the judged images and, behind them, an imagined one a cell."""

    weights: Floats
    """The weights, [replicates, n + cells]; each replicate stands for the population."""
    source: Ints
    """A judged image of the same cell as each imagined one, [cells]."""
    like: Bools
    """Of which judged images each imagined one is one more, [cells, n]."""
    evidence: Floats
    """As how many equal images these count, [cells]."""

    def beliefs(self, judged: Columns) -> tuple[Floats, Floats]:
        """The beliefs in judged and imagined images, each [n + cells], for the lower and for the upper bound.

        Imagined images, like unanswered ones, disagree with the feature in the first and agree with it in the second.
        That is what an answer would do that was never seen. Of one that was seen k times the bootstrap shows the spread
        itself, so an imagined image is then such an answer by 1/sqrt(1 + k) only, and else the mean of the judged ones.
        """
        worst, best = judged.bounds()
        active = judged.active[self.source]
        return self._with_imagined(worst, 1 - active), self._with_imagined(best, active)

    def _with_imagined(self, judged: Columns, wanted: Floats) -> Floats:
        mean = self.like @ (judged.weight * judged.belief) / (self.like @ judged.weight)
        seen = self.evidence * (1 - np.abs(wanted - mean))
        return np.concatenate([judged.belief, mean + (wanted - mean) / np.sqrt(1 + seen)])

    def extended(self, values: Floats) -> Floats:
        """A column of the judged images, with that of the imagined ones behind it."""
        return np.concatenate([values, values[self.source]])


def resample(judged: Columns, draws: Draws) -> Replicates:
    """Draws near-duplicate groups within each cell of each stratum, and the sizes of the cells within the stratum.

    Equal judgements throughout would give an interval of no width, as if the share were known exactly. The active
    images looked at, and likewise the silent ones, therefore share their mass with an imagined one, which takes a part
    drawn from Beta(1/2, n + 1/2) and is judged as the bound wants it (see `interval_of`): Jeffreys' posterior of the
    share of an answer that none of n gave (Brown, Cai & DasGupta 2001). Its upper bound is 2.5/n. A share of 2.5/n goes
    unseen in 8 % of samples, and so holds the bound in 92 %; the rule of three, 3/n, is wider by a fifth. Images of
    unequal weight count as n = (Σw)²/Σw² equal ones (Kish 1965), since a hundred light look-alikes say nothing of the
    heavy images beside them. All strata of a side share the part, since one for each would drown strata of two or three
    images. Where images were looked at twice, n counts those of the first look, and a cell of which the second look saw
    m of M has (1 - m/M) of a part of its own.

    Of m groups m - 1 are drawn, without which small strata look too sure (Rao & Wu 1988). Each replicate's weights
    are scaled to what is known: the size of each active band, and that of all silent images together (how many of them
    the guided draw stands for is itself chance). With two looks the size of each cell is drawn too.

    An image of which the fraction f of what it stands for was judged leaves less to chance: the spread of its weight
    is reduced by sqrt(1 - f), the finite population correction (Cochran 1977, Sampling Techniques, 2.6 and 9A.6).
    Look-alikes that were nearly all drawn, and the active images of a rare feature, would else look too unsure.

    Args:
        judged: the judgements.
        draws: how the replicates are drawn.
    """
    replicates, rng = draws.replicates, np.random.default_rng(draws.seed)
    cells = _cells(judged)
    shares = _cell_shares(judged, cells, replicates, rng)
    equal = {side: _equal_images(judged, cells, side) for side in (0.0, 1.0)}
    sides = {side: _imagined(n, replicates, rng) for side, n in equal.items()}
    like = np.array([judged.active == side for _, _, side in cells])
    evidence = np.array([equal[side] for _, _, side in cells])
    weights = np.zeros((replicates, len(judged.active) + len(cells)))
    for k, (own, n, side) in enumerate(cells):
        part, unseen = sides[side], 1 - len(own) / n
        groups = len(np.unique(judged.group[own]))
        if not judged.cleared[own[0]] and unseen / groups > part.mean():
            part = unseen * _imagined(groups, replicates, rng)
            like[k], evidence[k] = np.isin(np.arange(len(judged.active)), own), groups
        size = np.reshape(shares[k], (-1, 1))
        real, taken = _cell_weights(judged, own, part, rng)
        real *= size
        weights[:, own] = real
        weights[:, len(judged.active) + k] = taken * size[:, 0]
    silent = np.concatenate([judged.active == 0, [side == 0 for _, _, side in cells]]).astype(bool)
    if silent.any():
        weights[:, silent] *= judged.weight[judged.active == 0].sum() / weights[:, silent].sum(axis=1, keepdims=True)
    return Replicates(weights, np.array([own[0] for own, _, _ in cells], np.int64), like, evidence)


def _imagined(n: float, replicates: int, rng: np.random.Generator) -> Floats:
    """Draws the part of the mass that an imagined image takes from n equal ones, [replicates]."""
    return rng.beta(ROOM, max(n, 1.0) + ROOM, size=replicates)


def _equal_images(judged: Columns, cells: Sequence["Cell"], side: float) -> float:
    """How many equal images say as much as those of a side: (Σw)²/Σw², near-duplicates being one; 0 for none."""
    whole, squares = 0.0, 0.0
    for own, n, active in cells:
        if active == side:
            _, group = np.unique(judged.group[own], return_inverse=True)
            mass = np.bincount(group, judged.weight[own])
            whole += float(mass.sum())
            # Of n images of the first look, the len(own) judged ones are a picture.
            squares += float(mass @ mass) * len(own) / n
    return whole * whole / squares if squares else 0.0


def _left_to_chance(fraction: Floats) -> Floats:
    """The factor by which a spread is smaller where that fraction was judged: sqrt(1 - f)."""
    return np.sqrt(np.clip(1 - fraction, 0.0, 1.0))


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
        limited = np.array([judged.fraction[cells[k][0]].max() > 0 for k in members])
        drawn = 1 + _left_to_chance(np.where(limited, sizes / mass, 0.0)) * (drawn - 1)
        out |= {k: drawn[:, i] for i, k in enumerate(members)}
    return out


def _cell_weights(judged: Columns, own: Ints, part: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draws weights of a cell's images, [replicates, m], and of its imagined one, which takes a part, [replicates]."""
    _, group = np.unique(judged.group[own], return_inverse=True)
    n, weight = int(group.max()) + 1, judged.weight[own]
    left = _left_to_chance(judged.fraction[own])
    counts = times_drawn(n, max(1, n - 1), len(part), rng) * (n / max(1, n - 1))
    alone = n == len(own) and (np.diff(group) > 0).all()
    real = (counts if alone else counts[:, group]) * weight
    if judged.active[own[0]]:
        # The mass of a silent cell is itself chance, that of an active one is known.
        real *= weight.sum() / real.sum(axis=1, keepdims=True)
    part = part * (left @ weight / weight.sum())
    # In place, since these arrays are what a feature's score takes longest for.
    real -= weight
    real *= left
    real += weight
    real *= (1 - part)[:, None]
    return real, part * weight.sum()


def times_drawn(n: int, draws: int, replicates: int, rng: np.random.Generator) -> Ints:
    """How often each of `n` is drawn in so many draws with replacement, [replicates, n]; faster than a multinomial."""
    picked = rng.integers(0, n, size=(replicates, draws))
    picked += np.arange(replicates)[:, None] * n
    return np.bincount(picked.ravel(), minlength=replicates * n).reshape(replicates, n)


def interval_of(
    statistic: Callable[[Floats, Floats, Floats, Floats], Floats],
    judged: Columns,
    drawn: Replicates,
    level: float = LEVEL,
) -> Interval:
    """Computes a statistic of agreement with a percentile interval, of which each bound holds by itself.

    The lower bound takes imagined and unanswered judgements for as bad as they can be, and the upper one for as good.
    (With imagined ones of both kinds in each replicate, no replicate would be as good as the judgements may well be,
    and the true value would too often lie above: a perfect precision has no image to spare.)

    Args:
        statistic: a function of y [n], c [n], a [n] and weights [r, n] that gives [r].
        judged: the judgements.
        drawn: replicates of them.
        level: the confidence; above the usual one where the interval was looked at before and could have been taken.
    """
    y, a = drawn.extended(judged.active), drawn.extended(judged.activation)
    value = float(statistic(judged.active, judged.belief, judged.activation, judged.weight[None])[0])
    worst, best = (statistic(y, belief, a, drawn.weights) for belief in drawn.beliefs(judged))
    return percentiles(value, worst, best, level)


def percentiles(value: float, worst: Floats, best: Floats, level: float = LEVEL) -> Interval:
    """The lower percentile of some samples and the upper one of others, widened to hold the value.

    It is [0, 1] where no sample is finite.
    """
    lows, highs = (samples[np.isfinite(samples)] for samples in (worst, best))
    if not len(lows) or not len(highs):
        return Interval(value, 0.0, 1.0)
    low, high = np.quantile(lows, (1 - level) / 2), np.quantile(highs, (1 + level) / 2)
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


def f1_not_above(judged: Columns, other: Floats, draws: Draws) -> float:
    """Gives the one-sided p-value of one explanation's F1 being above another's, on the same images.

    It is the share of bootstrap replicates of the images in which it is not (Efron & Tibshirani 1993, chapter 16).
    Swapping the two answers image by image would test whether they are interchangeable, which they are not where two
    explanations of equal F1 err in opposite ways, such as one that fits nothing and one that fits everything.

    Args:
        judged: the explanation's own answers.
        other: the beliefs under the other explanation, [n].
        draws: how the replicates are drawn.
    """
    drawn = resample(judged, draws)
    y = drawn.extended(judged.active)
    own, _ = drawn.beliefs(judged)
    _, others = drawn.beliefs(replace(judged, belief=other))
    return upper_p(f1_samples(y, others, y, drawn.weights) - f1_samples(y, own, y, drawn.weights), 0.0)


def upper_p(samples: Floats, true: float) -> float:
    """Gives the p-value (1 + #{samples >= true}) / (1 + samples), which is never 0 (Phipson & Smyth 2010)."""
    return (1 + int(np.sum(samples >= true - 1e-12))) / (1 + len(samples))
