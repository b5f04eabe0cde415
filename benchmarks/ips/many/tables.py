"""Policies that are tables over thousands of texts, trained side by side on questions of their own."""

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.ips.many.sets import with_diversity
from benchmarks.ips.methods import INVALID, Floats, History, Ints, Method, advantages
from benchmarks.ips.tabular import softmax

SIBLINGS = 4
"""Groups of a prompt in a step, for every method; those that reward sets compare them."""


@dataclass(frozen=True)
class Plan:
    """How tables are trained: plain gradient steps on the logits."""

    group_size: int
    samples: int
    """In all, so that larger groups make fewer steps."""
    rate: float
    keep: int
    """States kept along the way, evenly, the last one included."""

    def steps(self) -> int:
        """Each of `SIBLINGS` groups."""
        return self.samples // (SIBLINGS * self.group_size)


class Trained(NamedTuple):
    """What became of the tables."""

    policies: Floats
    """At the start and along the way, shape [keep + 1, n, K]."""
    seconds: float
    """Of processor time, for all n tables."""
    sampled: npt.NDArray[np.bool_]
    """Texts that came up in training, shape [n, K]."""


def train(outcomes: Ints, rewards: Floats, start: Floats, method: Method, plan: Plan, *, seed: int) -> Trained:
    """Trains one table a row.

    Args:
        outcomes: of each text, `INVALID` where it is not admissible; shape [n, K].
        rewards: of each text, shape [n, K]; those of invalid ones are 0.
        start: logits, shape [n, K].
        method: gives the advantages.
        plan: group size, samples, rate.
        seed: of the samples.
    """
    chance, z = np.random.default_rng(seed), start.copy()
    n = len(z)
    history, ever = History(n, int(outcomes.max()) + 1), np.zeros(z.shape, bool)
    kept, kept_at = [softmax(z)], set(np.linspace(0, plan.steps(), plan.keep + 1).astype(int)[1:].tolist())
    rows = np.arange(n)[:, None]
    started = time.process_time()
    for step in range(1, plan.steps() + 1):
        p = softmax(z)
        sampled = draw(p, SIBLINGS * plan.group_size, chance)
        own = outcomes[rows, sampled]
        a = group_advantages(rewards[rows, sampled], own, method, plan.group_size, history)
        # The advantages sum to 0, so of the gradient by the logits, a (one-hot - p), only the first part is left.
        np.add.at(z, (np.broadcast_to(rows, sampled.shape), sampled), plan.rate * a / sampled.shape[1])
        if method.entropy:
            log = np.log(np.maximum(p, 1e-300))
            z -= plan.rate * method.entropy * p * (log - (p * log).sum(1, keepdims=True))
        ever[np.broadcast_to(rows, sampled.shape), sampled] = True
        if step in kept_at:
            kept.append(softmax(z))
    return Trained(np.stack(kept), time.process_time() - started, ever)


def group_advantages(rewards: Floats, outcomes: Ints, method: Method, group_size: int, history: History) -> Floats:
    """Advantages of sibling groups, normalised by mean and standard deviation.

    Args:
        rewards: shape [n, S · G], group after group.
        outcomes: likewise.
        method: places weights, bonuses or the sets' diversity.
        group_size: G.
        history: of outcomes in training, for the bonus; changed.

    Returns:
        Shape [n, S · G].
    """
    n = len(rewards)
    if method.bonus:
        rewards = rewards + history.bonus(outcomes, method.bonus)
    if method.diversity:
        shape = (n, -1, group_size)
        mixed = with_diversity(rewards.reshape(shape), outcomes.reshape(shape), method.diversity)
        return advantages(mixed.reshape(n, -1), outcomes, method, normalise=True)
    groups = (rewards.reshape(-1, group_size), outcomes.reshape(-1, group_size))
    return advantages(*groups, method, normalise=True).reshape(n, -1)


def draw(p: Floats, n: int, chance: np.random.Generator) -> Ints:
    """Draws n of each row of p [rows, K], shape [rows, n]."""
    cumulated = np.cumsum(p, 1)
    cumulated /= cumulated[:, -1:]
    first = np.arange(len(p))[:, None]
    asked = chance.random((len(p), n))
    found = np.searchsorted((cumulated + first).ravel(), (asked + first).ravel(), side="right").reshape(len(p), n)
    return np.minimum(found - first * p.shape[1], p.shape[1] - 1)


def by_outcome(p: Floats, outcomes: Ints) -> Floats:
    """Chance of each valid outcome, shape [max + 1], of one policy p [K]."""
    valid = outcomes != INVALID
    return np.bincount(outcomes[valid], p[valid], int(outcomes.max()) + 1).astype(float)
