"""Runs in Azure's store, played by Azurite, where it is installed (npm install azurite, pip install adlfs)."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from remote.conftest import forget_keys
from remote.stores import copied, upload
from standin.commands import run
from standin.planted import Population
from standin.records import timeless
from standin.server import StandIn

from autointerp.errors import SettingsError
from autointerp.remote.path import as_path

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's, as its manual states it."""


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty container, and the keys to it in the environment."""
    pytest.importorskip("adlfs")
    if (program := shutil.which("azurite-blob")) is None:
        pytest.skip("azurite-blob is not installed")
    command = (program, "--inMemoryPersistence", "--skipApiVersionCheck", "--blobHost", "127.0.0.1", "--blobPort", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        listening = next(line for line in process.stdout if "successfully listens on" in line)
        where = listening.split()[-1]
        said = f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY}"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"{said};BlobEndpoint={where}/devstoreaccount1;")
        fsspec.filesystem("abfss", skip_instance_cache=True).mkdir("shelf")
        yield "abfss://shelf"
        process.terminate()
    forget_keys()


def test_a_run_in_azure_is_that_of_a_folder(azure: str, population: Population, tmp_path: Path):
    dump, url = upload(population.folder, f"{azure}/dump"), f"{azure}/run"
    with StandIn() as seer:
        usual = ("--model", "seer", "--base-url", seer.url, "--features", "0-3")
        local = run("explain", population.folder, "--run", tmp_path / "local", *usual, "--cache", tmp_path / "a")
        said = [run("explain", dump, "--run", url, "--shard", f"{i}/2", *usual) for i in (0, 1)]
        merged = run("merge", url)

    assert [r.code for r in (local, *said, merged)] == [0] * 4, merged.err
    assert timeless(copied(url, tmp_path / "copy")) == timeless(tmp_path / "local")


def test_an_account_in_the_url_is_named_by_the_environment_instead():
    with pytest.raises(SettingsError) as said:
        as_path("abfss://shelf@mine.dfs.core.windows.net/runs/first")

    assert str(said.value) == (
        "abfss://shelf/runs/first: write it so, and name the account by AZURE_STORAGE_ACCOUNT_NAME"
    )
