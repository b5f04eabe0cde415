"""Trains sparse coders with this package and four others on the same tokens, and measures them by the same code.

pip install --no-deps -r benchmarks/coders/requirements.txt   # into an environment of the benchmark's own
python -m benchmarks.coders                                   # under 30 minutes on two cores
python -m benchmarks.coders --quick                           # a minute: one population, few steps, one setting
python -m benchmarks.coders --write                           # also writes table.json and the tables of README.md
"""

import argparse
import json
import multiprocessing
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.coders.opening import LIBRARIES
from benchmarks.coders.runs import ALIKE, BATCH, DEFAULTS, KINDS, K, Plan, Run, run
from benchmarks.coders.speed import Timed, timed
from benchmarks.coders.tables import BESIDE, table, verdicts
from benchmarks.figures import put_between

HERE = Path(__file__).parent
STEPS = 1200
IMAGES = 1024


def main() -> None:
    """Parses, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4, help="populations")
    parser.add_argument("--jobs", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--quick", action="store_true", help="one population, 150 steps, the alike setting alone")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="train these alone; the rest is of table.json")
    parser.add_argument("--ours", action="store_true", help="train ours alone; the others' figures are of table.json")
    parser.add_argument("--rounds", type=int, default=3, help="of timing; 0 for none")
    parser.add_argument("--write", action="store_true", help="write table.json and README.md")
    given = parser.parse_args()
    kinds = tuple(given.kinds or KINDS)
    plans = [Plan(seed, IMAGES, STEPS, (DEFAULTS, ALIKE), kinds, given.ours) for seed in range(given.seeds)]
    if given.quick:
        plans = [Plan(0, 256, 150, (ALIKE,), kinds, given.ours)]
    began = time.monotonic()
    runs = _run(plans, given.jobs)
    measured_again = [kind for kind in KINDS if kind in kinds or kind in {BESIDE.get(k) for k in kinds}]
    times = timed(0 if given.quick or given.ours else given.rounds, measured_again)
    if (given.kinds or given.ours) and not given.quick:
        runs, times = _beside_kept(runs, times)
    text = f"{table(runs, times)}\n\n{verdicts(runs, times)}"
    print(text)
    print(f"\n{len(runs)} coders, {time.monotonic() - began:.0f} s", file=sys.stderr)
    if given.write:
        _write(runs, times, text, len(plans))


def _beside_kept(runs: list[Run], times: list[Timed]) -> tuple[list[Run], list[Timed]]:
    """Adds what table.json has of coders that were not trained again, in the order of a whole run."""
    kept = json.loads((HERE / "table.json").read_text())
    again = {(one.kind, one.trainer) for one in runs}
    others = [Run.read(one) for one in kept["runs"] if (one["kind"], one["trainer"]) not in again]
    timed_again = {one.kind for one in times}
    return runs + others, times + [Timed(**one) for one in kept["times"] if one["kind"] not in timed_again]


def _run(plans: list[Plan], jobs: int) -> list[Run]:
    if len(plans) == 1 or jobs == 1:
        return [r for plan in plans for r in run(plan)]
    # Forked children of a process with threads of torch may wait for ever.
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        return [r for done in pool.map(run, plans, chunksize=1) for r in done]


def _write(runs: list[Run], times: list[Timed], text: str, n: int) -> None:
    """table.json, and the part of README.md between its two marks."""
    from importlib.metadata import version

    about = {name: version(name) for name in (*LIBRARIES, "torch")}
    figures = {"libraries": about, "runs": [r.figures() for r in runs], "times": [asdict(t) for t in times]}
    (HERE / "table.json").write_text(json.dumps(figures, indent=1) + "\n")
    of = (
        f"Means over {n} populations and half their 95 % intervals; {STEPS} steps of {BATCH} tokens, {K} latents on a "
        f"token. {', '.join(f'{name} {number}' for name, number in about.items())}."
    )
    put_between(HERE / "README.md", f"{of}\n\n{text}", ("<!-- figures -->", "<!-- /figures -->"))


if __name__ == "__main__":
    main()
