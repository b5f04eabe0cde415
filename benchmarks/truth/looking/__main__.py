"""Lets a judge look at pictures whose truth is known, shown in each way that `score` can show them.

python -m benchmarks.truth.looking            # some 8 minutes of processor time
python -m benchmarks.truth.looking --small    # one feature of each kind: some 20 seconds
python -m benchmarks.truth.looking --write    # also writes table.json, README.md and docs/scoring-measured.md
python -m benchmarks.truth.looking --pages    # writes these pages again from table.json
"""

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from autointerp.settings import ScoreSettings
from benchmarks.figures import put_between
from benchmarks.truth.looking.harvest import Size
from benchmarks.truth.looking.judge import ERRING, PERFECT, SHORT_SIGHTED
from benchmarks.truth.looking.leaks import Cell, auroc
from benchmarks.truth.looking.population import KINDS, PLACEMENTS, RATES, SIDES, World
from benchmarks.truth.looking.running import REPLICATES, Plan, Record, Showing, run
from benchmarks.truth.looking.tables import (
    AFTER,
    BEFORE,
    Leaks,
    bias_table,
    brief,
    kinds_table,
    leaks_table,
    sides_table,
    sight_table,
    targets,
)

HERE = Path(__file__).parent
PAGE = HERE.parent.parent.parent / "docs/scoring-measured.md"
TABLE = HERE / "table.json"
MARKS = ("<!-- looking -->", "<!-- /looking -->")
FIGURES = ("<!-- figures -->", "<!-- /figures -->")


@dataclass(frozen=True)
class Found:
    """What a run found."""

    of: str
    """What it was a run of."""
    leaks: Leaks
    """AUROC of active against silent, by way of showing."""
    records: list[Record]
    small: list[Record]
    """Of small things in large pictures."""
    many: list[Record]
    """Of the default, with many images judged."""


def showing(rendering: str, silent_heat: str = "none", side: int = 448, name: str = "", n_silent: int = 160) -> Showing:
    """A way of showing images, with more images judged than by default, so that chance does not hide a bias."""
    region = {"side": side}
    asked = {"rendering": rendering, "bootstrap": REPLICATES, "n_active": 60, "n_silent": n_silent, "region": region}
    return Showing(name or rendering, ScoreSettings.model_validate(asked), silent_heat)


MAIN = (showing(BEFORE), showing(AFTER))
OTHERS = (
    showing("crop", "nearest", name="crop, silent at its nearest place"),
    showing("zoom"),
    showing("zoom", "nearest", name="zoom, silent at its nearest place"),
)
CELLS = tuple(showing("full", side=side, name=f"full, {side} px") for side in (224, 336, 448))
SMALL_THINGS = (*CELLS, showing("zoom", side=224, name="zoom, 224 px"), showing("crop", side=224, name="crop, 224 px"))
SIZE = Size(top=20, band=16, silent=80, guided=160)
MANY = Size(top=20, band=16, silent=600, guided=1000)


def plans(n: int, seed: int, *, small: bool) -> list[Plan]:
    """Every kind of feature at every rate, in every world; some ways of showing and an erring judge in some."""
    out: list[Plan] = []
    for side in SIDES[:1] if small else SIDES:
        for placement in PLACEMENTS[:1] if small else PLACEMENTS:
            world = World(n, side, placement, seed)
            for rate in RATES[:1] if small else RATES:
                for kind in KINDS:
                    anywhere = placement == PLACEMENTS[0]
                    more = OTHERS if anywhere and (rate == RATES[1] or small) else ()
                    judges = (PERFECT, ERRING) if anywhere and (small or side == SIDES[1]) else (PERFECT,)
                    out.append(Plan(world, kind, rate, len(out), (*MAIN, *more), SIZE, judges))
    return out


def small_things(n: int, seed: int) -> list[Plan]:
    """Large pictures with small things, for a judge that sees only what is large enough."""
    world = World(n, SIDES[0], PLACEMENTS[0], seed, scale=3)
    texts = ("true", "too broad")
    judges = (SHORT_SIGHTED,)
    return [
        Plan(world, kind, RATES[1], 1000 + i, SMALL_THINGS, SIZE, judges, texts)
        for i, kind in enumerate(("part", "object", "texture"))
    ]


def many_images(n: int, seed: int) -> list[Plan]:
    """The default with ten times as many silent images judged, of features that fire rarely."""
    world, ways = World(n, SIDES[1], PLACEMENTS[0], seed), (showing(AFTER, n_silent=MANY.silent + MANY.guided),)
    texts = ("true", "half", "too broad", "place", "close-up", "an image")
    pairs = [(rate, kind) for rate in RATES[1:] for kind in KINDS]
    return [Plan(world, kind, rate, 2000 + i, ways, MANY, texts=texts) for i, (rate, kind) in enumerate(pairs)]


def worked(todo: Sequence[Plan], jobs: int) -> tuple[list[Record], list[Cell]]:
    """Records and cells in the order of the plans."""
    records: list[Record] = []
    cells: list[Cell] = []
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with context.Pool(jobs) as pool:
        for i, (found, looked) in enumerate(pool.imap(run, todo), 1):
            records += found
            cells += looked
            print(f"{i} of {len(todo)}", file=sys.stderr, flush=True)
    return records, cells


def main() -> None:
    """Parses, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000, help="in the population of each feature")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--small", action="store_true", help="5 features of 10,000 images")
    parser.add_argument("--write", action="store_true", help="write table.json, README.md and docs/scoring-measured.md")
    parser.add_argument("--pages", action="store_true", help="write the pages from table.json, and run nothing")
    given = parser.parse_args()
    found = read_table() if given.pages else measured(given)
    print(report(found))
    if given.write:
        TABLE.write_text(as_json(found))
    if given.write or given.pages:
        put_between(HERE / "README.md", report(found), FIGURES)
        put_between(PAGE, f"{found.of}\n\n{brief(found.records, found.many, found.leaks)}", MARKS)


def measured(given: argparse.Namespace) -> Found:
    """Runs all plans."""
    n = 10_000 if given.small else given.images
    records, cells = worked(plans(n, given.seed, small=given.small), given.jobs)
    small = [] if given.small else worked(small_things(n, given.seed), given.jobs)[0]
    many = [] if given.small else worked(many_images(n, given.seed), given.jobs)[0]
    leaks = {s.name: auroc([c for c in cells if c.showing == s.name]) for s in (*MAIN, *OTHERS)}
    misread = [c.misread for c in cells if c.misread is not None]
    of = (
        f"Of {len({r.number for r in records})} features, each in {n:,} pictures, seed {given.seed}. The decoder "
        f"misread {sum(misread)} of {len(misread):,} whole pictures as they were sent ({np.mean(misread):.2%})."
    )
    return Found(of, leaks, records, small, many)


def report(found: Found) -> str:
    """Everything as Markdown."""
    records, main_two = found.records, (BEFORE, AFTER)
    parts = [found.of, "### Targets, of the default", targets(records, found.leaks)]
    parts += ["### Mean scores of the perfect judge", sides_table(records, main_two)]
    parts += ["### Bias of the perfect judge", bias_table(records, list(found.leaks), PERFECT.name)]
    parts += ["### What the pictures alone did, by kind of feature", kinds_table(records, main_two)]
    parts += ["### Bias of a judge that errs", bias_table(records, main_two, ERRING.name)]
    parts += ["### What gives active images away", leaks_table(records, found.leaks)]
    if found.small:
        parts += [f"### The default, with {MANY.silent + MANY.guided:,} silent images stored and nearly all judged"]
        parts += [bias_table(found.many, (AFTER,), PERFECT.name)]
        parts += ["### Small things in large pictures", sight_table(found.small)]
    return "\n\n".join(parts)


def as_json(found: Found) -> str:
    """A record a line, rounded."""
    out = {"of": found.of, "auroc": {name: round(value, 4) for name, value in found.leaks.items()}}
    head = json.dumps(out, ensure_ascii=False)[:-1]
    lines = {
        name: ",\n".join(
            json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(r).items()}) for r in rows
        )
        for name, rows in (("records", found.records), ("small", found.small), ("many", found.many))
    }
    return head + "".join(f',\n"{name}": [\n{rows}\n]' for name, rows in lines.items()) + "}\n"


def read_table() -> Found:
    """What `as_json` wrote."""
    told = json.loads(TABLE.read_text())
    records, small, many = ([Record(**row) for row in told[name]] for name in ("records", "small", "many"))
    return Found(told["of"], told["auroc"], records, small, many)


if __name__ == "__main__":
    main()
