"""Stores of objects: fsspec's own in memory, and an S3 server on this machine."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from remote.stores import S3
from standin.planted import Population, plant

from autointerp.remote import path as remote_path
from autointerp.shards import remote_runs


@pytest.fixture(autouse=True)
def quick_and_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tries again at once; keeps answers and working copies in the test's own folder."""
    monkeypatch.setenv("AUTOINTERP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote_path, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(remote_runs, "PAUSES", (0.0, 0.0))


@pytest.fixture(scope="session")
def population(tmp_path_factory: pytest.TempPathFactory) -> Population:
    """Twelve features over 300 images; not to be written to."""
    return plant(tmp_path_factory.mktemp("planted") / "dump")


@pytest.fixture
def memory() -> Iterator[str]:
    """An empty folder in memory."""
    yield "memory://shelf"
    store = fsspec.filesystem("memory")
    if store.exists("memory://shelf"):
        store.rm("memory://shelf", recursive=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """One for all tests of the process."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    with S3() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket, and the keys to it in the environment."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    forget_keys()
    yield s3_server.bucket()
    forget_keys()


def forget_keys() -> None:
    """What is opened next reads the environment anew."""
    remote_path.filesystem.cache_clear()
    fsspec.get_filesystem_class("s3").clear_instance_cache()
