"""Where the processor time of `explain` and `score` goes, by stage, and how much of it holds the interpreter's lock.

Both commands run over planted features as in `pipeline.py`: once alone, for their processor time; once sampled by
py-spy, for what is running; and once more, for what holds the lock. A stage's share of the samples is that share of
the processor time. Where other processes share the machine, threads that could run wait, and are sampled for longer
than they run; the lock's samples are taken for less by the same factor. The stage of a sample is that of its innermost
function that has one.

pip install py-spy
python benchmarks/pipeline_stages.py --features 300
"""

import argparse
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from figures import machine
from pipeline import WAIT, calls, timed, write_dump
from stub import running

RATE = 200
"""Samples a second."""
STAGES = (
    ("start and end", r"frozen importlib|^_?(main|exit)\b.*typer"),
    ("decoded images on disk", r"autointerp/images/pixel_file"),
    ("read source, check its digest", r"dump/imagetable\.py|_decode \(autointerp/images/renderer"),
    ("decode", r"decoded \(autointerp/images/jpeg|autointerp/images/decode"),
    ("enlarge", r"autointerp/images/enlarge"),
    ("sheet", r"(render_sheet|_title) \(autointerp/images/render\."),
    ("encode", r"encoded \(autointerp/images/jpeg"),
    ("crop, outline", r"autointerp/images/(render\.|jpeg)"),
    ("hand pictures to threads and back", r"autointerp/images/(renderer|store)"),
    ("regions", r"autointerp/images/region|autointerp/tiles"),
    ("prompt, key", r"jinja|autointerp/(prompts|lmm/request|images/picture)|_request \(|board \(|_sheet \("),
    ("body, base64", r"autointerp/lmm/body"),
    ("cache", r"diskcache|autointerp/lmm/cache"),
    ("HTTP", r"aiohttp/|autointerp/lmm/(http|openai_client|response|lateness|rate_limit)"),
    ("reply", r"autointerp/(lmm/parse|replies)"),
    ("limits, budget, estimate", r"autointerp/lmm/|autointerp/session"),
    ("near-duplicates", r"near_(copies|duplicates)"),
    ("records", r"autointerp/(runs/|job\.|lmm/exchanges)|_record \(|verdicts \("),
    ("statistics", r"autointerp/(statistics/|scoring/(scorers/|imputation|adaptive|controls|disjuncts|margin))"),
    ("sampling", r"autointerp/(scoring/|evidence|schema)"),
    ("features", r"autointerp/dump/"),
    ("event loop, threads", r"asyncio/|concurrent/futures|threading\.py|autointerp/pipeline"),
)
"""In the order in which they are tried on a frame."""
OUTER = ("start and end", "event loop, threads")
"""Stages that hold all others within them: they count where a sample has no other."""


def stage_of(frames: list[str]) -> str:
    """The stage of a sample, whose frames are given from the outermost on."""
    found = [next((name for name, pattern in STAGES if re.search(pattern, frame)), None) for frame in reversed(frames)]
    named = [name for name in found if name is not None]
    return next((name for name in named if name not in OUTER), named[0] if named else "start and end")


def samples(file: Path) -> Iterator[tuple[str, int]]:
    """Stage and number of each stack of frames that py-spy saw."""
    for line in file.read_text().splitlines():
        stack, n = line.rsplit(" ", 1)
        yield stage_of(stack.split(";")), int(n)


def sampled(command: list[str | Path], home: Path, *extra: str) -> Counter[str]:
    """Samples of a command by stage."""
    file = home / "samples"
    options = ["--rate", str(RATE), "--format", "raw", "--nonblocking", "--output", file]
    timed(["py-spy", "record", *options, *extra, "--", *command], home)
    out: Counter[str] = Counter()
    for stage, n in samples(file):
        out[stage] += n
    return out


def commands(python: str, dump: Path, url: str, n: int, home: Path) -> dict[str, list[str | Path]]:
    """Both commands, with a cache of their own."""
    run, cache, common = home / "run", ["--cache", home / "answers"], ["--concurrency", "64"]
    asked = ["explain", dump, "--run", run, "--model", "stub", "--base-url", url, "--features", f"0-{n - 1}"]
    line = [python, "-m", "autointerp"]
    return {"explain": [*line, *asked, *common, *cache], "score": [*line, "score", run, *common, *cache]}


def main() -> None:
    """Prints a Markdown table a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=300)
    parser.add_argument("--python", default=sys.executable, help="the interpreter whose autointerp is measured")
    options = parser.parse_args()
    n = options.features
    print(machine())
    cpu: dict[str, float] = {}
    found: dict[str, list[Counter[str]]] = {"explain": [], "score": []}
    asked: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder, running(WAIT) as url:
        dump = Path(folder) / "dump"
        write_dump(dump, n)
        os.environ.setdefault("OPENAI_API_KEY", "none")
        for number, way in enumerate(("first", "alone", "running", "lock")):
            home = Path(folder) / str(number)
            home.mkdir()
            for name, command in commands(options.python, dump, url, n, home).items():
                if way in ("first", "alone"):
                    cpu[name] = timed(command, home).cpu
                    continue
                found[name].append(sampled(command, home, *(("--gil",) if way == "lock" else ())))
            asked = {"explain": calls(home / "run", "explanations"), "score": calls(home / "run", "scores")}
    for name, (running_, lock) in found.items():
        table(name, asked[name], cpu[name], running_, lock)


def table(name: str, requests: int, cpu: float, active: Counter[str], lock: Counter[str]) -> None:
    """Prints the stages of a command."""
    print(f"\n{name}: {requests} requests\n\n| stage | CPU a request, ms | holding the lock, ms |\n|---|---|---|")
    stages = [stage for stage, _ in STAGES if active[stage] or lock[stage]]
    one = 1000 * cpu / active.total()
    rows = {s: (one * active[s], one * lock[s]) for s in stages}
    for stage, (whole, held) in rows.items():
        print(f"| {stage} | {whole / requests:.2f} | {held / requests:.2f} |")
    whole, held = (sum(row[i] for row in rows.values()) / requests for i in (0, 1))
    print(f"| all | {whole:.2f} | {held:.2f} |")


if __name__ == "__main__":
    main()
