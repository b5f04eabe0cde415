"""A store that is overloaded, is away for a while, or takes the keys no more."""

import re
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from remote.conftest import forget_keys
from remote.stores import S3, Faulty, copied, upload
from standin.commands import run
from standin.planted import Population
from standin.records import timeless
from standin.server import StandIn

from autointerp.runs.folder import open_run

Fault = tuple[int, str]
FOUR = ("--features", "0-3", "--concurrency", "4", "--model", "seer")


@pytest.fixture
def between(s3: str, s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """What the program takes for the store."""
    with Faulty(s3_server) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.endpoint)
        # How often botocore itself tries; its pauses grow to seconds.
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        forget_keys()
        yield made
        forget_keys()


def plain(population: Population, seer: StandIn, folder: Path) -> Path:
    usual = (*FOUR, "--base-url", seer.url, "--cache", folder / "plain")
    assert run("explain", population.folder, "--run", folder / "local", *usual).code == 0
    return folder / "local"


def test_a_store_that_slows_down_at_the_end_is_asked_again_and_nothing_is_lost(
    between: Faulty, s3: str, population: Population, tmp_path: Path
):
    refused: list[str] = []

    def overloaded(method: str, path: str, keys: str) -> Fault | None:
        if method == "PUT" and "segments" in path and len(refused) < 2:
            refused.append(path)
            return 503, "ServiceUnavailable"
        return None

    between.fault = overloaded
    with StandIn() as seer:
        local = plain(population, seer, tmp_path)
        said = run("explain", population.folder, "--run", f"{s3}/run", *FOUR, "--base-url", seer.url)

    assert said.code == 0, said.err
    assert len(refused) == 2
    assert timeless(copied(f"{s3}/run", tmp_path / "copy")) == timeless(local)


def test_a_store_that_stays_away_is_one_line_and_the_next_start_sends_what_was_done(
    between: Faulty, s3: str, population: Population, tmp_path: Path
):
    url = f"{s3}/run"

    def away(method: str, path: str, keys: str) -> Fault | None:
        return (503, "ServiceUnavailable") if method == "PUT" and "working" not in path else None

    between.fault = away
    with StandIn() as seer:
        local = plain(population, seer, tmp_path)
        usual = (*FOUR, "--base-url", seer.url)
        said = run("explain", population.folder, "--run", url, *usual)
        asked = len(seer.calls)
        between.fault = lambda method, path, keys: None
        again = run("explain", population.folder, "--run", url, *usual)

        assert len(seer.calls) == asked
    assert said.code == 2
    last = said.err.splitlines()[-1]
    assert last.startswith(f"autointerp: {url}: cannot be written: ")
    assert last.endswith(": mend that, then run the same command again")
    assert again.code == 0, again.err
    assert timeless(copied(url, tmp_path / "copy")) == timeless(local)


def test_an_image_that_the_store_does_not_give_now_leaves_its_feature_pending_and_is_no_gap(
    between: Faulty, s3: str, population: Population, tmp_path: Path
):
    dump, url = upload(population.folder, f"{s3}/dump"), f"{s3}/run"
    judged = ("--scorers", "detection", "--controls", "0", "--attempts", "1")

    def some(method: str, path: str, keys: str) -> Fault | None:
        return (503, "SlowDown") if re.search(r"/images/\d*[05]\.png", path) else None

    with StandIn() as seer:
        local = plain(population, seer, tmp_path)
        assert run("score", local, *judged, "--base-url", seer.url, "--cache", tmp_path / "plain").code == 0
        usual = ("--base-url", seer.url)
        explained = run("explain", dump, "--run", url, *FOUR, *usual)
        between.fault = some
        said = run("score", url, *judged, *usual)
        between.fault = lambda method, path, keys: None
        there = copied(url, tmp_path / "half")
        again = run("score", url, *judged, *usual)

    assert (explained.code, said.code, again.code) == (0, 1, 0), said.err + again.err
    assert {(f.stage, f.kind) for f in open_run(there).failures()} == {("score:detection", "connection")}
    assert "Service Unavailable; the same command tries it again" in next(open_run(there).failures()).message
    assert timeless(copied(url, tmp_path / "copy")) == timeless(local)


def test_keys_that_expire_midway_are_read_anew(
    between: Faulty, s3: str, population: Population, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dump = upload(population.folder, f"{s3}/dump")
    told: list[str] = []

    def expires(method: str, path: str, keys: str) -> Fault | None:
        """After thirty requests the keys of now are refused, and new ones stand in the environment."""
        if len(between.asked) == 30:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIARENEWED")
        if len(between.asked) >= 30 and "AKIARENEWED" not in keys:
            told.append(path)
            return 400, "ExpiredToken"
        return None

    between.asked.clear()
    between.fault = expires
    with StandIn() as seer:
        local = plain(population, seer, tmp_path)
        between.asked.clear()
        said = run("explain", dump, "--run", f"{s3}/run", *FOUR, "--base-url", seer.url)

    assert said.code == 0, said.err
    assert told
    assert timeless(copied(f"{s3}/run", tmp_path / "copy")) == timeless(local)


def test_keys_that_stay_refused_are_one_line_and_name_the_copy(
    between: Faulty, s3: str, population: Population, tmp_path: Path
):
    url = f"{s3}/run"

    def expired(method: str, path: str, keys: str) -> Fault | None:
        return (400, "ExpiredToken") if method == "PUT" and "working" not in path else None

    between.fault = expired
    with StandIn() as seer:
        said = run("explain", population.folder, "--run", url, *FOUR, "--base-url", seer.url)

    (copy,) = (p for p in (tmp_path / "cache" / "runs").iterdir() if p.is_dir())
    assert said.code == 2
    assert said.err.splitlines()[-1] == (
        f"autointerp: {url}: cannot be written: ExpiredToken; what was done is kept in {copy}: mend that, then run the "
        "same command again"
    )
    assert len((copy / "explanations.jsonl").read_text().splitlines()) == 4
    assert fsspec.filesystem("s3", use_listings_cache=False).find(url) == []
