"""IPS-GRPO reproduced at laptop scale: exact flows, thresholds, collapse, recovery, a hyper-grid, tasks, transformers.

python -m benchmarks.ips                    # everything; minutes on two cores
python -m benchmarks.ips --quick            # fewer steps and seeds, to see that it runs; not for figures
python -m benchmarks.ips --only grid tasks  # some of it
python -m benchmarks.ips --write            # also writes table.json, plots and tables of docs/ips-reproduction.md

Needs what `make install dev` installs, and the extra `rl` for the transformers, which are left out without it. With
--only and --write the other experiments stay as table.json has them.
"""

import argparse
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial

from benchmarks.ips import branching, grid, identities, paraphrase, recovery, tasks, threshold, tiny_transformers
from benchmarks.ips.figures import Experiment, Findings
from benchmarks.ips.plots import draw
from benchmarks.ips.table import JSON, put, read, tables

Run = Callable[[bool, Executor], Experiment]
RUNS: Mapping[str, Run] = {
    "identities": identities.run,
    "threshold": threshold.run,
    "branching": branching.run,
    "recovery": recovery.run,
    "grid": grid.run,
    "tasks": tasks.run,
    "paraphrase": paraphrase.run,
}
TRANSFORMERS = "transformers"
WORKERS = 2


def main() -> None:
    """Parses, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer steps and seeds")
    parser.add_argument("--only", nargs="+", choices=(*RUNS, TRANSFORMERS), help="these experiments")
    parser.add_argument("--transformer-seeds", type=int, default=32)
    parser.add_argument("--write", action="store_true", help="write table.json, the plots and the page's tables")
    asked = parser.parse_args()
    if asked.write and asked.quick:
        parser.error("--quick is not for figures; leave it or --write out")
    found = run(asked.only or (*RUNS, TRANSFORMERS), quick=asked.quick, transformer_seeds=asked.transformer_seeds)
    if asked.only and asked.write and JSON.exists():
        kept = read().experiments
        found = found.model_copy(update={"experiments": kept | found.experiments})
    if asked.write:
        JSON.write_text(found.model_dump_json(indent=1) + "\n")
        put()
        draw(found)
    for text in tables(found).values():
        print(text, end="\n\n")


def run(names: tuple[str, ...], *, quick: bool, transformer_seeds: int) -> Findings:
    """The named experiments one after the other, each over two processes of one thread."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    runs = dict(RUNS)
    if tiny_transformers.present():
        runs[TRANSFORMERS] = partial(tiny_transformers.run, seeds=2 if quick else transformer_seeds)
    experiments: dict[str, Experiment] = {}
    # Started anew, not forked: torch's threads do not survive a fork.
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        for name in names:
            if name in runs:
                started = time.perf_counter()
                found = runs[name](quick, pool)
                experiments[name] = found.model_copy(update={"seconds": round(time.perf_counter() - started, 1)})
                print(f"{name}: {experiments[name].seconds:.0f} s", file=sys.stderr)
    return Findings(
        settings={"quick": quick},
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {sys.version_info[0]}.{sys.version_info[1]}",
        experiments=experiments,
    )


if __name__ == "__main__":
    main()
