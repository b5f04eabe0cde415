"""Tables as other programs rewrite them read as they were; a value that would change is named."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autointerp.dump.reader import open_dump
from autointerp.errors import DumpError

Rewrite = Callable[[pa.ChunkedArray], pa.ChunkedArray]


def content(folder: Path) -> tuple[object, ...]:
    with open_dump(folder) as dump:
        return [(f.row, f.exemplars) for f in dump.features()], dump.images(range(4))


def rewrite(folder: Path, file: str, column: str, change: Rewrite) -> None:
    table = pq.read_table(folder / file)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, change(table[column])), folder / file)


def with_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Doubles, NaN where there is no value."""
    return pa.chunked_array([pa.array([float("nan") if v is None else float(v) for v in column.to_pylist()])])


def doubles(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.float64())


def categories(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.dictionary_encode()


def lists_of_doubles(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.large_list(pa.float64()))


@pytest.mark.parametrize(
    ("file", "column", "change"),
    [
        ("features.parquet", "feature", doubles),
        ("features.parquet", "feature", categories),
        ("features.parquet", "n_active", lambda c: c.cast(pa.uint16())),
        ("features.parquet", "n_active_attribute", with_nan),
        ("features.parquet", "histogram", lists_of_doubles),
        ("features.parquet", "parents", lambda c: pa.chunked_array([pa.nulls(len(c))])),
        ("exemplars.parquet", "feature", doubles),
        ("exemplars.parquet", "image", doubles),
        ("exemplars.parquet", "image", lambda c: c.cast(pa.float32())),
        ("exemplars.parquet", "stratum", categories),
        ("exemplars.parquet", "stratum", lambda c: c.cast(pa.large_string())),
        ("exemplars.parquet", "stratum", lambda c: c.cast(pa.string_view())),
        ("exemplars.parquet", "x0", with_nan),
        ("exemplars.parquet", "y1", doubles),
        ("exemplars.parquet", "heat", lambda c: c.cast(pa.large_binary())),
        ("images.parquet", "image", doubles),
        ("images.parquet", "width", categories),
        ("images.parquet", "path", categories),
        ("images.parquet", "sha256", lambda c: c.cast(pa.large_string())),
        ("images.parquet", "group", with_nan),
        ("images.parquet", "bytes", with_nan),
        ("images.parquet", "attribute", with_nan),
        ("images.parquet", "attribute", lambda c: c.cast(pa.int64())),
    ],
)
def test_a_column_of_another_kind_reads_as_it_was(small: Path, file: str, column: str, change: Rewrite) -> None:
    before = content(small)

    rewrite(small, file, column, change)

    assert content(small) == before


@pytest.mark.parametrize("column", ["feature", "image"])
def test_an_index_column_of_pandas_is_no_matter(small: Path, column: str) -> None:
    before = content(small)
    for file in ("features.parquet", "exemplars.parquet", "images.parquet"):
        table = pq.read_table(small / file)
        pq.write_table(table.append_column("__index_level_0__", [list(range(len(table)))]), small / file)

    assert content(small) == before


@pytest.mark.parametrize("written", [1.0, 0.0, None])
def test_truth_values_are_read_from_numbers(small: Path, written: float | None) -> None:
    values = pa.chunked_array([[written, None, None, None]], pa.float64())

    rewrite(small, "images.parquet", "attribute", lambda _: values)

    with open_dump(small) as dump:
        assert dump.image(0).attribute is (None if written is None else bool(written))


@pytest.mark.parametrize(
    ("file", "column", "values", "said"),
    [
        ("images.parquet", "width", [16, 16.5, 16, 16], "row 1 of it: width is 16.5; expected a whole number"),
        ("images.parquet", "height", [1e30, 12, 12, 12], "row 0 of it: height is 1e+30; expected a whole number"),
        ("images.parquet", "attribute", [0, 1, 0.5, 1], "row 2 of it: attribute is 0.5; expected true or false"),
        ("images.parquet", "label", [None, None, None, 3.5], "row 3 of it: label is 3.5; expected a text, or nothing"),
        ("features.parquet", "n_active", [6, 6, 5.25, 0], "row 2 of it: n_active is 5.25; expected a whole number"),
    ],
)
def test_a_value_that_would_change_is_named(
    small: Path, file: str, column: str, values: list[object], said: str
) -> None:
    rewrite(small, file, column, lambda _: pa.chunked_array([values], pa.float64()))

    with pytest.raises(DumpError) as raised:
        content(small)

    assert str(raised.value).startswith(f"{small}/{file}: row group 0, {said}")


def test_a_fraction_in_a_histogram_is_named(small: Path) -> None:
    lists = [[6.0] + [0.0] * 49, [5.5] + [0.0] * 49, None, None]

    rewrite(small, "features.parquet", "histogram", lambda _: pa.chunked_array([lists], pa.list_(pa.float64())))

    with pytest.raises(
        DumpError, match=r"row group 0, row 1 of it: histogram holds one that is 5\.5; expected a whole"
    ):
        content(small)


def test_a_missing_number_where_the_format_wants_one_is_named(small: Path) -> None:
    nan = pa.chunked_array([[16.0, float("nan"), 16.0, 16.0]])

    rewrite(small, "images.parquet", "width", lambda _: nan)

    with pytest.raises(DumpError, match=r"images\.parquet: row 1: width is None; expected a value"):
        content(small)
