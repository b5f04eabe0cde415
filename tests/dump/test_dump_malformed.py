"""Every malformed dump is one line that names the place."""

import json
from collections.abc import Callable, Mapping
from math import inf, nan
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autointerp.dump.reader import open_dump
from autointerp.errors import DumpError

Spoil = Callable[[Path, str, int, Mapping[str, object]], None]


def read_all(folder: Path) -> None:
    with open_dump(folder) as dump:
        list(dump.features())


def message_of(folder: Path) -> str:
    """The error of opening and reading, the folder left out."""
    with pytest.raises(DumpError) as raised:
        read_all(folder)
    message = str(raised.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder}/")


EXEMPLAR_ROWS = [
    (0, {"stratum": "tops"}, "stratum is 'tops'; expected top, q1 to q9, silent or guided"),
    (1, {"probability": 0.0}, "probability is 0.0; expected more than 0 and at most 1"),
    (1, {"probability": 1.5}, "probability is 1.5; expected more than 0 and at most 1"),
    (1, {"probability": nan}, "probability is nan; expected more than 0 and at most 1"),
    (3, {"probability": 0.5}, "probability is 0.5; expected 1.0 where stratum is top"),
    (4, {"activation": inf}, "activation is inf; expected a finite number"),
    (4, {"activation": nan}, "activation is nan; expected a finite number"),
    (
        4,
        {"activation": 0.5},
        "activation is 0.5; expected more than 0.5 where stratum is not silent or guided (active_above)",
    ),
    (
        5,
        {"activation": 0.75},
        "activation is 0.75; expected 0.5 or less where stratum is silent or guided (active_above)",
    ),
    (8, {"image": 4}, "image is 4; expected an image of images.parquet"),
    (8, {"image": 1}, "image is 1; expected each image once a feature"),
    (5, {"feature": 0}, "feature is 0; expected rows sorted by feature"),
    (0, {"feature": -1}, "feature is -1; expected 0 to 7"),
    (8, {"feature": 8}, "feature is 8; expected 0 to 7"),
    (8, {"feature": 3}, "feature is 3; expected a feature of features.parquet"),
    (0, {"feature": None}, "feature is None; expected a value"),
    (0, {"image": None}, "image is None; expected a value"),
    (0, {"heat": b"\0" * 3}, "heat is 3; expected 4 bytes, 2 rows of 2 (patch_grid)"),
    (
        0,
        {"x0": None},
        "x0 y0 x1 y1 is {'x0': None, 'y0': 0, 'x1': 8, 'y1': 6}; expected four numbers or four nulls",
    ),
    (
        0,
        {"x0": 8},
        "x0 y0 x1 y1 is {'x0': 8, 'y0': 0, 'x1': 8, 'y1': 6}; expected x0 < x1 and y0 < y1",
    ),
    (
        4,
        {"x1": 17},
        "x0 y0 x1 y1 is {'x0': 8, 'y0': 6, 'x1': 17, 'y1': 12}; expected a box inside its image of 16x12 pixels",
    ),
    (
        4,
        {"y0": -1},
        "x0 y0 x1 y1 is {'x0': 8, 'y0': -1, 'x1': 16, 'y1': 12}; expected a box inside its image of 16x12 pixels",
    ),
]


@pytest.mark.parametrize(("row", "columns", "said"), EXEMPLAR_ROWS)
def test_a_bad_exemplar_is_named(small: Path, spoil: Spoil, row: int, columns: Mapping[str, object], said: str) -> None:
    spoil(small, "exemplars.parquet", row, columns)

    message = message_of(small)

    assert message == f"exemplars.parquet: row {row}: {said}"


FEATURE_ROWS = [
    (3, {"feature": 8}, "feature is 8; expected 0 to 7"),
    (1, {"feature": 0}, "feature is 0; expected each feature once, ascending from 0"),
    (0, {"width": 5}, "width is 5; expected one of the widths [4, 8]"),
    (0, {"n_active": 11}, "n_active is 11; expected 0 to n_images, 10"),
    (0, {"n_active": -1}, "n_active is -1; expected 0 to n_images, 10"),
    (2, {"max_activation": nan}, "max_activation is nan; expected a finite number"),
    (2, {"n_active_attribute": 7}, "n_active_attribute is 7; expected 0 to n_active or null"),
    (2, {"histogram": [6]}, "histogram is 1; expected 50 counts or null (number of counts shown)"),
    (2, {"histogram": [-1] * 50}, f"histogram is {[-1] * 50}; expected counts of 0 or more"),
]


@pytest.mark.parametrize(("row", "columns", "said"), FEATURE_ROWS)
def test_a_bad_feature_is_named(small: Path, spoil: Spoil, row: int, columns: Mapping[str, object], said: str) -> None:
    spoil(small, "features.parquet", row, columns)

    message = message_of(small)

    assert message == f"features.parquet: row {row}: {said}"


OUTSIDE = "outside the dump; if you trust it, allow it with --allow-outside"
IMAGE_ROWS = [
    (2, {"image": 1}, "image is 1; expected each image once, ascending"),
    (0, {"image": -1}, "image is -1; expected 0 or more"),
    (3, {"width": 0}, "width is 0; expected 1 pixel or more"),
    (3, {"height": None}, "height is None; expected a value"),
    (3, {"sha256": "abc"}, "sha256 is 'abc'; expected 64 hex digits in lower case"),
    (1, {"path": "../../etc/passwd"}, f"path is '../../etc/passwd', {OUTSIDE}"),
    (1, {"path": "images/../../x"}, f"path is 'images/../../x', {OUTSIDE}"),
    (1, {"path": "/etc/passwd"}, f"path is '/etc/passwd', {OUTSIDE}"),
]


@pytest.mark.parametrize(("row", "columns", "said"), IMAGE_ROWS)
def test_a_bad_image_is_named_before_anything_is_read(
    small: Path, spoil: Spoil, row: int, columns: Mapping[str, object], said: str
) -> None:
    spoil(small, "images.parquet", row, columns)

    with pytest.raises(DumpError) as raised:
        open_dump(small)

    assert str(raised.value) == f"{small}/images.parquet: row {row}: {said}"


def test_a_heat_map_needs_a_patch_grid(small: Path) -> None:
    content = json.loads((small / "dump.json").read_text())
    (small / "dump.json").write_text(json.dumps(content | {"patch_grid": None}))

    message = message_of(small)

    said = "heat is 4; expected null, since dump.json has no patch_grid (length in bytes shown)"
    assert message == f"exemplars.parquet: row 0: {said}"


@pytest.mark.parametrize("file", ["features.parquet", "exemplars.parquet", "images.parquet"])
def test_a_missing_file_is_named(small: Path, file: str) -> None:
    (small / file).unlink()

    message = message_of(small)

    assert message == f"{file}: there is no such file; a dump has one, so harvest or import it again"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"a,b\n1,2\n"])
def test_a_file_that_is_not_parquet_is_named(small: Path, content: bytes) -> None:
    (small / "exemplars.parquet").write_bytes(content)

    message = message_of(small)

    assert message.startswith("exemplars.parquet: not a Parquet file: ")
    assert message.endswith("; harvest or import the dump again")


def test_a_damaged_page_is_named(small: Path) -> None:
    path = small / "exemplars.parquet"
    content = bytearray(path.read_bytes())
    content[4:64] = bytes(60)
    path.write_bytes(content)

    message = message_of(small)

    assert message.startswith("exemplars.parquet: row group 0 cannot be read: ")


def test_text_that_is_not_utf_8_is_named(small: Path) -> None:
    path = small / "images.parquet"
    table = pq.read_table(path)
    broken = pa.array([b"\xff"] * len(table)).view(pa.string())
    pq.write_table(table.set_column(table.column_names.index("label"), "label", broken), path)

    message = message_of(small)

    assert message.startswith("images.parquet: row group 0 cannot be read: ")
    assert "UTF8" in message


def test_a_missing_column_is_named(small: Path) -> None:
    path = small / "exemplars.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["stratum"]), path)

    message = message_of(small)

    assert message == "exemplars.parquet: there is no column stratum; expected one of type string"


@pytest.mark.parametrize(
    ("column", "kind", "wanted"),
    [("stratum", pa.int32(), "string"), ("image", pa.bool_(), "int64"), ("heat", pa.list_(pa.int8()), "binary")],
)
def test_a_column_of_another_type_is_named(small: Path, column: str, kind: pa.DataType, wanted: str) -> None:
    path = small / "exemplars.parquet"
    table = pq.read_table(path)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.nulls(len(table), kind)), path)

    message = message_of(small)

    shown = "list<element: int8>" if column == "heat" else kind
    assert message == f"exemplars.parquet: column {column} has type {shown}; expected {wanted}"


def test_a_part_that_is_not_there_is_named(small: Path) -> None:
    (small / "exemplars.parquet").rename(small / "exemplars-00001.parquet")

    message = message_of(small)

    assert message == "exemplars-00000.parquet: there is no such file, but exemplars-00001.parquet follows it"


def test_exemplars_in_one_file_and_in_parts_are_refused(small: Path) -> None:
    (small / "exemplars-00000.parquet").write_bytes((small / "exemplars.parquet").read_bytes())

    message = message_of(small)

    said = "there is also exemplars-00000.parquet; expected one file or parts, so remove what is stale"
    assert message == f"exemplars.parquet: {said}"


def test_row_groups_out_of_order_are_named(small: Path) -> None:
    path = small / "exemplars.parquet"
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table.slice(6, 3), table.slice(0, 6)]), path, row_group_size=3)

    message = message_of(small)

    said = "feature starts below the group before it; expected rows sorted by feature"
    assert message == f"exemplars.parquet: row group 1: {said}"


def test_the_row_is_counted_through_row_groups(small: Path, spoil: Spoil) -> None:
    spoil(small, "exemplars.parquet", 7, {"probability": 2.0})
    path = small / "exemplars.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=3)

    message = message_of(small)

    assert message == "exemplars.parquet: row 7: probability is 2.0; expected more than 0 and at most 1"


def test_a_column_name_that_is_not_utf_8_is_named(small: Path) -> None:
    path = small / "features.parquet"
    path.write_bytes(path.read_bytes().replace(b"n_active", b"n_\xffctive"))

    message = message_of(small)

    assert message.startswith("features.parquet: not a Parquet file: ")


def test_a_footer_that_gives_a_column_two_types_is_one_line(small: Path) -> None:
    """Column `image` is INT64 (04) in the schema; one byte makes it BOOLEAN (00) in the row group."""
    path = small / "images.parquet"
    sound = path.read_bytes()
    head = bytes.fromhex("1c 15 04 19 35 00 06 10 19 18 05") + b"image"
    assert sound.count(head) == 1
    path.write_bytes(sound.replace(head, head.replace(b"\x15\x04", b"\x15\x00")))

    message = message_of(small)

    said = "row group 0 cannot be read: ColumnMetaData type does not match ColumnDescriptor physical type"
    assert message.startswith(f"images.parquet: {said}")


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    file=st.sampled_from(["dump.json", "features.parquet", "exemplars.parquet", "images.parquet"]),
    place=st.integers(0, 10**6),
    byte=st.integers(0, 255),
)
def test_one_wrong_byte_is_one_line_or_reads(small: Path, file: str, place: int, byte: int) -> None:
    path = small / file
    sound = path.read_bytes()
    content = bytearray(sound)
    content[place % len(content)] = byte
    path.write_bytes(content)

    said = ""
    try:
        read_all(small)
    except DumpError as error:
        said = str(error)
    finally:
        path.write_bytes(sound)

    assert "\n" not in said
