"""Bytes of memory a feature that planning, dealing and merging take, in the driver and in a worker.

    python -m benchmarks.planning_memory --write
    python -m benchmarks.planning_memory --again    # the table from planning_memory.json

The commands themselves run, each in a process of its own, but for the questions. The driver chooses the features, cuts
them into shards, packs each as it is sent to a node, and merges the parts of all, which another process has written
meanwhile: of `explain` an explanation and what was asked a feature, of `score` two scores and what was asked. A worker
gets one of the shards and opens all that it takes, but is told to stop before its first question. Of the most that each
has resident the difference between two sizes, divided by that in features, is what one feature takes. With `--write`
the figures go into planning_memory.json and docs/scale.md.
"""

import argparse
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autointerp.clock import now
from autointerp.dump.format import DumpInfo
from autointerp.dump.writer import DumpWriter
from autointerp.job import Silent
from autointerp.pipeline import Stop
from autointerp.runs.exchanges import FILE as EXCHANGES
from autointerp.runs.exchanges import LINE, packed
from autointerp.runs.index import EXPLANATION
from autointerp.runs.parts import PartInfo, Place, Stage, part_path, write_part
from autointerp.runs.score_lines import SCORE
from autointerp.schema import Control, Explanation, FeatureRow, Scored, Usage
from autointerp.settings import EngineSettings, ScoreSettings
from autointerp.shards.dealing import Board, Call
from autointerp.shards.ray_engine import _orders
from autointerp.shards.shards import Shard
from benchmarks.figures import machine, peak_memory, put_between

HERE = Path(__file__).parent
JSON = HERE / "planning_memory.json"
PAGE = HERE.parent / "docs/scale.md"
MARKS = ("<!-- planning_memory -->", "<!-- /planning_memory -->")
ACTORS = 16
SCORERS = ("detection", "accuracy")
MANY = 10**7
STAGES: tuple[Stage, ...] = ("explain", "score")


def write_dump(folder: Path, n: int) -> None:
    """Features that fire, without rows, since none is read before a question."""
    about = {"name": f"{n} features", "created": now(), "created_by": "benchmarks/planning_memory.py"}
    sizes = {"n_latents": n, "widths": (n,), "n_images": 1000, "active_above": 0.0, "patch_grid": None}
    with DumpWriter(folder, DumpInfo(model="none", hookpoint="none", **about, **sizes)) as writer:
        for feature in range(n):
            writer.add_feature(FeatureRow(feature, n, 10, 9.0, None, None), [])


def lines_of(stage: Stage, value: float) -> dict[str, list[bytes]]:
    """By file what a part has of feature 0, where scores are so high; of others the lines differ in the number."""
    asked = LINE.dump_json(packed(0, stage, now(), []))
    if stage == "score":
        bounds = {"value": value, "low": 0.3, "high": 0.7, "n": 20, "controls": {"permuted": Control(value=0.5)}}
        about = {"details": {"n_silent": 10}, "judge": "stub", "prompt": "0" * 12, "created": now()}
        scores = [Scored(feature=0, scorer=name, **bounds, **about) for name in SCORERS]
        return {"scores.jsonl": [SCORE.dump_json(score) for score in scores], EXCHANGES: [asked]}
    about = {"model": "stub", "prompt": "0" * 12, "images": (1, 2), "usage": Usage(calls=1), "created": now()}
    said = Explanation(feature=0, text="a round red disc", concepts=("a disc",), none=False, **about)
    return {"explanations.jsonl": [EXPLANATION.dump_json(said)], EXCHANGES: [asked]}


def write_parts(run: Path, stage: Stage, n: int, of: int) -> None:
    """What `of` workers leave, each of as many neighbouring features."""
    several = [lines_of(stage, value) for value in (0.4, 0.6, 0.65)]
    for index, ids in enumerate(np.array_split(np.arange(n), of)):
        folder = part_path(run, Place(stage, index, of))
        folder.mkdir(parents=True)
        shutil.copy(run / "run.json", folder / "run.json")
        write_part(folder, PartInfo(selection="0" * 16, features=len(ids), dealt=True, finished=True))
        for name in several[0]:
            halves = [[line.split(b'"feature":0', 1) for line in lines[name]] for lines in several]
            with (folder / name).open("wb") as file:
                for feature in ids.tolist():
                    own = halves[feature % len(several)]
                    file.writelines(b'%s"feature":%d%s\n' % (before, feature, after) for before, after in own)


@dataclass(frozen=True)
class StandIns:
    """In the place of a Ray cluster: its workers end before the first question, and their parts are made up."""

    stage: Stage
    run: Path
    n: int
    packed: Path
    """Where the first shard lies as it travels."""
    size: int = ACTORS

    async def work(self, call: Call, shards: Sequence[Shard], board: Board) -> None:
        """Packs each shard, has one worker begin the first, and all parts written."""
        for index, order in enumerate(_orders(shards, board.engine, self.size, board.result.spent)):
            data = pickle.dumps((call, order))
            if index == 0:
                self.packed.write_bytes(data)
        child("work", self.packed)
        shutil.rmtree(self.run / "parts")
        child("parts", self.run, self.stage, self.n, len(shards))


def child(*what: object) -> str:
    """What a process of this module says."""
    command = (sys.executable, "-m", "benchmarks.planning_memory", "--part", *map(str, what))
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def drive(stage: Stage, dump: Path, run: Path, n: int) -> None:
    """The command, in this process; prints its own peak in MB."""
    from autointerp.commands.explain import Explain
    from autointerp.commands.score import Score
    from autointerp.jobs import explain, score
    from autointerp.settings import ModelSettings

    where = {"cache": run.with_name("cache"), "engine": EngineSettings(concurrency=2 * ACTORS)}
    crew = StandIns(stage, run, n, run.with_name(f"{stage}.packed"))
    for job in (explain, score):
        job.crew_of = lambda _: crew
    nobody = "http://127.0.0.1:9/v1"
    if stage == "explain":
        model = ModelSettings(model="stub", base_url=nobody)
        explain.run(Explain(dump=str(dump), run=str(run), model=model, **where))
    else:
        settings = ScoreSettings(scorers=SCORERS)
        score.run(Score(run=str(run), settings=settings, **where))
    print(peak_memory())


def work(file: Path) -> None:
    """A worker's start; keeps its peak beside the shard."""
    call, order = pickle.loads(file.read_bytes())
    stop = Stop()
    stop.ask("measured")
    call(shard=order.shard, engine=order.left(0.0), progress=Silent(), stop=stop)
    file.with_suffix(".peak").write_text(str(peak_memory()))


def measured(n: int) -> Iterator[tuple[str, float]]:
    """MB that each had resident at most, by stage and role."""
    with tempfile.TemporaryDirectory(prefix="planning-") as scratch:
        folder = Path(scratch)
        # Of addresses that were given, kept for the user otherwise.
        os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
        child("dump", folder / "dump", n)
        for stage in STAGES:
            yield f"{stage}, driver", float(child("drive", stage, folder / "dump", folder / "run", n))
            yield f"{stage}, worker", float((folder / f"{stage}.peak").read_text())


def table(peaks: dict[str, dict[str, float]]) -> str:
    """What the page shows between its marks."""
    few, many = sorted(peaks, key=int)
    head = f"| | {int(few):,} features | {int(many):,} features | a feature more | ten million |"
    rows = []
    for name, most in peaks[many].items():
        each = (most - peaks[few][name]) * 2**20 / (int(many) - int(few))
        rows.append(
            f"| {name} | {peaks[few][name]:,.0f} MB | {most:,.0f} MB | {each:.1f} bytes | {each * MANY / 1e6:,.0f} MB |"
        )
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def main() -> None:
    """Reads the options, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, nargs=2, default=[300_000, 900_000], help="two sizes, ascending")
    parser.add_argument("--write", action="store_true", help="write planning_memory.json and docs/scale.md")
    parser.add_argument("--again", action="store_true", help="write docs/scale.md from planning_memory.json")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.part:
        part(*o.part)
        return
    if not o.again:
        peaks = {str(n): dict(measured(n)) for n in o.features}
        print(machine(), table(peaks), sep="\n")
        if o.write:
            JSON.write_text(json.dumps({"machine": machine(), "peaks": peaks}, indent=1) + "\n")
    if o.write or o.again:
        put_between(PAGE, table(json.loads(JSON.read_text())["peaks"]), MARKS)


def part(what: str, *of: str) -> None:
    """What one process does."""
    match what, *of:
        case "dump", folder, n:
            write_dump(Path(folder), int(n))
        case "drive", ("explain" | "score") as stage, dump, run, n:
            drive(stage, Path(dump), Path(run), int(n))
        case "work", file:
            work(Path(file))
        case "parts", run, ("explain" | "score") as stage, n, shards:
            write_parts(Path(run), stage, int(n), int(shards))
        case _:
            raise AssertionError(of)


if __name__ == "__main__":
    main()
