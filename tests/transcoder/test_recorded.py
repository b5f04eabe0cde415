"""Recorded activations of four tools become the dump that a slow harvest of the same table makes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from harvest_world import SlowHarvest, plain
from PIL import Image
from safetensors.numpy import save_file
from standin import recorded as world

import autointerp
from autointerp.dump.importers.imported import Imported
from autointerp.dump.reader import open_dump
from autointerp.dump.validate import validate
from autointerp.errors import AutointerpError, DumpError, SettingsError
from autointerp.jobs import import_recorded
from autointerp.pipeline import Stop
from autointerp.transcoder.harvest.encode import threshold
from autointerp.transcoder.harvest.framing import over_the_whole
from autointerp.transcoder.harvest.silent_sampling import keys
from autointerp.transcoder.recorded import events, located, road, sae_for_vlm, saev
from autointerp.transcoder.recorded.frames import Flexible
from autointerp.transcoder.settings import HarvestSettings

Z = world.table()
SETTINGS = HarvestSettings(
    n_top=4, n_bands=2, n_per_band=3, n_reservoir=8, n_silent=9, n_guided=4, n_pool=20, active_above=0.0, seed=3
)
GRID_24 = np.zeros((world.N, 24 * 24, world.LATENTS), np.float32)
GRID_24[:, [0, 12, 24 * 12, 24 * 12 + 12]] = Z
Go = Callable[..., Imported]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    world.pictures(tmp_path / "images")
    return tmp_path / "images"


def go(kind: str, src: Path, images: Path | None, dump: Path, **options: object) -> Imported:
    command = getattr(autointerp, f"import_{kind}")
    given = {"settings": SETTINGS} | options
    return command(src, dump, images=None if images is None else str(images), **given)


def write(kind: str, folder: Path, images: Path) -> Path:
    match kind:
        case "delphi":
            return world.delphi(folder / "layer.8", Z)
        case "multimodal_sae":
            return world.multimodal_sae(folder / "layer.8", GRID_24)
        case "saev":
            return world.saev(folder, Z, images)
        case _:
            return world.sae_for_vlm(folder / "acts", Z.max(axis=1))


KINDS = {
    "delphi": (Z, ()),
    "multimodal_sae": (GRID_24, (2, 5)),
    "saev": (Z, ()),
    "sae_for_vlm": (Z.max(1)[:, None], ()),
}
"""What each file holds, and the latents that it does not."""


def hashed(z: np.ndarray) -> np.ndarray:
    """[images, 256]: each latent's sum over the patches, added with a sign to a place, both drawn by hash."""
    out = np.zeros((len(z), 256))
    for latent in range(z.shape[2]):
        drawn = int(keys(0, "likeness", np.array([latent]))[0])
        out[:, (drawn >> 1) % 256] += (1 - 2 * (drawn & 1)) * z[:, :, latent].sum(axis=1)
    return out


def check(dump: Path, z: np.ndarray, lost: tuple[int, ...] = (), heat: bool = True, above: float = 0.0) -> None:
    """Compares a dump with a slow harvest of the table."""
    z = z.copy()
    z[:, :, list(lost)] = 0
    slow = SlowHarvest(z, hashed(z)[:, None], SETTINGS, above)
    with open_dump(dump, allow_outside=True) as opened:
        names = {row["image"]: Path(row["path"]) for row in opened.images_table().to_pylist()}
        assert [f.id for f in opened.features()] == [latent for latent in range(z.shape[2]) if latent not in lost]
        assert opened.info.n_images == len(z)
        for feature in opened.features():
            assert feature.row.n_active == len(slow.firing(feature.id))
            expected = slow.active(feature.id) + slow.silent(feature.id)
            assert [row[:2] for row in plain(feature.exemplars)] == [row[:2] for row in expected]
            np.testing.assert_allclose([e.probability for e in feature.exemplars], [row[2] for row in expected], 1e-3)
            for e in feature.exemplars:
                assert (names[e.image].parent.name, names[e.image].stem) == (
                    world.CLASSES[e.image // 10],
                    str(e.image % 10),
                )
                if e.stratum not in ("silent", "guided"):
                    assert e.activation == slow.peaks[e.image, feature.id]
                    assert e.heat == (slow.heat(e.image, feature.id) if heat else None)
        assert [p for p in validate(opened, content=True) if p.severity == "error"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_each_tools_files_become_what_a_slow_harvest_of_the_table_has(kind: str, tmp_path: Path, images: Path) -> None:
    src = write(kind, tmp_path / "src", images)

    go(kind, src, None if kind == "saev" else images, tmp_path / "dump")

    check(tmp_path / "dump", *KINDS[kind], heat=kind != "sae_for_vlm")


@pytest.mark.parametrize("kind", KINDS)
def test_how_much_is_read_at_once_changes_nothing(
    kind: str, tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(located, "PART", 5)
    for module in (located, saev):
        monkeypatch.setattr(module, "MOST", 20)
    monkeypatch.setattr(events, "MOST_IMAGES", 4)
    monkeypatch.setattr(sae_for_vlm, "DENSE", 40)
    src = write(kind, tmp_path / "src", images)

    go(kind, src, images, tmp_path / "dump")

    check(tmp_path / "dump", *KINDS[kind], heat=kind != "sae_for_vlm")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asked", [True, False], ids=["asked to stop", "killed"])
def test_an_import_that_was_stopped_goes_on_to_the_same_dump(
    kind: str, asked: bool, tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(road, "now", lambda: "2026-01-31T12:00:00Z")
    monkeypatch.setattr(events, "MOST_IMAGES", 7)
    monkeypatch.setattr(sae_for_vlm, "DENSE", 7 * world.LATENTS)
    src = write(kind, tmp_path / "src", images)
    go(kind, src, images, tmp_path / "whole", name="same")
    take, taken, stopped = road._take, [], []

    class Stopping(Stop):
        reason = property(lambda self: "asked" if asked and len(taken) == 2 else None, lambda self, value: None)

    def counting(*args: object) -> None:
        if len(taken) == 2 and not asked and not stopped:
            stopped.append(1)
            raise KeyboardInterrupt
        taken.append(1)
        take(*args)

    monkeypatch.setattr(road, "_take", counting)
    monkeypatch.setattr(import_recorded, "Stop", Stopping)
    # One that is killed has a checkpoint after each batch, one that is asked writes its own.
    monkeypatch.setattr(road, "CHECKPOINT_EVERY", 1000 if asked else 7)
    with pytest.raises(KeyboardInterrupt):
        go(kind, src, images, tmp_path / "halved", name="same")
    monkeypatch.setattr(import_recorded, "Stop", Stop)
    go(kind, src, images, tmp_path / "halved", name="same")

    assert len(taken) == 5, "30 images are 5 batches, none of which is read twice"
    for name in ("dump.json", "features.parquet", "exemplars.parquet", "images.parquet", "pool.parquet"):
        assert (tmp_path / "halved" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / ".halved.import").exists()


def test_going_on_with_other_files_is_refused(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    src = write("delphi", tmp_path / "src", images)
    with monkeypatch.context() as patch:
        patch.setattr(road, "_take", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            go("delphi", src, images, tmp_path / "dump")
    world.delphi(tmp_path / "other" / "layer.8", Z * 2)

    with pytest.raises(SettingsError, match=r"\.dump\.import: .* the files or their names were others; .* remove the"):
        go("delphi", tmp_path / "other", images, tmp_path / "dump")


def test_the_threshold_is_found_as_a_harvest_finds_it(tmp_path: Path, images: Path) -> None:
    src = write("delphi", tmp_path / "src", images)
    settings = SETTINGS.model_copy(update={"active_above": None, "density": 0.2})

    go("delphi", src, images, tmp_path / "dump", settings=settings)

    above = threshold(SlowHarvest(Z, Z, settings, 0.0).peaks, 0.2)
    assert above > 0
    check(tmp_path / "dump", Z, above=above)


def test_parents_are_found_among_nested_prefixes(tmp_path: Path, images: Path) -> None:
    z = Z.copy()
    z[:, :, [1, 4]] = 0
    z[8:18, 1, [1, 4]] = 30
    z[20:23, 1, 1] = 30
    src = world.delphi(tmp_path / "layer.8", z)

    settings = SETTINGS.model_copy(update={"n_pool": 30})
    go("delphi", src, images, tmp_path / "dump", widths=(3, 6), settings=settings)

    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert dump.info.widths == (3, 6)
        assert dump.info.hierarchy is not None
        assert dump.feature(4).row.parents == (1,)


def test_labels_and_broken_pictures_are_those_of_the_population(tmp_path: Path, images: Path) -> None:
    (images / "oak" / "3.png").write_bytes(b"no picture")
    src = write("delphi", tmp_path / "src", images)

    result = go("delphi", src, images, tmp_path / "dump")

    assert [one.count for one in result.left_out] == [1]
    assert "oak/3.png" in result.left_out[0].example
    z = np.delete(Z, 3, axis=0)
    slow = SlowHarvest(z, hashed(z)[:, None], SETTINGS, 0.0)
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert dump.info.n_images == 29
        assert {row["label"] for row in dump.images_table().to_pylist()} == set(world.CLASSES)
        for feature in dump.features():
            assert [e.image for e in feature.active] == [i for i, *_ in slow.active(feature.id)]


class TestDelphi:
    def test_a_batch_that_was_not_full_was_not_run_and_that_is_said(self, tmp_path: Path, images: Path) -> None:
        src = world.delphi(tmp_path / "layer.8", Z, batch=8)

        result = go("delphi", src, images, tmp_path / "dump")

        check(tmp_path / "dump", Z[:24])
        assert "6 images at the end of the 30 were not run, by n_tokens and batch_size of config.json" in result.said

    def test_without_tokens_its_settings_say_how_many_were_run(self, tmp_path: Path, images: Path) -> None:
        src = world.delphi(tmp_path / "layer.8", Z, batch=8, tokens=None)

        go("delphi", src, images, tmp_path / "dump")

        check(tmp_path / "dump", Z[:24])

    def test_without_tokens_and_settings_it_stops(self, tmp_path: Path, images: Path) -> None:
        src = world.delphi(tmp_path / "layer.8", Z, tokens=None)
        (src / "config.json").unlink()

        refused(
            tmp_path, "layer.8: there are neither tokens nor config.json", lambda dump: go("delphi", src, images, dump)
        )

    def test_settings_of_another_recording_are_refused(self, tmp_path: Path, images: Path) -> None:
        src = world.delphi(tmp_path / "layer.8", Z)
        world.delphi(tmp_path / "layer.9", Z[:, :3])
        (tmp_path / "layer.9" / "config.json").replace(src / "config.json")

        message = "0_2.safetensors: tokens has 4 positions an image, and cache_ctx_len of config.json is 3"
        refused(tmp_path, message, lambda dump: go("delphi", src, images, dump))

    @pytest.mark.parametrize(("n", "message"), [(29, "30 images, and there are 29"), (33, "or population=30 if they")])
    def test_other_numbers_of_images_stop_it(self, n: int, message: str, tmp_path: Path) -> None:
        world.pictures(tmp_path / "images", 30)
        for i in range(30, n):
            (tmp_path / "images" / "pine" / f"{i}.png").write_bytes((tmp_path / "images/oak/0.png").read_bytes())
        if n == 29:
            (tmp_path / "images" / "pine" / "9.png").unlink()
        src, images = world.delphi(tmp_path / "layer.8", Z), tmp_path / "images"
        (src / "config.json").unlink()

        refused(tmp_path, f"images: .* {message}", lambda dump: go("delphi", src, images, dump))

    def test_the_first_ones_are_taken_if_the_command_says_so(self, tmp_path: Path, images: Path) -> None:
        src = world.delphi(tmp_path / "layer.8", Z[:20])
        (src / "config.json").unlink()

        go("delphi", src, images, tmp_path / "dump", population=20)

        check(tmp_path / "dump", Z[:20])

    def test_several_hookpoints_need_a_name(self, tmp_path: Path, images: Path) -> None:
        world.delphi(tmp_path / "latents" / "layer.8", Z)
        world.delphi(tmp_path / "latents" / "layer.9", np.roll(Z, 1, axis=2))
        src = tmp_path / "latents"

        refused(tmp_path, "hookpoint: .* layer.8, layer.9; name one", lambda dump: go("delphi", src, images, dump))
        go("delphi", src, images, tmp_path / "dump", hookpoint="layer.8")

        check(tmp_path / "dump", Z)

    @pytest.mark.parametrize("bounds", [(0, 6), (0, 1, 2, 3, 4, 5, 6), (0, 4, 6)])
    def test_any_split_of_the_latents_is_the_same(self, bounds: tuple[int, ...], tmp_path: Path, images: Path) -> None:
        go("delphi", world.delphi(tmp_path / "layer.8", Z, bounds=bounds), images, tmp_path / "dump")

        check(tmp_path / "dump", Z)

    def test_latents_of_a_missing_file_are_named_and_absent(self, tmp_path: Path, images: Path) -> None:
        src = world.delphi(tmp_path / "layer.8", Z, bounds=(0, 2, 4, 6))
        (src / "2_3.safetensors").unlink()

        result = go("delphi", src, images, tmp_path / "dump", n_latents=8)

        assert "the files of delphi do not hold latents 2-3, 6-7, which are not in the dump" in result.said
        with open_dump(tmp_path / "dump", allow_outside=True) as dump:
            assert [f.id for f in dump.features()] == [0, 1, 4, 5]
            assert dump.info.n_latents == 8

    def test_class_tokens_before_the_patches_do_not_count(self, tmp_path: Path, images: Path) -> None:
        z = np.concatenate([np.full((30, 1, 6), 500.0, np.float32), Z], axis=1)
        src = world.delphi(tmp_path / "layer.8", z)

        refused(
            tmp_path, "patch_grid: .* 5 positions an image, .* ROWSxCOLUMNS", lambda d: go("delphi", src, images, d)
        )
        go("delphi", src, images, tmp_path / "dump", patch_grid="2x2")

        check(tmp_path / "dump", Z)

    def test_a_grid_that_cannot_be_is_refused(self, tmp_path: Path, images: Path) -> None:
        src = world.delphi(tmp_path / "layer.8", Z)

        for grid in ("3x3", "1x1"):
            with pytest.raises(SettingsError, match=f"patch_grid={grid}: .* 4 positions an image"):
                go("delphi", src, images, tmp_path / "dump", patch_grid=grid)
        with pytest.raises(SettingsError, match=r"patch_grid=.wide.: must be ROWSxCOLUMNS"):
            go("delphi", src, images, tmp_path / "dump", patch_grid="wide")

    def test_without_a_grid_there_are_no_heat_maps(self, tmp_path: Path, images: Path) -> None:
        go("delphi", world.delphi(tmp_path / "layer.8", Z), images, tmp_path / "dump", patch_grid="none")

        check(tmp_path / "dump", Z, heat=False)


class TestMultimodalSae:
    def test_what_each_file_lost_is_named_and_tiles_do_not_count(self, tmp_path: Path, images: Path) -> None:
        src = world.multimodal_sae(tmp_path / "cache" / "model.layers.24", GRID_24, bounds=(0, 2, 4, 6))

        result = go("multimodal_sae", tmp_path / "cache", images, tmp_path / "dump")

        check(tmp_path / "dump", GRID_24, (1, 3, 5))
        assert "the files of multimodal-sae do not hold latents 1, 3, 5, which are not in the dump" in result.said
        assert "90 activations lie at positions that are no patches and do not count" in result.said
        assert src.name == result.hookpoint

    def test_images_of_several_processes_come_in_any_order(self, tmp_path: Path, images: Path) -> None:
        src = world.multimodal_sae(tmp_path / "cache", GRID_24, ranks=3)

        go("multimodal_sae", src, images, tmp_path / "dump")

        check(tmp_path / "dump", GRID_24, (2, 5))

    def test_a_tool_that_was_mended_loses_nothing(self, tmp_path: Path, images: Path) -> None:
        src = world.delphi(tmp_path / "cache", GRID_24, bounds=(0, 6))

        go("multimodal_sae", src, images, tmp_path / "dump")

        check(tmp_path / "dump", GRID_24)

    def test_other_grids_are_taken(self, tmp_path: Path, images: Path) -> None:
        src = world.multimodal_sae(tmp_path / "cache", Z)

        go("multimodal_sae", src, images, tmp_path / "dump", patch_grid="2x2")

        check(tmp_path / "dump", Z, (2, 5))

    def test_images_after_the_last_that_fires_stop_it(self, tmp_path: Path, images: Path) -> None:
        src = world.multimodal_sae(tmp_path / "cache", GRID_24[:28])

        message = "does not say how many images were run; the last one .* number 28, and there are 30; .* population"
        refused(tmp_path, message, lambda dump: go("multimodal_sae", src, images, dump))
        go("multimodal_sae", src, images, tmp_path / "dump", population=28)

        check(tmp_path / "dump", GRID_24[:28], (2, 5))

    def test_files_of_the_other_tool_are_told_apart(self, tmp_path: Path, images: Path) -> None:
        delphis, others = world.delphi(tmp_path / "a", Z), world.multimodal_sae(tmp_path / "b", Z)

        match = "3_5.safetensors: .* `autointerp.import_delphi` reads it"
        refused(tmp_path, match, lambda dump: go("multimodal_sae", delphis, images, dump))
        match = "3_5.safetensors: .* `autointerp.import_multimodal_sae` reads it"
        refused(tmp_path, match, lambda dump: go("delphi", others, images, dump, patch_grid="2x2"), config=others)


class TestSaev:
    def test_images_that_have_moved_are_asked_for(self, tmp_path: Path, images: Path) -> None:
        run = world.saev(tmp_path / "saev", Z, "/gone/images")

        refused(tmp_path, "images: .* they are at /gone/images, which is not there", lambda d: go("saev", run, None, d))
        go("saev", run, images, tmp_path / "dump")

        check(tmp_path / "dump", Z)

    def test_older_names_of_its_metadata_are_read(self, tmp_path: Path, images: Path) -> None:
        run = world.saev(tmp_path / "saev", Z, images)
        path = tmp_path / "saev" / "shards" / "00ff00ff" / "metadata.json"
        old = {"vit_family": "clip", "vit_ckpt": "b16", "n_patches_per_img": 4, "n_imgs": 30, "layers": [1, 2]}
        path.write_text(json.dumps(old))

        result = go("saev", run / "inference" / "00ff00ff", images, tmp_path / "dump")

        check(tmp_path / "dump", Z)
        assert (result.model, result.hookpoint) == ("clip/b16", "layer 8")

    def test_shards_may_lie_anywhere(self, tmp_path: Path, images: Path) -> None:
        run = world.saev(tmp_path / "saev", Z, images)
        (tmp_path / "saev" / "shards" / "00ff00ff").rename(tmp_path / "elsewhere")

        refused(tmp_path, "shards: .* metadata.json is not there", lambda dump: go("saev", run, images, dump))
        go("saev", run, images, tmp_path / "dump", shards=tmp_path / "elsewhere")

        check(tmp_path / "dump", Z)

    def test_several_inferences_need_a_name(self, tmp_path: Path, images: Path) -> None:
        run = world.saev(tmp_path / "saev", Z, images)
        (run / "inference" / "aa").mkdir()
        (run / "inference" / "aa" / "token_acts.npz").write_bytes(b"")

        refused(tmp_path, "abc: has activations of 00ff00ff, aa; give one", lambda dump: go("saev", run, images, dump))
        go("saev", run, images, tmp_path / "dump", shards=tmp_path / "saev" / "shards" / "00ff00ff")

        check(tmp_path / "dump", Z)

    def test_rows_of_class_tokens_do_not_count(self, tmp_path: Path, images: Path) -> None:
        z = np.concatenate([np.full((30, 1, 6), 500.0, np.float32), Z], axis=1)
        run = world.saev(tmp_path / "saev", z, images)
        path = tmp_path / "saev" / "shards" / "00ff00ff" / "metadata.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"content_tokens_per_example": 4}))

        go("saev", run, None, tmp_path / "dump")

        check(tmp_path / "dump", Z)


class TestSaeForVlm:
    def test_another_order_of_the_images_than_the_indices_name_is_refused(self, tmp_path: Path, images: Path) -> None:
        src = world.sae_for_vlm(tmp_path / "acts", Z.max(axis=1))
        for path in src.glob("*_part*.pt"):
            path.unlink()
        rolled = world.sae_for_vlm(tmp_path / "rolled", np.roll(Z.max(axis=1), 3, axis=0))
        for path in rolled.glob("*_part*.pt"):
            path.rename(src / path.name)

        match = "hai_indices_4.npy: the strongest row of latent 0 is another"
        refused(tmp_path, match, lambda dump: go("sae_for_vlm", src, images, dump))

    def test_a_part_that_is_missing_or_of_another_recording_is_named(self, tmp_path: Path, images: Path) -> None:
        src = world.sae_for_vlm(tmp_path / "acts", Z.max(axis=1))
        part = next(src.glob("*_part4.pt"))
        kept = part.read_bytes()
        part.unlink()

        refused(tmp_path, "_part5.pt: part 4 should come here", lambda dump: go("sae_for_vlm", src, images, dump))
        part.with_name("imagenet_train_activations_clip_1_resid_part4.pt").write_bytes(kept)
        refused(tmp_path, "put each recording into its own", lambda dump: go("sae_for_vlm", src, images, dump))

    def test_the_parts_may_lie_below_and_beside_what_macos_leaves(self, tmp_path: Path, images: Path) -> None:
        src = world.sae_for_vlm(tmp_path / "raw" / "sae" / "val", Z.max(axis=1))
        (src / "._imagenet_part1.pt").write_bytes(b"\0\5\26\7")
        go("sae_for_vlm", tmp_path / "raw", images, tmp_path / "dump")
        check(tmp_path / "dump", Z.max(axis=1, keepdims=True), heat=False)

        world.sae_for_vlm(tmp_path / "raw" / "other", Z.max(axis=1))
        with pytest.raises(SettingsError, match="raw: has activations in other, sae/val; give one of these folders"):
            go("sae_for_vlm", tmp_path / "raw", images, tmp_path / "dump2")

    def test_rows_that_are_patches_need_a_grid(self, tmp_path: Path, images: Path) -> None:
        src = world.sae_for_vlm(tmp_path / "acts", Z.reshape(120, 6), size=7)

        match = "images: .* 120 rows for 30 images, 4 each; .* patch_grid"
        refused(tmp_path, match, lambda dump: go("sae_for_vlm", src, images, dump))
        go("sae_for_vlm", src, images, tmp_path / "dump", patch_grid="2x2")

        check(tmp_path / "dump", Z)

    def test_a_pickle_is_refused_and_not_run(self, tmp_path: Path, images: Path) -> None:
        src = world.sae_for_vlm(tmp_path / "acts", Z.max(axis=1))
        torch.save(Path("x"), next(src.glob("*_part4.pt")))

        refused(tmp_path, "_part4.pt: .*nothing of it was run", lambda dump: go("sae_for_vlm", src, images, dump))


def refused(tmp_path: Path, message: str, act: Callable[[Path], object], config: Path | None = None) -> None:
    """Asserts that it says so in one line and leaves nothing behind."""
    if config is not None:
        (config / "config.json").write_text('{"cache_ctx_len": 5, "batch_size": 1, "n_tokens": 150}')
    with pytest.raises(AutointerpError, match=message) as caught:
        act(tmp_path / "dump")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "dump").exists()
    assert not (tmp_path / ".dump.import").exists()


def changed(at: int, column: int, value: int) -> np.ndarray:
    """Locations of all latents with one number changed."""
    found = world.places(Z)[0].astype(np.int64)
    found[at, column] = value
    return found


VALUES = world.places(Z)[1]
ODD = {
    "an image that there is not": ({"locations": changed(7, 0, 30)}, r"row 7: image 30 is not in 0 … 29"),
    "an image below 0": ({"locations": changed(7, 0, -1)}, r"row 7: image -1 is not in 0 … 29"),
    "a position that there is not": ({"locations": changed(7, 1, 4)}, r"row 7: position 4 is not in 0 … 3"),
    "a position below 0": ({"locations": changed(7, 1, -3)}, r"row 7: position -3 is not in"),
    "a latent that there is not": ({"locations": changed(7, 2, 6)}, r"locations row 7: latent 6 is not one of 0 … 5"),
    "no number": ({"activations": np.where(np.arange(len(VALUES)) == 3, np.nan, VALUES)}, "row 3: activation nan"),
    "no finite number": ({"activations": VALUES.astype(np.float64) * 1e300}, "row 0: activation inf is not a finite"),
    "fewer values": ({"activations": VALUES[:-1]}, "activations: its sizes are"),
    "fractions as places": ({"locations": world.places(Z)[0].astype(np.float32)}, "locations: holds float32; expected"),
    "two columns": ({"locations": world.places(Z)[0][:, :2].copy()}, "locations: its sizes are"),
    "no places": ({"locations": None}, "has no locations"),
    "other tokens": ({"tokens": np.zeros((30, 4, 2), np.int64)}, "tokens: its sizes are"),
}


@pytest.mark.parametrize(("change", "message"), ODD.values(), ids=ODD.keys())
def test_a_file_of_places_that_cannot_be_is_refused(
    change: dict[str, object], message: str, tmp_path: Path, images: Path
) -> None:
    src = world.delphi(tmp_path / "layer.8", Z, bounds=(0, 6))
    parts = {"locations": world.places(Z)[0], "activations": VALUES, "tokens": np.zeros((30, 4), np.int64)} | change
    save_file({name: part for name, part in parts.items() if part is not None}, src / "0_5.safetensors")

    refused(tmp_path, f"0_5.safetensors: {message}", lambda dump: go("delphi", src, images, dump))


ENDS = np.r_[0, np.cumsum((Z.reshape(120, 6) != 0).sum(axis=1))]
ROWS = {
    "a latent that there is not": ({"indices": np.full(ENDS[-1], 6)}, "latent 6 is not in 0 … 5"),
    "a latent below 0": ({"indices": np.full(ENDS[-1], -1)}, "latent -1 is not in"),
    "no number": ({"data": np.full(ENDS[-1], np.nan, np.float32)}, "activation nan"),
    "whole numbers as activations": ({"data": np.ones(ENDS[-1], np.int64)}, "data: holds int64; expected floats"),
    "rows that descend": ({"indptr": np.r_[0, ENDS[-1], ENDS[2:]]}, "indptr: descends"),
    "rows beyond the end": ({"indptr": np.r_[ENDS[:-1], ENDS[-1] + 9]}, "indptr: descends, or ends beyond"),
    "rows before the end": ({"indptr": np.r_[ENDS[:-1], ENDS[-2]]}, "indptr: ends at"),
    "rows after the start": ({"indptr": np.r_[3, ENDS[1:]]}, "indptr: begins with 3"),
    "fewer rows": ({"indptr": ENDS[:-1]}, "indptr is of another length"),
    "a shape that lies": ({"shape": np.array([120_000, 6])}, "shape: 120000 x 6"),
    "other rows than images": (
        {"shape": np.array([121, 6]), "indptr": np.r_[ENDS, ENDS[-1]]},
        "121 rows, and .* 30 images",
    ),
    "another format": ({"format": np.array(b"coo")}, "format: is 'coo'; expected a matrix by rows"),
    "a pickle": ({"data": np.array([None] * ENDS[-1])}, "data: holds object, a pickle may be inside"),
    "nothing": ({"indices": None}, "has no indices; expected what scipy.sparse.save_npz writes"),
}


@pytest.mark.parametrize(("change", "message"), ROWS.values(), ids=ROWS.keys())
def test_a_matrix_that_cannot_be_is_refused(
    change: dict[str, object], message: str, tmp_path: Path, images: Path
) -> None:
    run = world.saev(tmp_path / "saev", Z, images, **change)

    refused(tmp_path, f"token_acts.npz: .*{message}", lambda dump: go("saev", run, images, dump))


@pytest.mark.parametrize("cut", [0, 100, -30])
def test_files_that_were_not_copied_whole_are_refused(cut: int, tmp_path: Path, images: Path) -> None:
    run = world.saev(tmp_path / "saev", Z, images)
    folder, parts = world.delphi(tmp_path / "layer.8", Z), world.sae_for_vlm(tmp_path / "acts", Z.max(axis=1))
    for kind, src, name in (
        ("saev", run, "token_acts.npz"),
        ("delphi", folder, "0_2.safetensors"),
        ("sae_for_vlm", parts, "_part1.pt"),
    ):
        path = next(src.rglob(f"*{name}"))
        path.write_bytes(path.read_bytes()[:cut])

        refused(tmp_path, name, lambda dump, kind=kind, src=src: go(kind, src, images, dump))


def test_sizes_that_no_memory_holds_are_refused(tmp_path: Path, images: Path) -> None:
    src = world.delphi(tmp_path / "layer.8", Z, tokens=None)
    config = json.loads((src / "config.json").read_text())
    (src / "config.json").write_text(json.dumps(config | {"cache_ctx_len": 10**12, "n_tokens": 10**14}))
    refused(tmp_path, "says that an image has 1,000,000,000,000 positions", lambda d: go("delphi", src, images, d))

    (src / "3_5.safetensors").rename(src / "3_999999999.safetensors")
    refused(tmp_path, "its name says latents 3 to 999999999", lambda dump: go("delphi", src, images, dump))

    run = world.saev(tmp_path / "saev", Z, images, shape=np.array([120, 2**40]))
    refused(tmp_path, "says that there are 1,099,511,627,776 latents", lambda dump: go("saev", run, images, dump))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_matrix_of_numbers_that_are_not_finite_is_refused(value: float, tmp_path: Path, images: Path) -> None:
    peaks = Z.max(axis=1)
    peaks[4, 2] = value
    src = world.sae_for_vlm(tmp_path / "acts", peaks)

    match = f"_part2.pt: row 1, column 2: activation {value}"
    refused(tmp_path, match, lambda dump: go("sae_for_vlm", src, images, dump))


def test_what_is_below_0_counts_as_0_and_that_is_said(tmp_path: Path, images: Path) -> None:
    peaks = Z.max(axis=1)
    peaks[peaks[:, 2] == 0, 2] = -1

    result = go("sae_for_vlm", world.sae_for_vlm(tmp_path / "acts", peaks), images, tmp_path / "dump")

    check(tmp_path / "dump", Z.max(axis=1)[:, None], heat=False)
    assert "30 activations are below 0 and count as 0" in result.said


def test_a_dump_that_is_there_is_not_written_over(tmp_path: Path, images: Path) -> None:
    src = write("delphi", tmp_path / "src", images)
    go("delphi", src, images, tmp_path / "dump")

    with pytest.raises(DumpError, match="dump: exists already"):
        go("delphi", src, images, tmp_path / "dump")


def test_a_crop_lays_heat_maps_where_the_model_looked(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for i in range(5):
        Image.new("RGB", (80, 40), (i, 0, 0)).save(tmp_path / "images" / f"{i}.png")
    z = np.zeros((5, 16, 1), np.float32)
    z[0, 0] = 8
    src = world.delphi(tmp_path / "layer.8", z, bounds=(0, 1))

    # Cells of the whole are 20 x 10 pixels. The middle square begins at x 20, the squeezed middle at x 20 and y 10.
    for crop, cell in ((None, (0, 0)), ("224:224", (0, 1)), ("256x256:128", (1, 1))):
        go("delphi", src, tmp_path / "images", tmp_path / str(crop), crop=crop)
        with open_dump(tmp_path / str(crop), allow_outside=True) as dump:
            (row,) = dump.feature(0).active
            heat = np.frombuffer(row.heat or b"", np.uint8).reshape(4, 4)
            assert np.argwhere(heat).tolist() == [list(cell)]
    with pytest.raises(SettingsError, match=r"crop='224': must be RESIZE:SIDE"):
        go("delphi", src, tmp_path / "images", tmp_path / "dump", crop="224")


def test_patches_in_the_proportions_of_each_image_are_laid_over_it() -> None:
    frame = Flexible(16, 16)

    assert frame.grid((64, 64), (4, 4)) == (4, 4)
    assert frame.grid((80, 20), (4, 4)) == (2, 8)
    assert frame.grid((20, 81), (4, 4)) == (8, 2)
    heat = np.zeros((2, 8), np.uint8)
    heat[1, 5] = 255
    laid = over_the_whole(heat.ravel(), (4, 4), (80, 20), frame).reshape(4, 4)
    # The sixth of eight columns is half of the third of four; the second of two rows is the third and fourth of four.
    assert laid.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 255, 0], [0, 0, 255, 0]]


def test_saevs_dinov3_has_the_patches_of_each_image_and_other_families_say_how_they_crop(
    tmp_path: Path, images: Path
) -> None:
    run = world.saev(tmp_path / "saev", world.table(n_patches=6), images)
    path = tmp_path / "saev" / "shards" / "00ff00ff" / "metadata.json"

    with pytest.raises(SettingsError, match=r"patch_grid: .* 6 positions an image"):
        go("saev", run, None, tmp_path / "dump")
    path.write_text(path.read_text().replace("dinov2", "dinov3"))
    result = go("saev", run, None, tmp_path / "dump")

    assert result.patch_grid == (3, 2)
    other = world.saev(tmp_path / "other", Z, images)
    said = go("saev", other, None, tmp_path / "dump2").said
    assert "saev crops images of dinov2/vits14; --crop 256x256:224 lays heat maps where they were" in said


def test_folders_that_tell_of_errors_are_counted_as_a_harvest_counts_them(tmp_path: Path) -> None:
    for i in range(10):
        path = tmp_path / "images" / ("implausible" if i < 4 else "plausible") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (i * 20, 0, 0)).save(path)
    z = world.table(10)

    go("delphi", world.delphi(tmp_path / "layer.8", z), tmp_path / "images", tmp_path / "dump")

    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        for feature in dump.features():
            assert feature.row.n_active_attribute == int((z[:4, :, feature.id] > 0).any(axis=1).sum())
