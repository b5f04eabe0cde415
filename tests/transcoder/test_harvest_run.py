import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from harvest_world import (
    COLUMNS,
    ROWS,
    Everything,
    Few,
    PlantedBackbone,
    SlowHarvest,
    counts_of,
    pictures,
    plain,
    planted,
    source,
    three_largest,
)
from torch import Tensor

from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.validate import validate
from autointerp.errors import DumpError, SettingsError
from autointerp.populations.images import Population
from autointerp.transcoder.activation import Encoded
from autointerp.transcoder.harvest import run, state
from autointerp.transcoder.harvest.encode import threshold
from autointerp.transcoder.harvest.run import Harvested, Job, harvest
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.harvest.state import State
from autointerp.transcoder.settings import HarvestSettings

N, L = 90, 12
SETTINGS = HarvestSettings(
    n_top=4,
    n_bands=2,
    n_per_band=3,
    n_reservoir=8,
    n_silent=15,
    n_guided=6,
    n_pool=50,
    active_above=20.0,
    seed=3,
    checkpoint_every=24,
)


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Population:
    return pictures(tmp_path_factory.mktemp("pictures"), N)


@pytest.fixture(autouse=True)
def same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "now", lambda: "2026-01-31T12:00:00Z")


TABLE = planted(N, L)


def go(
    population: Population,
    folder: Path,
    *,
    sources: tuple[Source, ...] = (),
    settings: HarvestSettings = SETTINGS,
    batch: int = 7,
    store: str = "bytes",
    stop_after: int | None = None,
    ask_after: int | None = None,
    backbone: PlantedBackbone | None = None,
) -> list[Harvested]:
    """Harvests; ends by force, or asked to, once more images than this are done."""
    told = [0]
    sources = sources or (source(Everything(L, (4, L))),)
    targets = tuple((s, folder / s.name) for s in sources)
    job = Job(backbone or PlantedBackbone(TABLE), population, targets, settings, State(folder / ".state"), batch, store)

    def progress(done: int, total: int) -> None:
        told[0] = done
        if stop_after is not None and done > stop_after:
            raise KeyboardInterrupt

    return harvest(job, progress, lambda: ask_after is not None and told[0] > ask_after)


def files(dump: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(dump.iterdir())}


def assert_same_rows(dump: Dump, slow: SlowHarvest) -> None:
    for feature in dump.features():
        firing = slow.firing(feature.id)
        strongest = float(slow.peaks[firing[0], feature.id]) if firing else 0.0
        assert counts_of(feature.row) == (len(firing), strongest, sum(i % 3 == 0 for i in firing))
        expected = slow.active(feature.id) + slow.silent(feature.id)
        assert [row[:2] for row in plain(feature.exemplars)] == [row[:2] for row in expected]
        assert [row[2] for row in plain(feature.exemplars)] == pytest.approx([row[2] for row in expected])
        assert [e.activation for e in feature.exemplars] == [slow.peaks[e.image, feature.id] for e in feature.exemplars]
        for e in feature.active:
            assert e.heat == slow.heat(e.image, feature.id)
            assert e.box is not None


def test_a_harvest_gives_the_rows_of_a_slow_one_that_keeps_everything(population: Population, tmp_path: Path) -> None:
    (done,) = go(population, tmp_path)

    with open_dump(tmp_path / "coder") as dump:
        assert_same_rows(dump, SlowHarvest(TABLE, TABLE, SETTINGS, 20.0))
        assert [p for p in validate(dump, content=True) if p.severity == "error"] == []
        used = {e.image for f in dump.features() for e in f.exemplars} | set(lot_of_pool())
        assert sorted(used) == dump.images_table()["image"].to_pylist()
        assert (dump.info.n_images, dump.info.patch_grid, dump.info.widths) == (N, (ROWS, COLUMNS), (4, L))
        assert [dump.image(i).attribute for i in sorted(used)] == [i % 3 == 0 for i in sorted(used)]
        assert (done.n_latents, done.n_dead, done.n_stored) == (L, 1, len(used))
    assert not (tmp_path / ".state").exists()


def lot_of_pool() -> list[int]:
    return SlowHarvest(TABLE, TABLE, SETTINGS, 20.0).pool.tolist()


def test_the_pool_says_of_each_latent_where_it_fires_nearly_fires_and_what_is_alike(
    population: Population, tmp_path: Path
):
    go(population, tmp_path)
    slow = SlowHarvest(TABLE, TABLE, SETTINGS, 20.0)

    with open_dump(tmp_path / "coder") as dump:
        assert dump.pool is not None
        pool = sorted(lot_of_pool())
        assert dump.pool.images.tolist() == pool
        for latent in range(L):
            row = dump.pool.row(latent)
            if not slow.firing(latent):
                assert row is None
                continue
            assert row is not None
            peaks = slow.peaks[:, latent]
            assert row.activations == {i: peaks[i] for i in pool if peaks[i] > 10.0}
            assert list(row.alike) == slow.alike(latent)


def test_silent_rows_say_what_the_latent_reached(population: Population, tmp_path: Path) -> None:
    go(population, tmp_path)

    with open_dump(tmp_path / "coder") as dump:
        rows = dump.exemplars_dataset().to_table().to_pylist()
    silent = [r for r in rows if r["stratum"] in ("silent", "guided")]
    assert [r["silent_activation"] for r in silent] == [TABLE[r["image"], :, r["feature"]].max() for r in silent]
    assert {r["silent_activation"] for r in rows if r not in silent} == {None}


def test_a_sparse_coder_gives_the_rows_of_the_slow_harvest_too(population: Population, tmp_path: Path) -> None:
    go(population, tmp_path, sources=(source(Few(L, (L,))),))

    with open_dump(tmp_path / "coder") as dump:
        assert_same_rows(dump, SlowHarvest(three_largest(TABLE), TABLE, SETTINGS, 20.0))


def test_a_latent_that_never_fires_has_a_row_without_evidence(population: Population, tmp_path: Path) -> None:
    go(population, tmp_path)

    with open_dump(tmp_path / "coder") as dump:
        dead = dump.feature(0)
    assert (dead.row.n_active, dead.row.max_activation, dead.row.histogram) == (0, 0.0, None)
    assert dead.exemplars == ()


def test_the_histogram_of_few_firing_images_is_numpys(population: Population, tmp_path: Path) -> None:
    go(population, tmp_path, settings=SETTINGS.model_copy(update={"n_reservoir": 200}))

    with open_dump(tmp_path / "coder") as dump:
        for feature in dump.features():
            if feature.row.n_active:
                peaks = TABLE.max(axis=1)[:, feature.id].astype(np.float64)
                bins, _ = np.histogram(peaks[peaks > 20], bins=50, range=(20.0, feature.row.max_activation))
                assert feature.row.histogram == tuple(bins.tolist())


@pytest.mark.parametrize("batch", [1, 24])
def test_the_batch_changes_no_byte(population: Population, tmp_path: Path, batch: int) -> None:
    go(population, tmp_path / "one", batch=7)

    go(population, tmp_path / "other", batch=batch)

    assert files(tmp_path / "one" / "coder") == files(tmp_path / "other" / "coder")


def test_the_number_of_checkpoints_changes_no_byte_of_a_table(population: Population, tmp_path: Path) -> None:
    go(population, tmp_path / "one")

    go(population, tmp_path / "other", settings=SETTINGS.model_copy(update={"checkpoint_every": 1000}))

    assert files(tmp_path / "one" / "coder") == files(tmp_path / "other" / "coder")


@pytest.mark.parametrize("stop_after", [0, 30, 60, 89])
def test_a_harvest_that_was_stopped_goes_on_to_the_same_bytes(
    population: Population, tmp_path: Path, stop_after: int
) -> None:
    go(population, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        go(population, tmp_path / "stopped", stop_after=stop_after)
    backbone = PlantedBackbone(TABLE)

    go(population, tmp_path / "stopped", backbone=backbone)

    assert files(tmp_path / "whole" / "coder") == files(tmp_path / "stopped" / "coder")
    assert backbone.n_run == N - stop_after // 24 * 24


@pytest.mark.parametrize("ask_after", [0, 30, 60])
def test_a_harvest_that_is_asked_to_stop_loses_no_image_and_goes_on_to_the_same_bytes(
    population: Population, tmp_path: Path, ask_after: int
) -> None:
    go(population, tmp_path / "whole")
    first, second = PlantedBackbone(TABLE), PlantedBackbone(TABLE)
    with pytest.raises(KeyboardInterrupt):
        go(population, tmp_path / "stopped", ask_after=ask_after, backbone=first)

    go(population, tmp_path / "stopped", backbone=second)

    assert files(tmp_path / "whole" / "coder") == files(tmp_path / "stopped" / "coder")
    assert first.n_run + second.n_run == N


def test_a_stop_while_dumps_are_written_leaves_the_first_and_writes_the_second(
    population: Population, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = (source(Everything(L, (4, L)), "a"), source(Few(L, (L,)), "b"))
    go(population, tmp_path / "whole", sources=sources)
    write = run.write_dump

    def stop_at_b(whole: object, info: object, folder: Path, store: str) -> int:
        if folder.name == "b":
            raise KeyboardInterrupt
        return write(whole, info, folder, store)

    monkeypatch.setattr(run, "write_dump", stop_at_b)
    with pytest.raises(KeyboardInterrupt):
        go(population, tmp_path / "stopped", sources=sources)
    monkeypatch.setattr(run, "write_dump", write)

    done = go(population, tmp_path / "stopped", sources=sources)

    for name in ("a", "b"):
        assert files(tmp_path / "whole" / name) == files(tmp_path / "stopped" / name)
    with open_dump(tmp_path / "stopped" / "a") as dump:
        assert done[0].n_stored == len(dump.images_table())


@pytest.mark.parametrize("ahead", [0, 5])
def test_decoding_ahead_changes_no_byte(
    population: Population, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    go(population, tmp_path / "usual")
    made = run.Job
    monkeypatch.setattr("test_harvest_run.Job", lambda *given: replace(made(*given), ahead=ahead))

    go(population, tmp_path / "other")

    assert files(tmp_path / "usual" / "coder") == files(tmp_path / "other" / "coder")


def test_the_backbone_runs_the_next_batch_while_one_is_collected(population: Population, tmp_path: Path) -> None:
    second = threading.Event()

    class Heard(PlantedBackbone):
        def run(self, batch: Tensor, hookpoints: Sequence[str], swap: object = None) -> dict[str, Tensor]:
            if self.n_run:
                second.set()
            return super().run(batch, hookpoints)

    class Waiting(Everything):
        def encode(self, inputs: Tensor, /) -> Encoded:
            assert second.wait(60), "the first batch is collected before the second is run"
            return super().encode(inputs)

    go(population, tmp_path, sources=(source(Waiting(L, (4, L))),), backbone=Heard(TABLE))

    assert (tmp_path / "coder").exists()


def test_two_coders_in_one_pass_run_the_backbone_once(population: Population, tmp_path: Path) -> None:
    both = (source(Everything(L, (4, L)), "a"), source(Few(L, (L,)), "b"))
    backbone = PlantedBackbone(TABLE)

    go(population, tmp_path / "both", sources=both, backbone=backbone)

    assert backbone.n_run == N
    for one in both:
        go(population, tmp_path / "alone", sources=(one,))
        assert files(tmp_path / "both" / one.name) == files(tmp_path / "alone" / one.name)


def test_a_harvest_begun_with_another_seed_is_not_gone_on_with(population: Population, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(population, tmp_path, stop_after=30)

    with pytest.raises(SettingsError, match=r"a harvest was begun in which seed was 3; give the same again"):
        go(population, tmp_path, settings=SETTINGS.model_copy(update={"seed": 4}))


def test_two_harvests_of_one_dump_at_a_time_are_refused(population: Population, tmp_path: Path) -> None:
    with State(tmp_path / ".state").held(), pytest.raises(SettingsError, match="another harvest of this dump is under"):
        go(population, tmp_path)


def test_what_a_cut_off_end_left_is_not_taken_for_a_beginning(population: Population, tmp_path: Path) -> None:
    other_seed = SETTINGS.model_copy(update={"seed": 4})
    go(population, tmp_path / "whole", settings=other_seed)
    with pytest.raises(KeyboardInterrupt):
        go(population, tmp_path / "other", stop_after=60)
    (tmp_path / "other" / ".state" / "plan.json").unlink()
    (tmp_path / "other" / ".state" / ".half").mkdir()

    go(population, tmp_path / "other", settings=other_seed)

    assert files(tmp_path / "whole" / "coder") == files(tmp_path / "other" / "coder")


@pytest.mark.parametrize("checkpoint", ["done-000000000024", "more-000000000048-000000000072"])
def test_a_damaged_checkpoint_is_named(population: Population, tmp_path: Path, checkpoint: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(population, tmp_path, stop_after=80)
    (tmp_path / ".state" / checkpoint / "0.npz").write_bytes(b"PK")

    with pytest.raises(SettingsError, match=rf"{checkpoint}/0\.npz: cannot be read; remove .*\.state to begin anew"):
        go(population, tmp_path)


def checkpoints(state: Path) -> dict[str, int]:
    """Their bytes by name, without zeros before numbers."""
    found = {p.name: sum(f.stat().st_size for f in p.iterdir()) for p in sorted(state.glob("[dm]*-*"))}
    return {"-".join(part.lstrip("0") for part in name.split("-")): size for name, size in found.items()}


def test_a_checkpoint_writes_what_changed_since_the_one_before(population: Population, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(population, tmp_path, stop_after=80)

    found = checkpoints(tmp_path / ".state")

    assert list(found) == ["done-24", "more-24-48", "more-48-72"]
    assert max(found["more-24-48"], found["more-48-72"]) < found["done-24"] / 3


def test_everything_is_written_anew_once_the_changes_are_larger(population: Population, tmp_path: Path) -> None:
    every_four = SETTINGS.model_copy(update={"checkpoint_every": 4})
    go(population, tmp_path / "whole", settings=every_four)

    for stop_after in range(3, 88, 12):
        with pytest.raises(KeyboardInterrupt):
            go(population, tmp_path / "stopped", settings=every_four, stop_after=stop_after)
        found = checkpoints(tmp_path / "stopped" / ".state")
        sizes = {kind: [size for name, size in found.items() if name.startswith(kind)] for kind in ("done", "more")}
        assert len(sizes["done"]) <= 1
        assert sum(sizes["more"]) <= 1.5 * sum(sizes["done"])
    go(population, tmp_path / "stopped", settings=every_four)

    assert "done-4" not in found
    assert files(tmp_path / "whole" / "coder") == files(tmp_path / "stopped" / "coder")


def test_changes_that_follow_on_no_checkpoint_are_left_out(population: Population, tmp_path: Path) -> None:
    often = SETTINGS.model_copy(update={"checkpoint_every": 12})
    go(population, tmp_path / "whole", settings=often)
    with pytest.raises(KeyboardInterrupt):
        go(population, tmp_path / "stopped", settings=often, stop_after=80)
    there = sorted((tmp_path / "stopped" / ".state").glob("more-*"))
    shutil.rmtree(there[0])
    backbone = PlantedBackbone(TABLE)

    go(population, tmp_path / "stopped", settings=often, backbone=backbone)

    assert len(there) > 1
    assert backbone.n_run == N - int(there[0].name.split("-")[1])
    assert files(tmp_path / "whole" / "coder") == files(tmp_path / "stopped" / "coder")


def test_a_harvest_that_an_earlier_version_began_goes_on(
    population: Population, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(population, tmp_path / "whole")
    with monkeypatch.context() as patch:
        # Every checkpoint of it was a whole one.
        patch.setattr(state, "MOST", float("inf"))
        with pytest.raises(KeyboardInterrupt):
            go(population, tmp_path / "stopped", stop_after=80)
    assert list(checkpoints(tmp_path / "stopped" / ".state")) == ["done-72"]

    go(population, tmp_path / "stopped")

    assert files(tmp_path / "whole" / "coder") == files(tmp_path / "stopped" / "coder")


def test_an_image_that_changed_since_it_was_looked_at_is_named(tmp_path: Path) -> None:
    few = pictures(tmp_path / "pictures", N)
    few.images[7].path.write_bytes(few.images[8].path.read_bytes())

    with pytest.raises(SettingsError, match=r"0007/plausible/picture\.png: is not the file .* that was looked at; put"):
        go(few, tmp_path)


@pytest.mark.parametrize("store", ["bytes", "paths"])
def test_an_image_that_changed_since_it_was_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    few, write = pictures(tmp_path / "pictures", N), run.write_dump

    def changed_before(*given: object) -> int:
        few.images[7].path.write_bytes(few.images[8].path.read_bytes())
        return write(*given)

    monkeypatch.setattr(run, "write_dump", changed_before)

    with pytest.raises(SettingsError, match=r"0007/plausible/picture\.png: is not the file any more that was run"):
        go(few, tmp_path, store=store)


def test_a_dump_that_exists_is_refused_before_an_image_is_run(population: Population, tmp_path: Path) -> None:
    (tmp_path / "coder").mkdir()
    backbone = PlantedBackbone(TABLE)

    with pytest.raises(DumpError, match="exists already"):
        go(population, tmp_path, backbone=backbone)

    assert backbone.n_run == 0


def test_by_the_threshold_found_half_of_the_latents_fire_on_a_tenth_of_the_images(
    population: Population, tmp_path: Path
) -> None:
    given = SETTINGS.model_copy(update={"active_above": None, "density": 0.1, "n_pool": N})
    go(population, tmp_path, settings=given)

    with open_dump(tmp_path / "coder") as dump:
        counts = [f.row.n_active for f in dump.features() if f.id > 0]
        assert dump.info.active_above == threshold(TABLE.max(axis=1), 0.1)
    assert sum(n >= 8 for n in counts) >= 6
    assert sum(n <= 9 for n in counts) >= 5


def test_a_coder_of_one_vector_an_image_has_no_heat_maps(population: Population, tmp_path: Path) -> None:
    go(population, tmp_path, sources=(source(Everything(L, (4, L)), reads="vector"),))

    with open_dump(tmp_path / "coder") as dump:
        assert dump.info.patch_grid is None
        assert {(e.heat, e.box) for f in dump.features() for e in f.exemplars} == {(None, None)}
        assert [f.row.n_active for f in dump.features()] == (TABLE.max(axis=1) > 20).sum(axis=0).tolist()


def test_paths_are_stored_where_the_files_shall_stay(population: Population, tmp_path: Path) -> None:
    go(population, tmp_path, store="paths")

    with open_dump(tmp_path / "coder", allow_outside=True) as dump:
        first = dump.images_table()["image"][0].as_py()
        assert dump.image_source(first) == population.images[first].path.resolve()
        assert [p for p in validate(dump, content=True) if p.severity == "error"] == []


def test_activations_that_are_no_numbers_stop_the_harvest(population: Population, tmp_path: Path) -> None:
    table = TABLE.copy()
    table[40, 2, 5] = np.nan

    with pytest.raises(SettingsError, match="coder: gives activations that are not finite numbers"):
        go(population, tmp_path, backbone=PlantedBackbone(table))
