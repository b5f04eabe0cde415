"""One table of a dump over one or several Parquet files, read a row group at a time."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import RLock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from autointerp.errors import DumpError
from autointerp.remote.errors import RemoteError
from autointerp.remote.path import AnyPath, RemotePath

N_OPEN = 4
"""Files kept open at once; a footer is parsed again when its file was closed."""

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
    and other types as the schema has them, whenever that loses nothing (a float64 column stays float64).

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
        self._lock = RLock()
        self.index = self._build_index()

    @property
    def n_rows(self) -> int:
        """Rows of all files."""
        return int(self.index.rows.sum())

    def where(self, at: int, row: int) -> str:
        """File and row for a message: row `row` of the `at`-th row group, counted from 0 in its file."""
        return f"{self.paths[self.index.part[at]]}: row {int(self.index.row[at]) + row}"

    def holding(self, key: int) -> range:
        """The row groups whose span of keys has `key` in it; more than one only where a group ends in its middle."""
        low = int(np.searchsorted(self.index.last, key, side="left"))
        high = int(np.searchsorted(self.index.first, key, side="right"))
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
                arrays = {f.name: self._column(table, f) for f in wanted}
            except _BROKEN as error:
                raise DumpError(f"{self.paths[part]}: row group {group} cannot be read: {_line(error)}") from error
        return pa.table(arrays)

    def n_null(self, at: int, column: str) -> int:
        """Nulls in a column of the `at`-th row group; read only where the file's statistics do not say.

        Raises:
            DumpError: the file is damaged.
        """
        with self._lock:
            footer, group = self._open(int(self.index.part[at])).metadata, int(self.index.group[at])
            for leaf in range(footer.row_group(group).num_columns):
                if footer.row_group(group).column(leaf).path_in_schema == column:
                    stated = _stated(footer, group, leaf)
                    if stated is not None and stated.has_null_count:
                        return int(stated.null_count)
        return self.read(at, [column])[column].null_count

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """Columns of the whole table, in memory."""
        tables = [self.read(at, columns) for at in range(len(self.index.rows))]
        if tables:
            return pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        return pa.table({name: pa.array([], _memory_type(self.schema.field(name).type)) for name in columns})

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

    def _column(self, table: pa.Table, field: pa.Field) -> pa.ChunkedArray:
        if field.name not in table.column_names:
            return pa.chunked_array([pa.nulls(table.num_rows, _memory_type(field.type))])
        column = table[field.name]
        column = column.cast(_memory_type(field.type, column.type))
        if pa.types.is_string(column.type):
            # Parquet promises UTF-8 and does not look.
            column.validate(full=True)
        return column if column.num_chunks == 1 else pa.chunked_array([pa.concat_arrays(column.chunks)])

    def _open(self, part: int) -> pq.ParquetFile:
        file = self._files.pop(part, None)
        if file is None:
            file = _parquet(self.paths[part])
            _check_columns(self.paths[part], file.schema_arrow, self.schema)
        self._files[part] = file
        while len(self._files) > N_OPEN:
            self._files.popitem(last=False)[1].close()
        return file

    def _build_index(self) -> GroupIndex:
        found: list[tuple[int, int, int, int, int, int]] = []
        for part in range(len(self.paths)):
            file, row = self._open(part), 0
            leaves = [file.metadata.schema.column(i).path for i in range(file.metadata.num_columns)]
            key = leaves.index(self.key)
            for group in range(file.num_row_groups):
                described = file.metadata.row_group(group)
                if described.num_rows:
                    low, high = self._span(part, file, group, _stated(file.metadata, group, key))
                    found.append((part, group, row, described.num_rows, low, high))
                row += described.num_rows
        table = np.array(found, dtype=np.int64).reshape(-1, 6)
        index = GroupIndex(table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), *table[:, 2:].T.copy())
        descends = np.flatnonzero(index.first[1:] < index.last[:-1])
        if len(descends):
            at = int(descends[0]) + 1
            where = f"{self.paths[index.part[at]]}: row group {index.group[at]}"
            raise DumpError(f"{where}: {self.key} starts below the group before it; expected rows sorted by {self.key}")
        return index

    def _span(self, part: int, file: pq.ParquetFile, group: int, stated: pq.Statistics | None) -> tuple[int, int]:
        if stated is not None and stated.has_min_max:
            return int(stated.min), int(stated.max)
        try:
            column = file.read_row_group(group, columns=[self.key])[self.key]
        except _BROKEN as error:
            raise DumpError(f"{self.paths[part]}: row group {group} cannot be read: {_line(error)}") from error
        span = pc.call_function("min_max", [column]).as_py()
        if span["min"] is None:
            raise DumpError(f"{self.paths[part]}: row group {group}: {self.key} is null throughout; expected a value")
        return int(span["min"]), int(span["max"])


def _stated(footer: pq.FileMetaData, group: int, leaf: int) -> pq.Statistics | None:
    """The statistics of a column in a row group, if there are any that can be read."""
    chunk = footer.row_group(group).column(leaf)
    # PyArrow ends the process when it is asked for them where a damaged footer states two physical types for a column.
    return chunk.statistics if chunk.physical_type == footer.schema.column(leaf).physical_type else None


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _parquet(path: AnyPath) -> pq.ParquetFile:
    try:
        if isinstance(path, RemotePath):
            # Fetches a row group in one go, where it would ask for column after column.
            return pq.ParquetFile(path.open(), pre_buffer=True)
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise DumpError(f"{path}: there is no such file; a dump has one, so harvest or import it again") from None
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
        if not (_fits(kind, field.type) or (field.nullable and pa.types.is_null(kind))):
            raise DumpError(f"{path}: column {field.name} has type {kind}; expected {field.type}")


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(found):
        found = found.value_type
    if types.is_list(wanted):
        lists = types.is_list(found) or types.is_large_list(found) or types.is_fixed_size_list(found)
        return lists and types.is_integer(found.value_type)
    if types.is_floating(wanted):
        return types.is_floating(found) or types.is_integer(found)
    if types.is_integer(wanted):
        return types.is_integer(found)
    if types.is_string(wanted):
        return types.is_string(found) or types.is_large_string(found) or types.is_string_view(found)
    if types.is_binary(wanted):
        plain = types.is_binary(found) or types.is_large_binary(found)
        return plain or types.is_binary_view(found) or types.is_fixed_size_binary(found)
    return found == wanted


def _memory_type(wanted: pa.DataType, found: pa.DataType | None = None) -> pa.DataType:
    """The type that `found` is read as: wide enough to lose nothing."""
    if pa.types.is_floating(wanted):
        narrow = found is not None and (pa.types.is_float16(found) or pa.types.is_float32(found))
        return pa.float32() if narrow else pa.float64()
    if pa.types.is_integer(wanted):
        return pa.int64()
    return pa.large_binary() if pa.types.is_binary(wanted) else wanted
