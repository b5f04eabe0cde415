"""Tabular policies on graded graphs: the lattice of paths and the hyper-grid, with exact terminal distributions.

A state has a fixed number of actions, each leading to a later state or ending there; the policy is a softmax over the
allowed actions of each state. Many seeds are trained at once.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.ips.methods import INVALID, Floats, History, Ints, Method, advantages
from benchmarks.ips.tabular import Schedule

FORBIDDEN = -2
"""In place of a next state: the action is not there."""
END = -1
"""In place of a next state: the action ends the path, in the state's own outcome."""


@dataclass(frozen=True)
class Graph:
    """States in an order in which every action leads to a later one."""

    following: Ints
    """The state that each action leads to, shape [n_states, n_actions]."""
    outcome: Ints
    """Of a path that ends in the state, shape [n_states]."""
    rewards: Floats
    """Of each outcome, shape [n_outcomes]."""

    @property
    def target(self) -> Floats:
        """Proportional to the rewards."""
        return self.rewards / self.rewards.sum()


def paths(steps: int, rewards: dict[int, float]) -> Graph:
    """All paths of so many steps to the right or up; the outcome is how many went up.

    Args:
        steps: in all.
        rewards: by outcome; 0 for those left out.
    """
    at = {(t, ups): i for i, (t, ups) in enumerate((t, u) for t in range(steps + 1) for u in range(t + 1))}
    following = np.full((len(at), 2), FORBIDDEN)
    outcome = np.full(len(at), INVALID)
    for (t, ups), i in at.items():
        if t == steps:
            following[i, 0], outcome[i] = END, ups
        else:
            following[i] = at[t + 1, ups], at[t + 1, ups + 1]
    return Graph(following, outcome, np.array([rewards.get(k, 0.0) for k in range(steps + 1)]))


def hypergrid(side: int, base: float) -> Graph:
    """Two dimensions; each action adds one to a coordinate or stops. Rewards of Bengio et al. 2021 (arXiv 2106.04399).

    With t = |x/(side - 1) - 1/2| in each coordinate: base, + 0.5 where all t > 0.25, + 2 where all 0.3 < t < 0.4.
    """
    x, y = np.divmod(np.arange(side * side), side)
    following = np.full((side * side, 3), FORBIDDEN)
    following[:, 0] = np.where(x < side - 1, np.arange(side * side) + side, FORBIDDEN)
    following[:, 1] = np.where(y < side - 1, np.arange(side * side) + 1, FORBIDDEN)
    following[:, 2] = END
    t = np.abs(np.stack([x, y]) / (side - 1) - 0.5)
    rewards = base + 0.5 * np.all(t > 0.25, 0) + 2.0 * np.all((t > 0.3) & (t < 0.4), 0)
    return Graph(following, np.arange(side * side), rewards)


def action_chances(theta: Floats, graph: Graph) -> Floats:
    """Softmax over allowed actions, shape [n_seeds, n_states, n_actions]."""
    masked = np.where(graph.following == FORBIDDEN, -np.inf, theta)
    e = np.exp(masked - masked.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def terminal(pi: Floats, graph: Graph) -> Floats:
    """Exact chance of each outcome by dynamic programming over states in order, shape [n_seeds, n_outcomes]."""
    reach = np.zeros(pi.shape[:2])
    reach[:, 0] = 1
    out = np.zeros((len(pi), len(graph.rewards)))
    for s, row in enumerate(graph.following):
        for a, to in enumerate(row):
            if to == END:
                out[:, graph.outcome[s]] += reach[:, s] * pi[:, s, a]
            elif to != FORBIDDEN:
                reach[:, to] += reach[:, s] * pi[:, s, a]
    return out


@dataclass(frozen=True)
class Walks:
    """Sampled paths."""

    states: Ints
    """Shape [longest, n_seeds, G]; -1 after the end."""
    actions: Ints
    outcomes: Ints
    """Shape [n_seeds, G]."""


def walk(pi: Floats, graph: Graph, group_size: int, chance: np.random.Generator) -> Walks:
    """A group of paths for each seed."""
    n = len(pi)
    rows = np.arange(n)[:, None]
    cumulated = np.cumsum(pi, -1)[..., :-1]
    state = np.zeros((n, group_size), np.int64)
    outcomes = np.full((n, group_size), INVALID)
    states: list[Ints] = []
    actions: list[Ints] = []
    while np.any(state >= 0):
        safe = np.maximum(state, 0)
        action = (chance.random((n, group_size, 1)) > cumulated[rows, safe]).sum(-1)
        states.append(state)
        actions.append(action)
        to = np.where(state >= 0, graph.following[safe, action], FORBIDDEN)
        outcomes = np.where(to == END, graph.outcome[safe], outcomes)
        state = np.where(to >= 0, to, -1)
    return Walks(np.stack(states), np.stack(actions), outcomes)


def gradient(pi: Floats, walks: Walks, a: Floats, entropy: float) -> Floats:
    """Of Σ advantage · log-likelihood, and of the entropies of the states that were visited, both over the group size.

    Args:
        pi: chances of actions.
        walks: the groups.
        a: advantages over the group size, shape [n_seeds, G].
        entropy: its coefficient.

    Returns:
        By logit, shape [n_seeds, n_states, n_actions].
    """
    n_seeds, n_states, n_actions = pi.shape
    seed = np.broadcast_to(np.arange(n_seeds)[:, None], walks.states.shape[1:])
    on = walks.states >= 0
    cell = (np.broadcast_to(seed, walks.states.shape) * n_states + walks.states)[on]
    pull = np.broadcast_to(a, walks.states.shape)[on]
    total = np.bincount(cell, pull, n_seeds * n_states).reshape(n_seeds, n_states, 1)
    taken = np.bincount(cell * n_actions + walks.actions[on], pull, pi.size).reshape(pi.shape)
    out = taken - pi * total
    if entropy:
        visits = np.bincount(cell, minlength=n_seeds * n_states).reshape(n_seeds, n_states, 1) / a.shape[1]
        log = np.log(np.maximum(pi, 1e-300))
        out -= entropy * visits * pi * (log - (pi * log).sum(-1, keepdims=True))
    return out


def train(
    graph: Graph, n_seeds: int, method: Method, schedule: Schedule, *, seed: int, keep: int = 1
) -> tuple[Ints, Floats]:
    """Trains from the policy that takes every allowed action with the same chance.

    Returns:
        Steps, shape [keep + 1], and exact terminal distributions then, shape [keep + 1, n_seeds, n_outcomes].
    """
    chance = np.random.default_rng(seed)
    theta = np.zeros((n_seeds, *graph.following.shape))
    history = History(n_seeds, len(graph.rewards))
    kept_at = np.linspace(0, schedule.steps, keep + 1).astype(np.int64)
    kept = [terminal(action_chances(theta, graph), graph)]
    for step in range(1, schedule.steps + 1):
        pi = action_chances(theta, graph)
        walks = walk(pi, graph, schedule.group_size, chance)
        earned = graph.rewards[walks.outcomes]
        outcomes = np.where(earned > 0, walks.outcomes, INVALID)
        if method.bonus:
            earned = earned + history.bonus(outcomes, method.bonus)
        a = advantages(earned, outcomes, method, normalise=schedule.normalise) / schedule.group_size
        theta += schedule.rate * gradient(pi, walks, a, method.entropy)
        if step in kept_at[1:]:
            kept.append(terminal(action_chances(theta, graph), graph))
    return kept_at, np.stack(kept)
