"""HypoSpace's three domains with policies that are tables: `python -m benchmarks.ips.many reasoning`.

Causal graphs, voxels and Boolean mechanisms, with 3, 9, 27 and 81 admissible hypotheses; groups of 8, 16 and 64; every
method from the same starting policies, on the same questions, with as many samples.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.ips.many import cells
from benchmarks.ips.many.boolean import Boolean
from benchmarks.ips.many.causal import Causal
from benchmarks.ips.many.cells import Cell, Found, Job, Part, Sweep, best_of
from benchmarks.ips.many.domains import SIZES, Domain, outcomes, starting_logits
from benchmarks.ips.many.tables import Plan, Trained, by_outcome, train
from benchmarks.ips.many.voxels import Voxels
from benchmarks.ips.methods import GRPO, HISTORY_BONUS, INVALID, IPS, SOFT_COUNT, Floats, Ints, Method, entropy_bonus

JSON = cells.HERE / "reasoning.json"
DOMAINS: Mapping[str, Domain] = {d.name: d for d in (Causal(), Voxels(), Boolean())}
GROUPS = (8, 16, 64)
SEEDS, SAMPLES, KEEP = 8, 16_384, 8
RATES = (1.0, 3.0, 10.0, 30.0)
"""Of learning; for each method that one counts which recovers most and is valid enough."""
ENOUGH = 0.95
"""Validity; where no rate and coefficient reach it, the most valid one counts."""
ENTROPIES = (0.03, 0.1, 0.3, 1.0)
DIVERSITIES = (0.6, 0.9, 0.97)
"""Weights of the set's diversity; the paper's runs on molecules have .9."""
MEMORY = Method("memory bonus", bonus=HISTORY_BONUS.bonus)
SGRPO = "SGRPO"
ENTROPY = entropy_bonus(0).name
METHODS = {
    GRPO.name: [GRPO],
    ENTROPY: [entropy_bonus(c) for c in ENTROPIES],
    SOFT_COUNT.name: [SOFT_COUNT],
    MEMORY.name: [MEMORY],
    SGRPO: [Method(SGRPO, diversity=w) for w in DIVERSITIES],
    IPS.name: [IPS],
}
"""With the coefficients that are swept; in the order of the tables."""
ORDER = tuple(METHODS)
UNTRAINED = "untrained"
UNIFORM = "each alike"


def task(domain: str, size: int) -> str:
    """Its name."""
    return f"{domain} {size}"


@cache
def questions(domain: str, size: int, seeds: int, first: int) -> tuple[Ints, Floats]:
    """Outcomes and starting logits of as many questions as seeds, each [seeds, K]; `first` numbers the draw."""
    own, chance = DOMAINS[domain], np.random.default_rng([first, size])
    found: list[Ints] = []
    start: list[Floats] = []
    for _ in range(seeds):
        question = own.draw(size, chance)
        all_ = own.hypotheses(question)
        found.append(outcomes(all_, question))
        start.append(starting_logits(all_, question, chance))
    return np.stack(found), np.stack(start)


def figures(policies: Floats, found: Ints) -> dict[str, list[float]]:
    """Of each policy [n, K]: exact expectations over N samples, N being the number of admissible outcomes.

    `valid`: share of admissible ones. `unique`: different hypotheses among the N, over N; a text that is not
    admissible is a hypothesis of its own. `recovery`: share of the admissible outcomes that come up. `largest`: share
    of the commonest among valid ones. `effective`: 1/Σq² of the shares q among valid ones, over N.
    """
    out: dict[str, list[float]] = {k: [] for k in ("valid", "unique", "recovery", "largest", "effective")}
    for p, own in zip(policies, found, strict=True):
        q, n = by_outcome(p, own), int(own.max()) + 1
        once = 1 - (1 - q) ** n
        other = (1 - (1 - p[own == INVALID]) ** n).sum()
        share = q / q.sum()
        values = (q.sum(), (once.sum() + other) / n, once.mean(), share.max(), 1 / (share**2).sum() / n)
        for name, v in zip(out, values, strict=True):
            out[name].append(float(v))
    return out


def along(trained: Trained, found: Ints, figure: str) -> Floats:
    """A figure at the start and along the way, shape [keep + 1, n]."""
    return np.array([figures(p, found)[figure] for p in trained.policies])


def one(name: str, method: Method, plan: Plan, given: tuple[Ints, Floats]) -> tuple[Cell, Floats]:
    """The cell, and its recovery along the way."""
    found, start = given
    trained = train(found, (found != INVALID).astype(float), start, method, plan, seed=1)
    got = cells.cell(name, plan.group_size, method.name, figures(trained.policies[-1], found), trained.seconds)
    swept = {"coefficient": method.entropy or method.diversity or None, "rate": plan.rate}
    return got.model_copy(update=swept), along(trained, found, "recovery")


def methods_on(domain: str, size: int, group: int, seeds: int, samples: int) -> Part:
    """Every method on the questions of one size, at the rate and coefficient that `best_of` picks."""
    name, given = task(domain, size), questions(domain, size, seeds, 0)
    chosen: list[Cell] = []
    sweeps: list[Sweep] = []
    curves: dict[str, Floats] = {}
    for method, variants in METHODS.items():
        plans = [(m, Plan(group, samples, rate, KEEP)) for m in variants for rate in RATES]
        got = [one(name, m, plan, given) for m, plan in plans]
        best, sweep = best_of([c for c, _ in got], "valid", "recovery", ENOUGH)
        chosen.append(best)
        sweeps.append(sweep)
        curves[method] = next(way for c, way in got if c is best)
    budget = min(c.seconds for c in chosen)
    timed = [_at_equal_time(c, curves[c.method], budget) for c in chosen]
    return (*timed, *_references(name, group, given)), tuple(sweeps)


def _at_equal_time(own: Cell, way: Floats, budget: float) -> Cell:
    """Adds the recovery after as much processor time as the quickest method takes."""
    at = min(1.0, budget / max(own.seconds, 1e-9)) * (len(way) - 1)
    values = [float(np.interp(at, np.arange(len(way)), w)) for w in way.T]
    kept = own.figures | {"recovery at equal time": tuple(round(v, cells.DIGITS) for v in values)}
    return own.model_copy(update={"figures": kept})


def _references(name: str, group: int, given: tuple[Ints, Floats]) -> list[Cell]:
    """The starting policy, and one that takes every admissible outcome alike; once a task."""
    if group != GROUPS[0]:
        return []
    found, start = given
    first = np.exp(start - start.max(1, keepdims=True))
    assert (found.min(1) == INVALID).all()
    alike = np.zeros_like(start)
    for row, own in zip(alike, found, strict=True):
        row[np.unique(own, return_index=True)[1][1:]] = 1  # one text of each outcome, without INVALID, which is first
    return [
        cells.cell(name, 0, label, figures(p / p.sum(1, keepdims=True), found), 0.0)
        for label, p in ((UNTRAINED, first), (UNIFORM, alike))
    ]


def jobs(quick: bool) -> Sequence[Job]:
    """All parts."""
    seeds, samples = (8, 8_192) if quick else (SEEDS, SAMPLES)
    out: list[Job] = []
    for domain in DOMAINS:
        for group in GROUPS:
            out += [(f"{task(domain, s)} G{group}", methods_on, (domain, s, group, seeds, samples)) for s in SIZES]
    return out


def run(quick: bool, keep: Path) -> Found:
    """All parts that the folder does not hold, and the figures of all."""
    got, sweeps = cells.run_jobs("reasoning", jobs(quick), keep)
    return Found(
        machine=cells.machine(),
        seconds=cells.spent(keep, "reasoning"),
        settings={"samples": SAMPLES, "seeds": SEEDS, "enough": ENOUGH},
        cells=got,
        sweeps=sweeps,
    )
