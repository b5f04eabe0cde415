"""Shards of a harvest, merged, give the bytes of one process."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from harvest_world import (
    FEW_ROWS,
    Everything,
    Few,
    PlantedBackbone,
    SlowHarvest,
    counts_of,
    pictures,
    plain,
    planted,
    source,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from autointerp.dump.reader import open_dump
from autointerp.errors import DumpError, SettingsError
from autointerp.populations.images import Population
from autointerp.transcoder.backbones.protocol import Frame
from autointerp.transcoder.harvest import run, sharding
from autointerp.transcoder.harvest.collector import Levels
from autointerp.transcoder.harvest.run import Job, batch_starts, harvest
from autointerp.transcoder.harvest.sharding import ShardDone, harvest_shard, merge_shards
from autointerp.transcoder.harvest.shared_plan import Listed, Shards
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.harvest.state import State

N, L = 70, 12
TABLE = planted(N, L)
SETTINGS = FEW_ROWS
SOURCES = (source(Everything(L, (4, L)), "a"), source(Few(L, (L,)), "b", reads="vector"))


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Population:
    return pictures(tmp_path_factory.mktemp("pictures"), N)


@pytest.fixture(scope="module")
def whole(population: Population, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The files of the two dumps that one process writes."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "now", lambda: "2026-01-31T12:00:00Z")
        harvest(job(population, folder), lambda done, total: None)
    return files(folder)


@pytest.fixture(autouse=True)
def same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "now", lambda: "2026-01-31T12:00:00Z")


def job(population: Population, folder: Path, *, sources: tuple[Source, ...] = SOURCES, **changed: object) -> Job:
    targets = tuple((s, folder / "dump" / s.name) for s in sources)
    made = Job(PlantedBackbone(TABLE), population, targets, SETTINGS, State(folder / ".state"), 7, "bytes")
    return replace(made, **changed)


def files(folder: Path) -> dict[str, dict[str, bytes]]:
    dumps = sorted(p for p in (folder / "dump").iterdir() if p.is_dir())
    return {dump.name: {p.name: p.read_bytes() for p in sorted(dump.iterdir())} for dump in dumps}


def shards(folder: Path) -> Shards:
    return Shards(folder / ".dump.shards")


def one(of: Job, folder: Path, index: int, n: int, *, kill_after: int | None = None, ask: bool = False) -> ShardDone:
    """Runs a shard; it is killed, or asked to end, once so many of its images are done."""
    told = [0]

    def progress(done: int, total: int) -> None:
        told[0] = done
        if kill_after is not None and not ask and done > kill_after:
            raise KeyboardInterrupt

    listed = Listed(
        images=str(of.population.root),
        labels=None,
        attribute="physical error",
        error_folders=(),
        label_column=None,
        group_column=None,
    )
    asked = (lambda: told[0] > kill_after) if ask and kill_after is not None else (lambda: False)
    return harvest_shard(of, listed, shards(folder), index, n, progress, asked)


def merge(population: Population, folder: Path, *, keep: bool = False) -> None:
    def dumps(names: Sequence[str]) -> list[Path]:
        return [folder / "dump" / name for name in names]

    merge_shards(shards(folder), population, dumps, keep=keep, progress=lambda done, total: None)


# An example takes long, and is small as it is.
@settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_shards_in_any_order_killed_and_gone_on_with_give_the_bytes_of_one_process(
    data: st.DataObject, population: Population, whole: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    n = data.draw(st.integers(1, 5))
    order = data.draw(st.permutations(range(n)))
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()

    for index in order:
        stop = data.draw(st.none() | st.integers(0, 60))
        try:
            one(job(population, tmp_path), tmp_path, index, n, kill_after=stop, ask=data.draw(st.booleans()))
        except KeyboardInterrupt:
            one(job(population, tmp_path), tmp_path, index, n)
    merge(population, tmp_path)

    assert files(tmp_path) == whole
    assert [p.name for p in tmp_path.iterdir()] == ["dump"]


def test_merged_shards_give_the_rows_of_a_slow_harvest_that_keeps_everything(
    population: Population, tmp_path: Path
) -> None:
    known = SETTINGS.model_copy(update={"active_above": 20.0})
    for index in (2, 0, 1):
        one(job(population, tmp_path, settings=known), tmp_path, index, 3)
    merge(population, tmp_path)

    slow = SlowHarvest(TABLE, TABLE, known, 20.0)
    with open_dump(tmp_path / "dump" / "a") as dump:
        for feature in dump.features():
            firing = slow.firing(feature.id)
            strongest = float(slow.peaks[firing[0], feature.id]) if firing else 0.0
            assert counts_of(feature.row) == (len(firing), strongest, sum(i % 3 == 0 for i in firing))
            expected = slow.active(feature.id) + slow.silent(feature.id)
            assert [row[:2] for row in plain(feature.exemplars)] == [row[:2] for row in expected]
            assert [row[2] for row in plain(feature.exemplars)] == pytest.approx([row[2] for row in expected])
            assert [e.heat for e in feature.active] == [slow.heat(e.image, feature.id) for e in feature.active]


def test_heat_maps_of_merged_shards_lie_where_those_of_one_process_lie(population: Population, tmp_path: Path):
    # Of 7 rows the middle 4 begin at row 2 where half a pixel is rounded to the even number, and else at row 1.
    backbone = PlantedBackbone(TABLE)
    backbone.frame = Frame(backbone.side, 7, to_even=True)
    harvest(job(population, tmp_path / "whole", backbone=backbone), lambda done, total: None)
    for index in range(2):
        one(job(population, tmp_path, backbone=backbone), tmp_path, index, 2)

    merge(population, tmp_path)

    assert files(tmp_path) == files(tmp_path / "whole")


@pytest.mark.parametrize("of", [1, 2, 3, 5, 11, 40])
def test_shards_are_runs_of_whole_batches_and_hold_every_image_once(population: Population, tmp_path: Path, of: int):
    one(job(population, tmp_path), tmp_path, 0, of)
    plan = shards(tmp_path).plan()
    assert plan is not None

    pieces = [plan.images_of(i, N) for i in range(of)]

    assert [i for piece in pieces for i in piece] == list(range(N))
    # 24 images make batches of 7, 7, 7 and 3, the last 22 of 7, 7, 7 and 1.
    assert batch_starts(N, 24, 7).tolist() == [0, 7, 14, 21, 24, 31, 38, 45, 48, 55, 62, 69]
    assert {piece.start for piece in pieces if piece} <= set(batch_starts(N, 24, 7).tolist())
    n_batches = [len([s for s in batch_starts(N, 24, 7) if s in piece]) for piece in pieces]
    assert max(n_batches) - min(n_batches) <= 1


def test_a_shard_without_images_is_not_missed(population: Population, tmp_path: Path) -> None:
    few = job(population, tmp_path, batch=24)

    done = [one(few, tmp_path, index, 5) for index in (4, 3, 1)]

    # Three batches for five shards: 0/5 and 2/5 have none.
    assert [d.n_images for d in done] == [22, 24, 24]
    assert done[-1].missing == ()
    merge(population, tmp_path)
    assert sorted(files(tmp_path)) == ["a", "b"]


def test_a_shard_that_is_done_is_run_again_without_running_an_image(population: Population, tmp_path: Path) -> None:
    one(job(population, tmp_path), tmp_path, 1, 3)
    backbone = PlantedBackbone(TABLE)

    again = one(job(population, tmp_path, backbone=backbone), tmp_path, 1, 3)

    assert (backbone.n_run, again.n_images, again.missing) == (0, 24, ("0/3", "2/3"))


def test_shards_without_a_given_threshold_share_the_one_that_the_first_found(
    population: Population, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one(job(population, tmp_path), tmp_path, 0, 2)
    first = shards(tmp_path).plan()
    # Another machine may round otherwise.
    monkeypatch.setattr(run, "threshold", lambda peaks, density: 1e9)

    one(job(population, tmp_path), tmp_path, 1, 2)

    assert shards(tmp_path).plan() == first


def test_missing_shards_are_named(population: Population, tmp_path: Path) -> None:
    one(job(population, tmp_path), tmp_path, 1, 4)
    with pytest.raises(KeyboardInterrupt):
        one(job(population, tmp_path), tmp_path, 2, 4, kill_after=1)

    with pytest.raises(
        SettingsError, match=r"3 shards are missing or not done: run harvest with --shard 0/4, 2/4, 3/4"
    ):
        merge(population, tmp_path)

    assert not (tmp_path / "dump").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings": SETTINGS.model_copy(update={"seed": 4})}, "seed was 3"),
        ({"settings": SETTINGS.model_copy(update={"checkpoint_every": 12})}, "checkpoint-every was 24"),
        ({"batch": 8}, "batch was 7"),
        ({"store": "paths"}, "store was bytes"),
        ({"precision": "bfloat16"}, "precision was float32"),
        ({"sources": (source(Few(L, (L,)), "b"),)}, "the coders were a, b, or others of these names"),
        ({"sources": (SOURCES[0], replace(SOURCES[1], digest="another"))}, "the coders were a, b, or others"),
    ],
)
def test_a_shard_of_another_harvest_is_refused(
    population: Population, tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    one(job(population, tmp_path), tmp_path, 0, 2)

    with pytest.raises(SettingsError, match=f"shards of a harvest were begun in which {said}"):
        one(job(population, tmp_path, **changed), tmp_path, 1, 2)


def test_a_shard_of_another_number_of_shards_of_other_images_or_of_another_version_is_refused(
    population: Population, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one(job(population, tmp_path), tmp_path, 0, 2)
    others = replace(population, images=tuple(replace(i, attribute=None) for i in population.images))

    with pytest.raises(SettingsError, match="in which there were 2 shards"):
        one(job(population, tmp_path), tmp_path, 0, 3)
    with pytest.raises(SettingsError, match="in which the images or their labels were others"):
        one(job(others, tmp_path), tmp_path, 1, 2)
    one(job(population, tmp_path), tmp_path, 1, 2)
    with pytest.raises(SettingsError, match="the images or their labels are others than when shards were run"):
        merge(others, tmp_path)
    monkeypatch.setattr(sharding, "__version__", "9.9")
    with pytest.raises(SettingsError, match=r"in which the version of autointerp was \d"):
        one(job(population, tmp_path), tmp_path, 1, 2)
    with pytest.raises(SettingsError, match=r"its shards are of autointerp \d\S*; merge them with that version"):
        merge(population, tmp_path)


def test_a_shard_that_was_put_in_from_another_harvest_is_refused(population: Population, tmp_path: Path) -> None:
    other_seed = SETTINGS.model_copy(update={"seed": 4})
    for index in range(2):
        one(job(population, tmp_path / "one"), tmp_path / "one", index, 2)
        one(job(population, tmp_path / "other", settings=other_seed), tmp_path / "other", index, 2)
    mine, theirs = (tmp_path / name / ".dump.shards" / "1-of-2" for name in ("one", "other"))
    shutil.rmtree(mine)
    shutil.copytree(theirs, mine)

    with pytest.raises(SettingsError, match=r"1-of-2: holds a shard of another harvest; remove .* --shard 1/2 again"):
        merge(population, tmp_path / "one")
    with pytest.raises(SettingsError, match=r"1-of-2: holds a shard of another harvest; remove it"):
        one(job(population, tmp_path / "one"), tmp_path / "one", 1, 2)


@pytest.mark.parametrize("file", ["0-pool.float32", "0-vectors.float16", "0-places"])
def test_a_file_of_a_shard_that_is_lost_or_cut_off_is_named(population: Population, tmp_path: Path, file: str) -> None:
    for index in range(2):
        one(job(population, tmp_path), tmp_path, index, 2)
    path = tmp_path / ".dump.shards" / "1-of-2" / file
    path.write_bytes(path.read_bytes()[:-5])

    with pytest.raises(SettingsError, match=rf"{file}: is .*cut off"):
        merge(population, tmp_path)
    path.unlink()
    with pytest.raises(SettingsError, match=rf"{file}: is missing or cut off; remove .*1-of-2, and run harvest"):
        merge(population, tmp_path)


def test_a_merge_that_was_killed_begins_anew(
    population: Population, tmp_path: Path, whole: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(3):
        one(job(population, tmp_path), tmp_path, index, 3)
    write = run.write_dump

    def killed_at_b(harvested: object, info: object, folder: Path, store: str) -> int:
        if folder.name == "b":
            raise KeyboardInterrupt
        return write(harvested, info, folder, store)

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_dump", killed_at_b)
        with pytest.raises(KeyboardInterrupt):
            merge(population, tmp_path)

    merge(population, tmp_path)

    assert files(tmp_path) == whole


def test_shards_may_be_kept(population: Population, tmp_path: Path) -> None:
    for index in range(2):
        one(job(population, tmp_path), tmp_path, index, 2)
    merge(population, tmp_path, keep=True)
    first = files(tmp_path)
    shutil.rmtree(tmp_path / "dump")

    merge(population, tmp_path)

    assert files(tmp_path) == first
    assert not (tmp_path / ".dump.shards").exists()


def test_two_at_a_time_on_one_shard_or_merging_are_refused(population: Population, tmp_path: Path) -> None:
    for index in range(2):
        one(job(population, tmp_path), tmp_path, index, 2)

    with shards(tmp_path).state(1, 2).held():
        for begin in (lambda: one(job(population, tmp_path), tmp_path, 1, 2), lambda: merge(population, tmp_path)):
            with pytest.raises(SettingsError, match="1-of-2: another harvest of this dump is under way"):
                begin()
    with (
        shards(tmp_path).locked(0),
        pytest.raises(SettingsError, match="is being merged by another process; wait for its end"),
    ):
        merge(population, tmp_path)


def test_a_dump_that_exists_is_refused_before_an_image_is_run(population: Population, tmp_path: Path) -> None:
    (tmp_path / "dump" / "b").mkdir(parents=True)
    backbone = PlantedBackbone(TABLE)

    with pytest.raises(DumpError, match="exists already"):
        one(job(population, tmp_path, backbone=backbone), tmp_path, 0, 2)

    assert backbone.n_run == 0


def test_the_plan_of_a_harvest_that_an_earlier_version_began_is_read(population: Population, tmp_path: Path) -> None:
    begun = job(population, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        harvest(begun, lambda done, total: None, lambda: True)
    path = tmp_path / ".state" / "plan.json"
    plan = json.loads(path.read_text())
    # Earlier versions had one precision, and called the images between two checkpoints a shard.
    del plan["precision"]
    plan["settings"]["shard"] = plan["settings"].pop("checkpoint_every")
    path.write_text(json.dumps(plan))
    backbone = PlantedBackbone(TABLE)

    harvest(replace(begun, backbone=backbone), lambda done, total: None)

    assert backbone.n_run == N - 7


def test_a_plan_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = shards(tmp_path).folder
    folder.mkdir()
    (folder / "plan.json").write_text("{}")

    with pytest.raises(SettingsError, match=r"\.dump\.shards/plan\.json: version: Field required"):
        shards(tmp_path).plan()


def test_bins_of_a_latent_are_as_wide_after_merging_as_if_counted_at_once() -> None:
    levels = np.array([0.5, 3, 700, 0.25, 1.5, 90], np.float32)
    counted = [Levels(2, 0.0) for _ in range(3)]
    for i, level in enumerate(levels):
        for one_of in (counted[0], counted[1 + i % 2]):
            one_of.add(np.array([i // 3]), level[None])

    counted[1].absorb(counted[2])

    assert np.array_equal(counted[1].counts, counted[0].counts)
    assert np.array_equal(counted[1].exponent, counted[0].exponent)
