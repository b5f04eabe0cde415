"""Folders of images become dumps; what they do not say is not made up."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from autointerp.commands.import_folder import import_folder
from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.validate import validate
from autointerp.errors import DumpError, SettingsError
from autointerp.synthetic.drawing import draw
from autointerp.synthetic.scenes import draw_scenes


def picture(path: Path, shade: int, side: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (side, side), shade).save(path)


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """Feature 3 with three images, feature 12 with two, one of which is among the three."""
    folder = tmp_path / "src"
    for name, shade in (("1_a.png", 10), ("2_b.png", 20), ("10_c.png", 30)):
        picture(folder / "3" / name, shade)
    for name, shade in (("n01_x.png", 20), ("y.png", 40)):
        picture(folder / "feature_12" / name, shade)
    return folder


def evidence(folder: Path) -> dict[int, list[tuple[int, float, str, float]]]:
    with open_dump(folder) as dump:
        return {
            feature.id: [(e.image, e.activation, e.stratum, e.probability) for e in feature.exemplars]
            for feature in dump.features()
        }


def message_of(src: Path, target: Path) -> str:
    with pytest.raises(DumpError) as raised:
        import_folder(src, target)
    assert not target.exists()
    message = str(raised.value)
    assert "\n" not in message
    return message.removeprefix(f"{src}/")


def test_without_a_listing_the_order_of_names_is_the_rank(src: Path, tmp_path: Path) -> None:
    info = import_folder(src, tmp_path / "dump", name="mine")

    # Image 1 is 2_b.png and n01_x.png, which are the same file.
    assert evidence(tmp_path / "dump") == {
        3: [(0, 3.0, "top", 1.0), (1, 2.0, "top", 1.0), (2, 1.0, "top", 1.0)],
        12: [(1, 2.0, "top", 1.0), (3, 1.0, "top", 1.0)],
    }
    assert (info.name, info.n_latents, info.n_images, info.active_above) == ("mine", 13, 4, 0.0)
    assert info.created_by.endswith("import folder; of 2 features the activations are ranks")


def test_copied_images_are_in_the_dump(src: Path, tmp_path: Path) -> None:
    import_folder(src, tmp_path / "dump", link=False)

    with open_dump(tmp_path / "dump") as dump:
        source = dump.image_source(0)
        image = dump.image(0)

    assert isinstance(source, Path)
    assert source.read_bytes() == (src / "3" / "1_a.png").read_bytes()
    assert (image.width, image.height) == (8, 8)


def test_images_left_where_they_are_need_allow_outside(src: Path, tmp_path: Path) -> None:
    import_folder(src, tmp_path / "dump", link=True)

    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert dump.image_source(0) == (src / "3" / "1_a.png").resolve()
    with pytest.raises(DumpError, match="outside the dump"):
        open_dump(tmp_path / "dump")


def test_metadata_gives_values_by_name_or_by_dataset_and_name(src: Path, tmp_path: Path) -> None:
    (src / "3" / "metadata.txt").write_text("1. 9.5 - 2_b.png\n2. 8e-1 - other/1_a.png\n\n3. 0.25 - 10_c.png\n")
    (src / "feature_12" / "metadata.txt").write_text("1. 5 - n01/x.png\n2. 4 - y.png\n")

    info = import_folder(src, tmp_path / "dump")

    assert evidence(tmp_path / "dump") == {
        3: [(0, 9.5, "top", 1.0), (1, pytest.approx(0.8), "top", 1.0), (2, 0.25, "top", 1.0)],
        12: [(0, 5.0, "top", 1.0), (3, 4.0, "top", 1.0)],
    }
    assert info.created_by.endswith("import folder")


def test_a_table_gives_strata_and_probabilities(src: Path, tmp_path: Path) -> None:
    (src / "3" / "activations.csv").write_text(
        "file,activation,stratum,probability\n1_a.png,2.5,,\n2_b.png,1.5,q4,0.5\n10_c.png,0,silent,0.125\n"
    )

    import_folder(src, tmp_path / "dump")

    found = evidence(tmp_path / "dump")[3]
    assert found == [(0, 2.5, "top", 1.0), (1, 1.5, "q4", 0.5), (2, 0.0, "silent", 0.125)]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "metadata.txt",
            "1. 9 - 1_a.png\nTop images\n",
            "3/metadata.txt:2: 'Top images' is not of the form `rank. value - name`",
        ),
        ("metadata.txt", "1. x - 1_a.png\n", "3/metadata.txt:1: value is 'x'; expected a number"),
        ("metadata.txt", "1. inf - 1_a.png\n", "3/metadata.txt:1: value is 'inf'; expected a finite number"),
        (
            "metadata.txt",
            "1. -2 - 1_a.png\n",
            "3/metadata.txt:1: activation is -2.0; expected more than 0 for an image that fires the feature",
        ),
        (
            "metadata.txt",
            "1. 2 - z.png\n",
            "3/metadata.txt:1: there is no image 'z.png' in this folder (tried `_` for `/`, and its last part)",
        ),
        (
            "metadata.txt",
            "1. 2 - 1_a.png\n2. 1 - 2_b.png\n",
            "3/10_c.png: is not named in metadata.txt; add a line for it or remove the file",
        ),
        (
            "activations.csv",
            "1_a.png,3\n",
            "3/activations.csv:1: the header is '1_a.png,3'; expected the columns image (or file) and activation, "
            "and if you like stratum and probability",
        ),
        (
            "activations.csv",
            "image,activation,colour\n",
            "3/activations.csv:1: unknown column 'colour'; expected some of image, file, activation, stratum, "
            "probability",
        ),
        (
            "activations.csv",
            "image,activation\n1_a.png,3\n2_b.png\n",
            "3/activations.csv:3: has 1 cells; expected 2 as in the header",
        ),
        ("activations.csv", "image,activation\n1_a.png,\n", "3/activations.csv:2: activation is ''; expected a number"),
        (
            "activations.csv",
            "image,activation\n1_a.png,0\n",
            "3/activations.csv:2: activation is 0.0; expected more than 0 for an image that fires the feature",
        ),
        (
            "activations.csv",
            "image,activation,stratum\n1_a.png,1,best\n",
            "3/activations.csv:2: stratum is 'best'; expected top, q1 to q9, silent or guided",
        ),
        (
            "activations.csv",
            "image,activation,stratum\n1_a.png,1,q1\n",
            "3/activations.csv:2: there is no probability; a row of stratum q1 needs one",
        ),
        (
            "activations.csv",
            "image,activation,stratum,probability\n1_a.png,1,top,0.5\n",
            "3/activations.csv:2: probability is 0.5; expected more than 0, at most 1, and 1 for top",
        ),
        (
            "activations.csv",
            "image,activation,stratum,probability\n1_a.png,1,silent,0.5\n",
            "3/activations.csv:2: activation is 1.0 and stratum silent; expected 0 or less",
        ),
    ],
)
def test_a_bad_line_is_named(src: Path, tmp_path: Path, file: str, content: str, said: str) -> None:
    (src / "3" / file).write_text(content)

    assert message_of(src, tmp_path / "dump") == said


def test_what_is_no_text_is_said_so(src: Path, tmp_path: Path) -> None:
    (src / "3" / "metadata.txt").write_bytes(b"\xff\xfe1")

    message = message_of(src, tmp_path / "dump")

    assert message.startswith("3/metadata.txt: cannot be read: ")
    assert message.endswith("; expected UTF-8 text")


def test_images_of_every_kind_that_is_decoded_are_imported(tmp_path: Path) -> None:
    """BMP, GIF and TIFF too, upper-case suffixes, a PNG that is called a JPEG, and one that has no suffix."""
    names = ("a.bmp", "b.GIF", "c.tif", "d.webp", "e.ppm", "f.jp2", "g.avif", "h.JPEG")
    for i, name in enumerate(names):
        picture(tmp_path / "src" / "0" / name, 20 * i)
    picture(tmp_path / "x.png", 200)
    shutil.copy(tmp_path / "x.png", tmp_path / "src" / "0" / "i.jpg")
    picture(tmp_path / "y.png", 220)
    shutil.copy(tmp_path / "y.png", tmp_path / "src" / "0" / "j")

    info = import_folder(tmp_path / "src", tmp_path / "dump")

    assert info.n_images == 10
    assert info.left_out == ()
    with open_dump(tmp_path / "dump") as dump:
        assert validate(dump, content=True)[0].message == "has no silent exemplars, so it cannot be scored"


def test_images_that_cannot_be_read_are_left_out_and_counted(src: Path, tmp_path: Path) -> None:
    """One is no picture, one breaks off in its pixels; the listing names both."""
    (src / "3" / "2_b.png").write_bytes(b"not a picture")
    Image.effect_noise((40, 40), 50).save(src / "3" / "10_c.png")
    whole = (src / "3" / "10_c.png").read_bytes()
    (src / "3" / "10_c.png").write_bytes(whole[: len(whole) // 2])
    (src / "3" / "activations.csv").write_text("image,activation\n1_a.png,3\n2_b.png,2\n10_c.png,1\n")

    info = import_folder(src, tmp_path / "dump")

    assert evidence(tmp_path / "dump") == {
        3: [(0, 3.0, "top", 1.0)],
        12: [(1, 2.0, "top", 1.0), (2, 1.0, "top", 1.0)],
    }
    (broken,) = info.left_out
    assert (broken.why, broken.count) == ("images that cannot be read", 2)
    assert broken.example.startswith(f"{src}/3/2_b.png: not an image that can be read (")
    assert info.created_by.endswith(
        "import folder; of 1 features the activations are ranks; left out: images that cannot be read: 2"
    )


def test_junk_is_counted_and_breaks_nothing(src: Path, tmp_path: Path) -> None:
    before = import_folder(src, tmp_path / "before")
    for name in (".DS_Store", "._1_a.png", "Thumbs.db", "desktop.ini", "notes.txt"):
        (src / "3" / name).write_bytes(b"\0\5\26\7 junk")
    (src / "3" / "empty.png").touch()
    picture(src / "3" / "__MACOSX" / "x.png", 50)
    (src / "__MACOSX").mkdir()
    (src / ".DS_Store").write_bytes(b"junk")
    picture(src / "loose.png", 99)
    listed = "image,activation\n1_a.png,3\n2_b.png,2\n10_c.png,1\nempty.png,0.5\nnotes.txt,0.5\n"
    (src / "3" / "activations.csv").write_text(listed)

    info = import_folder(src, tmp_path / "dump")

    assert evidence(tmp_path / "dump") == evidence(tmp_path / "before")
    assert [(one.why.split(",")[0], one.count) for one in info.left_out if one not in before.left_out] == [
        ("hidden files", 2),
        (".db files", 1),
        (".ini files", 1),
        (".txt files", 1),
        ("empty files", 1),
        ("folders inside", 1),
        ("folders that an operating system left", 1),
        ("images outside the folders of features", 1),
    ]


def test_copies_of_an_image_are_counted(src: Path, tmp_path: Path) -> None:
    """2_b.png and n01_x.png are the same file."""
    (copies,) = import_folder(src, tmp_path / "dump").left_out

    assert (copies.count, copies.example) == (1, f"{src}/feature_12/n01_x.png")
    assert copies.why == "files that are copies of others, of which one is kept"


def test_a_source_without_any_image_is_named_and_leaves_no_dump(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "3"
    folder.mkdir(parents=True)
    (folder / "a.svg").write_text("<svg/>")

    said = message_of(tmp_path / "src", tmp_path / "dump")

    why = ".svg files, which are not images of a kind that is read: 1 (e.g. "
    assert said.endswith(f"its folders hold no image that can be read; left out: {why}{folder}/a.svg)")
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


@pytest.mark.parametrize("written", ["3\\\\1_a.png", "3\\1_a.png", "./1_a.png", "/data/3/1_a.png"])
def test_listings_may_name_files_by_any_path(written: str, src: Path, tmp_path: Path) -> None:
    (src / "3" / "activations.csv").write_text(f"image,activation\n{written},3\n2_b.png,2\n10_c.png,1\n")

    import_folder(src, tmp_path / "dump")

    assert evidence(tmp_path / "dump")[3][0] == (0, 3.0, "top", 1.0)


def test_a_name_that_is_too_long_is_one_line(src: Path, tmp_path: Path) -> None:
    long = tmp_path / ("n" * 300)

    with pytest.raises(DumpError, match="cannot be listed: File name too long"):
        import_folder(long, tmp_path / "dump")
    with pytest.raises(DumpError, match="cannot be made: File name too long"):
        import_folder(src, long)


def test_folders_that_are_no_features_are_named(src: Path, tmp_path: Path) -> None:
    (src / "cats").mkdir()

    assert message_of(src, tmp_path / "dump") == "cats: not a feature; expected a folder name such as 12 or feature_12"


def test_one_feature_in_two_folders_is_named(src: Path, tmp_path: Path) -> None:
    (src / "feature_3").mkdir()

    assert message_of(src, tmp_path / "dump") == "feature_3: is the same feature as 3; merge the two folders"


def test_a_source_without_folders_is_named(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"holds no folders; expected one for each feature"):
        import_folder(tmp_path, tmp_path / "dump")
    with pytest.raises(DumpError, match=r"there is no such folder"):
        import_folder(tmp_path / "nowhere", tmp_path / "dump")


def test_a_link_out_of_the_source_is_refused_unless_allowed(src: Path, tmp_path: Path) -> None:
    picture(tmp_path / "secret.png", 99)
    (src / "3" / "3_d.png").symlink_to(tmp_path / "secret.png")

    message = message_of(src, tmp_path / "dump")
    import_folder(src, tmp_path / "dump", allow_outside=True)

    said = "is a link that leads out of src; if you trust it, allow it with allow_outside"
    assert message == f"3/3_d.png: {said}"
    assert len(evidence(tmp_path / "dump")[3]) == 4


def test_a_listing_that_is_a_link_out_of_the_source_is_refused(src: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("root\n")
    (src / "3" / "metadata.txt").symlink_to(tmp_path / "secret.txt")

    message = message_of(src, tmp_path / "dump")

    assert message.startswith("3/metadata.txt: is a link that leads out of src")


def test_the_same_image_twice_under_one_feature_counts_once_at_its_highest(src: Path, tmp_path: Path) -> None:
    picture(src / "3" / "11_again.png", 10)
    (src / "3" / "metadata.txt").write_text("1. 4 - 2_b.png\n2. 2 - 1_a.png\n3. 3 - 11_again.png\n4. 1 - 10_c.png\n")

    import_folder(src, tmp_path / "dump")

    assert [row[1] for row in evidence(tmp_path / "dump")[3]] == [4.0, 3.0, 1.0]


def test_silent_images_are_drawn_among_those_not_listed_only_when_asked(src: Path, tmp_path: Path) -> None:
    import_folder(src, tmp_path / "none")
    import_folder(src, tmp_path / "one", silent_from_others=1)
    import_folder(src, tmp_path / "same", silent_from_others=1)

    found = evidence(tmp_path / "one")
    # Of four images feature 3 lists three, so one candidate; feature 12 lists two, so one of two candidates.
    assert found[3][-1] == (3, 0.0, "silent", 1.0)
    assert found[12][-1][0] in (0, 2)
    assert found[12][-1][1:] == (0.0, "silent", 0.5)
    assert found == evidence(tmp_path / "same")
    assert all(row[2] == "top" for rows in evidence(tmp_path / "none").values() for row in rows)


def test_how_many_images_were_run_is_unknown_unless_it_is_told(src: Path, tmp_path: Path) -> None:
    untold = import_folder(src, tmp_path / "untold")
    told = import_folder(src, tmp_path / "told", population=50)

    # Three of the four images that there are fire feature 3.
    assert (untold.population, untold.n_images, untold.density_of(3)) == ("unknown", 4, None)
    assert (told.population, told.n_images, told.density_of(3)) == ("complete", 50, 0.06)
    with open_dump(tmp_path / "untold") as dump:
        assert dump.info == DumpInfo(**untold.model_dump(exclude={"left_out"}))


def test_a_population_smaller_than_the_folder_is_refused(src: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"population=3: .*src alone holds 4 different images"):
        import_folder(src, tmp_path / "dump", population=3)

    assert not (tmp_path / "dump").exists()


def test_a_dictionary_smaller_than_its_features_is_refused(src: Path, tmp_path: Path) -> None:
    with pytest.raises(DumpError) as raised:
        import_folder(src, tmp_path / "dump", n_latents=12)

    assert str(raised.value) == f"{src}: there is a feature 12; expected less than n_latents, 12"


def test_near_duplicates_share_a_group(src: Path, tmp_path: Path) -> None:
    scene = draw(next(iter(draw_scenes(1, seed=3))))
    scene.save(src / "3" / "20_scene.png")
    scene.resize((170, 170)).save(src / "3" / "21_copy.jpg", quality=50)

    import_folder(src, tmp_path / "dump")

    with open_dump(tmp_path / "dump") as dump:
        groups = {row.image: row.group for row in dump.images([e.image for e in dump.feature(3).exemplars])}
    names = [name for name in groups.values() if name is not None]
    assert len(names) == 2
    assert len(set(names)) == 1


def test_images_in_folders_within_a_feature_are_its_own(tmp_path: Path) -> None:
    """A link to a folder is followed as the folder itself; one that leads back up is not."""
    picture(tmp_path / "src/latent_3/train/a.png", 10)
    picture(tmp_path / "src/latent_3/val/deep/b.bmp", 90)
    picture(tmp_path / "src/store/c.tif", 170)
    (tmp_path / "src/store").rename(tmp_path / "src/.store")
    (tmp_path / "src/latent_3/linked").symlink_to(tmp_path / "src/.store")
    (tmp_path / "src/latent_3/loop").symlink_to(tmp_path / "src")
    (tmp_path / "src/latent_3/activations.csv").write_text("file,activation\ntrain/a.png,3\nb.bmp,2\nlinked/c.tif,1\n")

    with pytest.raises(DumpError, match=r"activations\.csv:3: there is no image 'b\.bmp'"):
        import_folder(tmp_path / "src", tmp_path / "dump")
    text = "file,activation\ntrain/a.png,3\nval/deep/b.bmp,2\nlinked/c.tif,1\n"
    (tmp_path / "src/latent_3/activations.csv").write_text(text)
    info = import_folder(tmp_path / "src", tmp_path / "dump")

    with open_dump(tmp_path / "dump") as dump:
        assert [e.activation for e in dump.feature(3).exemplars] == [3.0, 2.0, 1.0]
    assert [(one.why, one.count) for one in info.left_out] == [
        ("folders inside", 1),
        ("folders that an operating system left", 1),
    ]
