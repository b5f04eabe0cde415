"""Parquet and Arrow files with a column of images, and lists of paths."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from populations.forms import csv_list, hub_folder, parquet_list, rows, saved, tree

from autointerp.errors import ImageError, SettingsError
from autointerp.populations import rows as rows_module
from autointerp.populations.images import read_population
from autointerp.populations.labels import Labelling
from autointerp.populations.opening import open_population
from autointerp.populations.rows import ParquetRows, in_rows


def test_only_some_row_groups_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files = tree(tmp_path / "images")
    groups = rows_module._Groups()
    monkeypatch.setattr(rows_module, "_GROUPS", groups)
    monkeypatch.setattr(rows_module, "KEPT", 1)

    found = open_population(hub_folder(tmp_path / "hub", files))

    for entry in (*found.entries, *reversed(found.entries)):
        assert entry.read() == files[int(entry.name[:2])].read_bytes()
        assert len(groups._held) == 1


def test_a_row_without_an_image_is_left_out_and_named(tmp_path: Path):
    files = tree(tmp_path / "images")
    images = [{"bytes": files[1].read_bytes(), "path": None}, None, {"bytes": None, "path": "b.png"}]
    pq.write_table(pa.table({"image": images, "label": [0, 1, 1]}), tmp_path / "a.parquet")

    found = read_population(tmp_path / "a.parquet")

    assert [(i.name, i.attribute) for i in found.images] == [("00000000", False)]
    assert found.broken[0] == (
        f"{tmp_path / 'a.parquet'}: row 2: holds no bytes in 'image.bytes'; write the dataset with its images inside"
    )
    assert len(found.broken) == 2


def test_a_column_of_bytes_by_an_image_s_name_is_one_of_images(tmp_path: Path):
    files = tree(tmp_path / "images")
    pq.write_table(pa.table({"png": [f.read_bytes() for f in files], "size": [1] * 12}), tmp_path / "a.parquet")

    assert [e.read() for e in open_population(tmp_path / "a.parquet").entries] == [f.read_bytes() for f in files]


def test_bytes_of_any_type_of_arrow_are_images(tmp_path: Path):
    files = tree(tmp_path / "images")
    for number, kind in enumerate((pa.binary(), pa.large_binary(), pa.binary_view())):
        held = pa.table({"image": pa.array([file.read_bytes() for file in files], kind)})
        pq.write_table(held, tmp_path / f"{number}.parquet")

        assert len(read_population(tmp_path / f"{number}.parquet").images) == 12


def test_file_names_lead_nowhere(tmp_path: Path):
    data = tree(tmp_path / "images")[0].read_bytes()
    paths = ["../../a.png", "/etc/b.png", "C:\\d\\c.png", "x/./d.png"]
    images = [{"bytes": data, "path": path} for path in paths]
    pq.write_table(pa.table({"image": images}), tmp_path / "a.parquet")

    assert [e.name for e in open_population(tmp_path / "a.parquet").entries] == ["a.png", "b.png", "c.png", "x/d.png"]


def named_only(path: Path, files: list[Path]) -> Path:
    """As `Dataset.to_parquet` writes images that it took from files."""
    image = pa.array(
        [{"bytes": None, "path": str(f)} for f in files], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )
    pq.write_table(pa.table({"image": image}), path)
    return path


def test_files_that_a_dataset_names_in_place_of_its_images_are_read(tmp_path: Path):
    files = tree(tmp_path / "images")

    found = open_population(named_only(tmp_path / "a.parquet", files))

    assert [e.path for e in found.entries] == files
    assert [e.name for e in found.entries][::4] == ["blue/00.jpg", "implausible/04.png", "plausible/08.png"]
    with pytest.raises(SettingsError, match=r"a.parquet: row 1: names .*00.jpg', which lies outside .*cache"):
        in_rows("", [ParquetRows(tmp_path / "a.parquet")], Labelling(), inside=[tmp_path / "cache"])
    files[1].unlink()
    with pytest.raises(SettingsError, match=r"a.parquet: row 2: names .*01.png': no such file; write the dataset"):
        open_population(tmp_path / "a.parquet")


def test_several_splits_are_not_guessed_between(tmp_path: Path):
    files = tree(tmp_path / "images")
    folder = hub_folder(tmp_path / "hub", files)
    pq.write_table(rows(files), folder / "data" / "test-00000-of-00001.parquet")
    (tmp_path / "dict").mkdir()
    (tmp_path / "dict" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    saved(tmp_path / "dict" / "train", files)

    with pytest.raises(SettingsError, match=r"hub: holds the splits test, train; name the files of one by a pattern"):
        open_population(folder)
    with pytest.raises(SettingsError, match=r"dict: holds the splits train, test; give the folder of one, such as"):
        open_population(tmp_path / "dict")
    assert len(open_population(str(folder / "data" / "train-*.parquet")).entries) == 12
    assert len(open_population(tmp_path / "dict" / "train").entries) == 12


STATES = [
    ('{"_data_files": [{"filename": "../images/a.arrow"}]}', "names '../images/a.arrow' as its data: it leads out"),
    ("{}", "names no data files; write the dataset anew with save_to_disk"),
    ("[]", "expected a JSON object, found a list"),
    ("{", "cannot be read"),
    ('{"_indices_files": [{"filename": "i.arrow"}]}', "holds a choice of rows; write it anew with flatten_indices()"),
    ('{"_data_files": [{"filename": "state.json"}]}', "not a whole Arrow file: "),
]


@pytest.mark.parametrize(("state", "problem"), STATES)
def test_a_state_that_is_wrong_is_one_line(state: str, problem: str, tmp_path: Path):
    saved(tmp_path / "saved", tree(tmp_path / "images"))
    (tmp_path / "saved" / "state.json").write_text(state)

    with pytest.raises(SettingsError) as error:
        open_population(tmp_path / "saved")

    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def arrow(path: Path, table: pa.Table) -> Path:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return path


def test_texts_that_are_not_utf_8_are_one_line(tmp_path: Path):
    offsets, text = pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xff")
    label = pa.StringArray.from_buffers(1, offsets, text)
    made = arrow(tmp_path / "a.arrow", pa.table({"png": pa.array([b"x"]), "label": label}))

    with pytest.raises(SettingsError, match=r"a.arrow: cannot be read: .*UTF8"):
        open_population(made)


def test_bytes_that_lie_outside_the_file_are_not_read(tmp_path: Path):
    made = arrow(tmp_path / "a.arrow", pa.table({"png": pa.array([b"a" * 8, b"b" * 8])}))
    places = [np.array([0, end, 16], np.int32).tobytes() for end in (8, 2**30)]
    assert made.read_bytes().count(places[0]) == 1
    made.write_bytes(made.read_bytes().replace(*places))

    with pytest.raises(ImageError, match=r"a.arrow: row 1: cannot be read: "):
        open_population(made).entries[0].read()


def test_a_parquet_file_that_is_cut_off_is_one_line(tmp_path: Path):
    made = parquet_list(tmp_path / "list.parquet", tree(tmp_path / "images"))
    made.write_bytes(made.read_bytes()[:-20])

    with pytest.raises(SettingsError, match=r"list.parquet: not a whole Parquet file: "):
        open_population(made)


def test_a_list_may_name_files_relative_to_itself_and_anywhere(tmp_path: Path):
    files = tree(tmp_path / "images")
    (tmp_path / "list.txt").write_text(f"images/blue/00.jpg\n\n{files[4]}\nimages\\plausible\\08.png\n")

    found = open_population(tmp_path / "list.txt")

    assert [(e.name, e.label, e.attribute) for e in found.entries] == [
        ("blue/00.jpg", "blue", None),
        ("implausible/04.png", "implausible", True),
        ("plausible/08.png", "plausible", False),
    ]


def test_an_image_is_no_list(tmp_path: Path):
    (file, *_) = tree(tmp_path / "images")

    with pytest.raises(SettingsError, match=r"00.jpg: is one image; give the folder of several, or a list of them"):
        open_population(file)


def test_a_folder_of_images_with_another_program_s_state_is_a_folder(tmp_path: Path):
    tree(tmp_path / "images")
    (tmp_path / "images" / "state.json").write_text("{}")

    assert len(open_population(tmp_path / "images").entries) == 12


def test_a_pattern_may_mean_images(tmp_path: Path):
    tree(tmp_path / "images")

    found = open_population(f"{tmp_path}/images/*plausible/*.png")

    assert [e.name for e in found.entries] == [f"implausible/0{i}.png" for i in (4, 5, 7)] + [
        f"plausible/{i}.png" for i in ("08", "10", "11")
    ]
    assert found.root == f"{tmp_path}/images/*plausible/*.png"


LISTS = [
    ("path\nnowhere.png\n", "row 1: path 'nowhere.png': no such file; it starts from "),
    ("path\nimages/blue/01.png\n./images/blue/01.png\n", "row 2: path './images/blue/01.png' is that of row 1 too"),
    ("\0\0\0\0\0", "is no table of text, nor images or an archive of a kind that is read"),
    ("name,label\na,1\n", "has no column 'path'; it has name, label; "),
]


@pytest.mark.parametrize(("content", "problem"), LISTS)
def test_a_list_that_is_wrong_is_one_line_that_names_the_row(content: str, problem: str, tmp_path: Path):
    tree(tmp_path / "images")
    (tmp_path / "list.csv").write_text(content)

    with pytest.raises(SettingsError) as error:
        open_population(tmp_path / "list.csv")

    assert f"list.csv: {problem}" in str(error.value)


def test_a_list_s_images_that_are_gone_or_broken_are_told_apart(tmp_path: Path):
    files = tree(tmp_path / "images")
    made = csv_list(tmp_path / "list.csv", files)
    files[2].write_bytes(b"no image")

    assert len(read_population(made).images) == 11
    files[3].unlink()
    with pytest.raises(SettingsError, match=r"row 4: path .*03.jpg': no such file"):
        read_population(made)
