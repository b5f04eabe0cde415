"""CPU of `autointerp --help`, and of `explain` and `score` until they send their first request, and what is loaded.

CPU is user and system together. Both commands read a dump of one feature and make its pictures; both are ended instead
of sending the request.

python benchmarks/cli_start.py
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from figures import compile_package, cpu_of_children, machine, stated, verdict
from pipeline import write_dump
from stub import running

HEAVY = ("torch", "pandas", "pyarrow", "openai", "numpy", "PIL", "aiohttp", "pydantic", "jinja2", "diskcache")
Start = tuple[float, int, list[str]]
"""Seconds of CPU until the first request, modules loaded, and which of the heavy packages."""
FIRST = f"""
import json, os, resource, sys
from autointerp.cli.main import main
from autointerp.lmm.http import Wire

async def post(wire, *args, **options):
    wire._open()
    used = resource.getrusage(resource.RUSAGE_SELF)
    there = [name for name in {HEAVY!r} if name in sys.modules]
    print(json.dumps([used.ru_utime + used.ru_stime, len(sys.modules), there]), flush=True)
    os._exit(0)

Wire.post = post
main()
"""
"""Runs a command up to its first request."""


def cpu(*command: str) -> float:
    """Seconds of one run."""
    before = cpu_of_children()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return cpu_of_children() - before


def loaded() -> list[str]:
    """The heavy packages that are in memory once the commands are known."""
    code = f"import sys, autointerp.cli.main; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def first_request(home: Path, *command: str) -> Start:
    """Seconds of CPU until the first request, with an empty cache, and what is loaded then."""
    environment = os.environ | {"HOME": str(home), "OPENAI_API_KEY": "none"}
    with tempfile.TemporaryDirectory() as cache:
        line = [sys.executable, "-c", FIRST, *command, "--cache", cache]
        done = subprocess.run(line, check=True, capture_output=True, text=True, env=environment)
    return tuple(json.loads(done.stdout))


def starts(repeats: range) -> Iterator[tuple[Start, Start]]:
    """What `explain` and `score` took, of each repeat."""
    with tempfile.TemporaryDirectory() as folder, running(0.0) as url:
        home = Path(folder)
        dump, run, cache = (str(home / name) for name in ("dump", "run", "answers"))
        write_dump(Path(dump), 1, n_images=200)
        explain = ["explain", dump, "--model", "stub", "--base-url", url, "--run"]
        environment = os.environ | {"HOME": folder, "OPENAI_API_KEY": "none"}
        explained = [sys.executable, "-m", "autointerp", *explain, run, "--cache", cache]
        subprocess.run(explained, check=True, capture_output=True, env=environment)
        for i in repeats:
            new = str(home / f"run{i}")
            of_explain = first_request(home, *explain, new)
            of_score = first_request(home, "score", run)
            yield of_explain, of_score


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = range(parser.parse_args().repeats)
    compile_package()
    helped = [cpu("-m", "autointerp", "--help") for _ in repeats]
    explained = [cpu("-m", "autointerp", "explain", "--help") for _ in repeats]
    bare = [cpu("-c", "pass") for _ in repeats]
    print(machine())
    print(verdict("autointerp --help, s of CPU", helped, 0.3, at_least=False, digits=3))
    print(f"autointerp explain --help: {stated(explained, 3)} s; Python alone: {stated(bare, 3)} s")
    print(f"heavy packages loaded: {', '.join(loaded()) or 'none'} (of {', '.join(HEAVY)})")
    for name, told in zip(("explain", "score"), zip(*starts(repeats), strict=True), strict=True):
        seconds = [of[0] for of in told]
        print(verdict(f"{name}, s of CPU until the first request", seconds, 0.6, at_least=False, digits=3))
        _, modules, there = told[0]
        print(f"{modules} modules; heavy packages loaded: {', '.join(there)}")


if __name__ == "__main__":
    main()
