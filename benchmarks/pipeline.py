"""CPU an explanation and a judged sheet, and requests a second, of whole commands over planted features.

A dump of features over 256-px images, with heat maps of 16 x 16, is explained and scored by the commands as they are
used, with an empty cache, against an endpoint that answers after 200 ms in a process of its own. CPU is that of the
command's own process and its children, start-up included, and beside it that of each request alone, from the slope
between two numbers of features. Several processes share the features by Ray or in shards; on two cores the endpoint has
a part of one of them.

python benchmarks/pipeline.py --features 1500
python benchmarks/pipeline.py --features 1500 --python ../before/.venv/bin/python    # the table of another version
python benchmarks/pipeline.py --features 400 --processes 2 --engine ray
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from figures import compile_package, machine, stated, verdict
from PIL import Image
from stub import running

from autointerp.dump.format import DumpInfo
from autointerp.dump.writer import DumpWriter
from autointerp.schema import Box, Exemplar, FeatureRow

PIXELS = 256
GRID = 16
WAIT = 0.2
N_IMAGES = 4000
POPULATION = 100_000
ACTIVE = 1000
STRATA = (("top", 24), ("q1", 8), ("q2", 8), ("q3", 8), ("q4", 8), ("q5", 8), ("silent", 60))
"""Of the exemplars of each feature, in stored order."""


def photograph(rng: np.random.Generator) -> bytes:
    """A 256-px JPEG of about 15 kB."""
    coarse = rng.integers(0, 256, (10, 10, 3), dtype=np.uint8)
    ground = np.asarray(Image.fromarray(coarse).resize((PIXELS, PIXELS), Image.Resampling.BICUBIC), dtype=np.int16)
    pixels = np.clip(ground + rng.normal(0, 5, (PIXELS, PIXELS, 1)), 0, 255).astype(np.uint8)
    target = BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=85)
    return target.getvalue()


def write_dump(folder: Path, n_features: int, *, n_images: int = N_IMAGES) -> None:
    """Features over shared images; each fires on a blob at places of its own."""
    rng = np.random.default_rng(0)
    info = DumpInfo(
        name="planted",
        created="2026-01-01T00:00:00+00:00",
        created_by="benchmarks/pipeline.py",
        model="none",
        hookpoint="none",
        n_latents=n_features,
        widths=(n_features,),
        n_images=POPULATION,
        active_above=0.0,
        patch_grid=(GRID, GRID),
    )
    with DumpWriter(folder, info) as writer:
        for image in range(n_images):
            data = photograph(rng)
            writer.add_image(image, data=data, size=(PIXELS, PIXELS), sha256=hashlib.sha256(data).hexdigest())
        for feature in range(n_features):
            row = FeatureRow(feature, n_features, ACTIVE, 60.0, None, None)
            writer.add_feature(row, exemplars(rng, n_images))


def exemplars(rng: np.random.Generator, n_images: int) -> list[Exemplar]:
    """Rows of one feature: each on an image of its own, the active ones with a heat map and its box."""
    n = sum(n for _, n in STRATA)
    images = iter(rng.choice(n_images, n, replace=False).tolist())
    rows, activation = [], 60.0
    for stratum, count in STRATA:
        for _ in range(count):
            activation -= 0.5
            if stratum == "silent":
                rows.append(Exemplar(next(images), 0.0, stratum, count / (POPULATION - ACTIVE), None, None))
                continue
            box, heat = blob(rng)
            probability = 1.0 if stratum == "top" else count / (ACTIVE / 5)
            rows.append(Exemplar(next(images), activation, stratum, probability, box, heat))
    return rows


def blob(rng: np.random.Generator) -> tuple[Box, bytes]:
    """Where a feature fires: a hill of two or three cells, and the box around its upper half."""
    at, wide = rng.uniform(3, GRID - 3, 2), rng.uniform(1, 2.5)
    y, x = np.mgrid[0:GRID, 0:GRID]
    hill = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * wide**2))
    heat = np.round(255 * hill / hill.max()).astype(np.uint8)
    rows, columns = np.nonzero(heat >= 128)
    cell = PIXELS // GRID
    box = Box(
        int(columns.min()) * cell, int(rows.min()) * cell, int(columns.max() + 1) * cell, int(rows.max() + 1) * cell
    )
    return box, heat.tobytes()


@dataclass(frozen=True)
class Took:
    """What one command took."""

    seconds: float
    cpu: float
    memory: float
    """Megabytes of resident memory at most."""


def kilobytes(run: Path, n: int) -> str:
    """What each file of a run takes, in kB a feature."""
    files = sorted(run.glob("*.jsonl"))
    return ", ".join(f"{file.name} {file.stat().st_size / 1000 / n:.1f}" for file in files)


def timed(command: Sequence[str | Path], home: Path) -> Took:
    """Runs a command to its end."""
    environment = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "OPENAI_API_KEY": "none"}
    start = time.perf_counter()
    log_file = home / f"log{threading.get_ident()}"
    with log_file.open("w") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, log_file.read_text()[-2000:]
    return Took(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def spread(command: Sequence[str | Path], home: Path, engine: str, n: int) -> Took:
    """Runs a stage by `n` processes: by Ray, or in shards that are merged; their CPU and memory are added.

    What Ray's own processes use is not seen: of those runs the rates alone mean something.
    """
    if n == 1 or engine == "ray":
        return timed([*command, "--engine", "ray", "--actors", str(n)] if n > 1 else command, home)
    start = time.perf_counter()
    with ThreadPoolExecutor(n) as pool:
        pieces = [pool.submit(timed, [*command, "--shard", f"{i}/{n}"], home) for i in range(n)]
        parts = [piece.result() for piece in pieces]
    run = command[command.index("--run") + 1] if "--run" in command else command[command.index("score") + 1]
    parts.append(timed([*command[:3], "merge", run], home))
    cpu, memory = sum(part.cpu for part in parts), sum(part.memory for part in parts[:-1])
    return Took(time.perf_counter() - start, cpu, memory)


def once(python: str, dump: Path, url: str, n: int, engine: str, processes: int) -> dict[str, tuple[Took, int]]:
    """Both commands over `n` features with an empty cache, and how many requests each sent."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        run, cache = home / "run", ("--cache", str(home / "answers"))
        line = [python, "-m", "autointerp"]
        in_flight = ["--concurrency", str(64 if engine == "ray" else 64 // processes)]
        of = ["--features", f"0-{n - 1}", *in_flight]
        asked = ["explain", dump, "--run", run, "--model", "stub", "--base-url", url, *of, *cache]
        explained = spread([*line, *asked], home, engine, processes)
        scored = spread([*line, "score", run, *in_flight, *cache], home, engine, processes)
        print(f"{n} features; kB a feature: {kilobytes(run, n)}")
        return {"explain": (explained, calls(run, "explanations")), "score": (scored, calls(run, "scores"))}


def calls(run: Path, name: str) -> int:
    """Requests that the records of a run tell of."""
    n = 0
    for line in (run / f"{name}.jsonl").read_text().splitlines():
        n += json.loads(line).get("usage", {}).get("calls", 0)
    return n


def main() -> None:
    """Prints both commands' figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=1500)
    parser.add_argument("--few", type=int, default=100, help="features of the shorter run, for the slope")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--python", default=sys.executable, help="the interpreter whose autointerp is measured")
    parser.add_argument("--processes", type=int, default=1, help="that share features and requests in flight")
    parser.add_argument(
        "--engine", choices=["shards", "ray"], default="shards", help="how several processes share them"
    )
    options = parser.parse_args()
    print(machine())
    compile_package(options.python)
    runs: list[dict[str, tuple[Took, int, Took, int]]] = []
    with tempfile.TemporaryDirectory() as folder, running(WAIT) as url:
        dump = Path(folder) / "dump"
        write_dump(dump, options.features)
        for _ in range(1 + options.repeats):
            every, few = (
                once(options.python, dump, url, n, options.engine, options.processes)
                for n in (options.features, options.few)
            )
            runs.append({name: (*every[name], *few[name]) for name in every})
    # The first run looks at each image once for near-duplicates and remembers it beside the dump.
    first, *rest = runs
    print(f"CPU of the first explain, in which every image is looked at: {first['explain'][0].cpu:.1f} s")
    for name in first:
        state(name, [run[name] for run in rest])
    both = [options.features / (run["explain"][0].seconds + run["score"][0].seconds) for run in rest]
    print(verdict("features/s explained and scored", both, 36, at_least=True, digits=1))


def state(name: str, runs: Sequence[tuple[Took, int, Took, int]]) -> None:
    """Prints the figures of one command; of each run what all and what few features took, with their requests."""
    slopes = [1000 * (a.cpu - f.cpu) / (n - m) for a, n, f, m in runs]
    start = [f.cpu - m * slope / 1000 for (_, _, f, m), slope in zip(runs, slopes, strict=True)]
    rates = [n / a.seconds for a, n, _, _ in runs]
    print(f"{name}: {runs[0][1]} requests; memory, MB: {stated([a.memory for a, *_ in runs], 0)}")
    print(verdict(f"{name}: CPU of start-up, s", start, 0.6, at_least=False))
    print(verdict(f"{name}: CPU a request, ms", slopes, 8, at_least=False))
    print(verdict(f"{name}: requests/s", rates, 150, at_least=True, digits=0))


if __name__ == "__main__":
    main()
