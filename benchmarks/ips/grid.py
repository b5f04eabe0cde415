"""The hyper-grid: how far the exact terminal distribution is from the one proportional to the rewards."""

from concurrent.futures import Executor

import numpy as np

from benchmarks.ips.figures import Curve, Experiment, Row, exact, row
from benchmarks.ips.lattice import hypergrid, train
from benchmarks.ips.methods import ENTROPIES, GRPO, HISTORY_BONUS, IPS, SOFT_COUNT, Floats, Method, entropy_bonus
from benchmarks.ips.recovery import label
from benchmarks.ips.tabular import Schedule
from benchmarks.ips.threshold import AFTER

SIDE, SEEDS, STEPS = 8, 32, 1000
BASES = (0.1, 0.001)
METHODS = (GRPO, IPS, AFTER, SOFT_COUNT, HISTORY_BONUS, *map(entropy_bonus, (*ENTROPIES, 1.0)))
RATES = {16: 0.5, 64: 0.5, 256: 1.0}
"""Learning rate by group size."""
Case = tuple[float, int, bool, Method]
"""Base reward, group size, normalised, method."""


def name_of(base: float, size: int, normalise: bool) -> str:
    """Of a setting."""
    return f"R0 = {base:g}, G = {size}, {'std' if normalise else 'mean'}"


def one(base: float, size: int, normalise: bool, method: Method, steps: int, seeds: int) -> Floats:
    """Terminal distributions after training, [n_seeds, 64]."""
    schedule = Schedule(size, steps, RATES[size], normalise)
    return train(hypergrid(SIDE, base), seeds, method, schedule, seed=1)[1][-1]


def cases() -> list[Case]:
    """Every method where the paper's figures are met, GRPO and IPS-GRPO elsewhere."""
    out: list[Case] = [(BASES[0], 256, True, m) for m in METHODS]
    for base in BASES:
        for size in RATES:
            for normalise in (True, False):
                if (base, size, normalise) != (BASES[0], 256, True):
                    out += [(base, size, normalise, m) for m in (GRPO, IPS)]
    return out


def run(quick: bool, pool: Executor) -> Experiment:
    """Rows by setting and method; the mean distributions of the first setting, cell by cell."""
    steps, seeds = (100, 32) if quick else (STEPS, SEEDS)
    asked = cases()
    jobs = [pool.submit(one, *case, steps, seeds) for case in asked]
    rows: list[Row] = []
    curves: list[Curve] = [exact("cells", "proportional to the reward", _cells(), hypergrid(SIDE, BASES[0]).target)]
    for (base, size, normalise, method), job in zip(asked, jobs, strict=True):
        p, graph = job.result(), hypergrid(SIDE, base)
        modes = np.flatnonzero(graph.rewards > 2)
        off = np.abs(p - graph.target)
        figures = {"l1": off.sum(1), "l1 a cell": off.mean(1), "modes": p[:, modes].sum(1)}
        figures["modes kept"] = (p[:, modes] >= 0.1 * graph.target[modes]).mean(1)
        rows.append(row(name_of(base, size, normalise), label(method), figures, {"l1": (0.0, 2.0)}))
        if (base, size, normalise) == (BASES[0], 256, True) and method in (GRPO, IPS):
            curves.append(exact("cells", f"{method.name}, one seed", _cells(), p[0]))
    return Experiment(rows=tuple(rows), curves=tuple(curves))


def _cells() -> Floats:
    return np.arange(SIDE * SIDE, dtype=float)
