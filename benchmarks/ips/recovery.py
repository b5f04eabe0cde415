"""Twelve valid outcomes among sixty, reward 1 or 0: how many are found again after training, over G and ε."""

from concurrent.futures import Executor
from dataclasses import replace

import numpy as np

from benchmarks.ips.figures import Experiment, Row, row
from benchmarks.ips.methods import ENTROPIES, GRPO, HISTORY_BONUS, IPS, SOFT_COUNT, Floats, Method, entropy_bonus
from benchmarks.ips.tabular import Schedule, train
from benchmarks.ips.threshold import AFTER

VALID, OUTCOMES, SEEDS = 12, 60, 64
SIZES = (4, 8, 16, 32, 64)
EPSILONS = (0.0, 0.1, 0.25, 0.5)
STEPS, RATE = 2000, 0.5
STARTS = {"uniform start": 0.0, "skewed start": 1.0}
"""Standard deviation of the first logits."""
METHODS = (GRPO, IPS, AFTER, SOFT_COUNT, HISTORY_BONUS, *map(entropy_bonus, (*ENTROPIES, 1.0)))
Case = tuple[str, float, Method, Schedule]
"""Setting, spread of the start, method, schedule."""


def label(method: Method) -> str:
    """The method's name with what was swept."""
    return f"{method.name} {method.entropy:g}" if method.entropy else method.name


def one(spread: float, method: Method, schedule: Schedule, seeds: int) -> dict[str, Floats]:
    """Figures of each seed; the chance of each outcome is exact, so `found` is an expectation over samples."""
    rewards = (np.arange(OUTCOMES) < VALID).astype(float)
    start = spread * np.random.default_rng(0).normal(0, 1, (seeds, OUTCOMES))
    _, kept = train(rewards, start, method, schedule, seed=1)
    p = kept[-1][:, :VALID]
    return {
        "found": found(p, VALID),
        "kept": (p >= 0.1 / VALID).mean(1),
        "valid": p.sum(1),
    }


def found(p: Floats, n: int) -> Floats:
    """Expected share of outcomes that come up among n samples; p has shape [n_seeds, n_outcomes]."""
    return (1 - (1 - p) ** n).mean(1)


def cases(steps: int) -> list[Case]:
    """Methods at G = 16; G and ε; and what matters beside."""
    out: list[Case] = []
    for start, spread in STARTS.items():
        for normalise, scale in ((True, "std"), (False, "mean")):
            usual = Schedule(16, steps, RATE, normalise)
            out += [(f"methods, {start}, {scale}", spread, m, usual) for m in METHODS]
            for g in SIZES:
                schedule = replace(usual, group_size=g)
                out.append((f"G = {g}, {start}, {scale}", spread, GRPO, schedule))
                out += [
                    (f"G = {g}, ε = {e:g}, {start}, {scale}", spread, replace(IPS, epsilon=e), schedule)
                    for e in EPSILONS
                    if e == 0 or (normalise and e > 1 / g)  # no frequency is below 1/G
                ]
    usual = Schedule(16, steps, RATE, True)
    out += [(f"spread {s:g}", s, IPS, usual) for s in (0.0, 1.0, 2.0)]
    out += [(f"rate {r:g}", 1.0, IPS, replace(usual, rate=r)) for r in (0.05, 0.2, 0.5, 2.0)]
    out += [(f"steps × {f:g}", 1.0, IPS, replace(usual, steps=int(f * steps))) for f in (0.25, 1, 4)]
    return out


def run(quick: bool, pool: Executor) -> Experiment:
    """All cases."""
    steps, seeds = (300, 32) if quick else (STEPS, SEEDS)
    asked = cases(steps)
    jobs = [pool.submit(one, spread, method, schedule, seeds) for _, spread, method, schedule in asked]
    rows: list[Row] = []
    for (setting, _, method, _), job in zip(asked, jobs, strict=True):
        rows.append(row(setting, label(method), job.result()))
    return Experiment(rows=tuple(rows))
