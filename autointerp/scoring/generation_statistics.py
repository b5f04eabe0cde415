"""How far pictures that were made of a text fire a feature above what they are held against, with intervals.

Pictures of one style are a cluster: they share a look, which a network may like or not. What they are held against is
the population, as it was drawn, or the pictures of other texts, each in the styles of the own ones.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from autointerp.statistics.rates import Floats, Interval, Ints
from autointerp.statistics.resampling import ROOM, Draws, percentiles, times_drawn, upper_p


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """The pictures of one text; columns of shape [n], n >= 1."""

    level: Floats
    """The activation of the feature on each, raw units."""
    style: Ints
    """The number of its style."""


@dataclass(frozen=True, slots=True, eq=False)
class Rivals:
    """What pictures are held against; columns of shape [m], m >= 1."""

    level: Floats
    """The activation of the feature on each, raw units."""
    weight: Floats
    """The number of images of the population that each stands for, > 0; or 1."""
    stratum: Ints
    """The stratum of the draw, whose mass is known."""
    group: Ints
    """What is drawn together: near-duplicates, or the pictures of one text."""
    style: Ints | None = None
    """The number of its style, by which a picture meets those of its own alone; None where it meets all."""


class Drawn(NamedTuple):
    """Bootstrap replicates of some pictures."""

    times: Floats
    """The share of each picture in each replicate, [replicates, n]; rows sum to 1."""
    taken: Floats
    """The part of a replicate that a picture takes which was not made, [replicates]."""
    seen: float
    """As how many independent pictures they count."""


def credits_of(pictures: Pictures, rivals: Rivals, weight: Floats | None = None) -> Floats:
    """Computes the weighted share of its rivals above which the feature fires on each picture; ties count half.

    Args:
        pictures: of a text.
        rivals: each picture has at least one.
        weight: other weights of the rivals, [replicates, m]; None for their own.

    Returns:
        Shares from 0 to 1, [n], or [replicates, n].
    """
    wins = _wins(pictures.level, rivals.level)
    met = np.ones_like(wins) if rivals.style is None else (pictures.style[:, None] == rivals.style[None]).astype(float)
    weight = rivals.weight if weight is None else weight
    with np.errstate(divide="ignore", invalid="ignore"):
        # A replicate may hold no rival of a style; its own credit then stands in.
        drawn = (weight @ (met * wins).T) / (weight @ met.T)
    if weight.ndim == 1:
        return drawn
    return np.where(np.isfinite(drawn), drawn, credits_of(pictures, rivals))


def auroc(pictures: Pictures, rivals: Rivals) -> float:
    """Computes the chance that a picture fires the feature more than a rival does, by the rivals' weights."""
    return float(credits_of(pictures, rivals).mean())


def auroc_interval(pictures: Pictures, rivals: Rivals, draws: Draws) -> Interval:
    """Computes the AUROC with its 95 % interval, by a bootstrap over styles, then pictures, and over the rivals.

    Of m styles m - 1 are drawn, and then pictures within each (Rao & Wu 1988); of the rivals of a stratum, groups. A
    picture that was not made takes a part drawn from Beta(1/2, n + 1/2), as `autointerp.statistics.resampling.resample`
    says, and is as bad as one on which the feature is silent, or as good as can be: n styles of equal pictures count
    as n pictures, since all those of one style may be alike.
    """
    own = credits_of(pictures, rivals)
    value, rng = float(own.mean()), np.random.default_rng(draws.seed)
    drawn = two_stages(pictures.style, draws.replicates, rng)
    mean = np.sum(drawn.times * credits_of(pictures, rivals, rival_weights(rivals, draws.replicates, rng)), axis=1)
    floor = _least(pictures, rivals)
    bounds = [(1 - drawn.taken) * mean + drawn.taken * _not_made(value, end, floor, drawn.seen) for end in (floor, 1.0)]
    return percentiles(value, *bounds)


def two_stages(style: Ints, replicates: int, rng: np.random.Generator) -> Drawn:
    """Draws styles, and pictures within each style that is drawn.

    Args:
        style: of each picture, [n].
        replicates: how many.
        rng: the chance.
    """
    _, which, sizes = np.unique(style, return_inverse=True, return_counts=True)
    m = len(sizes)
    styles = times_drawn(m, max(1, m - 1), replicates, rng)
    times = np.zeros((replicates, len(style)))
    for number, size in enumerate(sizes.tolist()):
        # A style that is drawn twice has its pictures drawn anew.
        times[:, which == number] = rng.multinomial(styles[:, number] * size, np.full(size, 1 / size))
    times /= times.sum(axis=1, keepdims=True)
    seen = float(sizes.sum()) ** 2 / float(sizes @ sizes)
    return Drawn(times, rng.beta(ROOM, seen + ROOM, size=replicates), seen)


def rival_weights(rivals: Rivals, replicates: int, rng: np.random.Generator) -> Floats:
    """Draws groups of rivals within each stratum, whose mass stays; gives weights, [replicates, m]."""
    out = np.tile(rivals.weight, (replicates, 1)).astype(float)
    for stratum in np.unique(rivals.stratum):
        own = np.flatnonzero(rivals.stratum == stratum)
        _, group = np.unique(rivals.group[own], return_inverse=True)
        if (n := int(group.max()) + 1) > 1:
            drawn = times_drawn(n, n - 1, replicates, rng)[:, group] * rivals.weight[own]
            out[:, own] = drawn * (rivals.weight[own].sum() / drawn.sum(axis=1, keepdims=True))
    return out


def p_of_texts(own: float, others: Floats) -> float:
    """Gives the one-sided p-value of a text's figure being no higher than that of any other, by exchanging texts.

    It is (1 + #{others >= own}) / (1 + others), so that 20 others tell .048 at best.

    Args:
        own: of the feature's own explanation.
        others: of explanations of other features, [k].
    """
    return upper_p(others, own)


def mean_above(pictures: Pictures, rivals: Rivals) -> float | None:
    """Computes CoSy's MAD: the difference of means in standard deviations of the rivals, each counting the same.

    Kopf et al. 2024, arXiv 2405.20331, section 4.2. None where the rivals do not differ.
    """
    spread = float(np.std(rivals.level, ddof=1)) if len(rivals.level) > 1 else 0.0
    return float(pictures.level.mean() - rivals.level.mean()) / spread if spread > 0 else None


def _wins(own: Floats, others: Floats) -> Floats:
    return (own[:, None] > others[None]) + 0.5 * (own[:, None] == others[None])


def _least(pictures: Pictures, rivals: Rivals) -> float:
    """The mean credit of pictures on which the feature reaches the least that it reaches anywhere."""
    lowest = min(float(pictures.level.min()), float(rivals.level.min()))
    return auroc(Pictures(np.full_like(pictures.level, lowest), pictures.style), rivals)


def _not_made(value: float, wanted: float, floor: float, n: float) -> float:
    """The credit of a picture that was not made: as `wanted`, by so much less as such ones were seen among n."""
    alike = n * (1 - abs(wanted - value) / max(1 - floor, 1e-9))
    return value + (wanted - value) / float(np.sqrt(1 + max(0.0, alike)))
