"""Molecules with policies that are tables: `python -m benchmarks.ips.many molecules`. Needs rdkit and selfies.

A policy chooses among some two thousand molecules of the National Cancer Institute's collection; the reward is QED, or
how near logP is to 4. The outcome is the scaffold, or, to show what it does, the canonical SMILES. Groups of 8, 16 and
64, every method from the same starts, with as many samples.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.ips.many import cells, chemistry
from benchmarks.ips.many.cells import Cell, Found, Job, Part, Sweep, best_of
from benchmarks.ips.many.chemistry import BOUND, TARGETS
from benchmarks.ips.many.reasoning import ENTROPY, METHODS, RATES
from benchmarks.ips.many.tables import Plan, Trained, draw, train
from benchmarks.ips.methods import IPS, Floats, Ints, Method, entropy_bonus

JSON = cells.HERE / "molecules.json"
GROUPS = (8, 16, 64)
SEEDS, SAMPLES, KEEP, SKEW = 8, 16_384, 1, 1.0
CALLS = 1000
"""Samples of the trained policy that are looked at."""
TOP = 10
ENOUGH = 0.7
"""Mean reward; of the rates and coefficients that reach it the one counts that finds most good scaffolds."""
ENTROPIES = (0.03, 0.05, 0.1, 0.2, 0.3)
BY_SMILES = "IPS-GRPO, SMILES as the outcome"
UNTRAINED = "untrained"
FIGURES = ("mean", "top", "good scaffolds", "largest", "diversity", "found a 1,000 calls")


@cache
def listed() -> tuple[tuple[chemistry.Molecule, ...], Ints, dict[str, Floats]]:
    """The molecules, the number of each one's scaffold, and their rewards by target."""
    found = tuple(m for m in map(chemistry.read, chemistry.known()) if m is not None)
    scaffolds = np.unique([m.scaffold for m in found], return_inverse=True)[1]
    return found, scaffolds, {t: np.array([m.rewards[t] for m in found]) for t in TARGETS}


def figures(policies: Floats, target: str) -> dict[str, list[float]]:
    """Of each policy over the list [n, K].

    `mean`: expected reward, exact. `top`: mean reward of the ten best of 1,000 samples, repeats among them.
    `good scaffolds`: scaffolds of good molecules among 1,000 samples, exact expectation. `largest`: share of the
    commonest scaffold, exact. `diversity`: internal, of 200 samples.
    """
    molecules, scaffolds, rewards = listed()
    r, good = rewards[target], rewards[target] >= BOUND
    sampled = draw(policies, CALLS, np.random.default_rng(2))
    out: dict[str, list[float]] = {k: [] for k in FIGURES[:-1]}
    for p, own in zip(policies, sampled, strict=True):
        of_good = np.bincount(scaffolds[good], p[good])
        best = np.sort(r[own])[-TOP:]
        values = (
            p @ r,
            best.mean(),
            (1 - (1 - of_good) ** CALLS).sum(),
            np.bincount(scaffolds, p).max(),
            chemistry.internal_diversity([molecules[i].smiles for i in own[:200]]),
        )
        for name, v in zip(out, values, strict=True):
            out[name].append(float(v))
    return out


def scaffolds_found(trained: Trained, target: str, samples: int) -> list[float]:
    """Scaffolds of good molecules that came up in training, for each 1,000 samples."""
    _, scaffolds, rewards = listed()
    good = rewards[target] >= BOUND
    return [len(set(scaffolds[row & good].tolist())) / samples * 1000 for row in trained.sampled]


def one(target: str, method: Method, plan: Plan, seeds: int, *, by_smiles: bool = False) -> Cell:
    """One method, rate and coefficient."""
    molecules, scaffolds, rewards = listed()
    outcomes = np.arange(len(molecules)) if by_smiles else scaffolds
    shape = (seeds, len(molecules))
    start = SKEW * np.random.default_rng(0).normal(0, 1, shape)
    given = (np.broadcast_to(outcomes, shape), np.broadcast_to(rewards[target], shape), start)
    trained = train(*given, method, plan, seed=1)
    got = figures(trained.policies[-1], target)
    got[FIGURES[-1]] = scaffolds_found(trained, target, plan.samples)
    name = BY_SMILES if by_smiles else method.name
    made = cells.cell(f"list, {target}", plan.group_size, name, got, trained.seconds)
    return made.model_copy(update={"coefficient": method.entropy or method.diversity or None, "rate": plan.rate})


def methods_on(target: str, group: int, seeds: int, samples: int) -> Part:
    """Every method, and IPS-GRPO with the SMILES as the outcome."""
    chosen: list[Cell] = []
    sweeps: list[Sweep] = []
    swept = METHODS | {ENTROPY: [entropy_bonus(c) for c in ENTROPIES]}
    for variants, by_smiles in (*((v, False) for v in swept.values()), ([IPS], True)):
        plans = [(m, Plan(group, samples, rate, KEEP)) for m in variants for rate in RATES]
        got = [one(target, m, plan, seeds, by_smiles=by_smiles) for m, plan in plans]
        best, sweep = best_of(got, "mean", "good scaffolds", ENOUGH)
        chosen.append(best)
        sweeps.append(sweep)
    if group == GROUPS[0]:
        start = np.exp(SKEW * np.random.default_rng(0).normal(0, 1, (seeds, len(listed()[0]))))
        kept = figures(start / start.sum(1, keepdims=True), target)
        chosen.append(cells.cell(f"list, {target}", 0, UNTRAINED, kept, 0.0))
    return tuple(chosen), tuple(sweeps)


def jobs(quick: bool) -> Sequence[Job]:
    """All parts."""
    seeds, samples = (8, 4_096) if quick else (SEEDS, SAMPLES)
    return [(f"list {t} G{g}", methods_on, (t, g, seeds, samples)) for t in TARGETS for g in GROUPS]


def run(quick: bool, keep: Path) -> Found:
    """All parts that the folder does not hold, and the figures of all."""
    got, sweeps = cells.run_jobs("molecules", jobs(quick), keep)
    molecules, scaffolds, rewards = listed()
    facts: dict[str, float] = {"molecules": len(molecules), "scaffolds": int(scaffolds.max()) + 1}
    for t in TARGETS:
        facts[f"good scaffolds, {t}"] = len(set(scaffolds[rewards[t] >= BOUND].tolist()))
        facts[f"best, {t}"] = round(float(rewards[t].max()), 3)
    return Found(
        machine=cells.machine(),
        seconds=cells.spent(keep, "molecules"),
        settings={"samples": SAMPLES, "seeds": SEEDS, "enough": ENOUGH, "good from": BOUND},
        cells=got,
        sweeps=sweeps,
        facts=facts,
    )
