"""How large a group must be for a minority outcome to survive: exact mean dynamics, and samples over seeds."""

from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
from scipy.optimize import root_scalar
from scipy.stats import binom

from benchmarks.ips.figures import Curve, Experiment, Row, curve, exact, row
from benchmarks.ips.methods import GRPO, IPS, Floats, Ints, Method, advantages
from benchmarks.ips.tabular import Schedule, train

REWARDS = np.array([4.0, 1.0])
SIZES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)
SAMPLED = (4, 5, 6, 16)
"""Group sizes that the paper's figures were reproduced for."""
RATIOS = (1.5, 2.0, 4.0, 7.0)
VANISHING = 1e-7
STEPS, RATE, SEEDS = 4000, 0.1, 64
AFTER = replace(IPS, name="weights after normalisation", after=True)


def two_outcomes(group_size: int) -> Ints:
    """A group for each number of second outcomes, 0 to G; shape [G + 1, G]."""
    return (np.arange(group_size) < np.arange(group_size + 1)[:, None]).astype(np.int64)


def drift(p2: float, rewards: Floats, group_size: int, method: Method, *, normalise: bool) -> float:
    """Expected change of log(p2/p1) by an update of rate 1, over the binomial number of second outcomes."""
    groups = two_outcomes(group_size)
    a = advantages(rewards[groups], groups, method, normalise=normalise) / group_size
    pull = np.where(groups == 1, a, 0).sum(1) - np.where(groups == 0, a, 0).sum(1) - (1 - 2 * (1 - p2)) * -a.sum(1)
    return float(binom.pmf(np.arange(group_size + 1), group_size, p2) @ pull)


def resting(rewards: Floats, group_size: int, method: Method, *, normalise: bool) -> float:
    """Share of the second outcome where the mean dynamics rest; 0 where it shrinks from everywhere below one half."""

    def at(p2: float) -> float:
        return drift(p2, rewards, group_size, method, normalise=normalise)

    # Below 1e-12 of a vanishing share the sign is rounding.
    return float(root_scalar(at, bracket=(VANISHING, 0.5)).root) if at(VANISHING) > 1e-12 else 0.0


def least_size(ratio: float, *, normalise: bool) -> int:
    """Smallest group in which a vanishing outcome of reward 1 beside one of reward `ratio` grows."""
    rewards = np.array([ratio, 1.0])
    sizes = range(2, 64)
    return next(g for g in sizes if drift(VANISHING, rewards, g, IPS, normalise=normalise) > 1e-12)


def sampled(group_size: int, method: Method, normalise: bool, steps: int, seeds: int) -> Floats:
    """Share of the second outcome of each seed, mean over the last quarter of training from (1/2, 1/2)."""
    schedule = Schedule(group_size, steps, RATE, normalise)
    _, kept = train(REWARDS, np.zeros((seeds, 2)), method, schedule, seed=group_size, keep=40)
    return kept[-10:, :, 1].mean(0)


def run(quick: bool, pool: Executor) -> Experiment:
    """Rows by group size, and the least sizes by ratio."""
    steps, seeds = (1000, 32) if quick else (STEPS, SEEDS)
    settings = [(g, m, n) for g in SIZES for m, n in ((IPS, True), (IPS, False), (GRPO, True), (AFTER, True))]
    jobs = [pool.submit(sampled, g, m, n, steps, seeds) for g, m, n in settings]
    found = {(g, m.name, n): job.result() for (g, m, n), job in zip(settings, jobs, strict=True)}
    rows: list[Row] = []
    facts: dict[str, float] = {}
    for (g, name, normalised), values in found.items():
        rows.append(row(f"G = {g}{'' if normalised else ', mean only'}", name, {"p2": values}))
    for g in SIZES:
        for normalised in (True, False):
            key = f"rests at, G = {g}{'' if normalised else ', mean only'}"
            facts[key] = round(resting(REWARDS, g, IPS, normalise=normalised), 6)
    for ratio in RATIOS:
        both = {least_size(ratio, normalise=n) for n in (True, False)}
        facts[f"least group for a ratio of {ratio:g}"] = float(max(both))
        facts[f"least group by the formula, {ratio:g}"] = float(np.floor(1 + ratio) + 1)
        facts[f"normalised and not agree, {ratio:g}"] = float(len(both) == 1)
    return Experiment(rows=tuple(rows), curves=_drawn(found), facts=facts)


def _drawn(found: dict[tuple[int, str, bool], Floats]) -> tuple[Curve, ...]:
    x = np.array(SIZES, float)
    out: list[Curve] = []
    for normalised, panel in ((True, "normalised by the standard deviation"), (False, "mean as baseline only")):
        rest = np.array([resting(REWARDS, g, IPS, normalise=normalised) for g in SIZES])
        out.append(exact(panel, "IPS, mean dynamics", x, rest))
        for name in (IPS.name, GRPO.name, AFTER.name):
            if (SIZES[0], name, normalised) in found:
                out.append(curve(panel, name, x, np.stack([found[g, name, normalised] for g in SIZES])))
    return tuple(out)
