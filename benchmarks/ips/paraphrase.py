"""A concept with twenty wordings against one with a single wording: what the outcome is taken to be decides."""

from concurrent.futures import Executor

import numpy as np

from benchmarks.ips.figures import Experiment, Row, row
from benchmarks.ips.methods import GRPO, IPS, Floats, Ints, Method
from benchmarks.ips.tabular import Schedule, train

WORDINGS, INVALID_STRINGS = 20, 9
SEEDS, STEPS, RATE, GROUP = 64, 3000, 0.2, 64
BY_STRING = np.arange(WORDINGS + 1 + INVALID_STRINGS)
BY_MEANING = np.array([0] * WORDINGS + [1] + [2] * INVALID_STRINGS)
"""Twenty strings of concept A, one of concept B, and strings that mean nothing."""

KINDS: tuple[tuple[Method, Ints, str], ...] = (
    (GRPO, BY_STRING, "GRPO"),
    (IPS, BY_STRING, "by string"),
    (IPS, BY_MEANING, "by meaning"),
)


def rewards(of_a: float) -> Floats:
    """Of each string; B earns 1."""
    return np.array([of_a] * WORDINGS + [1.0] + [0.0] * INVALID_STRINGS)


def one(of_a: float, method: Method, meanings: Ints, steps: int, seeds: int) -> dict[str, Floats]:
    """Shares of both concepts, mean over the last quarter of training from the uniform policy over strings."""
    start = np.zeros((seeds, len(BY_STRING)))
    schedule = Schedule(GROUP, steps, RATE, True)
    _, kept = train(rewards(of_a), start, method, schedule, seed=1, keep=20, meanings=meanings)
    p = kept[-5:].mean(0)
    return {"A": p[:, :WORDINGS].sum(1), "B": p[:, WORDINGS]}


def run(quick: bool, pool: Executor) -> Experiment:
    """Rows by the reward of A and by what counts as the outcome."""
    steps, seeds = (300, 32) if quick else (STEPS, SEEDS)
    asked = [(of_a, method, meanings, name) for of_a in (1.0, 0.3) for method, meanings, name in KINDS]
    jobs = [pool.submit(one, of_a, method, meanings, steps, seeds) for of_a, method, meanings, _ in asked]
    rows: list[Row] = []
    facts: dict[str, float] = {}
    for (of_a, _, _, name), job in zip(asked, jobs, strict=True):
        rows.append(row(f"A earns {of_a:g}", name, job.result()))
        facts[f"A by string, reward {of_a:g}"] = round(WORDINGS * of_a / (WORDINGS * of_a + 1), 6)
        facts[f"A by meaning, reward {of_a:g}"] = round(of_a / (of_a + 1), 6)
    return Experiment(rows=tuple(rows), facts=facts)
