import io
import os
from pathlib import Path

import pytest
from PIL import Image
from PIL.ExifTags import Base

from autointerp.errors import SettingsError
from autointerp.populations.images import read_population
from autointerp.synthetic.drawing import draw
from autointerp.synthetic.scenes import draw_scenes

SCENES = [draw(scene, 64) for scene in draw_scenes(8, seed=3)]


def put(root: Path, name: str, scene: int = 0) -> Path:
    """One of the scenes as a file."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    SCENES[scene].save(path)
    return path


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n")
    return path


def test_folders_named_plausible_and_implausible_are_the_labels(tmp_path: Path):
    for i, name in enumerate(("plausible/b.png", "implausible/a.png", "a.png", "x/Implausible/y/c.jpg")):
        put(tmp_path, name, i)

    found = read_population(tmp_path)

    rows = [(i.path.relative_to(tmp_path).as_posix(), i.attribute, i.label) for i in found.images]
    assert rows == [
        ("a.png", None, None),
        ("implausible/a.png", True, "implausible"),
        ("plausible/b.png", False, "plausible"),
        ("x/Implausible/y/c.jpg", True, "x/Implausible/y"),
    ]
    assert [i.image for i in found.images] == [0, 1, 2, 3]
    assert [i.image for i in found.labelled().images] == [1, 2, 3]
    assert [image.attribute for image in found.labelled().images] == [True, False, True]


def test_spaces_after_the_commas_of_labels_are_no_part_of_them(tmp_path: Path):
    put(tmp_path, "images/a.png")
    table = write(tmp_path / "t.csv", "path, label, group", "a.png, 1, one")

    (found,) = read_population(tmp_path / "images", labels=table).images

    assert found.attribute is True


def test_labels_that_are_not_utf_8_are_told_how_to_be_saved(tmp_path: Path):
    put(tmp_path, "images/a.png")
    table = tmp_path / "t.csv"
    table.write_text("path,label\na.png,1\n", encoding="utf-16")

    with pytest.raises(SettingsError, match="is not UTF-8; save it as CSV in UTF-8"):
        read_population(tmp_path / "images", labels=table)


def test_the_innermost_folder_decides(tmp_path: Path):
    put(tmp_path, "plausible/error/a.png")
    put(tmp_path, "errors/ok/b.png", 1)

    found = read_population(tmp_path)

    assert [i.attribute for i in found.images] == [False, True]
    assert [i.path.name for i in found.images] == ["b.png", "a.png"]


def test_with_error_folders_every_other_folder_is_plausible(tmp_path: Path):
    for i, name in enumerate(("hands/a.png", "faces/b.png", "cats/c.png", "implausible/d.png")):
        put(tmp_path, name, i)

    found = read_population(tmp_path, error_folders=("hands", "Faces/"))

    assert {i.path.parent.name: i.attribute for i in found.images} == {
        "hands": True,
        "faces": True,
        "cats": False,
        "implausible": False,
    }


def test_a_csv_states_labels_and_groups_in_its_own_order(tmp_path: Path):
    for i, name in enumerate(("a.png", "b.png", "sub/c.png", "unlisted.png")):
        put(tmp_path, name, i)
    table = write(tmp_path / "t.csv", "\ufeffpath,label,group", "sub/c.png,1,x", "a.png,0,", "b.png,,x")

    found = read_population(tmp_path, labels=table)

    rows = [(i.path.name, i.attribute, i.source) for i in found.images]
    assert rows == [("c.png", True, "x"), ("a.png", False, None), ("b.png", None, "x")]
    assert found.groups.tolist() == [0, 1, 0]
    assert found.group_names == ["group-0", None, "group-0"]


FORMS = [
    "{root}/sub/a.png",
    "./sub/a.png",
    "sub\\\\a.png",
    "sub\\a.png",
    "images/sub/a.png",
    "sub/../sub/a.png",
    "{link}/sub/a.png",
]
"""As spreadsheets, scripts of other systems and `find` write a path."""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("relative", [True, False])
def test_paths_of_labels_may_be_written_in_many_ways(
    form: str, relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    put(tmp_path, "images/sub/a.png")
    (tmp_path / "link").symlink_to("images")
    monkeypatch.chdir(tmp_path)
    table = write(
        tmp_path / "t.csv", "path,label", form.format(root=tmp_path / "images", link=tmp_path / "link") + ",1"
    )
    root = Path("images") if relative else tmp_path / "images"

    (found,) = read_population(root, labels=table).images

    assert (found.path, found.attribute, found.label) == (root / "sub" / "a.png", True, "sub")


def test_links_count_as_what_they_stand_for(tmp_path: Path):
    put(tmp_path, "images/a.png")
    put(tmp_path, "store/b.png", 1)
    put(tmp_path, "store/class/c.png", 2)
    (tmp_path / "images" / "b.png").symlink_to(tmp_path / "store" / "b.png")
    (tmp_path / "images" / "class").symlink_to(tmp_path / "store" / "class")
    (tmp_path / "images" / "back").symlink_to(tmp_path / "images")
    table = write(tmp_path / "t.csv", "path,label", "b.png,1", "class/c.png,0")

    all_of_them = read_population(tmp_path / "images")
    labelled = read_population(tmp_path / "images", labels=table)

    assert [i.path.name for i in all_of_them.images] == ["a.png", "b.png", "c.png"]
    assert [i.path.name for i in labelled.images] == ["b.png", "c.png"]


def test_what_is_left_out_is_counted_by_kind(tmp_path: Path):
    put(tmp_path, "images/a.png")
    put(tmp_path, "images/sub/b.png", 1)
    (tmp_path / "images" / "c.jpg").write_bytes(b"not an image")
    for name in (".DS_Store", "._a.png", "sub/Thumbs.db"):
        (tmp_path / "images" / name).write_bytes(b"junk")
    table = write(tmp_path / "t.csv", "path,label", "a.png,1")

    in_all = read_population(tmp_path / "images").left_out
    listed = read_population(tmp_path / "images", labels=table).left_out

    assert [(one.why.split(",")[0], one.count) for one in in_all] == [
        ("images that cannot be read", 1),
        ("hidden files", 2),
        (".db files", 1),
    ]
    assert [(one.why, one.count) for one in listed] == [("images that the labels do not list", 2)]


def test_near_duplicates_share_a_group_with_and_without_labels(tmp_path: Path):
    put(tmp_path, "a.png", 0)
    SCENES[0].resize((48, 48)).save(tmp_path / "b.png")
    put(tmp_path, "c.png", 1)

    assert read_population(tmp_path).group_names == ["group-0", "group-0", None]


def test_a_broken_image_is_one_line_and_the_others_keep_their_order(tmp_path: Path):
    put(tmp_path, "a.png")
    whole = put(tmp_path, "b.png", 1).read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.jpg").write_bytes(b"not an image")
    put(tmp_path, "d.png", 2)

    found = read_population(tmp_path)

    assert [(i.image, i.path.name) for i in found.images] == [(0, "a.png"), (1, "d.png")]
    assert [line.partition(": ")[0] for line in found.broken] == [str(tmp_path / "b.png"), str(tmp_path / "c.jpg")]
    assert all("\n" not in line for line in found.broken)


def test_sizes_are_those_displayed_and_digests_those_of_the_files(tmp_path: Path):
    import hashlib

    turned = Image.Exif()
    turned[Base.Orientation] = 6
    target = io.BytesIO()
    Image.new("RGB", (1200, 600)).save(target, "JPEG", exif=turned)
    (tmp_path / "a.jpg").write_bytes(target.getvalue())

    (found,) = read_population(tmp_path).images

    assert (found.width, found.height) == (600, 1200)
    assert found.sha256 == hashlib.sha256(target.getvalue()).hexdigest()


@pytest.mark.parametrize("threads", [1, 4])
def test_the_order_does_not_depend_on_threads(threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.cpu_count", lambda: threads)
    for i in range(8):
        put(tmp_path, f"{7 - i}.png", i)

    found = read_population(tmp_path)

    assert [i.path.name for i in found.images] == [f"{i}.png" for i in range(8)]


ROWS = [
    (("path,label", "a.png,1", "z.png,0"), "t.csv: row 2: path 'z.png': {root} holds no such file"),
    (
        ("path,label", "b.png,1", "a.png,maybe"),
        "t.csv: row 2: label 'maybe': others are 0 or 1, so expected 1 (has the attribute), 0, or nothing; mend it, or "
        "say which value has the attribute, such as --attribute 'label=maybe'",
    ),
    (("path,label", "a.png,1", "b.png,0", "a.png,0"), "t.csv: row 3: path 'a.png' is that of row 1 too"),
    (("path,label", "a.png"), "t.csv: row 1: has another number of fields than the header"),
    (("path,label", "a.png,1,2"), "t.csv: row 1: has another number of fields than the header"),
    (("path,label", "../a.png,1"), "t.csv: row 1: path '../a.png' leads out of {root}; move the image into it"),
    (("path,label", ",1"), "t.csv: row 1: has no path in 'path'"),
    (
        ("name,label", "a.png,1"),
        "t.csv: has no column 'path'; it has name, label; the header should be such as path,label or path,label,group",
    ),
    ((), "t.csv: has no column 'path'; it has none; the header should be such as path,label or path,label,group"),
]


@pytest.mark.parametrize(("rows", "problem"), ROWS)
def test_a_csv_that_is_wrong_is_one_line_that_names_the_row(rows: tuple[str, ...], problem: str, tmp_path: Path):
    root = tmp_path / "images"
    put(root, "a.png")
    put(root, "b.png", 1)
    table = write(tmp_path / "t.csv", *rows)

    with pytest.raises(SettingsError) as error:
        read_population(root, labels=table)

    assert str(error.value).replace(f"{tmp_path}/t.csv", "t.csv") == problem.format(root=root)


def test_folders_and_options_that_cannot_be_used_are_one_line(tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    put(tmp_path, "full/x/a.png")
    (empty / "note.txt").touch()
    with pytest.raises(SettingsError, match="nowhere: no such folder; give one with images"):
        read_population(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match=r"empty: holds no images; left out: empty files: 1 \(e.g. .*note.txt\)"):
        read_population(empty)
    with pytest.raises(SettingsError, match=r"--error-folders y: .*full has no folder of that name"):
        read_population(tmp_path / "full", error_folders=("y",))
    with pytest.raises(SettingsError, match=r"--labels .*t.csv: no such file"):
        read_population(empty, labels=tmp_path / "t.csv")
    with pytest.raises(SettingsError, match="give one of them"):
        read_population(empty, labels=tmp_path / "t.csv", error_folders=("x",))
    (empty / "a.png").write_bytes(b"nothing")
    with pytest.raises(SettingsError, match=r"none of its 1 images can be read; the first: .*a.png: not an image"):
        read_population(empty)


def test_a_folder_that_cannot_be_listed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path, "open/a.png")
    put(tmp_path, "closed/b.png", 1)
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(SettingsError, match="closed: cannot be listed: Permission denied"):
        read_population(tmp_path)


def test_files_read_are_counted_broken_ones_too(tmp_path: Path):
    put(tmp_path, "a.png")
    (tmp_path / "b.png").write_bytes(b"x")
    told: list[tuple[int, int]] = []

    read_population(tmp_path, progress=lambda done, total: told.append((done, total)))

    assert told == [(1, 2), (2, 2)]
