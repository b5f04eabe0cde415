"""Shards on a local Ray cluster of two workers, one of which is killed."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from standin.commands import run, says
from standin.killing import struck
from standin.planted import Population
from standin.records import explanations, timeless
from standin.server import StandIn

WITH_RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed")
pytestmark = pytest.mark.slow


def command(*args: str | Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own, since Ray leaves threads and files open behind."""
    words = [sys.executable, "-m", "autointerp", *map(str, args)]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ)


def workers_of(parent: int) -> list[int]:
    """Ray's processes that work on shards; they stand below a process of the cluster that the parent began."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if b"ShardWorker" in title and f"AUTOINTERP_TEST={parent}\0".encode() in environment:
            found.append(int(process.name))
    return found


@WITH_RAY
@pytest.mark.long
def test_a_killed_ray_worker_costs_nothing_but_its_calls_in_flight(
    planted: Population, seer: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = ("--model", "seer", "--base-url", seer.url)
    assert run("explain", planted.folder, "--run", tmp_path / "whole", *model, "--cache", tmp_path / "c0").code == 0
    seer.forget()
    monkeypatch.setenv("AUTOINTERP_TEST", str(os.getpid()))
    killed: list[int] = []

    def on_call(number: int) -> None:
        if number == 3:
            killed.extend(workers_of(os.getpid())[:1])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    seer.on_call = on_call
    ray = ("--engine", "ray", "--actors", "2", "--concurrency", "2")
    explained = command("explain", planted.folder, "--run", tmp_path / "run", *model, *ray)
    seer.on_call = None

    assert explained.returncode == 0, explained.stderr
    assert len(killed) == 1
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")
    assert explanations(tmp_path / "run").keys() == set(range(12))
    # The killed one had a single call in flight, and perhaps a second whose answer it had just got.
    assert 12 <= len(seer.calls) <= 14
    assert "Traceback" not in explained.stderr


@WITH_RAY
@pytest.mark.long
def test_sigterm_lets_ray_workers_finish_what_is_in_flight_and_merges_it(
    planted: Population, seer: StandIn, tmp_path: Path
):
    where = ("--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url)
    ray = ("--engine", "ray", "--actors", "2", "--concurrency", "2")
    # Each worker asks once a second at most, and is told once a second.
    seer.delay = 1.0

    stopped = struck(seer, 3, lambda p: p.send_signal(signal.SIGTERM), "explain", planted.folder, *where, *ray)
    there = explanations(tmp_path / "run")
    seer.delay = 0.0
    rest = run("explain", planted.folder, *where)

    assert stopped.code == 3, stopped.err
    assert "run the same command again to go on: autointerp explain" in stopped.err
    assert "Traceback" not in stopped.err
    assert 2 <= len(there) < 12
    assert not (tmp_path / "run" / "parts").exists()
    assert rest.code == 0
    assert explanations(tmp_path / "run").keys() == set(range(12))
    assert set(seer.answered.values()) == {1}


@WITH_RAY
def test_a_cluster_that_is_not_there_is_one_line(planted: Population, seer: StandIn, tmp_path: Path):
    where = ("--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url)

    said = command("explain", planted.folder, *where, "--engine", "ray", "--ray-address", "127.0.0.1:9")

    assert (said.returncode, said.stdout) == (2, "")
    assert "autointerp: --ray-address 127.0.0.1:9: nothing answers there (Connection refused)\n" in said.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed here")
def test_without_ray_one_line_says_how_to_install_it(planted: Population, tmp_path: Path):
    where = ("--run", tmp_path / "run", "--model", "m", "--base-url", "http://127.0.0.1:9/v1")

    said = run("explain", planted.folder, *where, "--engine", "ray")

    says(said, "--engine ray: Ray is not installed; run pip install '.[ray]' in your checkout of autointerp")
