"""Seconds in which `explain` replays features whose answers are all in the cache, in one process and in several.

The cache is filled without an endpoint: requests are built as `explain` builds them, and one answer is stored for each.
The first replay into a new run folder, as of a cache of an earlier version, reads the dump, draws what is shown, fills
the prompt, finds the answer by the request's key, and writes the run and what became of each feature into the cache;
no picture is made. Further replays find that. The last line is of the same command once more, with nothing left to do.
The address given answers nothing, so a miss would end the run.

python benchmarks/replay.py --features 100000
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dumps import photograph, write_dump
from figures import cpu_of_children, machine

from autointerp.dump.reader import open_dump
from autointerp.estimation.forecast import make_explainer
from autointerp.job import images_of
from autointerp.lmm.cache import Cache
from autointerp.settings import ExplainSettings, ModelSettings

N_IMAGES = 120
MODEL = "stub"
WORDS = "a round red disc with a sharp edge on a plain ground"
REPLY = json.dumps({"candidates": ["a disc"], "verdict": "one", "explanation": WORDS, "concepts": ["a round red disc"]})
NOBODY = "http://127.0.0.1:9/v1"
AT_ONCE = 512


async def fill(dump: Path, cache: Path) -> None:
    """Stores an answer for every feature's request."""
    value = {"text": REPLY, "model": MODEL, "input_tokens": 1200, "output_tokens": 60, "cached_tokens": 0, "calls": 1}
    with open_dump(dump) as opened, Cache(cache) as store:
        explainer = make_explainer(opened, ModelSettings(model=MODEL), ExplainSettings(), None)
        waiting: list[asyncio.Task[None]] = []
        for feature in opened.features():
            for request in explainer.requests(feature, images_of(opened, feature)):
                waiting.append(asyncio.create_task(store.put(request.key, value)))
            if len(waiting) >= AT_ONCE:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)


def replay(dump: Path, run: Path, cache: Path, workers: int, features: int) -> tuple[float, float]:
    """Seconds of the whole command, and of CPU, for so many features that are not explained yet."""
    command = [sys.executable, "-m", "autointerp", "explain", dump, "--run", run, "--cache", cache, "--json"]
    command += ["--model", MODEL, "--base-url", NOBODY]
    if workers > 1:
        command += ["--workers", str(workers)]
    before, began = cpu_of_children(), time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    took, cpu = time.perf_counter() - began, cpu_of_children() - before
    told = json.loads(done.stdout)
    assert told["done"] == features, told
    return took, cpu


def main() -> None:
    """Prints a line for each number of processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dump(folder / "dump", n_features=asked.features, photographs=[photograph(i) for i in range(N_IMAGES)])
        asyncio.run(fill(folder / "dump", folder / "cache"))
        runs = [("first", 1), *(("kept", workers) for workers in asked.workers)]
        for name, workers in runs:
            took, cpu = replay(folder / "dump", folder / f"{name}-{workers}", folder / "cache", workers, asked.features)
            tell(f"{name}, {workers} processes", asked.features, took, cpu)
        took, cpu = replay(folder / "dump", folder / "first-1", folder / "cache", 1, 0)
        tell("nothing left, 1 processes", asked.features, took, cpu)


def tell(what: str, features: int, took: float, cpu: float) -> None:
    """Prints a line."""
    print(
        f"{what}: {features:,} features in {took:.1f} s, {1000 * cpu / features:.2f} ms of CPU a feature; "
        f"{features / took:,.0f} a second, 100,000 in {1e5 * took / features:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
