"""vision-interp's lists: rows in the data set's own order, heat maps as they are, and parts in its partition mode."""

import json
from pathlib import Path

import numpy as np
import pytest
from standin.top_lists import N_LATENTS, NAMES, draw_images, maps, means

from autointerp.commands.import_vision_interp import import_vision_interp
from autointerp.dump.reader import open_dump
from autointerp.errors import DumpError, SettingsError

torch = pytest.importorskip("torch", reason="torch writes the files that are read")


def save(root: Path, k: int = 6, parts: int | None = None, *, n_images: int = 12, name: str | None = None) -> Path:
    """A folder of latents as save_latent_data writes them."""
    folder = root / (name or f"colours_mean_train_{k}_12{'' if parts is None else f'_partition{parts}'}")
    folder.mkdir(parents=True)
    about = {"n_images": n_images, "model_name": "facebook/dinov2-small", "submodule_name": "enc_res_out_layer_8"}
    (folder / "metadata.json").write_text(json.dumps(about))
    values = means()
    for latent in range(N_LATENTS):
        fires = np.flatnonzero(values[:, latent] > 0)
        fires = fires[np.argsort(-values[fires, latent], kind="stable")]
        made = [fires[:k]] if parts is None else [part[-k:] for part in np.array_split(fires, parts) if len(part)]
        ids = [part.tolist() for part in made]
        tops = [values[part, latent].tolist() for part in made]
        heats = [[maps()[row, :, :, latent] for row in part] for part in made]
        if parts is None:
            ids, tops, heats = ids[0], tops[0], heats[0]
        torch.save({"top_ids": ids, "top_values": tops, "heatmaps": heats}, folder / f"latent_{latent}.pt")
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "images")


def test_images_and_heat_maps_are_read(tmp_path: Path, images: Path) -> None:
    """Image green_3 fires latent 1 at patch 3 of 4, the lower right one; its mean is 3/4."""
    result = import_vision_interp(save(tmp_path), tmp_path / "dump", images=str(images))
    assert (result.model, result.hookpoint, result.patch_grid) == (
        "facebook/dinov2-small",
        "enc_res_out_layer_8",
        (2, 2),
    )
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        e = dump.feature(1).active[1]
        assert (NAMES[e.image], e.activation) == ("green/green_3.png", 0.75)
        assert e.heat == bytes([0, 0, 0, 255])
        assert e.box is not None
        assert len(dump.feature(1).negatives) == 8
        assert dump.feature(4).exemplars == ()


def test_a_list_as_long_as_was_asked_for_is_full(tmp_path: Path, images: Path) -> None:
    """Latent 3 fires on 8 images; 6 were asked for, as the folder's name says."""
    result = import_vision_interp(save(tmp_path), tmp_path / "dump", images=str(images))
    assert result.top_only is not None
    assert (result.top_only.n_full, result.top_only.k, result.top_only.drawn) == (1, 6, False)
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert dump.feature(3).negatives == ()


def test_where_the_folder_says_no_number_the_longest_list_counts_as_full(tmp_path: Path, images: Path) -> None:
    """Nine were asked for and latent 3 fires on 8, which nobody can know once the folder has another name."""
    import_vision_interp(save(tmp_path, 9, name="renamed"), tmp_path / "dump", images=str(images))
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert dump.feature(3).negatives == ()
        assert len(dump.feature(0).negatives) == 8


def test_parts_become_bands_and_a_feature_whose_parts_are_not_full_is_whole(tmp_path: Path, images: Path) -> None:
    """In two parts of at most 3, latent 0 has 2 and 2 images, all of them; latent 3 has 4 and 4, and 3 are kept."""
    result = import_vision_interp(save(tmp_path, 3, 2), tmp_path / "dump", images=str(images))
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert [(e.stratum, e.activation) for e in dump.feature(0).active] == [
            ("q2", 1.0),
            ("q2", 0.75),
            ("q1", 0.5),
            ("q1", 0.25),
        ]
        assert len(dump.feature(0).negatives) == 8
        assert len(dump.feature(3).active) == 6
        assert dump.feature(3).negatives == ()
    assert result.notes[0].startswith("of 1 feature the source keeps 6 images at most, drawn from all that fire")


def test_images_that_did_not_fill_a_last_round_are_not_taken_for_silent(tmp_path: Path, images: Path) -> None:
    """Of 70 images the script runs 64; the last 6 are named by no list."""
    for at in range(58):
        (images / f"zebra/{at:02}.png").parent.mkdir(exist_ok=True)
        (images / f"zebra/{at:02}.png").write_bytes((images / NAMES[at % 12]).read_bytes())
    result = import_vision_interp(save(tmp_path, n_images=70), tmp_path / "dump", images=str(images), silent=100)
    assert result.n_images == 64
    assert "of the 70 images the first 64 were run" in result.said
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert max(e.image for e in dump.feature(0).negatives) == 63


def test_more_images_than_were_given_are_refused(tmp_path: Path, images: Path) -> None:
    with pytest.raises(DumpError, match="50,000 images were run, and images holds 12"):
        import_vision_interp(save(tmp_path, n_images=50_000), tmp_path / "dump", images=str(images))


@pytest.mark.parametrize("stated", ["true", '"all"', "NaN", "0"])
def test_a_number_of_images_that_is_none_is_refused(stated: str, tmp_path: Path, images: Path) -> None:
    src = save(tmp_path)
    (src / "metadata.json").write_text(f'{{"n_images": {stated}}}')
    with pytest.raises(DumpError, match=r"metadata\.json: n_images is \S+; expected how many were run"):
        import_vision_interp(src, tmp_path / "dump", images=str(images))


def test_a_list_that_names_itself_many_times_is_refused(tmp_path: Path, images: Path) -> None:
    src = save(tmp_path)
    inner = list(range(10_000))
    torch.save({"top_ids": [inner] * 10_000, "top_values": [inner] * 10_000}, src / "latent_0.pt")
    with pytest.raises(DumpError, match="unpacks to 100,000,000 entries"):
        import_vision_interp(src, tmp_path / "dump", images=str(images))
    assert not (tmp_path / "dump").exists()


@pytest.mark.parametrize(
    "found",
    [
        [1, 2],
        {"top_ids": [0]},
        {"top_ids": [0], "top_values": [1.0, 2.0]},
        {"top_ids": [0.5], "top_values": [1.0]},
        {"top_ids": [0], "top_values": [1.0], "heatmaps": [np.zeros(4, np.float32)]},
        {"top_ids": ["a"], "top_values": [1.0]},
        {"top_ids": [10**400], "top_values": [1.0]},
    ],
)
def test_what_the_tool_does_not_write_is_refused(tmp_path: Path, images: Path, found: object) -> None:
    src = save(tmp_path)
    torch.save(found, src / "latent_0.pt")
    with pytest.raises(DumpError, match=r"latent_0\.pt"):
        import_vision_interp(src, tmp_path / "dump", images=str(images))


def test_of_several_folders_one_has_to_be_named(tmp_path: Path, images: Path) -> None:
    for k in (5, 6):
        save(tmp_path / "top_k_images", k)
    with pytest.raises(SettingsError, match="name one of colours_mean_train_5_12, colours_mean_train_6_12"):
        import_vision_interp(tmp_path / "top_k_images", tmp_path / "dump", images=str(images))
