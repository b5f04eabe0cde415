"""Two equal outcomes reached by 35 and by 7 paths of seven steps, and a tabular policy over states."""

from concurrent.futures import Executor

from benchmarks.ips.figures import Curve, Experiment, Row, best, curve, row
from benchmarks.ips.lattice import paths, train
from benchmarks.ips.methods import ENTROPIES, GRPO, HISTORY_BONUS, IPS, SOFT_COUNT, Floats, Method, entropy_bonus
from benchmarks.ips.tabular import Schedule
from benchmarks.ips.threshold import AFTER

MANY, FEW = 3, 1
"""Steps up: C(7, 3) = 35 paths and C(7, 1) = 7."""
SEEDS, STEPS, RATE, KEEP = 64, 1000, 0.5, 50
METHODS = (GRPO, IPS, AFTER, SOFT_COUNT, HISTORY_BONUS, *map(entropy_bonus, ENTROPIES))


def one(method: Method, group_size: int, steps: int, seeds: int) -> tuple[Floats, Floats]:
    """Steps, and the shares of both outcomes then, [keep + 1, n_seeds, 2]."""
    graph = paths(7, {MANY: 1.0, FEW: 1.0})
    at, kept = train(graph, seeds, method, Schedule(group_size, steps, RATE, True), seed=1, keep=KEEP)
    return at.astype(float), kept[..., [MANY, FEW]]


def run(quick: bool, pool: Executor) -> Experiment:
    """Rows by method, at groups of 16; GRPO and IPS-GRPO at 8 and 32 too."""
    steps, seeds = (300, 32) if quick else (STEPS, SEEDS)
    settings = [(m, 16) for m in METHODS] + [(m, g) for g in (8, 32) for m in (GRPO, IPS)]
    jobs = [pool.submit(one, m, g, steps, seeds) for m, g in settings]
    rows: list[Row] = []
    curves: dict[str, Curve] = {}
    for (method, g), job in zip(settings, jobs, strict=True):
        at, shares = job.result()
        last = shares[-1]
        label = f"{method.name} {method.entropy:g}" if method.entropy else method.name
        figures = {"35 paths": last[:, 0], "7 paths": last[:, 1], "smaller": last.min(1), "valid": last.sum(1)}
        rows.append(row(f"G = {g}", label, figures | {"kept one": (last.max(1) > 0.9).astype(float)}))
        if g == 16:
            curves[label] = curve("share of the rarer of both", label, at, shares.min(-1))
    swept = [r for r in rows if r.method.startswith("GRPO + entropy")]
    shown = [GRPO.name, IPS.name, AFTER.name, SOFT_COUNT.name, HISTORY_BONUS.name, best(swept, "smaller").method]
    return Experiment(rows=tuple(rows), curves=tuple(curves[name] for name in shown))
