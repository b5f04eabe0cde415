"""Commands that are interrupted twice, killed, or lose their folder: each ends at once, as what it is."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from standin.commands import Command, Done, run
from standin.planted import Population
from standin.server import StandIn

BOUND = 300.0
"""Seconds after which a command that should have ended never will."""


@contextmanager
def begun(*args: str | Path, ignoring: bool = False) -> Iterator[subprocess.Popen[str]]:
    """`autointerp ARGS` in a process of its own; ignoring SIGINT, as a script begins what it has in the background."""
    command = (sys.executable, "-m", "autointerp", *args)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignoring else signal.default_int_handler)
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()  # leaving the block waits for it, however long


def interrupted_twice(process: subprocess.Popen[str]) -> str:
    """Interrupts, again as soon as the first time was heard; what it says from then on."""
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    while "stopping when what is in flight is done" not in (line := process.stderr.readline()):
        assert line, "it ended without a word"
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=BOUND)[1]


@pytest.fixture
def pipes(planted: Population, tmp_path: Path) -> Path:
    """A dump each of whose picture files is a pipe: reading one blocks for as long as nobody writes."""
    shutil.copytree(planted.folder, tmp_path / "pipes")
    os.mkfifo(tmp_path / "pipe")
    for file in (tmp_path / "pipes" / "images").glob("*.png"):
        file.unlink()
        os.link(tmp_path / "pipe", file)
    return tmp_path / "pipes"


@contextmanager
def a_thread_blocked(pipes: Path) -> Iterator[None]:
    """From when a thread has opened a picture until it may read it."""
    with (pipes.parent / "pipe").open("wb"):  # waits for a reader
        yield


@pytest.mark.parametrize("ignoring", [False, True], ids=["in the foreground", "in the background of a script"])
def test_second_interrupt_ends_at_once_and_says_how_to_go_on(
    planted: Population, seer: StandIn, tmp_path: Path, ignoring: bool
):
    slow = threading.Event()

    def on_call(number: int) -> None:
        if number == 4:
            seer.delay = 3600.0
            slow.set()

    seer.on_call = on_call
    options = ("--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url, "--concurrency", "1")

    with begun("explain", planted.folder, *options, ignoring=ignoring) as process:
        slow.wait()
        err = interrupted_twice(process)
    seer.on_call, seer.delay = None, 0.0
    rest = run("explain", planted.folder, *options)

    assert process.returncode == 130
    assert "interrupted; run the same command again to go on: autointerp explain" in err
    assert "Traceback" not in err
    assert "explained 9 of 12 features (3 were done before)" in rest.out


def test_second_interrupt_does_not_wait_for_a_picture_that_cannot_be_read(pipes: Path, seer: StandIn, tmp_path: Path):
    where = ("--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url)

    with begun("explain", pipes, *where) as process, a_thread_blocked(pipes):
        err = interrupted_twice(process)

    assert process.returncode == 130
    assert "interrupted; run the same command again to go on: autointerp explain" in err
    assert "Traceback" not in err


def test_one_interrupt_ends_a_report_whose_pictures_cannot_be_read(pipes: Path, done: Done, tmp_path: Path):
    shutil.copytree(done.run, tmp_path / "run")

    with begun("report", tmp_path / "run", "--dump", pipes) as process, a_thread_blocked(pipes):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=BOUND)

    again = shlex.join(["autointerp", "report", str(tmp_path / "run"), "--dump", str(pipes)])
    assert (process.returncode, err) == (3, f"autointerp: interrupted; run the same command again to go on: {again}\n")
    assert not (tmp_path / "run" / "report.html").exists()


def test_one_interrupt_reaches_a_report_that_a_script_has_in_the_background(pipes: Path, done: Done, tmp_path: Path):
    shutil.copytree(done.run, tmp_path / "run")

    with begun("report", tmp_path / "run", "--dump", pipes, ignoring=True) as process, a_thread_blocked(pipes):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=BOUND)

    assert process.returncode == 3


KILLED = """
import os, signal, sys
from autointerp.cli.main import main
from autointerp.reports import page

def half(parts):
    yield "x" * 1_000_000
    os.kill(os.getpid(), signal.SIGKILL)

whole = page._replace
page._replace = lambda out, parts: whole(out, half(parts))
main()
"""


def test_a_report_that_is_killed_while_it_is_written_leaves_nothing(done: Done, tmp_path: Path):
    shutil.copytree(done.run, tmp_path / "run")
    before = sorted(p.name for p in (tmp_path / "run").iterdir())

    ended = subprocess.run([sys.executable, "-c", KILLED, "report", tmp_path / "run"], check=False)

    assert ended.returncode == -signal.SIGKILL
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == before


@pytest.mark.parametrize(
    "remove", [shutil.rmtree, lambda folder: folder.rename(folder.with_name("elsewhere"))], ids=["removed", "moved"]
)
def test_a_run_whose_folder_goes_while_it_is_written_is_one_line_and_no_success(
    explain: Command, seer: StandIn, here: Path, remove: Callable[[Path], None]
):
    seer.on_call = lambda number: remove(here / "run") if number == 5 else None

    result = explain("--run", "run", "--concurrency", "2")

    assert (result.code, result.out) == (2, "")
    last = result.err.splitlines()[-1]
    assert last.startswith("autointerp: ")
    assert "run/" in last
    assert "was removed or moved while it was being written; run the same command again" in last
    assert "Traceback" not in result.err
    assert not (here / "run").exists()
