import os
import subprocess
import sys
from pathlib import Path

from autointerp.processes import draft_of, is_running, machine


def gone() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_this_process_runs_and_one_that_ended_does_not():
    assert is_running(os.getpid())
    assert not is_running(gone())


def test_a_machine_is_the_same_for_all_its_processes():
    other = [sys.executable, "-c", "from autointerp.processes import machine; print(machine())"]

    assert subprocess.run(other, capture_output=True, text=True, check=True).stdout == f"{machine()}\n"


def test_a_draft_takes_away_those_of_processes_that_are_gone_and_no_others(tmp_path: Path):
    file, running = tmp_path / "report.html", os.getppid()
    for name in (f".report.html.{gone()}.part", f".report.html.{running}.part", f".other.{gone()}.part", "mine.part"):
        (tmp_path / name).touch()
    (tmp_path / f".report.html.{os.getpid()}.part").touch()

    draft = draft_of(file)

    assert draft == tmp_path / f".report.html.{os.getpid()}.part"
    left = sorted(p.name for p in tmp_path.iterdir())
    assert len(left) == 3
    assert {f".report.html.{running}.part", "mine.part"} < set(left)
