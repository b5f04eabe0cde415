"""The causal and the Boolean task: how much of what is admissible a small trained policy finds."""

from concurrent.futures import Executor

import numpy as np
import torch

from benchmarks.ips.figures import Experiment, Row, row
from benchmarks.ips.hypotheses import Boolean, Causal, Task
from benchmarks.ips.methods import GRPO, HISTORY_BONUS, IPS, SOFT_COUNT, Floats, Method, entropy_bonus
from benchmarks.ips.policy import Lessons, train
from benchmarks.ips.recovery import label

SEEDS, STEPS, RATE = 32, 300, 0.003
ADMISSIBLE = (10, 60)
"""Admissible graphs of a causal instance."""
OBSERVED = 4
"""Rows seen of the truth table of a Boolean instance."""
SWEPT = (0.03, 0.1, 0.3, 1.0)
METHODS = (GRPO, IPS, SOFT_COUNT, HISTORY_BONUS, *map(entropy_bonus, SWEPT))
MAIN = 64
Case = tuple[str, Method, Lessons]


def instances(name: str, seeds: int) -> Task:
    """One for each seed, drawn by a seed of their own."""
    return Causal(seeds, 0, ADMISSIBLE) if name == "causal" else Boolean(seeds, 0, OBSERVED)


def one(name: str, method: Method, lessons: Lessons, seeds: int) -> dict[str, Floats]:
    """Figures of each instance."""
    torch.set_num_threads(1)
    task = instances(name, seeds)
    p = train(task, seeds, method, lessons, seed=1)
    sizes = task.admissible.sum(1)
    own = [p[i, task.admissible[i]] for i in range(seeds)]
    return {
        "valid": p.sum(1),
        "recovery": np.array([(1 - (1 - q) ** n).mean() for q, n in zip(own, sizes, strict=True)]),
        "recovery in 4 N": np.array([(1 - (1 - q) ** (4 * n)).mean() for q, n in zip(own, sizes, strict=True)]),
    }


def cases(steps: int) -> list[Case]:
    """Every method at G = 64, GRPO and IPS-GRPO at other sizes, and IPS-GRPO by the string."""
    out: list[Case] = []
    for name in ("causal", "Boolean"):
        out += [(name, m, Lessons(MAIN, steps, RATE)) for m in METHODS]
        out += [(name, m, Lessons(g, steps, RATE)) for g in (16, 256) for m in (GRPO, IPS)]
        out.append((name, GRPO, Lessons(MAIN, 0, RATE)))
    return [*out, ("Boolean", IPS, Lessons(MAIN, steps, RATE, by_text=True))]


def setting(name: str, lessons: Lessons) -> str:
    """Of a row."""
    if lessons.steps == 0:
        return f"{name}, untrained"
    return f"{name}, G = {lessons.group_size}{', string as the outcome' if lessons.by_text else ''}"


def run(quick: bool, pool: Executor) -> Experiment:
    """All cases, the slowest first."""
    steps, seeds = (30, 32) if quick else (STEPS, SEEDS)
    asked = sorted(cases(steps), key=lambda c: -c[2].group_size)
    jobs = [pool.submit(one, name, method, lessons, seeds) for name, method, lessons in asked]
    rows: list[Row] = []
    for (name, method, lessons), job in zip(asked, jobs, strict=True):
        rows.append(row(setting(name, lessons), label(method), job.result()))
    facts: dict[str, float] = {}
    for name in ("causal", "Boolean"):
        sizes = instances(name, seeds).admissible.sum(1)
        facts |= {f"{name}: admissible, {k}": float(f(sizes)) for k, f in _SUMMARIES.items()}
        # A uniform law over the admissible ones, which is what equal rewards ask for.
        facts[f"{name}: recovery of the uniform law"] = round(float((1 - (1 - 1 / sizes) ** sizes).mean()), 6)
    return Experiment(rows=tuple(rows), facts=facts)


_SUMMARIES = {"least": np.min, "mean": np.mean, "most": np.max}
