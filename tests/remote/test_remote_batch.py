"""Batch jobs of a run at a URL: their files lie there too, and go on from another machine."""

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from remote.stores import copied
from standin.batches import BatchServer
from standin.commands import run
from standin.planted import Population
from standin.records import timeless


@pytest.fixture
def server() -> Iterator[BatchServer]:
    """An endpoint that answers every batch."""
    with BatchServer() as made:
        yield made


def recorded(url: str | Path, population: Population, server: BatchServer) -> None:
    where = ("--model", "seer", "--base-url", server.url)
    assert run("explain", population.folder, "--run", url, *where, "--features", "0-2", "--batch").code == 0


def test_a_batch_job_at_a_url_ends_in_the_records_of_one_in_a_folder(
    s3: str, population: Population, server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = f"{s3}/run"
    for number, where in enumerate((tmp_path / "local", url)):
        monkeypatch.setenv("AUTOINTERP_CACHE", str(tmp_path / f"cache-{number}"))
        recorded(where, population, server)
        sent = run("batch", "submit", where)
        status = run("batch", "status", where, "--json")
        done = run("batch", "run", where, "--poll", "0.01")

        assert (sent.code, status.code, done.code) == (0, 0, 0), sent.err + status.err + done.err
        assert done.out.splitlines()[-1] == f"next: autointerp score {where}, with --batch for a batch job"
        assert sent.out.splitlines()[2] == f"  {where}/batch/requests-00001.jsonl: 3 lines"
        assert json.loads(status.out)["next"].startswith(f"autointerp batch collect {where} when")
    names = [str(p) for p in fsspec.filesystem("s3", use_listings_cache=False).find(f"{url}/batch")]

    assert timeless(copied(url, tmp_path / "copy")) == timeless(tmp_path / "local")
    kinds = {name.rpartition("/batch/")[2].partition("-")[0] for name in names}
    assert kinds == {"plan.json", "segments/manifest"}


def test_a_batch_that_was_started_before_a_kill_is_found_by_what_was_sent(
    s3: str, population: Population, server: BatchServer, tmp_path: Path
):
    url, as_left = f"{s3}/run", f"{s3}/as-left"
    recorded(url, population, server)
    store = fsspec.filesystem("s3", use_listings_cache=False, asynchronous=False)

    def leave(step: str) -> None:
        """What lies at the URL in the moment in which a batch is started, and its submitter knows nothing of it."""
        if step == "start":
            for name in store.find(url):
                if not name.endswith("working.json"):
                    store.pipe_file(f"s3://{name}".replace(url, as_left), store.cat_file(name))

    server.on_step = leave
    assert run("batch", "submit", url).code == 0
    server.on_step = None
    done = run("batch", "run", as_left, "--poll", "0.01")

    assert done.code == 0, done.err
    assert len(server.batches) == 1
    assert len((copied(as_left, tmp_path / "copy") / "explanations.jsonl").read_text().splitlines()) == 3
