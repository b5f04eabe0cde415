"""Requests a second of `explain --workers 2` against one process, over an endpoint that answers after a fixed wait.

Each run is a command of its own with an empty cache; the rate is that of the job, from opening the dump to merging
the parts, and CPU that of the whole command and its processes.

python benchmarks/workers.py
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from dumps import photograph, write_dump
from figures import machine, stated
from stub import running

N_IMAGES = 120


class Took(NamedTuple):
    """Of one command."""

    rate: float
    """Requests a second of the job, processes' start included."""
    cpu_ms: float
    """A request."""
    cores: float
    """CPU seconds a second, over the whole command."""


def explain(dump: Path, scratch: Path, url: str, n: int, workers: int, in_flight: int) -> Took:
    """One command."""
    before = os.times()
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        command = [sys.executable, "-m", "autointerp", "explain", dump, "--run", f"{folder}/run", "--json"]
        command += ["--cache", f"{folder}/cache", "--model", "stub", "--base-url", url, "--workers", str(workers)]
        command += ["--features", f"0-{n - 1}", "--concurrency", str(in_flight)]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    after, told = os.times(), json.loads(out)
    assert told["done"] == told["requests"] == n, told
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Took(n / told["seconds"], 1000 * cpu / n, cpu / (after.elapsed - before.elapsed))


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument(
        "--wait", type=float, default=0.05, help="seconds to an answer; short, so that CPU is the limit"
    )
    options = parser.parse_args()
    got: dict[int, list[Took]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as scratch, running(options.wait) as url:
        dump = Path(scratch, "dump")
        write_dump(dump, n_features=options.requests, photographs=[photograph(i) for i in range(N_IMAGES)])
        for _ in range(options.repeats):
            for workers, took in got.items():
                took.append(explain(dump, Path(scratch), url, options.requests, workers, options.in_flight))
    print(machine())
    print(f"{options.requests} features, {options.wait * 1000:.0f} ms an answer, {options.in_flight} in flight")
    for workers, took in got.items():
        rate, cpu, cores = ([t[i] for t in took] for i in range(3))
        used = f"CPU {stated(cpu, 2)} ms a request, {stated(cores, 2)} cores"
        print(f"{workers} processes: {stated(rate)} requests/s, {used}")
    pairs = list(zip(got[1], got[2], strict=True))
    print(f"rate of two processes over one: {stated([two.rate / one.rate for one, two in pairs], 2)}")
    print(f"rate a core used, two processes over one: {stated([one.cpu_ms / two.cpu_ms for one, two in pairs], 2)}")
    print(f"cores used, two processes over one: {stated([two.cores / one.cores for one, two in pairs], 2)}")


if __name__ == "__main__":
    main()
