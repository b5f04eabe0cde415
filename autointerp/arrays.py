"""Columns of Arrow tables as NumPy arrays and back.

PyArrow's own ways (`np.asarray`, `to_numpy`, `pa.array`, `pa.scalar`) import pandas first where it is installed, which
takes longer than all else that a command does before its first question. What every command reads goes through here.
"""

from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
LOT = 1 << 16
"""Numbers that are worked on at once where there may be millions: what is made on the way stays small."""


def ints(column: pa.Array | pa.ChunkedArray) -> Ints:
    """The column of integers as int64, shape [rows]; its nulls as -1."""
    return _filled(column, -1).astype(np.int64, copy=False)


def floats(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.floating]:
    """The column of floats in its own width, shape [rows]; its nulls as NaN."""
    return cast("npt.NDArray[np.floating]", _filled(column, np.nan))


def truths(column: pa.Array | pa.ChunkedArray) -> Mask:
    """The column of truth values, shape [rows]; its nulls as false."""
    return _filled(column.cast(pa.uint8()), 0).view(np.bool_)


def texts(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.str_]:
    """The column of texts, few of which differ, shape [rows]; its nulls as `None`."""
    encoded = _whole(column.dictionary_encode())
    # Arrow's code of a null is null, so -1 here, which is the last one.
    return np.array([*encoded.dictionary.to_pylist(), None], np.str_)[ints(encoded.indices)]


def among(chosen: Ints, numbers: Ints) -> Mask:
    """Which of the numbers are chosen, shape [numbers]; `chosen` ascends."""
    found = np.zeros(len(numbers), np.bool_)
    for start in range(0, len(numbers) if len(chosen) else 0, LOT):
        own = numbers[start : start + LOT]
        found[start : start + LOT] = chosen[np.minimum(np.searchsorted(chosen, own), len(chosen) - 1)] == own
    return found


def kept(numbers: Ints, mask: Mask) -> Ints:
    """The numbers at which the mask holds; where it holds at all of them the array itself and no copy."""
    return numbers if mask.all() else numbers[mask]


def last_of_each(numbers: Ints) -> Ints | slice:
    """Where each number stands last, by ascending number; all places where they ascend, as in a merged run."""
    if (numbers[1:] > numbers[:-1]).all():
        return slice(None)
    # Read from behind, the first place of a number is its last.
    return len(numbers) - 1 - np.unique(numbers[::-1], return_index=True)[1]


def as_arrow(values: npt.NDArray[np.generic]) -> pa.Array:
    """Numbers or truth values, shape [rows], as a column without nulls; numbers are not copied."""
    if values.dtype == np.bool_:
        bits = np.packbits(values.view(np.uint8), bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _filled(column: pa.Array | pa.ChunkedArray, nothing: float) -> npt.NDArray[np.generic]:
    whole = _whole(column)
    if whole.null_count:
        whole = whole.fill_null(as_arrow(np.array([nothing], whole.type.to_pandas_dtype()))[0])
    return np.from_dlpack(whole)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    return column.combine_chunks() if column.num_chunks else pa.nulls(0, column.type)
