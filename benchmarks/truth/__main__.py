"""Scores explanations of known quality by every protocol under judges of known error, and compares with the truth.

python -m benchmarks.truth                 # some 8 minutes on two cores
python -m benchmarks.truth --small         # under 40 seconds
python -m benchmarks.truth --write         # also writes table.json and the tables of README.md
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from benchmarks.figures import put_between
from benchmarks.truth.brief import put
from benchmarks.truth.features import AGAIN, KINDS
from benchmarks.truth.judges import GOOD, JUDGES, PERFECT, STUBBORN, WEAK
from benchmarks.truth.ours import ADAPTIVE, DEFAULT, TWO_PHASE, UNIFORM_SHEETS
from benchmarks.truth.running import Plan, Record, run
from benchmarks.truth.tables import noticing, summarise, table, widths_table
from benchmarks.truth.targets import targets
from benchmarks.truth.widths import Taken, WidthPlan, run_widths

HERE = Path(__file__).parent
FOR_WIDTHS = 10
"""Features for which the calls of a width are counted."""
T = TypeVar("T")
P = TypeVar("P")


def plans(n: int, seed: int, n_features: int) -> list[Plan]:
    """Every protocol for the first two judges, the costly ones for fewer features; the others for half of them.

    Features take firing rates in turn, so that every fifteenth covers all rates and forms alike.
    """
    out: list[Plan] = []
    for number in range(n_features):
        for errs in JUDGES:
            main = errs in (PERFECT, GOOD)
            if not main and number >= n_features // 2:
                continue
            protocols = [DEFAULT, TWO_PHASE]
            if main:
                protocols.append(UNIFORM_SHEETS)
            if main and number < n_features // 3:
                protocols.append(ADAPTIVE)
            correct = errs in (GOOD, WEAK, STUBBORN)
            kinds = KINDS if errs is PERFECT else (*KINDS, AGAIN)
            out.append(Plan(n, seed, n_features, number, errs, tuple(protocols), True, kinds, correct))
    return out


def mapped(work: Callable[[P], list[T]], todo: Sequence[P], jobs: int) -> list[T]:
    """Results in the order of the work, whatever the order of finishing."""
    if jobs == 1:
        return [r for plan in todo for r in work(plan)]
    with multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn").Pool(jobs) as pool:
        out: list[T] = []
        for i, results in enumerate(pool.imap(work, todo), 1):
            out += results
            if sys.stderr.isatty() or i % 50 == 0:
                print(f"\r{i} of {len(todo)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return out


def main() -> None:
    """Parses, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=60)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--small", action="store_true", help="5 features of 50,000 images")
    parser.add_argument("--no-widths", action="store_true", help="leave out the calls that a width takes")
    parser.add_argument("--write", action="store_true", help="write table.json, README.md and judges.md")
    given = parser.parse_args()
    n, n_features = (50_000, 5) if given.small else (given.images, given.features)
    began = time.monotonic()
    records = mapped(run, plans(n, given.seed, n_features), given.jobs)
    taken: list[Taken] = []
    if not given.no_widths and not given.small:
        few = [WidthPlan(n, given.seed, n_features, i) for i in range(min(FOR_WIDTHS, n_features))]
        taken = mapped(run_widths, few, given.jobs)
    text, others = report(records, taken), other_judges(records)
    print(text, others, sep="\n\n")
    print(
        f"\n{n_features} features of {n} images, seed {given.seed}: {time.monotonic() - began:.0f} s", file=sys.stderr
    )
    if given.write:
        write(records, taken, (text, others), {"features": n_features, "images": n, "seed": given.seed})


def report(records: Sequence[Record], taken: Sequence[Taken]) -> str:
    """The tables of README.md as Markdown."""
    rows = summarise(records)
    first = [PERFECT.name, GOOD.name]
    parts = ["### Targets", targets(rows, taken), "### Agreement with the truth", table(rows, first)]
    parts += ["### Worse explanations noticed", noticing(rows, first)]
    if taken:
        parts += ["### Calls that an interval of a given width takes", widths_table(taken)]
    return "\n\n".join(parts)


def other_judges(records: Sequence[Record]) -> str:
    """The tables of judges.md as Markdown."""
    rows, names = summarise(records), [j.name for j in JUDGES if j not in (PERFECT, GOOD)]
    return "\n\n".join([table(rows, names), noticing(rows, names)])


def write(records: Sequence[Record], taken: Sequence[Taken], texts: tuple[str, str], settings: dict[str, int]) -> None:
    """table.json, and what stands between the marks of README.md and of judges.md."""
    figures = {"settings": settings, "protocols": summarise(records), "widths": [asdict(t) for t in taken]}
    (HERE / "table.json").write_text(json.dumps(rounded(figures), indent=1, ensure_ascii=False) + "\n")
    of = f"Of {settings['features']} features in {settings['images']:,} images, seed {settings['seed']}."
    for page, text in zip(("README.md", "judges.md"), texts, strict=True):
        put_between(HERE / page, f"{of}\n\n{text}", ("<!-- figures -->", "<!-- /figures -->"))
    put()


def rounded(value: object) -> object:
    """Floats to four digits; NaN, which JSON has not, as null."""
    if isinstance(value, float):
        return round(value, 4) if value == value else None
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
