"""What the benchmark counts, by slow and obvious code of its own: truth of a text, AUROC, coverage, ranks, chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Interval = tuple[float, float, float]
"""A value and the ends of its interval."""
REPLICATES = 300


@dataclass(frozen=True, slots=True)
class Found:
    """A score of one text of one latent."""

    latent: int
    kind: str
    by: str
    """The judge, or the way in which the endpoint paints."""
    draw: int
    value: float | None
    """None where it was not scored."""
    low: float
    high: float
    truth: float
    """What the score estimates."""
    worth: float
    """The text's F1 over the population."""


def f1(text: Bools, fires: Bools) -> float:
    """Computes how well a text's extension and a latent's agree over a population."""
    both, either = int(np.sum(text & fires)), int(np.sum(text)) + int(np.sum(fires))
    return 2 * both / either if either else 0.0


def auroc(own: Floats, others: Floats) -> float:
    """Goes through all pairs: the share in which the first is higher, ties half."""
    wins = [(np.sum(one > others) + np.sum(one == others) / 2) / len(others) for one in own]
    return float(np.mean(wins))


COMBINED: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "mean rank": lambda detection, generation: rankdata(detection) + rankdata(generation),
    "minimum": np.minimum,
    "product": lambda detection, generation: detection * generation,
}
"""Plain ways to make one figure of both scores of a text."""


def rho(scores: Floats, truth: Floats) -> float:
    """Computes Spearman's rank correlation."""
    return float(np.corrcoef(rankdata(scores), rankdata(truth))[0, 1])


def ranking(detection: Floats, generation: Floats, truth: Floats, latents: Ints) -> dict[str, Interval]:
    """Computes rank correlations with the truth in each population and their means, and differences from detection's.

    Args:
        detection: [populations, texts].
        generation: the same; NaN where a text was not scored, which is left out of all.
        truth: the same.
        latents: whose each text is, [texts]; intervals come from drawing latents with all their texts.
    """
    chance = np.random.default_rng(0)
    own = {i: np.flatnonzero(latents == i) for i in np.unique(latents)}
    drawn = [chance.choice(list(own), len(own)) for _ in range(REPLICATES)]
    at = [np.arange(len(latents)), *(np.concatenate([own[i] for i in some]) for some in drawn)]
    found: dict[str, list[float]] = {}
    for rows in at:
        each = [_correlations(*(x[rows] for x in one)) for one in zip(detection, generation, truth, strict=True)]
        means = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
        means |= {f"{name} − detection": means[name] - means["detection"] for name in COMBINED}
        for name, value in means.items():
            found.setdefault(name, []).append(value)
    return {name: _interval(*values) for name, values in found.items()}


def _correlations(detection: Floats, generation: Floats, truth: Floats) -> dict[str, float]:
    there = np.isfinite(detection) & np.isfinite(generation)
    d, g, t = detection[there], generation[there], truth[there]
    combined = {name: rho(both(d, g), t) for name, both in COMBINED.items()}
    return {"detection": rho(d, t), "generation": rho(g, t)} | combined


def _interval(value: float, *resampled: float) -> Interval:
    low, high = np.quantile(resampled, [0.025, 0.975]).tolist()
    return value, low, high


def p_paired(first: Sequence[float], second: Sequence[float], most: int = 12) -> float:
    """Computes how often other signs make the mean difference as large as it is: one-sided, first above second.

    Args:
        first: of some latents.
        second: of the same.
        most: latents up to which all signs are gone through; of more, 9,999 random ones and those that are.
    """
    apart = np.subtract(first, second)
    n = len(apart)
    every = np.array(list(product([-1, 1], repeat=n))) if n <= most else np.ones((1, n))
    drawn = np.random.default_rng(0).choice([-1, 1], (0 if n <= most else 9999, n))
    means = (np.concatenate([every, drawn]) * apart).mean(axis=1)
    return float(np.mean(means >= apart.mean() - 1e-12))


def coverage(found: Sequence[Found]) -> tuple[float, float, float, int]:
    """Returns the share of intervals that hold the truth, their mean width, the mean error, and how many there are."""
    there = [f for f in found if f.value is not None]
    holds = [f.low - 1e-9 <= f.truth <= f.high + 1e-9 for f in there]
    error = [(f.value or 0.0) - f.truth for f in there]
    return float(np.mean(holds)), float(np.mean([f.high - f.low for f in there])), float(np.mean(error)), len(there)


def values_of(found: Sequence[Found], by: str, keys: Sequence[tuple[int, str]], draws: Sequence[int]) -> Floats:
    """Returns the values of these (latent, kind), [draws, keys], NaN where there is none."""
    known = {(f.draw, f.latent, f.kind): f.value for f in found if f.by == by and f.value is not None}
    return np.array([[known.get((draw, *key), np.nan) for key in keys] for draw in draws])
