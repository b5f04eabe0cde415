"""What a run at a URL costs: bytes and requests to the store a feature, and CPU and memory of shards, merge and status.

    python benchmarks/object_store.py --features 2000 --shards 2 --flushes 5

The store is the S3 server of the tests, with a proxy between that counts. Each shard is a process that writes the lines
of its features (an explanation of some 0.6 kB and 4.5 kB of exchanges each, as the defaults of `explain` have them) and
sends them so many times; then the parts are merged, and `status` is asked. No model is asked. Figures a feature are
those of the whole run; memory is the peak of a process, to be compared between numbers of features.
"""

import argparse
import base64
import logging
import multiprocessing
import os
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from builders import explanation
from remote.stores import S3, Faulty
from standin.commands import run as command

from autointerp.remote.path import RemotePath
from autointerp.runs.exchanges import ExchangeLine
from autointerp.runs.folder import RunWriter
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo
from autointerp.runs.parts import PartInfo, Place, part_path, write_part
from autointerp.runs.remote_copy import Mirror
from autointerp.settings import ExplainSettings, ModelSettings
from benchmarks.figures import machine, peak_memory

WHEN = "2026-01-31T12:00:00Z"
EXCHANGES = 4500
"""Bytes."""


def shard(url: str, home: Path, index: int, shards: int, features: int, flushes: int) -> None:
    """Writes the part of one shard, and sends it so many times."""
    place = Place("explain", index, shards)
    mirror = Mirror(RemotePath(url), home / place.name, place.name)
    mirror.claim()
    mirror.pull()
    stage = ExplainStage(model=ModelSettings(model="m"), settings=ExplainSettings(), prompts={})
    reference = DumpReference(name="d", path="/somewhere", digest="d" * 64, n_latents=features)
    info = RunInfo(version="1", created=WHEN, dump=reference, explain=stage)
    own = range(features * index // shards, features * (index + 1) // shards)
    path = part_path(mirror.folder, place)
    with RunWriter(path, info) as writer:
        write_part(path, PartInfo(selection="all", features=len(own)))
        for n, feature in enumerate(own, start=1):
            packed = base64.b64encode(os.urandom(EXCHANGES * 3 // 4)).decode()
            writer.exchanges(ExchangeLine(feature=feature, stage="explain", created=WHEN, n=1, packed=packed))
            writer.explanation(explanation(feature, images=range(24), contrast=range(12)))
            if n * flushes // len(own) > (n - 1) * flushes // len(own):
                mirror.send()
        write_part(path, PartInfo(selection="all", features=len(own), finished=True))
    mirror.send(last=True)
    mirror.release()
    mirror.forget()


def merging(url: str) -> None:
    """Merges the parts."""
    assert command("merge", url).code == 0


def status(url: str) -> None:
    """Says how far the run is."""
    assert command("status", url).code == 0


def measured(work: object, *args: object) -> None:
    """Runs it, and tells its CPU and peak memory as a line."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work(*args)  # type: ignore[operator]
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"  CPU {cpu:.2f} s, peak memory {peak_memory():,.0f} MB")


def stage(name: str, between: Faulty, features: int, processes: list[multiprocessing.Process]) -> None:
    """Runs processes side by side, and tells what the store was asked."""
    print(f"{name}:", flush=True)
    between.asked.clear()
    between.sent = 0
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    asked = Counter(method for method, _ in between.asked)
    told = ", ".join(f"{method} {n:,} ({n / features:.4f} a feature)" for method, n in sorted(asked.items()))
    print(f"  {told}; {between.sent / features:,.0f} bytes sent a feature", flush=True)


def main() -> None:
    """Reads the options, and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=2000)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--flushes", type=int, default=5, help="times that each shard sends its new lines")
    o = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    print(machine())
    context = multiprocessing.get_context("spawn")
    with S3() as server, Faulty(server) as between, tempfile.TemporaryDirectory() as folder:
        os.environ.update(server.environment)
        url = f"{server.bucket()}/run"
        os.environ.update(AWS_ENDPOINT_URL=between.endpoint, AUTOINTERP_CACHE=str(Path(folder) / "cache"))

        def processes(work: object, *several: tuple[object, ...]) -> list[multiprocessing.Process]:
            return [context.Process(target=measured, args=(work, *args)) for args in several]  # type: ignore[misc]

        home = Path(folder)
        shards = [(url, home, i, o.shards, o.features, o.flushes) for i in range(o.shards)]
        stage(f"{o.shards} shards of {o.features:,} features", between, o.features, processes(shard, *shards))
        stage("merge", between, o.features, processes(merging, (url,)))
        stage("status", between, o.features, processes(status, (url,)))


if __name__ == "__main__":
    main()
