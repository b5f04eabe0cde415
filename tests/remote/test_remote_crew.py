"""Several processes on a run at a URL, each in a copy of its own: here one after the other, without Ray."""

import asyncio
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from remote.stores import copied, names, upload
from standin.commands import Result, run
from standin.planted import Population
from standin.records import timeless
from standin.server import StandIn

from autointerp.job import JobResult, Silent
from autointerp.jobs import explain, score
from autointerp.pipeline import Stop
from autointerp.runs.remote_copy import Mirror
from autointerp.settings import EngineSettings
from autointerp.shards.dealing import Board, Call
from autointerp.shards.shards import Shard

JUDGED = ("--scorers", "detection", "--controls", "0")


class StopAfter(Silent):
    """Asks for the end once so many features are through."""

    def __init__(self, n: int, stop: Stop) -> None:
        self._left, self._stop = n, stop

    def advance(self, *, failed: bool) -> None:
        """One more feature is through."""
        self._left -= 1
        if not self._left:
            self._stop.ask("lost")


@dataclass(frozen=True)
class InTurn:
    """Nodes that share no folder: each shard is worked on in a cache of its own."""

    caches: Path
    monkeypatch: pytest.MonkeyPatch
    lost: bool = False
    """Whether the first holder of each shard is lost after a feature, with its note left as it is."""
    size: int = 2

    async def work(self, call: Call, shards: Sequence[Shard], board: Board) -> None:
        """Has each shard worked on."""
        for number, shard in enumerate(shards):
            call = pickle.loads(pickle.dumps(call))
            if self.lost and len(shard.ids or ()) > 1:
                with self.monkeypatch.context() as patch:
                    patch.setattr(Mirror, "release", lambda _: None)
                    stop = Stop()
                    await self._one(call, shard, f"lost-{number}", StopAfter(1, stop), stop)
            board.ended(shard.index, await self._one(call, shard, f"node-{number}", Silent(), Stop()))

    async def _one(self, call: Call, shard: Shard, node: str, progress: Silent, stop: Stop) -> JobResult:
        with self.monkeypatch.context() as patch:
            patch.setenv("AUTOINTERP_CACHE", str(self.caches / node))
            engine = EngineSettings(concurrency=1)
            return await asyncio.to_thread(call, shard=shard, engine=engine, progress=progress, stop=stop)


@pytest.fixture(params=[False, True], ids=["all goes well", "the first holder of each shard is lost"])
def crew(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InTurn:
    """Takes the place of Ray's workers."""
    made = InTurn(tmp_path / "nodes", monkeypatch, lost=request.param)
    for job in (explain, score):
        monkeypatch.setattr(job, "crew_of", lambda execution: made if execution.engine == "ray" else None)
    return made


def plain(folder: Path, dump: str | Path, seer: StandIn, features: tuple[str, ...]) -> Path:
    """The run of one process."""
    usual = ("--base-url", seer.url, "--cache", folder / "plain")
    assert run("explain", dump, "--run", folder / "local", "--model", "seer", *usual, *features).code == 0
    assert run("score", folder / "local", *usual, *JUDGED).code == 0
    return folder / "local"


def test_a_crew_at_a_url_makes_the_run_of_one_process(s3: str, population: Population, tmp_path: Path, crew: InTurn):
    dump, url, features = upload(population.folder, f"{s3}/dump"), f"{s3}/run", ("--features", "0-3")
    with StandIn() as seer:
        local = plain(tmp_path, dump, seer, features)
        asked = len(seer.calls)
        usual = ("--base-url", seer.url, "--engine", "ray", "--actors", "2", "--concurrency", "2")
        explained: Result = run("explain", dump, "--run", url, "--model", "seer", *usual, *features)
        scored = run("score", url, *JUDGED, *usual)

        assert (explained.code, scored.code) == (0, 0), explained.err + scored.err
        assert len(seer.calls) == 2 * asked
    assert timeless(copied(url, tmp_path / "copy")) == timeless(local)
    assert [name for name in names(url) if name.startswith("parts/") or "working" in name] == []
    assert explained.out.splitlines()[-1] == f"next: autointerp score {url}"


def test_parts_that_a_lost_driver_left_are_merged_by_the_next(
    s3: str, population: Population, tmp_path: Path, crew: InTurn, monkeypatch: pytest.MonkeyPatch
):
    url, features = f"{s3}/run", ("--features", "0-3")
    with StandIn() as seer:
        usual = ("--model", "seer", "--base-url", seer.url, "--engine", "ray", "--actors", "2", "--concurrency", "2")
        with monkeypatch.context() as patch:
            for name in ("fetch_parts", "forget"):
                patch.setattr(Mirror, name, lambda _: None)
            run("explain", population.folder, "--run", url, *usual, *features)
        assert any(name.startswith("parts/") for name in names(url))
        monkeypatch.setenv("AUTOINTERP_CACHE", str(tmp_path / "elsewhere"))
        rest = run("explain", population.folder, "--run", url, *usual, *features)

        assert rest.code == 0, rest.err
        assert len(seer.calls) == 4
    assert "parts that an earlier start left" in rest.err
    assert not any(name.startswith("parts/") for name in names(url))
