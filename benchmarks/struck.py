"""Strikes `explain` and `score` at random moments, and interrupts them twice: what is torn, asked twice or missed.

    python benchmarks/struck.py moments --times 20 --seed 0
    python benchmarks/struck.py twice --times 50 --busy 2

`moments` kills (SIGKILL) or ends (SIGTERM) each command after a random share of the time that it takes, each time with
a folder and a cache of its own, then gives the same command again, and compares the run with an unbroken one.
`twice` sends Ctrl-C twice: where SIGINT was ignored at the start, where the second comes as soon as the first has left
the kernel, and where a thread that makes a picture is blocked in a read; meanwhile other processes keep the cores busy.
Both end with exit code 1 where something is not as it should be. The endpoint is the one that the tests have.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from standin import child
from standin.killing import CONCURRENCY, DELAY, MOST_LOST
from standin.planted import plant
from standin.records import timeless, whole_lines
from standin.server import StandIn

BOUND = 600.0
"""Seconds after which a process that should have ended never will."""
FILES = ("explanations.jsonl", "scores.jsonl", "failures.jsonl")


class Bench:
    """A planted dump, an endpoint that answers about it, and a folder for each try."""

    def __init__(self, folder: Path, seer: StandIn) -> None:
        self.folder, self.seer = folder, seer
        self.dump = plant(folder / "dump").folder
        self.usual = ("--model", "seer", "--base-url", seer.url, "--concurrency", str(CONCURRENCY))
        os.environ["XDG_CONFIG_HOME"] = str(folder / "config")

    def command(self, stage: str, run: Path) -> tuple[str | Path, ...]:
        """What is struck."""
        if stage == "explain":
            return ("explain", self.dump, "--run", run, *self.usual)
        return ("score", run, "--scorers", "detection", "--concurrency", str(CONCURRENCY))

    def prepared(self, stage: str, run: Path, cache: Path) -> None:
        """Brings a run to where the stage begins."""
        if stage == "score":
            shutil.copytree(self.folder / "whole-explain", run)
            shutil.copytree(self.folder / "whole-explain-cache", cache)

    def ended(self, stage: str, run: Path, cache: Path) -> tuple[int | None, float]:
        """Exit code of the whole stage, and the seconds it took."""
        began = time.monotonic()
        process = child.start(*self.command(stage, run), cache=cache)
        process.join()
        return process.exitcode, time.monotonic() - began


def moments(bench: Bench, times: int, seed: int) -> list[dict[str, object]]:
    """A row for each command and signal."""
    chance, rows = random.Random(seed), []
    for stage in ("explain", "score"):
        whole, cache = bench.folder / f"whole-{stage}", bench.folder / f"whole-{stage}-cache"
        bench.prepared(stage, whole, cache)
        bench.seer.delay = 0.0
        bench.ended(stage, whole, cache)  # the process that is forked from loads what it needs
        for leftover in (whole, cache):
            shutil.rmtree(leftover)
        bench.prepared(stage, whole, cache)
        bench.seer.delay = DELAY
        code, seconds = bench.ended(stage, whole, cache)
        assert code == 0, f"an unbroken {stage} ends with {code}"
        for how in (signal.SIGKILL, signal.SIGTERM):
            rows.append(_row(bench, stage, how, [chance.random() * seconds for _ in range(times)]))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def _row(bench: Bench, stage: str, how: signal.Signals, after: list[float]) -> dict[str, object]:
    codes, torn, other, twice, most = Counter[str](), 0, 0, 0, 0
    for number, seconds in enumerate(after):
        run, cache = bench.folder / f"{stage}-{how.name}-{number}", bench.folder / f"cache-{stage}-{how.name}-{number}"
        bench.prepared(stage, run, cache)
        bench.seer.settle()
        bench.seer.forget()
        process = child.start(*bench.command(stage, run), cache=cache)
        process.join(seconds)
        if process.pid is not None and process.exitcode is None:
            os.kill(process.pid, how)
        process.join()
        codes[str(process.exitcode)] += 1
        again, _ = bench.ended(stage, run, cache)
        bench.seer.settle()
        torn += _torn(run)
        other += again != 0 or timeless(run) != timeless(bench.folder / f"whole-{stage}")
        more = bench.seer.answered.total() - len(bench.seer.answered)
        twice, most = twice + more, max(most, more)
    row = {"command": stage, "signal": how.name, "times": len(after), "exit codes": dict(codes), "torn": torn}
    row |= {"differ from an unbroken run": other, "calls asked twice": twice, "at most, once": most}
    kept = how is signal.SIGKILL or (twice == 0 and set(codes) <= {"0", "3"})
    return row | {"right": torn == other == 0 and most <= MOST_LOST and kept}


def _torn(run: Path) -> int:
    """Files with a line that is not whole, and what is left of files that were being written."""
    bad = len(list(run.rglob("*.part")))
    for name in FILES:
        try:
            whole_lines(run / name)
        except (AssertionError, ValueError):
            bad += 1
    return bad


def twice(bench: Bench, times: int, busy: int) -> list[dict[str, object]]:
    """A row for each cause by which a second Ctrl-C could be missed."""
    pipes = _pipes(bench)
    rows = []
    with _busy(busy):
        for cause in ("ignored at the start", "at once", "a picture blocked in a read"):
            blocked = cause.startswith("a picture")
            codes = Counter(
                str(_interrupted(bench, number, cause, pipes if blocked else None)) for number in range(times)
            )
            row = {"second Ctrl-C": cause, "times": times, "exit codes": dict(codes)}
            rows.append(row | {"right": set(codes) == {"130"}})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def _interrupted(bench: Bench, number: int, cause: str, pipes: Path | None) -> int | None:
    """The exit code, None where it did not end."""
    place = bench.folder / f"twice-{cause.replace(' ', '-')}-{number}"
    came = threading.Event()
    bench.seer.delay, bench.seer.on_call = 3600.0, lambda _: came.set()
    command = ("explain", pipes or bench.dump, "--run", place / "run", *bench.usual)
    process = child.start(*command, cache=place / "cache", ignoring=cause.startswith("ignored"))
    assert process.pid is not None
    if pipes is None:
        assert came.wait(BOUND)
        _press_twice(process.pid)
        process.join(BOUND)
    else:
        with (pipes.parent / "pipe").open("wb"):  # waits until a thread reads a picture, which then blocks
            _press_twice(process.pid)
            process.join(BOUND)
    code = process.exitcode
    process.kill()
    process.join()
    return code


def _press_twice(pid: int) -> None:
    os.kill(pid, signal.SIGINT)
    while _is_pending(pid):  # two that the kernel still holds would be one
        pass
    os.kill(pid, signal.SIGINT)


def _is_pending(pid: int) -> bool:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        name, _, mask = line.partition(":")
        if name in ("SigPnd", "ShdPnd") and int(mask, 16) >> (signal.SIGINT - 1) & 1:
            return True
    return False


def _pipes(bench: Bench) -> Path:
    """The dump with a pipe for each picture, on which reading blocks for as long as nobody writes."""
    pipes = bench.folder / "pipes" / "dump"
    shutil.copytree(bench.dump, pipes)
    os.mkfifo(pipes.parent / "pipe")
    for file in (pipes / "images").glob("*.png"):
        file.unlink()
        os.link(pipes.parent / "pipe", file)
    return pipes


@contextmanager
def _busy(n: int) -> Iterator[None]:
    burning = [multiprocessing.get_context("spawn").Process(target=_burn, daemon=True) for _ in range(n)]
    for process in burning:
        process.start()
    try:
        yield
    finally:
        for process in burning:
            process.kill()


def _burn() -> None:
    while True:
        pass


def main() -> None:
    """Prints a row as JSON for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("moments", "twice"))
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--busy", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, StandIn() as seer:
        bench = Bench(Path(folder), seer)
        rows = (
            moments(bench, given.times, given.seed)
            if given.what == "moments"
            else twice(bench, given.times, given.busy)
        )
    sys.exit(not all(row["right"] for row in rows))


if __name__ == "__main__":
    main()
