"""Runs in Google's store, played by an emulator, where it is installed (pip install gcsfs gcp-storage-emulator)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from remote.conftest import forget_keys
from remote.stores import copied, names, upload
from standin.commands import run
from standin.planted import Population
from standin.records import timeless
from standin.server import StandIn


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket, and where the libraries look for it."""
    pytest.importorskip("gcsfs")
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="shelf")
    server.start()
    try:
        host, port = server._api._httpd.server_address
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{host}:{port}")
        monkeypatch.setenv("FSSPEC_GS_TOKEN", "anon")
        yield "gs://shelf"
    finally:
        server.stop()
        forget_keys()


def test_a_run_in_googles_store_is_that_of_a_folder(google: str, population: Population, tmp_path: Path):
    dump, url = upload(population.folder, f"{google}/dump"), f"{google}/run"
    with StandIn() as seer:
        usual = ("--model", "seer", "--base-url", seer.url, "--features", "0-3")
        local = run("explain", population.folder, "--run", tmp_path / "local", *usual, "--cache", tmp_path / "a")
        said = [run("explain", dump, "--run", url, "--shard", f"{i}/2", *usual) for i in (0, 1)]
        merged = run("merge", url)

    assert [r.code for r in (local, *said, merged)] == [0] * 4, [r.err for r in (local, *said, merged)]
    assert timeless(copied(url, tmp_path / "copy")) == timeless(tmp_path / "local")
    assert not any(name.startswith("parts/") for name in names(url))
