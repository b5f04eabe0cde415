"""A softmax over K outcomes, trained by groups of samples; many seeds at once."""

from dataclasses import dataclass

import numpy as np

from benchmarks.ips.methods import INVALID, Floats, History, Ints, Method, advantages


@dataclass(frozen=True)
class Schedule:
    """How a policy is trained; one plain gradient step a group."""

    group_size: int
    steps: int
    rate: float
    """Learning rate."""
    normalise: bool
    """By the group's standard deviation."""


def softmax(z: Floats) -> Floats:
    """Over the last axis."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def draw(p: Floats, n: int, chance: np.random.Generator) -> Ints:
    """Draws n outcomes from each row of p [n_seeds, K], shape [n_seeds, n]."""
    cumulated = np.cumsum(p, 1)[:, None, :-1]
    return (chance.random((len(p), n, 1)) > cumulated).sum(-1)


def gradient(p: Floats, sampled: Ints, a: Floats, entropy: float) -> Floats:
    """Of Σ advantage · log-likelihood, and of the policy's entropy times its coefficient, by the logits.

    Args:
        p: shape [n_seeds, K].
        sampled: shape [n_seeds, G].
        a: advantages over the group size, shape [n_seeds, G].
        entropy: the coefficient.

    Returns:
        Shape [n_seeds, K].
    """
    out = -p * a.sum(1, keepdims=True)
    rows = np.broadcast_to(np.arange(len(p))[:, None], sampled.shape)
    np.add.at(out, (rows, sampled), a)
    if entropy:
        log = np.log(np.maximum(p, 1e-300))
        out -= entropy * p * (log - (p * log).sum(1, keepdims=True))
    return out


def train(
    rewards: Floats,
    start: Floats,
    method: Method,
    schedule: Schedule,
    *,
    seed: int,
    keep: int = 1,
    meanings: Ints | None = None,
) -> tuple[Ints, Floats]:
    """Trains one policy a row of `start`.

    Args:
        rewards: of each outcome, shape [K]; outcomes of reward 0 are invalid.
        start: logits, shape [n_seeds, K].
        method: gives the advantages.
        schedule: group size, steps, rate.
        seed: of the samples.
        keep: states kept along the way, evenly, the last one included.
        meanings: what each outcome counts as, shape [K]; by default itself.

    Returns:
        Steps, shape [keep + 1], and the policy then, shape [keep + 1, n_seeds, K].
    """
    chance = np.random.default_rng(seed)
    named = np.arange(start.shape[1]) if meanings is None else meanings
    z, history = start.copy(), History(*start.shape)
    kept_at = np.linspace(0, schedule.steps, keep + 1).astype(np.int64)
    kept = [softmax(z)]
    for step in range(1, schedule.steps + 1):
        p = softmax(z)
        sampled = draw(p, schedule.group_size, chance)
        earned = rewards[sampled]
        outcomes = np.where(earned > 0, named[sampled], INVALID)
        if method.bonus:
            earned = earned + history.bonus(outcomes, method.bonus)
        a = advantages(earned, outcomes, method, normalise=schedule.normalise) / schedule.group_size
        z += schedule.rate * gradient(p, sampled, a, method.entropy)
        if step in kept_at[1:]:
            kept.append(softmax(z))
    return kept_at, np.stack(kept)
