"""Counts what faults of an endpoint, kills and signals cost.

python -m benchmarks.reliability             # every fault, rate and mode (Ray: six at 30 %), 50 strikes of each kind
python -m benchmarks.reliability --quick     # six faults at 30 %, and 5 strikes of each kind
python -m benchmarks.reliability --only ray  # one mode, or `strikes`
python -m benchmarks.reliability --write     # also writes table.json and the tables of docs/reliability.md

It prints each cell as it is done, and in the end what is not as it should be.
"""

import argparse
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from benchmarks.reliability import table
from benchmarks.reliability.faults import FAULTS
from benchmarks.reliability.kills import SIGNALS, Struck, strikes
from benchmarks.reliability.matrix import MODES, RATES, Cell, World, cell, cluster, world

QUICK = ("500", "answer after the timeout", "closed inside the body", "empty body", "refusal", "cut at its length")
"""One of each sort."""
SLOW = "ray"
"""The mode whose starts take most of the time, with the engine of `explain` inside: six faults at the higher rate."""
UNTIMED = "batch"
"""The mode whose requests have a limit of time of their own, which is minutes: faults of time are left out."""
STRIKES = "strikes"
PARTS = (*MODES, STRIKES)


def main() -> int:
    """Runs what was asked for; 1 if something is not as it should be."""
    given = _given()
    cells: list[Cell] = []
    struck: list[Struck] = []
    seconds: dict[str, int] = {}
    with (
        tempfile.TemporaryDirectory(prefix="reliability-") as folder,
        world(Path(folder), given.features, given.seed) as made,
    ):
        for part in given.only:
            before = _cpu()
            if part == STRIKES:
                struck += _strikes(made, given)
            else:
                cells += _cells(made, part, given)
            seconds[part] = round(_cpu() - before)
    if given.write:
        table.write(cells, struck, {"features": given.features, "seed": given.seed, "seconds": seconds})
        table.put()
    print(table.matrix(cells), table.unsound(cells), table.strikes(struck), seconds, sep="\n\n")
    return int(not all(c.sound and not c.complaint for c in cells) or any(s.lost or s.differing for s in struck))


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="six faults at 30 %%, and 5 strikes of each kind")
    parser.add_argument("--write", action="store_true", help="write table.json and docs/reliability.md")
    parser.add_argument("--only", nargs="*", default=PARTS, choices=PARTS, help="modes, or strikes")
    parser.add_argument("--faults", nargs="*", choices=tuple(FAULTS), help="kinds of faults; all by default")
    parser.add_argument("--features", type=int, default=12, help="at most 12")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _cells(w: World, mode: str, given: argparse.Namespace) -> Iterator[Cell]:
    faults = given.faults or (QUICK if given.quick or mode == SLOW else tuple(FAULTS))
    with cluster() if mode == SLOW else nullcontext(True) as there:
        for fault in faults if there else ():
            if mode == UNTIMED and FAULTS[fault].timeout < 60:
                continue
            for rate in RATES[-1:] if given.quick or mode == SLOW else RATES:
                made = cell(w, fault, rate, mode)
                sys.stderr.write(f"{'ok' if made.sound and not made.complaint else 'NOT SOUND'} {made}\n")
                yield made


def _strikes(w: World, given: argparse.Namespace) -> Iterator[Struck]:
    for name in ("explain", "score"):
        for which in SIGNALS:
            made = strikes(w, name, which, 5 if given.quick else 50, given.seed)
            sys.stderr.write(f"{made}\n")
            yield made


def _cpu() -> float:
    """Seconds of this process and of those that it has waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


if __name__ == "__main__":
    raise SystemExit(main())
