"""Seconds in which `explain` replays features whose answers are all in the cache, in one process and in several.

The cache is filled without an endpoint: requests are built as `explain` builds them, and one answer is stored for each.
The first replay into a new run folder, as of a cache of an earlier version, reads the dump, draws what is shown, fills
the prompt, finds the answer by the request's key, and writes the run and what became of each feature into the cache;
no picture is made. Further replays find that. The last line is of the same command once more, with nothing left to do.
The address given answers nothing, so a miss would end the run.

Memory is the most that was resident in one process. It is given for so many features and for a hundredth of them.

python benchmarks/replay.py --features 100000 --workers 1
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from dumps import photograph, write_dump
from figures import compile_package, machine

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


@dataclass(frozen=True)
class Took:
    """What one command took."""

    seconds: float
    cpu: float
    memory: float
    """Megabytes of resident memory of its own process, at most."""


def replay(dump: Path, run: Path, cache: Path, workers: int, features: int, chosen: int | None = None) -> Took:
    """Runs the command over all features, or the first `chosen`, of which so many are not explained yet."""
    command = [sys.executable, "-m", "autointerp", "explain", dump, "--run", run, "--cache", cache, "--json"]
    command += ["--model", MODEL, "--base-url", NOBODY]
    if chosen is not None:
        command += ["--features", f"0-{chosen - 1}"]
    if workers > 1:
        command += ["--workers", str(workers)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert told["done"] == features, told
    return Took(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    """Prints a line for each number of processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    asked = parser.parse_args()
    print(machine())
    compile_package()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dump(folder / "dump", n_features=asked.features, photographs=[photograph(i) for i in range(N_IMAGES)])
        asyncio.run(fill(folder / "dump", folder / "cache"))
        dump, cache, n = folder / "dump", folder / "cache", asked.features
        tell("first, 1 process", n, replay(dump, folder / "first", cache, 1, n))
        for workers in asked.workers:
            tell(f"kept, {workers} processes", n, replay(dump, folder / f"kept-{workers}", cache, workers, n))
        few = max(1, n // 100)
        tell("kept, 1 process, a hundredth", few, replay(dump, folder / "few", cache, 1, few, few))
        tell("nothing left, 1 process", n, replay(dump, folder / "first", cache, 1, 0))


def tell(what: str, features: int, took: Took) -> None:
    """Prints a line."""
    print(
        f"{what}: {features:,} features in {took.seconds:.1f} s, {took.cpu:.1f} s of CPU, "
        f"{1000 * took.cpu / features:.2f} ms of CPU a feature; 100,000 in {1e5 * took.seconds / features:.0f} s; "
        f"{took.memory:.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
