"""Columns as arrays and back, with nulls, several chunks, none, and slices."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from autointerp.arrays import among, as_arrow, floats, ints, kept, last_of_each, texts, truths


def chunks(*pieces: list[object], kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(piece, kind) for piece in pieces], kind)


@pytest.mark.parametrize("kind", [pa.int8(), pa.int32(), pa.int64()])
def test_a_null_among_whole_numbers_is_minus_one(kind: pa.DataType):
    found = ints(chunks([3, None], [7], kind=kind))

    assert (found.tolist(), found.dtype) == ([3, -1, 7], np.int64)


def test_a_number_that_no_float_holds_stays_as_it_is():
    assert ints(chunks([2**53 + 1, None], kind=pa.int64())).tolist() == [2**53 + 1, -1]


@pytest.mark.parametrize(("kind", "width"), [(pa.float32(), np.float32), (pa.float64(), np.float64)])
def test_a_null_among_floats_is_nan_and_their_width_stays(kind: pa.DataType, width: type[np.floating]):
    found = floats(chunks([0.5], [None, 2.0], kind=kind))

    assert found.dtype == width
    np.testing.assert_array_equal(found, [0.5, np.nan, 2.0])


def test_a_null_among_truth_values_is_false():
    assert truths(chunks([True, None, False], [True], kind=pa.bool_())).tolist() == [True, False, False, True]


def test_texts_are_what_they_were_and_a_null_is_no_empty_text():
    assert texts(chunks(["top", None], ["", "top"], kind=pa.string())).tolist() == ["top", "None", "", "top"]


@pytest.mark.parametrize(
    ("read", "kind"), [(ints, pa.int64()), (floats, pa.float64()), (truths, pa.bool_()), (texts, pa.string())]
)
def test_a_column_without_chunks_is_empty(read: "type[object]", kind: pa.DataType):
    assert len(read(pa.chunked_array([], kind))) == 0  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_a_slice_begins_where_it_begins():
    column = pa.array([1, 2, None, 4]).slice(1)

    assert ints(column).tolist() == [2, -1, 4]


@pytest.mark.parametrize(
    "values",
    [
        np.arange(10)[::3],
        np.array([0.5, np.nan]),
        np.array([True, False, True] * 3),
        np.zeros(0, np.int64),
        np.zeros(0, np.bool_),
    ],
)
def test_an_array_goes_there_and_back(values: npt.NDArray[np.generic]):
    column = as_arrow(values)

    assert column.null_count == 0
    np.testing.assert_array_equal(np.array(column.to_pylist(), values.dtype), values)


@pytest.mark.parametrize("lot", [1, 3, 1000])
def test_numbers_are_found_among_others_lot_by_lot(monkeypatch: pytest.MonkeyPatch, lot: int):
    monkeypatch.setattr("autointerp.arrays.LOT", lot)
    chosen, numbers = np.array([2, 3, 5, 8]), np.array([8, 0, 3, 9, 2, 2, 4])

    assert among(chosen, numbers).tolist() == [n in {2, 3, 5, 8} for n in numbers.tolist()]
    assert among(chosen[:0], numbers).tolist() == [False] * 7
    assert among(chosen, numbers[:0]).tolist() == []


def test_where_all_is_kept_nothing_is_copied():
    numbers = np.array([4, 7])

    assert kept(numbers, np.array([True, True])) is numbers
    assert kept(numbers, np.array([False, True])).tolist() == [7]


def test_of_each_number_the_last_place_is_told():
    numbers = np.array([3, 1, 3, 2, 1])

    assert numbers[last_of_each(numbers)].tolist() == [1, 2, 3]
    assert np.arange(5)[last_of_each(numbers)].tolist() == [4, 3, 2]
    assert np.arange(3)[last_of_each(np.array([1, 5, 9]))].tolist() == [0, 1, 2]
