"""The explorer at a million features: how fast its index is made, how soon it is up, how long pages take, its memory.

python -m benchmarks.explorer_pages                               # 100,000 features, some minutes of one core
python -m benchmarks.explorer_pages --features 1000000 --write    # half an hour; writes into benchmarks/README.md

A synthetic run (`explorer_world.py`) is served by `autointerp view` in a process of its own and read over HTTP by
several readers at once, each asking for page after page; every address is asked for once before it counts.
"""

import argparse
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from benchmarks.explorer_world import vocabulary, write
from benchmarks.figures import machine, put_between

HERE = Path(__file__).parent
MARKS = ("<!-- explorer -->", "<!-- /explorer -->")
READERS = 4
"""Who read at once."""
PER_KIND = 200
"""Addresses of each kind of page."""
TARGETS = {"rate": 20_000.0, "start": 3.0, "list": 100.0, "search": 100.0, "feature": 200.0, "memory": 500.0}
CLOCK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Pages:
    """Is how long pages of a kind took."""

    wall: float
    """95th percentile with all readers at once, ms."""
    alone: float
    """The same with one reader."""
    cpu: float
    """Mean processor time of the server for a page, ms."""


def addresses(n: int) -> Mapping[str, list[str]]:
    """What is asked for, by kind."""
    chance = random.Random(0)
    words = vocabulary()
    lists = [
        f"/?sort={chance.choice(('score', 'density', 'max', 'width', ''))}&page={chance.randint(1, 50)}"
        + chance.choice(("", f"&score_from={chance.random():.2f}", f"&width={n}", f"&density_to={chance.random():.3f}"))
        for _ in range(PER_KIND)
    ]
    # The n-th word is asked for as often as it stands in texts, so that many questions match a tenth of all features.
    weights = [1 / (rank + 2) for rank in range(len(words))]
    drawn = [chance.choices(words, weights, k=chance.randint(1, 2)) for _ in range(PER_KIND)]
    searches = [f"/?q={quote(' '.join(own))}&sort={chance.choice(('', 'score'))}" for own in drawn]
    features = [f"/feature/{chance.randrange(n)}" for _ in range(PER_KIND)]
    return {"list": lists, "search": searches, "feature": features}


def index_cost(run: Path, dump: Path, cache: Path) -> tuple[float, float]:
    """Makes the index in a process of its own; returns processor seconds and the most memory in MB."""
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from autointerp.job import dump_of\n"
        "from autointerp.runs.parts import open_with_parts\n"
        "from autointerp.explorer.index import Index\n"
        "run, dump, cache = map(Path, sys.argv[1:])\n"
        "opened = open_with_parts(run)\n"
        "source = dump_of(opened, dump, allow_outside=False)\n"
        "before = time.process_time()\n"
        "Index(source, opened, str(run.resolve()), cache)\n"
        "said = Path('/proc/self/status').read_text()\n"
        "print(time.process_time() - before, int(said.partition('VmHWM:')[2].split()[0]) / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run), str(dump), str(cache)], check=True, capture_output=True, text=True
    )
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


@contextmanager
def served(run: Path, dump: Path, cache: Path) -> Iterator[tuple[int, int, float]]:
    """A server; yields its process, its port, and the seconds until it answered."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "autointerp", "view", str(run), "--dump", str(dump), "--cache", str(cache)]
    with subprocess.Popen(
        [*command, "--port", "0"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            address = next(line for line in process.stderr if "http://" in line)
            port = int(address.partition("http://127.0.0.1:")[2].partition("/")[0])
            ask(http.client.HTTPConnection("127.0.0.1", port), "/")
            yield process.pid, port, time.perf_counter() - begun
        finally:
            process.terminate()


def ask(line: http.client.HTTPConnection, address: str) -> float:
    """Loads a page; returns milliseconds."""
    begun = time.perf_counter()
    line.request("GET", address)
    answer = line.getresponse()
    answer.read()
    assert answer.status == 200, (address, answer.status)
    return 1000 * (time.perf_counter() - begun)


def read(port: int, asked: Sequence[str], readers: int) -> list[float]:
    """Milliseconds of all pages, dealt to readers."""
    took: list[list[float]] = [[] for _ in range(readers)]

    def one(number: int) -> None:
        line = http.client.HTTPConnection("127.0.0.1", port)
        took[number] = [ask(line, address) for address in asked[number::readers]]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [ms for own in took for ms in own]


def cpu_of(pid: int) -> float:
    """Processor seconds of a process so far."""
    said = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(said[11]) + int(said[12])) / CLOCK


def memory_of(pid: int) -> float:
    """The most memory that a process held, MB."""
    said = Path(f"/proc/{pid}/status").read_text()
    return int(said.partition("VmHWM:")[2].split()[0]) / 1024


def measure(folder: Path, n: int) -> dict[str, object]:
    """All figures of a run of so many features, which is written and indexed where that was not done yet."""
    if not (folder / "run").exists():
        write(folder, n)
    run, dump, cache = folder / "run", folder / "dump", folder / "cache"
    kept = folder / "index.json"
    if not kept.exists():
        (run / "view.sqlite").unlink(missing_ok=True)
        seconds, memory = index_cost(run, dump, cache)
        bytes_each = (run / "view.sqlite").stat().st_size / n
        kept.write_text(json.dumps({"rate": n / seconds, "index_memory": memory, "index_bytes": bytes_each}))
    out: dict[str, object] = {"features": n, **json.loads(kept.read_text())}
    with served(run, dump, cache) as (pid, port, start):
        out["start"] = start
        out["start_cpu"] = cpu_of(pid)
        for kind, asked in addresses(n).items():
            read(port, asked, READERS)
            before = cpu_of(pid)
            alone = read(port, asked, 1)
            cpu = 1000 * (cpu_of(pid) - before) / len(asked)
            wall = read(port, asked, READERS)
            out[kind] = vars(Pages(float(np.quantile(wall, 0.95)), float(np.quantile(alone, 0.95)), cpu))
        out["memory"] = memory_of(pid)
    return out


def table(measured: Mapping[str, object]) -> str:
    """The figures beside their targets."""
    rows = ["| what | measured | target |", "|---|---|---|"]
    rows.append(_row("index: features a second of one core", measured["rate"], "rate", "{:,.0f}", at_least=True))
    rows.append(f"| index: memory while it is made | {measured['index_memory']:.0f} MB | |")
    rows.append(f"| index: bytes a feature on disk | {measured['index_bytes']:.0f} | |")
    start = _row("seconds from the command to the first page, indexed", measured["start"], "start", "{:.1f}")
    rows.append(start.replace(" | ", f" ({measured['start_cpu']:.1f} s of processor time) | ", 1))
    for kind in ("list", "search", "feature"):
        own = measured[kind]
        assert isinstance(own, dict)
        rows.append(
            _row(
                f"{kind} page, ms at the 95th percentile, {READERS} readers at once",
                own["wall"],
                kind,
                "{:.0f}",
                f" ({own['alone']:.0f} with one reader; {own['cpu']:.1f} of processor time on average)",
            )
        )
    rows.append(_row("memory of the server after all of that, MB", measured["memory"], "memory", "{:.0f}"))
    return "\n".join(rows)


def _row(what: str, value: object, target: str, form: str, more: str = "", *, at_least: bool = False) -> str:
    assert isinstance(value, float)
    reached = value >= TARGETS[target] if at_least else value <= TARGETS[target]
    said = form.format(value) if reached else f"**missed**: {form.format(value)}"
    return f"| {what} | {said}{more} | {'≥' if at_least else '≤'} {form.format(TARGETS[target])} |"


def main() -> None:
    """Measures what the options ask for and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=100_000)
    parser.add_argument(
        "--folder", type=Path, help="where the run is made, or is already; else a folder that goes again"
    )
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measured = measure(given.folder or Path(name), given.features)
    text = f"{given.features:,} features; {machine()}.\n\n{table(measured)}"
    print(text)
    print(json.dumps(measured), file=sys.stderr)
    if given.write:
        put_between(HERE / "README.md", text, MARKS)


if __name__ == "__main__":
    main()
