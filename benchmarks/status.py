"""How long `autointerp status` takes: of a run in a folder, and of one at a URL with its figures and without.

    python -m benchmarks.status --features 10000 100000 --write
    python -m benchmarks.status --again    # the table from status.json

Each feature has an explanation and the scores of two scorers with 60 verdicts each, of which one in a thousand carries
the controls, as `score` writes them. The store is the S3 server of the tests, in a process of its own. The run is sent
as segments of some 4 MB; then `status` is asked, as a process of its own, three times, of which the fastest counts:
seconds by the clock, with the start of Python. Without figures is what a run of an earlier version has. With `--write`
the figures go into status.json and docs/scale.md.
"""

import argparse
import json
import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from builders import explanation
from remote.stores import S3

from autointerp.remote.path import RemotePath
from autointerp.runs.figure_files import figure_file
from autointerp.runs.folder import RunWriter
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo, ScoreStage
from autointerp.runs.remote_copy import Mirror
from autointerp.schema import Control, Scored, Usage, Verdict
from autointerp.scoring.control_tests import HARDER
from autointerp.settings import ExplainSettings, ModelName, ModelSettings, ScoreSettings
from benchmarks.figures import compile_package, machine, put_between

HERE = Path(__file__).parent
JSON = HERE / "status.json"
PAGE = HERE.parent / "docs/scale.md"
MARKS = ("<!-- status -->", "<!-- /status -->")
WHEN = "2026-01-31T12:00:00Z"
SCORERS, VERDICTS, CONTROLLED, TIMES = ("detection", "accuracy"), 60, 1000, 3
COMMAND = Path(sys.executable).with_name("autointerp")


@dataclass(frozen=True)
class Took:
    """What `status` took of a run of so many features, in seconds, and what was fetched, in bytes."""

    features: int
    folder: float
    with_figures: float
    without: float
    figures: int
    lines: int


def scores(chance: np.random.Generator) -> list[Scored]:
    """Scores of drawn answers, which all features share but for the value."""
    return [
        Scored(
            feature=0,
            scorer=scorer,
            value=0.5,
            low=0.4,
            high=0.6,
            n=VERDICTS,
            details={f"detail_{i}": float(chance.random()) for i in range(20)},
            controls={
                name: Control(value=float(chance.random()) / 2, n=VERDICTS) for name in ("permuted", "always_yes")
            },
            verdicts=tuple(
                Verdict(
                    image=int(image),
                    active=i < 10,
                    stratum="top" if i < 10 else "silent",
                    belief=float(i % 2),
                    weight=1,
                )
                for i, image in enumerate(chance.integers(0, 10**6, VERDICTS))
            ),
            judge="m",
            prompt="0" * 12,
            usage=Usage(input_tokens=900, output_tokens=30, calls=3),
            created=WHEN,
        )
        for scorer in SCORERS
    ]


def write(folder: Path, features: int) -> None:
    """Writes a run."""
    chance = np.random.default_rng(0)
    model = ModelSettings(model=ModelName("m"))
    info = RunInfo(
        version="1",
        created=WHEN,
        dump=DumpReference(name="d", path="/somewhere", digest="d" * 64, n_latents=features),
        explain=ExplainStage(model=model, settings=ExplainSettings(), prompts={}),
        score=ScoreStage(judge=model, settings=ScoreSettings(), prompts={}),
    )
    own, texts = scores(chance), explanation(0, images=range(24), contrast=range(12))
    more = {name: Control(value=0.2, n=VERDICTS) for name in HARDER if name != "random"}
    with RunWriter(folder, info) as writer:
        for feature, value in enumerate(chance.random(features).tolist()):
            writer.explanation(texts.model_copy(update={"feature": feature}))
            for one in own:
                controls = one.controls | (more if feature % CONTROLLED == 0 else {})
                changed = {"feature": feature, "value": value, "low": value / 2, "high": (1 + value) / 2}
                writer.score(one.model_copy(update=changed | {"controls": controls}))


def served(pipe: Connection) -> None:
    """Serves S3 until told otherwise, and tells what a user would export."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with S3() as server:
        pipe.send(server.environment)
        pipe.recv()


@contextmanager
def store() -> Iterator[None]:
    """An S3 server in a process of its own, whose keys are in the environment."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=served, args=(there,))
    process.start()
    os.environ.update(here.recv())
    try:
        yield
    finally:
        here.send(None)
        process.join()


def asked(run: str | Path) -> tuple[float, str]:
    """The fastest of several times, in seconds, and what was said."""
    took, said = list[float](), None
    for _ in range(TIMES):
        start = time.perf_counter()
        said = subprocess.run([COMMAND, "status", str(run), "--json"], capture_output=True, text=True, check=True)
        took.append(time.perf_counter() - start)
    assert said is not None
    return min(took), said.stdout.replace(str(run), "RUN")


def measured(features: int) -> Took:
    """Writes and sends a run, and asks about it."""
    import s3fs

    with tempfile.TemporaryDirectory() as home:
        folder, url = Path(home) / "run", f"s3://shelf-{features}/run"
        s3fs.S3FileSystem(use_listings_cache=False).mkdir(f"shelf-{features}")
        write(folder, features)
        mirror = Mirror(RemotePath(url), Path(home) / "work")
        mirror.pull()
        shutil.copytree(folder, mirror.folder, dirs_exist_ok=True)
        mirror.push(last=True)
        mirror.forget()
        in_folder, said = asked(folder)
        with_figures, said_there = asked(url)
        sizes = objects(url)
        there = {path: size for path, size in sizes.items() if figure_file(path.partition("/run/")[2])}
        s3fs.S3FileSystem(use_listings_cache=False).rm(list(there))
        without, said_without = asked(url)
        assert said == said_there == said_without
    return Took(
        features, in_folder, with_figures, without, sum(there.values()), sum(sizes.values()) - sum(there.values())
    )


def objects(url: str) -> dict[str, int]:
    """The bytes of each object below a URL."""
    import s3fs

    found = dict(s3fs.S3FileSystem(use_listings_cache=False).find(url, detail=True))
    return {str(path): int(about["size"]) for path, about in found.items()}


def table(took: Sequence[Took]) -> str:
    """The table of the page."""
    lines = [
        "| features, with two scores each | at a URL | at a URL, without figures | in a folder | figures | lines |",
        "|---|---|---|---|---|---|",
    ]
    for t in took:
        figures, whole = (f"{size / 1e6:,.1f} MB" for size in (t.figures, t.lines))
        times = " | ".join(f"{seconds:.1f} s" for seconds in (t.with_figures, t.without, t.folder))
        lines.append(f"| {t.features:,} | {times} | {figures} | {whole} |")
    return "\n".join(lines)


def main() -> None:
    """Reads the options, and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, nargs="+", default=[1000])
    parser.add_argument("--write", action="store_true", help="write status.json and the table in docs/scale.md")
    parser.add_argument("--again", action="store_true", help="measure nothing; the table from status.json")
    o = parser.parse_args()
    if o.again:
        told = json.loads(JSON.read_text())
    else:
        compile_package()
        with store():
            told = {"machine": machine(), "took": [asdict(measured(n)) for n in o.features]}
    print(told["machine"])
    took = [Took(**t) for t in told["took"]]
    if o.write:
        JSON.write_text(json.dumps(told, indent=1) + "\n")
        put_between(PAGE, table(took), MARKS)
    print(table(took))


if __name__ == "__main__":
    main()
