"""The paper at laptop scale: images with known errors, a classifier, coders, dumps, explanations, scores, and a table.

python -m benchmarks.paper                          # the embedded model; under 30 minutes on two cores
python -m benchmarks.paper --model gpt-5-mini       # your endpoint explains and judges
python -m benchmarks.paper --write                  # also writes table.json and the tables of docs/reproduce.md

Needs what `make install dev` installs, the packages gan-face-generate and generateme (pip install --no-deps), and the
Debian package tuxpaint-stamps-default, which it downloads with apt-get (or --stamps FOLDER, where it is installed:
/usr/share/tuxpaint/stamps). A run that was stopped goes on.
"""

import argparse
import os
import platform
import sys
from pathlib import Path

from autointerp.settings import EngineSettings, ModelSettings
from autointerp.transcoder.classifier import load_classifier
from autointerp.version import __version__
from benchmarks.paper import stages
from benchmarks.paper.figures import Figures, Sources, row_of
from benchmarks.paper.population import population
from benchmarks.paper.table import JSON, NAMES, put, tables
from benchmarks.paper.truths import all_peaks


def main() -> None:
    """Parses, runs the stages, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("paper-work"), help="folder of all that is made")
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--steps", type=int, default=800, help="batches of 1,024 tokens a coder learns from")
    parser.add_argument("--features", type=int, default=24, help="of each dump, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="local", help="explainer and judge")
    parser.add_argument("--base-url", help="of your OpenAI-compatible server")
    parser.add_argument("--budget", help="for each of the twelve stages that ask a model, e.g. 1usd")
    parser.add_argument("--stamps", type=Path, help="folder of the installed stamps")
    parser.add_argument("--write", action="store_true", help="write table.json and the tables of docs/reproduce.md")
    asked = parser.parse_args()
    clock = stages.Clock()
    figures = run(asked, clock)
    for text in tables(figures).values():
        print(text, end="\n\n")
    print(f"{sum(clock.seconds.values()) / 60:.1f} minutes; runs to report on: {asked.work / 'runs'}")
    if asked.write:
        JSON.write_text(figures.model_dump_json(indent=1) + "\n")
        put()


def run(asked: argparse.Namespace, clock: stages.Clock) -> Figures:
    """All stages, and their figures."""
    work: Path = asked.work
    with clock.stage("images"):
        rows = population(work, work=work, stamps=asked.stamps, n_scenes=asked.scenes, seed=asked.seed)
    plan = stages.Plan(
        work=work,
        images=work / "images",
        labels=work / "labels.csv",
        steps=asked.steps,
        n_features=asked.features,
        seed=asked.seed,
        model=ModelSettings(model=asked.model, base_url=asked.base_url),
        engine=EngineSettings(budget=asked.budget),
        cache=work / "cache",
    )
    head = stages.classifier(plan, clock)
    coders = stages.coders(plan, clock)
    evaluated = stages.evaluation(plan, clock, coders, head)
    dumps = stages.dumps(plan, clock, coders)
    with clock.stage("activations of every image"):
        learned = [str(c) for c in coders[:-1]]
        peaks = all_peaks(plan.images, plan.labels, [*learned, stages.RAW], work / "peaks.npz")
        peaks |= all_peaks(plan.images, plan.labels, [str(coders[-1])], work / "peaks-random.npz")
    runs = stages.runs(plan, clock, dumps)
    measured = {Path(f.coder).name: f for f in (*evaluated.coders, *evaluated.controls)}
    sources = {name: Sources(dumps[name], runs[name], peaks[name], measured.get(name)) for name in NAMES}
    _, head_info = load_classifier(head)
    return Figures(
        settings={"scenes": asked.scenes, "steps": asked.steps, "features": asked.features, "seed": asked.seed}
        | {"model": asked.model, "version": __version__},
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {sys.version_info[0]}.{sys.version_info[1]}",
        images=stages.counted(rows),
        classifier=head_info.test_quality,
        constant=head_info.constant_quality,
        effects=stages.effects(evaluated),
        rows=tuple(row_of(name, sources[name], rows, asked.seed) for name in NAMES),
        seconds={name: round(s) for name, s in clock.seconds.items()},
        cpu={name: round(s) for name, s in clock.cpu.items()},
    )


if __name__ == "__main__":
    main()
