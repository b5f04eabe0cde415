"""Tiny transformers trained by TRL with text and with images, where the extra `rl` is installed: rows and curves."""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

import numpy as np

from benchmarks.ips.figures import Curve, Experiment, Row, curve, row
from benchmarks.ips.methods import Floats

MODULES = {"text": "benchmarks.ips.transformers_text", "images": "benchmarks.ips.transformers_images"}
"""Each has `run(seeds, quick)`, one row a method and seed: `method`, `seed`, `l1`, `found`, and the shares of the modes
along the way: `steps` with `shares` by step, scene and mode, or `trajectory`, pairs of a step and its shares."""
NEEDED = ("trl", "transformers", "datasets")
Found = Mapping[str, object]


def present() -> bool:
    """Whether the modules and what they need can be imported."""
    return all(importlib.util.find_spec(name) is not None for name in (*MODULES.values(), *NEEDED))


def one(module: str, seed: int, quick: bool) -> Sequence[Found]:
    """All methods from one seed."""
    return importlib.import_module(module).run([seed], quick)


def run(quick: bool, pool: Executor, seeds: int) -> Experiment:
    """Rows and curves of both kinds of prompt.

    Args:
        quick: fewer steps.
        pool: runs one seed at a time.
        seeds: how many.
    """
    jobs = {kind: [pool.submit(one, name, seed, quick) for seed in range(seeds)] for kind, name in MODULES.items()}
    rows: list[Row] = []
    curves: list[Curve] = []
    for kind, asked in jobs.items():
        found = [r for job in asked for r in job.result()]
        for method in dict.fromkeys(str(r["method"]) for r in found):
            own = [r for r in found if r["method"] == method]
            steps, shares = _steps(own[0]), np.stack([_shares(r) for r in own])
            figures = {"l1": [_number(r["l1"]) for r in own], "found": [_number(r["found"]) for r in own]}
            figures["largest"] = shares[:, -1].max(-1).mean(1).tolist()
            figures["valid"] = shares[:, -1].sum(-1).mean(1).tolist()
            bounds = {"l1": (0.0, 2.0), "found": (0.0, float(shares.shape[-1]))}
            rows.append(row(kind, method, figures, bounds))
            curves.append(curve(kind, method, steps, np.clip(shares.max(-1).mean(2).T, 0, 1)))
    return Experiment(rows=tuple(rows), curves=tuple(curves))


def _shares(found: Found) -> Floats:
    """Shape [n_steps, n_scenes, n_modes]."""
    if (pairs := found.get("trajectory")) is not None:
        return np.stack([np.atleast_2d(np.asarray(shares, float)) for _, shares in _pairs(pairs)])
    return np.asarray(found["shares"], float)


def _steps(found: Found) -> Floats:
    if (pairs := found.get("trajectory")) is not None:
        return np.array([float(step) for step, _ in _pairs(pairs)])
    return np.asarray(found["steps"], float)


def _pairs(given: object) -> list[tuple[float, list[float]]]:
    assert isinstance(given, list)
    return given


def _number(value: object) -> float:
    return float(str(value))
