"""One table of a dump over one or several Parquet files, read a row group at a time."""

import hashlib
import math
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import RLock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from autointerp.arrays import floats, truths
from autointerp.dump.footer import Chunk, Footer, FooterError, read_footer
from autointerp.errors import DumpError
from autointerp.remote.path import AnyPath, RemoteError, RemotePath


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
    values = floats(column).astype(np.float64)
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
        row = int(np.argmax(truths(whole.is_null())))
        raise KindError(owner[row].as_py(), "holds NaN; expected whole numbers")
    return column.cast(kind)


Ints = npt.NDArray[np.int64]

N_OPEN = 4
"""Files kept open at once; a footer is parsed again when its file was closed."""
N_CACHED_GROUPS = 4
"""Checked row groups that are kept of what is read by feature, since neighbours are often asked for together."""

_BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What PyArrow raises on a damaged file; the last for the name of a column."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupIndex:
    """Where the row groups of a table lie; arrays of one length, in the table's order, empty groups left out."""

    part: npt.NDArray[np.int32]
    """Which file."""
    group: npt.NDArray[np.int32]
    """Which row group of it."""
    row: npt.NDArray[np.int64]
    """Its first row, counted from 0 in its file."""
    rows: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    """Smallest and largest key in it."""
    last: npt.NDArray[np.int64]


class Parts:
    """A table sorted by an integer key, its first column.

    Columns beyond the schema are ignored; a nullable column that is not there reads as nulls; integers read as int64
    and other types as the schema has them, whenever that loses nothing (a float64 column stays float64), also where
    another program wrote them otherwise (see `autointerp.dump.parts`).

    Args:
        paths: The files, in the order of their rows.
        schema: The columns wanted, the key first.

    Raises:
        DumpError: a file is not Parquet, lacks a column, or has one of another type.
    """

    def __init__(self, paths: Sequence[AnyPath], schema: pa.Schema) -> None:
        self.paths = tuple(paths)
        self.schema = schema
        self.key = schema.field(0).name
        self.row_groups_read = 0
        """Row groups read so far, of which fetched columns only."""
        self._files: OrderedDict[int, pq.ParquetFile] = OrderedDict()
        self._nulls: dict[tuple[int, str], Ints] = {}
        """Nulls of each row group of a file in a column of the schema; -1 where its footer does not say."""
        self._lock = RLock()
        self.index = self._build_index()

    @property
    def n_rows(self) -> int:
        """Returns the number of rows of all files."""
        return int(self.index.rows.sum())

    def where(self, at: int, row: int) -> str:
        """File and row for a message: row `row` of the `at`-th row group, counted from 0 in its file."""
        return f"{self.paths[self.index.part[at]]}: row {int(self.index.row[at]) + row}"

    def holding(self, key: int) -> range:
        """The row groups whose span of keys has `key` in it; more than one only where a group ends in its middle."""
        # NumPy's search of a single number lets go of the interpreter's lock, for which threads then wait.
        low = bisect_left(self.index.last.data, key)
        high = bisect_right(self.index.first.data, key)
        return range(low, max(low, high))

    def read(self, at: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Columns (all of the schema's when None) of the `at`-th row group, one chunk each.

        Raises:
            DumpError: the file is damaged, or a number is too large for int64.
        """
        part, group = int(self.index.part[at]), int(self.index.group[at])
        wanted = [self.schema.field(name) for name in columns] if columns is not None else list(self.schema)
        with self._lock:
            self.row_groups_read += 1
            file = self._open(part)
            present = [f.name for f in wanted if f.name in file.schema_arrow.names]
            try:
                table = file.read_row_group(group, columns=present)
                arrays = {f.name: self._column(table, f, part, group) for f in wanted}
            except _BROKEN as error:
                raise _unreadable(self.paths[part], group, error) from error
        return pa.table(arrays)

    def n_null(self, at: int, column: str) -> int:
        """Nulls in a column of the `at`-th row group; read only where the file's statistics do not say.

        Raises:
            DumpError: the file is damaged.
        """
        part, group = int(self.index.part[at]), int(self.index.group[at])
        stated = int(self._nulls[part, column][group])
        return stated if stated >= 0 else self.read(at, [column])[column].null_count

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """Columns of the whole table, in memory."""
        tables = [self.read(at, columns) for at in range(len(self.index.rows))]
        if tables:
            return pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        return pa.table({name: pa.nulls(0, _memory_type(self.schema.field(name).type)) for name in columns})

    def fingerprint(self) -> Iterator[bytes]:
        """Name, size and footer of each file."""
        for path in self.paths:
            with path.open("rb") as file:
                size = file.seek(-8, 2) + 8
                length = int.from_bytes(file.read(4), "little")
                file.seek(max(0, size - 8 - length))
                yield f"{path.name}\0{size}\0".encode()
                yield hashlib.sha256(file.read()).digest()

    def close(self) -> None:
        """Closes the files; reading opens them again."""
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _column(self, table: pa.Table, field: pa.Field, part: int, group: int) -> pa.ChunkedArray:
        if field.name not in table.column_names:
            return pa.chunked_array([pa.nulls(table.num_rows, _memory_type(field.type))])
        column = table[field.name]
        try:
            column = as_kind(column, _memory_type(field.type, column.type))
        except KindError as error:
            where = f"{self.paths[part]}: row group {group}, row {error.row} of it"
            raise DumpError(f"{where}: {field.name} {error}") from error
        if pa.types.is_string(column.type):
            # Parquet promises UTF-8 and does not look.
            column.validate(full=True)
        return column if column.num_chunks == 1 else pa.chunked_array([pa.concat_arrays(column.chunks)])

    def _open(self, part: int) -> pq.ParquetFile:
        file = self._files.pop(part, None)
        if file is None:
            file = _parquet(self.paths[part])
        self._files[part] = file
        while len(self._files) > N_OPEN:
            self._files.popitem(last=False)[1].close()
        return file

    def _build_index(self) -> GroupIndex:
        found: list[tuple[int, int, int, int, int, int]] = []
        for part, path in enumerate(self.paths):
            footer, row = _checked_footer(path), 0
            file = self._first_open(part, footer)
            for group, described in enumerate(footer.groups):
                if described.rows:
                    low, high = self._span(part, file, group, described.chunks.get(self.key))
                    found.append((part, group, row, described.rows, low, high))
                row += described.rows
        table = np.array(found, dtype=np.int64).reshape(-1, 6)
        index = GroupIndex(table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), *table[:, 2:].T.copy())
        descends = np.flatnonzero(index.first[1:] < index.last[:-1])
        if len(descends):
            at = int(descends[0]) + 1
            where = f"{self.paths[index.part[at]]}: row group {index.group[at]}"
            raise DumpError(f"{where}: {self.key} starts below the group before it; expected rows sorted by {self.key}")
        return index

    def _first_open(self, part: int, footer: Footer) -> pq.ParquetFile:
        """Opens a file whose footer was read, and keeps of the footer what is asked for later."""
        path = self.paths[part]
        file = _parquet(path, footer)
        _check_columns(path, file.schema_arrow, self.schema)
        for name in self.schema.names:
            stated = (group.chunks[name].n_null if name in group.chunks else None for group in footer.groups)
            self._nulls[part, name] = np.array([-1 if n is None else n for n in stated], dtype=np.int64)
        self._files[part] = file
        return self._open(part)

    def _span(self, part: int, file: pq.ParquetFile, group: int, stated: Chunk | None) -> tuple[int, int]:
        """The smallest and the largest key of a row group, in whole numbers."""
        if stated is not None and stated.low is not None and stated.high is not None:
            return math.floor(stated.low), math.ceil(stated.high)
        try:
            column = self._column(file.read_row_group(group, columns=[self.key]), self.schema.field(0), part, group)
        except _BROKEN as error:
            raise _unreadable(self.paths[part], group, error) from error
        span = pc.call_function("min_max", [column]).as_py()
        if span["min"] is None:
            raise DumpError(f"{self.paths[part]}: row group {group}: {self.key} is null throughout; expected a value")
        return int(span["min"]), int(span["max"])


def _checked_footer(path: AnyPath) -> Footer:
    try:
        with path.open("rb") as file:
            return read_footer(file)
    except FileNotFoundError:
        raise DumpError(f"{path}: there is no such file; a dump has one, so harvest or import it again") from None
    except FooterError as error:
        raise DumpError(f"{path}: not a Parquet file: {error}; harvest or import the dump again") from error
    except (OSError, RemoteError) as error:
        raise DumpError(f"{path}: cannot be read: {_line(error)}") from error


def _unreadable(path: AnyPath, group: int, error: Exception) -> DumpError:
    remedy = "copy the file, harvest or import the dump again"
    return DumpError(f"{path}: row group {group} cannot be read: {_line(error)}; {remedy}")


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _parquet(path: AnyPath, footer: Footer | None = None) -> pq.ParquetFile:
    """Opens a file; with its footer, which is then not fetched again."""
    try:
        known = pq.read_metadata(pa.BufferReader(footer.as_file())) if footer is not None else None
        if isinstance(path, RemotePath):
            # Fetches a row group in one go, where it would ask for column after column.
            return pq.ParquetFile(path.open(), metadata=known, pre_buffer=True)
        return pq.ParquetFile(path, metadata=known)
    except RemoteError as error:
        raise DumpError(f"{path}: cannot be read: {error}") from error
    except _BROKEN as error:
        raise DumpError(f"{path}: not a Parquet file: {_line(error)}; harvest or import the dump again") from error


def _check_columns(path: AnyPath, found: pa.Schema, wanted: pa.Schema) -> None:
    for field in wanted:
        if found.names.count(field.name) > 1:
            raise DumpError(f"{path}: column {field.name} is there twice; expected once")
        if field.name not in found.names:
            if not field.nullable:
                raise DumpError(f"{path}: there is no column {field.name}; expected one of type {field.type}")
            continue
        kind = found.field(field.name).type
        if not may_hold(kind, field):
            raise DumpError(f"{path}: column {field.name} has type {kind}; expected {field.type}")


def _memory_type(wanted: pa.DataType, found: pa.DataType | None = None) -> pa.DataType:
    """The type that `found` is read as: wide enough to lose nothing."""
    if pa.types.is_floating(wanted):
        narrow = found is not None and (pa.types.is_float16(found) or pa.types.is_float32(found))
        return pa.float32() if narrow else pa.float64()
    if pa.types.is_integer(wanted):
        return pa.int64()
    return pa.large_binary() if pa.types.is_binary(wanted) else wanted
