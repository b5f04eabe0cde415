"""What these benchmarks keep: a figure for each seed, in one file each, and parts of a run that they go on from."""

import hashlib
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from pydantic import Field

from autointerp.record import Record
from autointerp.statistics.rates import mean_interval
from benchmarks.ips.figures import Estimate, estimate

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs/ips-reproduction.md"
WORKERS = 2
DIGITS = 4


class Cell(Record):
    """One method on one task."""

    task: str
    group: int
    """G."""
    method: str
    coefficient: float | None = None
    """Of the entropy, or of the set's diversity."""
    rate: float = 0.0
    """Of learning; 0 where nothing was learned."""
    figures: dict[str, tuple[float, ...]]
    """By seed; the same seeds, in the same order, for every method of a task."""
    seconds: float
    """Of processor time, for all seeds."""

    def mean(self, figure: str) -> float:
        """Over seeds."""
        return float(np.mean(self.figures[figure]))

    def swept(self) -> str:
        """Coefficient and rate."""
        return f"{self.rate:g}" if self.coefficient is None else f"{self.coefficient:g}, {self.rate:g}"


class Sweep(Record):
    """Means over seeds of what was swept, of which one is among the cells."""

    task: str
    group: int
    method: str
    means: dict[str, tuple[float, float]]
    """By coefficient and rate: performance, and how much was found."""


class Found(Record):
    """A benchmark's file."""

    machine: str
    seconds: float
    """By the clock, of the starts that made parts and noted it."""
    settings: dict[str, float | int | str]
    cells: tuple[Cell, ...]
    sweeps: tuple[Sweep, ...] = ()
    facts: dict[str, float] = Field(default_factory=dict)

    def of(self, task: str, group: int, method: str) -> Cell:
        """The one cell."""
        (one,) = (c for c in self.cells if (c.task, c.group, c.method) == (task, group, method))
        return one

    def estimate(self, task: str, group: int, method: str, figure: str, top: float = 1.0) -> Estimate:
        """Mean over seeds with its interval."""
        return estimate(self.of(task, group, method).figures[figure], (0.0, top))

    def difference(self, tasks: Iterable[str], group: int, pair: tuple[str, str], figure: str) -> Estimate:
        """Of two methods, seed by seed, the mean over tasks; with its interval over seeds."""
        own = [
            np.subtract(self.of(t, group, pair[0]).figures[figure], self.of(t, group, pair[1]).figures[figure])
            for t in tasks
        ]
        values = np.mean(own, 0)
        bound = max(1.0, float(np.abs(values).max()))
        found = mean_interval(values, (-bound, bound))
        return Estimate(value=found.value, low=found.low, high=found.high, n=len(values))


def cell(task: str, group: int, method: str, figures: Mapping[str, Sequence[float]], seconds: float) -> Cell:
    """Rounded."""
    kept = {k: tuple(round(float(v), DIGITS) for v in values) for k, values in figures.items()}
    return Cell(task=task, group=group, method=method, figures=kept, seconds=round(seconds, DIGITS))


def best_of(swept: Sequence[Cell], performance: str, found: str, enough: float) -> tuple[Cell, Sweep]:
    """The cell of a method that finds most among those that perform well enough, and the means of all.

    Args:
        swept: one method with several coefficients and rates.
        performance: figure that must be `enough` in the mean; where none reaches it, the highest counts.
        found: figure that is to be high.
        enough: of the performance.
    """
    one = max(swept, key=lambda c: (min(c.mean(performance), enough), c.mean(found)))
    means = {c.swept(): (round(c.mean(performance), 3), round(c.mean(found), 3)) for c in swept}
    return one, Sweep(task=one.task, group=one.group, method=one.method, means=means)


Part = tuple[tuple[Cell, ...], tuple[Sweep, ...]]
Job = tuple[str, Callable[..., Part], tuple[object, ...]]
"""Name, function, arguments."""


class _Kept(Record):
    cells: tuple[Cell, ...]
    sweeps: tuple[Sweep, ...]


def run_jobs(benchmark: str, jobs: Sequence[Job], folder: Path, workers: int = WORKERS) -> Part:
    """Runs what the folder does not hold yet, over processes of one thread each, and notes what it took."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    folder.mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if not _path(folder, job[0], job[2]).exists()]
    if missing:
        before, began = spent(folder, benchmark), time.perf_counter()
        # Started anew, not forked: torch's threads do not survive a fork.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            waiting = {pool.submit(function, *given): _path(folder, name, given) for name, function, given in missing}
            for job in as_completed(waiting):
                cells, sweeps = job.result()
                waiting[job].write_text(_Kept(cells=cells, sweeps=sweeps).model_dump_json())
                print(f"{waiting[job].stem}: {sum(c.seconds for c in cells):.0f} s", file=sys.stderr, flush=True)
                # With each part, so that a run that is broken off counts as far as its last part.
                total = round(before + time.perf_counter() - began, 1)
                (folder / f"seconds-{benchmark}.json").write_text(json.dumps(total))
    kept = [_Kept.model_validate_json(_path(folder, name, given).read_text()) for name, _, given in jobs]
    return tuple(c for k in kept for c in k.cells), tuple(s for k in kept for s in k.sweeps)


def _path(folder: Path, name: str, arguments: tuple[object, ...]) -> Path:
    digest = hashlib.sha256(repr(arguments).encode()).hexdigest()[:8]
    return folder / f"{name.replace(' ', '-')}-{digest}.json"


def machine() -> str:
    """Cores, architecture, Python."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {sys.version_info[0]}.{sys.version_info[1]}"


def save(path: Path, found: Found) -> None:
    """One cell or sweep a line."""
    head = json.dumps(json.loads(found.model_dump_json(exclude={"cells", "sweeps"})), indent=1, ensure_ascii=False)
    parts = {
        "cells": [c.model_dump_json(exclude_none=True) for c in found.cells],
        "sweeps": [s.model_dump_json() for s in found.sweeps],
    }
    text = ",\n".join(f'"{name}": [\n' + ",\n".join(lines) + "\n]" for name, lines in parts.items())
    path.write_text(f"{head[:-2]},\n{text}\n}}\n", encoding="utf-8")


def read(path: Path) -> Found:
    """A benchmark's file."""
    return Found.model_validate_json(path.read_text(encoding="utf-8"))


def spent(folder: Path, name: str) -> float:
    """Seconds by the clock that the parts of a benchmark took, over all starts that made some."""
    path = folder / f"seconds-{name}.json"
    return float(json.loads(path.read_text())) if path.exists() else 0.0
