"""SIGTERM and SIGHUP end a command as Ctrl-C does: what is in flight is recorded, and the same command goes on."""

import fcntl
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standin.commands import Command, Done, Result, run
from standin.killing import struck
from standin.planted import Population
from standin.records import failures, timeless, whole_lines
from standin.server import StandIn

from autointerp.signals import ALIKE

FEW = ("--concurrency", "2")


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """The signals do what they do by default, also where these tests were started by nohup, which has one ignored."""
    before = [(one, signal.signal(one, signal.SIG_DFL)) for one in ALIKE if signal.getsignal(one) is signal.SIG_IGN]
    yield
    for one, handler in before:
        signal.signal(one, handler)


def sent(which: signal.Signals) -> Callable[[subprocess.Popen[str]], None]:
    return lambda process: process.send_signal(which)


def stopped_by_a_signal(said: Result, *command: str) -> bool:
    """Whether it says once, on stderr, what the same command is, and has no traceback."""
    line = f"autointerp: run the same command again to go on: autointerp {command[0]}"
    return said.code == 3 and said.err.count(line) == 1 and "Traceback" not in said.err


@pytest.mark.parametrize("which", ALIKE, ids=lambda one: one.name)
def test_explaining_records_what_is_in_flight_and_goes_on(
    which: signal.Signals, planted: Population, seer: StandIn, explain: Command, tmp_path: Path
):
    explain(to="whole")
    shutil.rmtree(Path(os.environ["AUTOINTERP_CACHE"]))
    seer.forget()
    command = ("explain", planted.folder, "--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url, *FEW)

    stopped = struck(seer, 4, sent(which), *command)
    assert stopped.code == 3, stopped
    there = len(whole_lines(tmp_path / "run" / "explanations.jsonl"))
    rest = run(*command)

    assert stopped_by_a_signal(stopped, "explain")
    assert 2 <= there < 12
    assert rest.code == 0
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")
    assert set(seer.answered.values()) == {1}
    assert failures(tmp_path / "run") == []


def test_scoring_records_what_is_in_flight_and_goes_on(seer: StandIn, explain: Command, tmp_path: Path):
    explain()
    seer.forget()
    command = ("score", tmp_path / "run", "--scorers", "detection", *FEW)

    stopped = struck(seer, 5, sent(signal.SIGTERM), *command)
    rest = run(*command)

    assert stopped_by_a_signal(stopped, "score")
    assert rest.code == 0
    assert len(whole_lines(tmp_path / "run" / "scores.jsonl")) == 12
    assert set(seer.answered.values()) == {1}


def test_calibrating_keeps_its_answers_and_goes_on(seer: StandIn, tmp_path: Path):
    model = ("--model", "seer", "--base-url", seer.url)
    command = ("calibrate", *model, "--out", tmp_path / "c.json", "--calls", "12", "--planted-sides", "64", *FEW)

    stopped = struck(seer, 4, sent(signal.SIGTERM), *command)
    there = (tmp_path / "c.json").exists()
    rest = run(*command)

    assert stopped_by_a_signal(stopped, "calibrate")
    assert not there
    assert (rest.code, (tmp_path / "c.json").exists()) == (0, True)
    assert set(seer.answered.values()) == {1}


def test_a_shard_records_what_is_in_flight_in_its_part(planted: Population, seer: StandIn, tmp_path: Path):
    where = ("--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url)
    command = ("explain", planted.folder, *where, "--shard", "0/2", *FEW)

    stopped = struck(seer, 3, sent(signal.SIGTERM), *command)
    early = run("merge", tmp_path / "run")
    run(*command)
    run("explain", planted.folder, *where, "--shard", "1/2")
    merged = run("merge", tmp_path / "run")

    assert stopped_by_a_signal(stopped, "explain")
    assert (early.code, merged.code) == (1, 0)
    assert len(whole_lines(tmp_path / "run" / "explanations.jsonl")) == 12
    assert set(seer.answered.values()) == {1}


def test_under_nohup_a_closing_terminal_stops_nothing(planted: Population, seer: StandIn, tmp_path: Path):
    where = ("--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ended = struck(seer, 4, sent(signal.SIGHUP), "explain", planted.folder, *where, *FEW)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert ended.code == 0
    assert len(whole_lines(tmp_path / "run" / "explanations.jsonl")) == 12


def test_a_terminal_that_is_gone_takes_no_word_and_stops_the_run_all_the_same(
    planted: Population, seer: StandIn, tmp_path: Path
):
    where = ("--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url)
    outer, inner = pty.openpty()
    seer.on_call = lambda number: os.close(outer) if number == 4 else None
    command = (sys.executable, "-m", "autointerp", "explain", str(planted.folder), *map(str, where), *FEW)

    with subprocess.Popen(
        command,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        os.close(inner)
        code = process.wait()
    there = len(whole_lines(tmp_path / "run" / "explanations.jsonl"))

    assert code == 3
    assert 2 <= there < 12
    assert not list((tmp_path / "run").glob("*.part"))


@pytest.mark.parametrize("which", ALIKE, ids=lambda one: one.name)
def test_a_report_has_nothing_to_finish_and_leaves_nothing(which: signal.Signals, done: Done, tmp_path: Path):
    shutil.copytree(done.run, tmp_path / "run")
    before = sorted(p.name for p in (tmp_path / "run").iterdir())

    said = subprocess.run(
        [sys.executable, "-c", STRUCK, "report", tmp_path / "run", str(which.value)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (said.returncode, said.stdout) == (3, "")
    again = f"autointerp report {shlex.quote(str(tmp_path / 'run'))}"
    assert said.stderr.startswith(f"autointerp: interrupted; run the same command again to go on: {again}")
    assert said.stderr.count("\n") == 1
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == before


STRUCK = """
import os, sys
from autointerp.cli.main import main
from autointerp.reports import page

which = int(sys.argv.pop())

def half(parts):
    yield "x" * 1_000_000
    os.kill(os.getpid(), which)
    yield from parts

whole = page._replace
page._replace = lambda out, parts: whole(out, half(parts))
main()
"""
