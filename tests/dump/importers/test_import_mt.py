"""Matryoshka-Transcoders' folders: a head of five lines, names of copies with `_` for `/`, counts, the attribute."""

from pathlib import Path

import pytest
from standin.top_lists import NAMES, draw_images, save_mt

from autointerp.commands.import_folder import import_folder
from autointerp.commands.import_mt import import_mt
from autointerp.dump.reader import open_dump
from autointerp.errors import DumpError, SettingsError


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "images")


@pytest.fixture
def src(tmp_path: Path, images: Path) -> Path:
    return save_mt(tmp_path / "mt", images)


def active(dump: Path, feature: int) -> list[tuple[str | None, float]]:
    """Label and activation of the images that fire a feature."""
    with open_dump(dump, allow_outside=True) as opened:
        return [(opened.image(e.image).label, e.activation) for e in opened.feature(feature).active]


def test_a_tree_of_the_script_becomes_a_dump(tmp_path: Path, src: Path) -> None:
    """Latent 2 fires on the four red images, which are of human_error, and latent 3 on them and the blue ones."""
    result = import_mt(src, tmp_path / "dump", widths=(2, 8))
    assert (result.n_images, result.widths, result.population) == (12, (2, 8), "unknown")
    assert active(tmp_path / "dump", 2) == [("human_error", a) for a in (4.0, 3.0, 2.0, 1.0)]
    with open_dump(tmp_path / "dump") as dump:
        assert dump.info.attribute is not None
        assert dump.info.attribute.name == "human_error"
        rows = [dump.feature(latent).row for latent in range(4)]
        assert [(row.width, row.n_active, row.n_active_attribute) for row in rows] == [
            (2, 4, 0),
            (2, 4, 0),
            (8, 4, 4),
            (8, 8, 4),
        ]
        # All that fire it are listed, so that the images of other features are silent: 8 of 12, each with chance 1.
        assert [(e.stratum, e.probability) for e in dump.feature(0).negatives] == [("silent", 1.0)] * 8


def test_total_activations_count_images_beyond_those_that_are_saved(tmp_path: Path, images: Path) -> None:
    """Of the 8 images that fire latent 3 five are saved: it has no silent images, and n_active is 8."""
    src = save_mt(tmp_path / "few", images, 5)
    result = import_mt(src, tmp_path / "dump")
    with open_dump(tmp_path / "dump") as dump:
        assert dump.feature(3).row.n_active == 8
        assert dump.feature(3).row.n_active_attribute is None
        assert len(dump.feature(3).exemplars) == 5
        assert len(dump.feature(0).negatives) == 8
    assert result.top_only is not None
    assert (result.top_only.k, result.top_only.n_full, result.top_only.counted) == (5, 1, True)


def test_more_images_may_fire_a_feature_than_the_tree_holds_but_not_than_were_run(
    tmp_path: Path, images: Path, src: Path
) -> None:
    path = src / "feature_3/metadata.txt"
    path.write_text(path.read_text().replace("Total activations: 8", "Total activations: 5000"))
    result = import_mt(src, tmp_path / "dump")
    assert (result.n_images, result.population) == (5000, "unknown")
    with pytest.raises(
        DumpError, match="feature 3 fires on 5,000 images, and images holds 12; give those that were run"
    ):
        import_mt(src, tmp_path / "other", images=str(images))


def test_a_size_that_contradicts_the_prefixes_is_refused(tmp_path: Path, src: Path) -> None:
    with pytest.raises(SettingsError, match=r"n_latents=16: .*mt has 8; leave the option out"):
        import_mt(src, tmp_path / "dump", widths=(2, 8), n_latents=16)


def test_silent_images_are_drawn_from_the_images_that_were_run(tmp_path: Path, images: Path) -> None:
    """Latent 0 alone lists 4 images; the other 8 are found in --images by name and bytes."""
    src = save_mt(tmp_path / "one", images, latents=(0,))
    result = import_mt(src, tmp_path / "dump", images=str(images))
    assert (result.n_images, result.population) == (12, "complete")
    with open_dump(tmp_path / "dump") as dump:
        assert len(dump.feature(0).negatives) == 8


def test_images_of_other_names_are_found_by_their_bytes(tmp_path: Path, images: Path, src: Path) -> None:
    for at, name in enumerate(NAMES):
        (images / name).rename(images / f"{at:06}.png")
    result = import_mt(src, tmp_path / "dump", images=str(images))
    assert (result.n_images, result.population) == (12, "complete")
    assert active(tmp_path / "dump", 2) == [("human_error", a) for a in (4.0, 3.0, 2.0, 1.0)]


def test_one_image_under_one_name_in_two_data_sets_is_two_images(tmp_path: Path, images: Path) -> None:
    """The two pictures have the same bytes and the same file's name; only the data set tells them apart."""
    folder = tmp_path / "mt/feature_0"
    folder.mkdir(parents=True)
    lines = ["Feature 0", "Total activations: 2", "Top 2 activations saved", "", "Activation values:"]
    for rank, data_set in enumerate(("b", "a"), start=1):
        for copy in (tmp_path / f"run/{data_set}/x.png", folder / f"._datasets_{data_set}_x.png"):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((images / NAMES[0]).read_bytes())
        lines.append(f"{rank}. {3 - rank}.000000 - {data_set}/x.png")
    (folder / "metadata.txt").write_text("\n".join(lines) + "\n")
    import_mt(tmp_path / "mt", tmp_path / "dump", images=str(tmp_path / "run"))
    assert active(tmp_path / "dump", 0) == [("b", 2.0), ("a", 1.0)]


def test_images_that_were_not_run_are_refused(tmp_path: Path, images: Path, src: Path) -> None:
    (images / NAMES[0]).write_bytes((images / NAMES[1]).read_bytes())
    with pytest.raises(DumpError, match=r"blue_1\.png: images .* holds no image of these bytes"):
        import_mt(src, tmp_path / "dump", images=str(images))
    assert not (tmp_path / "dump").exists()


def test_what_macos_leaves_beside_the_copies_is_not_taken_for_one(tmp_path: Path, src: Path) -> None:
    """The copies begin with `._` themselves; beside `._datasets_x.png` lies `._._datasets_x.png`."""
    for copy in sorted(src.rglob("._*.png")):
        copy.with_name(f"._{copy.name}").write_bytes(b"\x00\x05\x16\x07")
    (src / "__MACOSX").mkdir()
    (src / ".DS_Store").write_bytes(b"x")
    result = import_mt(src, tmp_path / "dump")
    assert active(tmp_path / "dump", 0) == [("human_correct", a) for a in (4.0, 3.0, 2.0, 1.0)]
    assert sorted((one.count, one.why) for one in result.left_out) == [
        (2, "folders and files that are not called feature_N"),
        (20, "hidden files"),
    ]


def test_a_copy_that_is_not_there_is_left_out_and_its_feature_has_no_silent_images(tmp_path: Path, src: Path) -> None:
    (src / "feature_0/._datasets_human_correct_blue_4.png").unlink()
    result = import_mt(src, tmp_path / "dump")
    assert active(tmp_path / "dump", 0) == [("human_correct", a) for a in (3.0, 2.0, 1.0)]
    assert [one.count for one in result.left_out] == [1]
    with open_dump(tmp_path / "dump") as dump:
        assert dump.feature(0).row.n_active == 4
        assert dump.feature(0).negatives == ()


def test_a_copy_stands_for_the_weaker_of_two_images_whose_paths_give_one_name(tmp_path: Path, src: Path) -> None:
    """`a/b_c.png` and `a_b/c.png` are both copied to `._datasets_a_b_c.png`, the weaker one last."""
    folder = src / "feature_0"
    (folder / "._datasets_human_correct_blue_4.png").rename(folder / "._datasets_a_b_c.png")
    text = (folder / "metadata.txt").read_text()
    text = text.replace("human_correct/blue_4.png", "a/b_c.png").replace("human_correct/blue_3.png", "a_b/c.png")
    (folder / "metadata.txt").write_text(text)
    (folder / "._datasets_human_correct_blue_3.png").unlink()
    result = import_mt(src, tmp_path / "dump")
    assert active(tmp_path / "dump", 0) == [("a_b", 3.0), ("human_correct", 2.0), ("human_correct", 1.0)]
    assert any("overwritten" in one.why for one in result.left_out)


def test_what_is_written_as_0_fires_all_the_same(tmp_path: Path, src: Path) -> None:
    path = src / "feature_0/metadata.txt"
    path.write_text(path.read_text().replace("4. 1.000000", "4. 0.000000"))
    import_mt(src, tmp_path / "dump")
    assert 0 < active(tmp_path / "dump", 0)[-1][1] < 1e-6


def test_numbers_of_a_level_are_put_right(tmp_path: Path, images: Path) -> None:
    """With target_level 1, the script adds 2, the width of level 0, to numbers that count from 0 already."""
    save_mt(tmp_path / "mt/level_1", images, start=2)
    with pytest.raises(SettingsError, match="too high by the width of the level before"):
        import_mt(tmp_path / "mt", tmp_path / "dump")
    import_mt(tmp_path / "mt", tmp_path / "dump", widths=(2, 5))
    with open_dump(tmp_path / "dump") as dump:
        assert dump.feature_ids.tolist() == [0, 1, 2, 3]


def test_of_several_trees_one_has_to_be_named(tmp_path: Path, images: Path) -> None:
    for name in ("transcoder_features_model0", "transcoder_features_model1"):
        save_mt(tmp_path / "all" / name, images, latents=(0,))
    with pytest.raises(SettingsError, match="holds 2; name one of transcoder_features_model0, transcoder_features_mod"):
        import_mt(tmp_path / "all", tmp_path / "dump")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Feature 0", "Feature 7", "is of feature 7, and its folder of 0"),
        ("Feature 0\n", "", r"metadata.txt:1: .*is not what populate.py writes there"),
        ("Total activations: 4", "Total activations: many", r"metadata.txt:2"),
        ("4. 1.000000 - human_correct/blue_1.png\n", "", "says that 4 of 4 activations are saved, and lists 3"),
        ("4. 1.000000", "4. nan", r"metadata.txt:9: .* is not of the form"),
        ("human_correct/blue_1.png", "human_correct/../../etc/passwd", "which leads out of the data sets"),
        ("human_correct/blue_1.png", "human_correct/blue_2.png", "names 'human_correct/blue_2.png' twice"),
    ],
)
def test_a_line_that_the_script_does_not_write_is_refused(
    tmp_path: Path, src: Path, old: str, new: str, said: str
) -> None:
    path = src / "feature_0/metadata.txt"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DumpError, match=said):
        import_mt(src, tmp_path / "dump")
    assert not (tmp_path / "dump").exists()


def test_a_link_out_of_the_tree_is_refused(tmp_path: Path, src: Path) -> None:
    copy = src / "feature_0/._datasets_human_correct_blue_1.png"
    copy.unlink()
    copy.symlink_to(tmp_path / "images" / NAMES[0])
    with pytest.raises(DumpError, match="is a link that leads out of mt"):
        import_mt(src, tmp_path / "dump")


def test_another_data_set_is_the_attribute_where_the_user_says_so(tmp_path: Path, src: Path) -> None:
    result = import_mt(src, tmp_path / "dump", attribute="human_correct")
    assert result.attribute is not None
    assert result.attribute.name == "human_correct"
    with pytest.raises(SettingsError, match=r"there is human_correct, human_error"):
        import_mt(src, tmp_path / "other", attribute="cats")


def test_the_importer_of_folders_names_the_one_for_this_tree(tmp_path: Path, src: Path) -> None:
    with pytest.raises(
        DumpError, match=r"is as Matryoshka-Transcoders' populate\.py writes it; use `autointerp.import_mt` instead"
    ):
        import_folder(src, tmp_path / "dump")
