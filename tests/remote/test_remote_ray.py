"""Ray on nodes that share no folder: dump and run lie in an object store alone."""

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from remote.stores import copied, upload
from standin.cluster import OPEN, Nodes
from standin.commands import Result, run
from standin.planted import Population
from standin.records import timeless
from standin.server import StandIn

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed"),
    pytest.mark.slow,
    pytest.mark.long,
]

JUDGED = ("--scorers", "detection", "--controls", "0")


@dataclass
class Driver:
    """The command, begun in a working folder and a process of its own, since Ray leaves threads and files open behind.

    It is what a machine would have that has only this folder: keys are in its environment, its cache is its own.
    """

    folder: Path
    words: tuple[str | Path, ...]

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        pipe, own = subprocess.PIPE, OPEN | {"AUTOINTERP_CACHE": str(self.folder / "cache")}
        command = (sys.executable, "-m", "autointerp", *map(str, self.words))
        self.process = subprocess.Popen(
            command, stdout=pipe, stderr=pipe, text=True, env=os.environ | own, cwd=self.folder
        )

    def ends(self) -> Result:
        """What a shell would see."""
        out, err = self.process.communicate()
        return Result(self.process.returncode, out, err)


def command(folder: Path, *args: str | Path) -> Result:
    return Driver(folder, args).ends()


@dataclass
class At:
    """Does something once that question has come."""

    seer: StandIn
    number: int
    act: Callable[[], object]

    def __post_init__(self) -> None:
        self.came = 0
        self.done = threading.Event()
        self.seer.on_call = self._called

    def _called(self, number: int) -> None:
        self.came += 1
        if self.came == self.number:
            # Not in the endpoint's own thread, which answers meanwhile.
            threading.Thread(target=self._act).start()

    def _act(self) -> None:
        self.act()
        self.done.set()


def one_process(folder: Path, dump: str, seer: StandIn, features: tuple[str, ...]) -> Path:
    """The run of a single process, explained and scored."""
    usual = ("--base-url", seer.url, "--cache", folder / "plain")
    explained = run("explain", dump, "--run", folder / "local", "--model", "seer", *usual, *features)
    scored = run("score", folder / "local", *JUDGED, *usual)
    assert (explained.code, scored.code) == (0, 0), explained.err + scored.err
    return folder / "local"


def test_nodes_without_a_common_folder_make_the_run_of_one_process(s3: str, population: Population, tmp_path: Path):
    dump, url = upload(population.folder, f"{s3}/dump"), f"{s3}/run"
    four = ("--features", "0-3")
    with StandIn() as seer, Nodes(tmp_path / "nodes", 2) as nodes:
        usual = ("--base-url", seer.url)
        local = one_process(tmp_path, dump, seer, four)
        asked = len(seer.calls)
        ray = ("--engine", "ray", "--ray-address", nodes.address, "--actors", "2", "--concurrency", "4")
        explained = command(tmp_path / "driver", "explain", dump, "--run", url, "--model", "seer", *usual, *four, *ray)
        scored = command(tmp_path / "driver", "score", url, *JUDGED, *usual, *ray)

        assert (explained.code, scored.code) == (0, 0), explained.err + scored.err
        assert len(seer.calls) == 2 * asked
    run_there = copied(url, tmp_path / "copy")
    assert timeless(run_there) == timeless(local)
    assert not (run_there / "parts").exists()
    assert {p.parent.parent.name for p in (tmp_path / "nodes").rglob("cache/runs")} <= {"node-0", "node-1"}
    assert list((tmp_path / "nodes").rglob("run.json")) == []


def explained_alone(folder: Path, dump: str, seer: StandIn) -> Path:
    """The run of a single process, all features explained; the endpoint has forgotten that it was asked."""
    usual = ("--model", "seer", "--base-url", seer.url, "--cache", folder / "plain")
    said = run("explain", dump, "--run", folder / "local", *usual)
    assert said.code == 0, said.err
    seer.forget()
    return folder / "local"


def test_a_lost_node_costs_its_calls_in_flight_though_no_other_core_is_free(
    s3: str, population: Population, tmp_path: Path
):
    dump, url = upload(population.folder, f"{s3}/dump"), f"{s3}/run"
    with StandIn() as seer, Nodes(tmp_path / "nodes", 2, cores=1) as nodes:
        local = explained_alone(tmp_path, dump, seer)
        ray = ("--engine", "ray", "--ray-address", nodes.address, "--actors", "2", "--concurrency", "2")
        seer.delay = 0.5
        killing = At(seer, 3, lambda: nodes.kill("node-1"))
        said = command(
            tmp_path / "driver", "explain", dump, "--run", url, "--model", "seer", "--base-url", seer.url, *ray
        )

        assert said.code == 0, said.err
        assert killing.done.is_set()
        # A shard has two features at most, of which nothing had been sent.
        assert 12 <= len(seer.calls) <= 14
    assert timeless(copied(url, tmp_path / "copy")) == timeless(local)


def test_a_node_that_gets_sigterm_hands_back_its_shard_and_nothing_is_asked_twice(
    s3: str, population: Population, tmp_path: Path
):
    dump, url = upload(population.folder, f"{s3}/dump"), f"{s3}/run"
    with StandIn() as seer, Nodes(tmp_path / "nodes", 2, cores=1, grace=60) as nodes:
        local = explained_alone(tmp_path, dump, seer)
        ray = ("--engine", "ray", "--ray-address", nodes.address, "--actors", "2", "--concurrency", "2")
        seer.delay = 2.0
        ending = At(seer, 2, lambda: nodes.terminate("node-1"))
        said = command(
            tmp_path / "driver", "explain", dump, "--run", url, "--model", "seer", "--base-url", seer.url, *ray
        )
        nodes.wait("node-1")

        assert said.code == 0, said.err
        assert ending.done.is_set()
        assert len(seer.calls) == 12
        assert set(seer.answered.values()) == {1}
    # What Ray says where all work on a node has ended in time.
    assert "Local node finished draining" in (nodes.folder("node-1") / "ray.log").read_text()
    assert timeless(copied(url, tmp_path / "copy")) == timeless(local)


def test_the_machine_of_the_command_and_the_head_are_lost_and_another_goes_on(
    s3: str, population: Population, tmp_path: Path
):
    dump, url = upload(population.folder, f"{s3}/dump"), f"{s3}/run"
    words = ("explain", dump, "--run", url, "--model", "seer", "--engine", "ray", "--actors", "2", "--concurrency", "2")
    with StandIn() as seer:
        local = explained_alone(tmp_path, dump, seer)
        seer.delay = 0.5
        with Nodes(tmp_path / "first", 2, cores=1) as nodes:
            there = ("--base-url", seer.url, "--ray-address", nodes.address)
            driver = Driver(tmp_path / "driver", (*words, *there))

            def lose() -> None:
                driver.process.kill()
                nodes.kill("head")

            losing = At(seer, 8, lose)
            assert driver.ends().code < 0
            losing.done.wait()
        seer.on_call = None
        seer.settle()
        before = len(seer.calls)
        with Nodes(tmp_path / "second", 1) as nodes:
            there = ("--base-url", seer.url, "--ray-address", nodes.address)
            rest = command(tmp_path / "elsewhere", *words, *there)

        assert rest.code == 0, rest.err
        # Shards that had ended were sent; of two others nothing was.
        assert len(seer.calls) < before + 12
    assert timeless(copied(url, tmp_path / "copy")) == timeless(local)
