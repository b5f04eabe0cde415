"""Shards of a harvest at a URL, worked on in folders that their machines lose, merge to the bytes of one process."""

import shutil
from collections.abc import Iterator, Sized
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from harvest_world import FEW_ROWS, Everything, Few, PlantedBackbone, pictures, planted, source

from autointerp.errors import SettingsError
from autointerp.populations.images import Population
from autointerp.remote import path as remote_path
from autointerp.remote.path import RemotePath
from autointerp.transcoder.harvest import run, sent_shards
from autointerp.transcoder.harvest.run import Job, harvest
from autointerp.transcoder.harvest.sent_shards import ShardsAtUrl
from autointerp.transcoder.harvest.sharding import begin_shards, harvest_shard, merge_shards
from autointerp.transcoder.harvest.shared_plan import Listed
from autointerp.transcoder.harvest.state import State

N, L, OF = 70, 12, 3
TABLE = planted(N, L)
SETTINGS = FEW_ROWS.model_copy(update={"checkpoint_every": 6})
SOURCES = (source(Everything(L, (4, L)), "a"), source(Few(L, (L,)), "b", reads="vector"))
URL = RemotePath("memory://shelf/.dump.shards")


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Population:
    return pictures(tmp_path_factory.mktemp("pictures"), N)


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty store in memory, which is sent to at each checkpoint."""
    monkeypatch.setattr(run, "now", lambda: "2026-01-31T12:00:00Z")
    monkeypatch.setattr(sent_shards, "EVERY", 0.0)
    monkeypatch.setattr(sent_shards, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(remote_path, "PAUSES", (0.0, 0.0))
    yield
    memory = fsspec.filesystem("memory")
    if memory.exists("memory://shelf"):
        memory.rm("memory://shelf", recursive=True)


def job(population: Population, folder: Path, **changed: object) -> Job:
    targets = tuple((s, folder / "dump" / s.name) for s in SOURCES)
    made = Job(PlantedBackbone(TABLE), population, targets, SETTINGS, State(folder / ".state"), 4, "bytes")
    return replace(made, **changed)


def how(population: Population) -> Listed:
    said = {"attribute": "physical error", "error_folders": (), "label_column": None, "group_column": None}
    return Listed(images=str(population.root), labels=None, **said)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted((folder / "dump").rglob("*.*"))}


def begin(population: Population, home: Path, **changed: object) -> None:
    begin_shards(job(population, home, **changed), how(population), ShardsAtUrl(home / "shards", URL), OF)


def shard(population: Population, home: Path, index: int, kill_after: int | None = None) -> None:
    """Runs a shard on a machine of its own; it is struck down once so many of its images are done."""

    def progress(done: int, total: int) -> None:
        if kill_after is not None and done > kill_after:
            raise KeyboardInterrupt

    harvest_shard(job(population, home), how(population), ShardsAtUrl(home / "shards", URL), index, OF, progress)


def merge(population: Population, home: Path) -> None:
    shards = ShardsAtUrl(home / "shards", URL)
    shared = shards.plan()
    assert shared is not None
    shards.fetch_decoders(shared)
    dumps = lambda names: [home / "dump" / name for name in names]  # noqa: E731 - as short as it is
    merge_shards(shards, population, dumps, keep=True, progress=lambda done, total: None)


@pytest.fixture(scope="module")
def whole(population: Population, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the dumps of one process."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "now", lambda: "2026-01-31T12:00:00Z")
        harvest(job(population, folder), lambda done, total: None)
    return files(folder)


@pytest.mark.parametrize("kept", [False, True], ids=["machine lost", "machine kept"])
@pytest.mark.parametrize("kill_after", [3, 17])
def test_shards_that_went_on_elsewhere_merge_to_the_bytes_of_one_process(
    population: Population, whole: dict[str, bytes], tmp_path: Path, kill_after: int, kept: bool
):
    begin(population, tmp_path / "planner")
    for index in range(OF):
        with pytest.raises(KeyboardInterrupt):
            shard(population, tmp_path / f"first-{index}", index, kill_after)
        shard(population, tmp_path / f"{'first' if kept else 'second'}-{index}", index)

    merge(population, tmp_path / "driver")

    assert files(tmp_path / "driver") == whole
    # Nodes keep nothing of a shard that is at the URL.
    last = "first" if kept else "second"
    assert [p for p in tmp_path.glob(f"{last}-*/shards/*-of-*") if p.is_dir()] == []


def test_what_is_here_is_gone_on_with_where_it_is_further_than_the_url(
    population: Population, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    begin(population, tmp_path / "planner")
    with monkeypatch.context() as patch:
        # The store is away while the shard is worked on.
        patch.setattr(sent_shards.StateAtUrl, "_send", lambda self: (_ for _ in ()).throw(OSError("away")))
        with pytest.raises(KeyboardInterrupt):
            shard(population, tmp_path / "node", 0, 17)
    assert ShardsAtUrl(tmp_path / "x", URL).state(0, OF).n_done() == 0
    ran: list[int] = []
    monkeypatch.setattr(PlantedBackbone, "run", counting(PlantedBackbone.run, ran))

    shard(population, tmp_path / "node", 0)

    # Of 22 images, those after the checkpoint at 12; no threshold is sought anew.
    assert ran == [4, 2, 4]
    for index in (1, 2):
        shard(population, tmp_path / "node", index)
    merge(population, tmp_path / "driver")
    assert files(tmp_path / "driver") == whole


def counting(call: object, ran: list[int]) -> object:
    def counted(backbone: PlantedBackbone, batch: Sized, *args: object) -> object:
        ran.append(len(batch))
        return call(backbone, batch, *args)  # type: ignore[operator]

    return counted


def test_objects_that_are_gone_have_the_shard_run_anew(population: Population, whole: dict[str, bytes], tmp_path: Path):
    begin(population, tmp_path / "planner")
    with pytest.raises(KeyboardInterrupt):
        shard(population, tmp_path / "first", 0, 17)
    memory = fsspec.filesystem("memory")
    lost = next(p for p in memory.find(f"{URL}/0-of-3") if p.endswith("/0.npz"))
    memory.rm(lost)

    for index in range(OF):
        shard(population, tmp_path / "second", index)
    merge(population, tmp_path / "driver")

    assert files(tmp_path / "driver") == whole


def test_a_shard_that_is_not_at_the_url_is_named(population: Population, tmp_path: Path):
    begin(population, tmp_path / "planner")
    shard(population, tmp_path / "node", 1)

    with pytest.raises(SettingsError, match=r"2 shards are missing or not done: run harvest with --shard 0/3, 2/3"):
        merge(population, tmp_path / "driver")


def test_shards_of_other_options_are_refused(population: Population, tmp_path: Path):
    begin(population, tmp_path / "planner")

    with pytest.raises(SettingsError, match="shards of a harvest were begun in which batch was 4"):
        begin(population, tmp_path / "other", batch=5)


def test_a_damaged_object_is_one_line_and_no_file_outside_is_written(population: Population, tmp_path: Path):
    begin(population, tmp_path / "planner")
    with pytest.raises(KeyboardInterrupt):
        shard(population, tmp_path / "first", 0, 17)
    place = RemotePath(f"{URL}/0-of-3/sent.json")
    said = place.read_bytes()

    fsspec.filesystem("memory").pipe_file(place.url, said.replace(b"done-", b"../x-"))
    with pytest.raises(SettingsError, match=r"sent.json: is damaged; remove .* to begin this shard anew"):
        shard(population, tmp_path / "second", 0)

    rows = next(p for p in fsspec.filesystem("memory").find(f"{URL}/0-of-3") if "rows-" in p)
    fsspec.filesystem("memory").pipe_file(place.url, said)
    fsspec.filesystem("memory").pipe_file(rows, b"no archive")
    with pytest.raises(SettingsError, match=r"rows-.*npz: is damaged"):
        shard(population, tmp_path / "second", 0)


def test_a_store_that_stays_away_is_one_line(population: Population, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    begin(population, tmp_path / "planner")
    monkeypatch.setattr(sent_shards.StateAtUrl, "_send", lambda self: (_ for _ in ()).throw(OSError("away")))

    with pytest.raises(SettingsError, match="0-of-3: cannot be read or written: away; mend that, and give"):
        shard(population, tmp_path / "node", 0)


def test_all_is_removed_in_the_end(population: Population, tmp_path: Path):
    begin(population, tmp_path / "planner")
    for index in range(OF):
        shard(population, tmp_path / "node", index)
    merge(population, tmp_path / "driver")
    ShardsAtUrl(tmp_path / "driver" / "shards", URL).remove()

    assert fsspec.filesystem("memory").find("memory://shelf") == []
    assert not (tmp_path / "driver" / "shards").exists()
    shutil.rmtree(tmp_path / "driver" / "dump")
