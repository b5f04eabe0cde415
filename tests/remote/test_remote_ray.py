"""Ray on nodes that share no folder: dump and run lie in an object store alone."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from remote.stores import upload
from standin.cluster import Nodes
from standin.commands import run
from standin.planted import Population, plant
from standin.records import timeless
from standin.server import StandIn

from autointerp.remote.path import RemotePath
from autointerp.runs.remote_copy import Mirror

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed"),
    pytest.mark.slow,
    pytest.mark.long,
]


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Population:
    """Twelve features over 300 images; not to be written to."""
    return plant(tmp_path_factory.mktemp("planted") / "dump")


def command(folder: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """In a working folder, and in a process of its own, since Ray leaves threads and files open behind."""
    words = [sys.executable, "-m", "autointerp", *map(str, args)]
    folder.mkdir(exist_ok=True)
    return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ, cwd=folder)


def test_nodes_without_a_common_folder_make_the_run_of_one_process(s3: str, population: Population, tmp_path: Path):
    dump, url = upload(population.folder, f"{s3}/dump"), f"{s3}/run"
    four = ("--features", "0-3")
    with StandIn() as seer, Nodes(tmp_path / "nodes", 2) as address:
        usual = ("--base-url", seer.url)
        run(
            "explain",
            dump,
            "--run",
            tmp_path / "local",
            "--model",
            "seer",
            *usual,
            *four,
            "--cache",
            tmp_path / "plain",
        )
        asked = len(seer.calls)
        ray = ("--engine", "ray", "--ray-address", address, "--actors", "2", "--concurrency", "4")
        explained = command(tmp_path / "driver", "explain", dump, "--run", url, "--model", "seer", *usual, *four, *ray)

        assert explained.returncode == 0, explained.stderr
        assert len(seer.calls) == 2 * asked
    mirror = Mirror(RemotePath(url), tmp_path / "copy")
    mirror.pull()
    assert timeless(mirror.folder) == timeless(tmp_path / "local")
    assert not (mirror.folder / "parts").exists()
    assert {p.parent.parent.name for p in (tmp_path / "nodes").rglob("cache/runs")} <= {"node-0", "node-1"}
    assert list((tmp_path / "nodes").rglob("run.json")) == []
