"""Columns as other programs rewrite them, read as the format has them wherever no value changes.

Pandas makes doubles of whole numbers and truth values as soon as one is missing, and categories of texts; others write
NaN where there is no value.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


class KindError(ValueError):
    """A value cannot be read as the format has it."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row
        """Counted from 0 in the column."""


def may_hold(found: pa.DataType, field: pa.Field) -> bool:
    """Whether a column of this type may hold nothing but values of the field's type."""
    types, wanted = pa.types, field.type
    if types.is_dictionary(found):
        found = found.value_type
    if types.is_null(found):
        return field.nullable
    if types.is_list(wanted):
        lists = types.is_list(found) or types.is_large_list(found) or types.is_fixed_size_list(found)
        return lists and (_is_number(found.value_type) or types.is_null(found.value_type))
    if _is_number(wanted):
        return _is_number(found)
    if types.is_boolean(wanted):
        return types.is_boolean(found) or _is_number(found)
    # Where all texts are missing, pandas has a column of NaN.
    missing = field.nullable and types.is_floating(found)
    if types.is_string(wanted):
        return missing or types.is_string(found) or types.is_large_string(found) or types.is_string_view(found)
    plain = types.is_binary(found) or types.is_large_binary(found)
    return missing or plain or types.is_binary_view(found) or types.is_fixed_size_binary(found)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def as_kind(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Casts a column to a kind.

    Args:
        column: of a type that `may_hold` lets pass.
        kind: the type in memory.

    Raises:
        KindError: a value would change.
        ArrowException: the column is damaged.
    """
    types = pa.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_list(kind) and not types.is_null(column.type):
        return _lists(column, kind)
    if types.is_floating(column.type) and not types.is_floating(kind):
        return _from_floats(column, kind)
    if types.is_boolean(kind) and types.is_integer(column.type):
        return _from_floats(column.cast(pa.float64(), safe=False), kind)
    return column.cast(kind)


def _from_floats(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """NaN as null, and other numbers where they are whole, or truth values."""
    values: npt.NDArray[np.float64] = np.asarray(column.to_numpy(), np.float64)
    there = ~np.isnan(values)
    if pa.types.is_integer(kind):
        bad, expected = (values != np.trunc(values)) | (np.abs(values) > 2.0**53), "a whole number of at most 2^53"
    elif pa.types.is_boolean(kind):
        bad, expected = (values != 0) & (values != 1), "true or false"
    else:
        bad, expected = np.ones(len(values), np.bool_), "a text, or nothing"
    wrong = there & bad
    if wrong.any():
        row = int(np.argmax(wrong))
        raise KindError(row, f"is {float(values[row])!r}; expected {expected}")
    if not there.any():
        return pa.chunked_array([pa.nulls(len(values), kind)])
    whole = np.where(there, values, 0).astype(np.int64)
    return pa.chunked_array([pa.array(whole, mask=~there)]).cast(kind)


def _lists(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if not pa.types.is_floating(column.type.value_type):
        return column.cast(kind)
    owner = pc.call_function("list_parent_indices", [column])
    try:
        whole = as_kind(pc.call_function("list_flatten", [column]), kind.value_type)
    except KindError as error:
        raise KindError(owner[error.row].as_py(), f"holds one that {error}") from error
    if whole.null_count:
        row = int(np.argmax(np.asarray(whole.is_null())))
        raise KindError(owner[row].as_py(), "holds NaN; expected whole numbers")
    return column.cast(kind)
