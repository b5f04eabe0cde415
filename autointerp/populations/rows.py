"""Images in the rows of Parquet and Arrow files, as Hugging Face datasets keep them: a column of bytes and paths."""

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from autointerp.errors import ImageError, SettingsError, one_line
from autointerp.images.content import OwnFile, Stamp, bounded
from autointerp.populations.files import key_of, opened, stamp_of
from autointerp.populations.labels import Labelling
from autointerp.populations.listing import Columns, Found, Item, Said
from autointerp.populations.names import apart, below
from autointerp.reading import read_json
from autointerp.remote.path import AnyPath

IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "webp", "image_bytes")
"""Which column of several is taken, and which are images where they hold nothing but bytes."""
KEPT = 256 * 2**20
"""Bytes of row groups that stay in memory, of all files together; at least the last one does."""
MOST_GROUP = 4 * 2**30
"""Bytes of the images of one row group, unpacked."""
_BROKEN = (pa.ArrowException, OSError, ValueError)


class Rows(Protocol):
    """The rows of one file; safe to use from several threads."""

    file: AnyPath
    schema: pa.Schema
    n_rows: int

    def column(self, names: Sequence[str]) -> pa.Table:
        """Reads whole columns, or fields of them such as `image.path`."""
        ...

    def image(self, column: str, row: int) -> object:
        """Reads one cell."""
        ...

    def is_empty(self, column: str) -> bool:
        """Whether there is nothing in any row of a column, as far as that is known without reading it."""
        ...


class _Groups:
    """Row groups that were read last, of all files."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, str, int], pa.ChunkedArray] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[str, str, int], read: Callable[[], pa.ChunkedArray]) -> pa.ChunkedArray:
        """Returns a group, read if it is not here; one is read at a time, so that threads do not read the same."""
        with self._lock:
            found = self._held.pop(key, None)
            if found is None:
                found = read()
            self._held[key] = found
            while len(self._held) > 1 and sum(one.nbytes for one in self._held.values()) > KEPT:
                self._held.popitem(last=False)
            return found


_GROUPS = _Groups()


class ParquetRows:
    """The rows of a Parquet file, of which a row group at a time is in memory.

    Raises:
        SettingsError: it cannot be read.
    """

    def __init__(self, file: AnyPath) -> None:
        self.file = file
        try:
            with opened(file) as stream:
                own = pq.ParquetFile(stream)
                self.schema, self._metadata = own.schema_arrow, own.metadata
                _check_names(self.schema)
        except _BROKEN as error:
            raise SettingsError(f"{file}: not a whole Parquet file: {one_line(str(error))[:200]}") from error
        self._starts = [0]
        for i in range(self._metadata.num_row_groups):
            self._starts.append(self._starts[-1] + self._metadata.row_group(i).num_rows)
        self.n_rows = self._starts[-1]

    def column(self, names: Sequence[str]) -> pa.Table:
        """Reads whole columns."""
        try:
            with opened(self.file) as stream:
                read = pq.ParquetFile(stream, metadata=self._metadata).read(columns=list(names))
            return _checked({name: _leaf(read[name.partition(".")[0]], name) for name in names})
        except _BROKEN as error:
            raise SettingsError(f"{self.file}: cannot be read: {one_line(str(error))[:200]}") from error

    def image(self, column: str, row: int) -> object:
        """Reads one cell, and its row group if that is not in memory."""
        group = bisect_right(self._starts, row) - 1
        found = _GROUPS.get((str(self.file), column, group), lambda: self._group(column, group))
        return found[row - self._starts[group]].as_py()

    def is_empty(self, column: str) -> bool:
        """Whether the footer says that there is nothing in any row."""
        groups = map(self._metadata.row_group, range(self._metadata.num_row_groups))
        chunks = [c for g in groups for c in map(g.column, range(g.num_columns)) if c.path_in_schema == column]
        # `num_values` counts empty ones too.
        return bool(chunks) and all(c.is_stats_set and c.statistics.null_count == c.num_values for c in chunks)

    def _group(self, column: str, group: int) -> pa.ChunkedArray:
        top = column.partition(".")[0]
        of = self._metadata.row_group(group)
        sizes = [c for c in map(of.column, range(of.num_columns)) if c.path_in_schema.split(".")[0] == top]
        if sum(c.total_uncompressed_size for c in sizes) > MOST_GROUP:
            raise ImageError(
                f"{self.file}: row group {group} unpacks to over {MOST_GROUP >> 30} GB; write smaller ones"
            )
        with opened(self.file) as stream:
            read = pq.ParquetFile(stream, metadata=self._metadata).read_row_group(group, columns=[column])
        return _leaf(read[top], column)


class ArrowRows:
    """The rows of an Arrow file in the streaming or the file format; the file is mapped, not read.

    Raises:
        SettingsError: it cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self.file: AnyPath = file
        try:
            source = pa.memory_map(str(file))
            is_file = source.read(6) == b"ARROW1"
            source.seek(0)
            reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
            self._table = reader.read_all()
            self._table.validate()
            _check_names(self._table.schema)
        except _BROKEN as error:
            raise SettingsError(f"{file}: not a whole Arrow file: {one_line(str(error))[:200]}") from error
        self.schema, self.n_rows = self._table.schema, self._table.num_rows

    def column(self, names: Sequence[str]) -> pa.Table:
        """Returns whole columns."""
        try:
            return _checked({name: _leaf(self._table[name.partition(".")[0]], name) for name in names})
        except _BROKEN as error:
            raise SettingsError(f"{self.file}: cannot be read: {one_line(str(error))[:200]}") from error

    def image(self, column: str, row: int) -> object:
        """Returns one cell."""
        cell = self._table[column.partition(".")[0]].slice(row, 1)
        # A file that is mapped was not looked through, and a place outside it would end the process.
        cell.validate(full=True)
        return _leaf(cell, column)[0].as_py()

    def is_empty(self, column: str) -> bool:
        """Whether there is nothing in any row."""
        found = _leaf(self._table[column.partition(".")[0]], column)
        return self.n_rows > 0 and found.null_count == self.n_rows


def _check_names(fields: Iterable[pa.Field]) -> None:
    """Reads every name, which raises a ValueError where one is not UTF-8."""
    for field in fields:
        assert isinstance(field.name, str)
        if pa.types.is_struct(field.type):
            _check_names(field.type.field(i) for i in range(field.type.num_fields))


def _checked(columns: dict[str, pa.ChunkedArray]) -> pa.Table:
    """A table whose texts are UTF-8; raises pa.ArrowException."""
    table = pa.table(columns)
    table.validate(full=True)
    return table


def _leaf(array: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """The array itself, or the field of its structs that the name goes on with."""
    _, dot, inside = name.partition(".")
    return pc.call_function("struct_field", [array], pc.StructFieldOptions([inside])) if dot else array


@dataclass(frozen=True, slots=True)
class Cell:
    """An image in a row."""

    rows: Rows
    column: str
    row: int

    def __str__(self) -> str:
        return f"{self.rows.file}: row {self.row + 1}"

    @property
    def path(self) -> None:
        """None: no file holds this image alone."""
        return

    @property
    def key(self) -> str:
        """The file and the row."""
        return f"{key_of(self.rows.file)}\n{self.column} {self.row}"

    def stamp(self) -> Stamp | None:
        """Size and time of the file."""
        return stamp_of(self.rows.file)

    def read(self) -> bytes:
        """Reads the bytes of the cell."""
        try:
            data = self.rows.image(self.column, self.row)
        except _BROKEN as error:
            raise ImageError(f"{self}: cannot be read: {one_line(str(error))[:200]}") from error
        if not isinstance(data, bytes):
            raise ImageError(f"{self}: holds no bytes in {self.column!r}; write the dataset with its images inside")
        return bounded(data, self)


class Column(NamedTuple):
    """Where a schema has images."""

    data: str
    """The column or field with the bytes."""
    path: str | None
    """The field with their file names."""


def image_column(schema: pa.Schema, where: object) -> Column | None:
    """The column of the images; None if there is none.

    Raises:
        SettingsError: there are several, and none of the usual names.
    """
    features = features_of(schema.metadata)
    found = [f for f in schema if _holds_images(f, features)]
    named = [f for name in IMAGE_COLUMNS for f in found if f.name == name]
    if not found:
        return None
    if len(found) > 1 and not named:
        names = ", ".join(f.name for f in found)
        raise SettingsError(f"{where}: has several columns of images: {names}; rename the one that counts to image")
    one = named[0] if named else found[0]
    if not pa.types.is_struct(one.type):
        return Column(one.name, None)
    has_path = one.type.get_field_index("path") >= 0
    return Column(f"{one.name}.bytes", f"{one.name}.path" if has_path else None)


def _holds_images(field: pa.Field, features: Mapping[str, object]) -> bool:
    if pa.types.is_struct(field.type):
        at = field.type.get_field_index("bytes")
        return at >= 0 and _is_bytes(field.type.field(at).type)
    feature = features.get(field.name)
    says = isinstance(feature, dict) and feature.get("_type") == "Image"
    return _is_bytes(field.type) and (says or field.name in IMAGE_COLUMNS)


def _is_bytes(kind: pa.DataType) -> bool:
    return any(said(kind) for said in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))


def features_of(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, object]:
    """What Hugging Face's `datasets` writes of each column; nothing where it did not write the file."""
    try:
        told = read_json((metadata or {}).get(b"huggingface", b"{}"))
    except ValueError:
        return {}
    for name in ("info", "features"):
        told = told.get(name) if isinstance(told, dict) else None
    return told if isinstance(told, dict) else {}


def in_rows(root: str, files: Sequence[Rows], how: Labelling, inside: Sequence[Path] = ()) -> Found:
    """Lists the images of files with rows, file by file.

    Args:
        root: what messages and records call all of it.
        files: of one data set.
        how: which columns say what.
        inside: folders in one of which image files have to lie that a data set names in place of their bytes; none for
            anywhere, as a list may name files anywhere.

    Raises:
        SettingsError: a file has no column of images, not what was asked for, or other columns than the first.
    """
    items: list[Item] = []
    places: list[tuple[str, int]] = []
    columns: Columns | None = None
    for rows in files:
        image = image_column(rows.schema, rows.file)
        if image is None:
            raise SettingsError(f"{rows.file}: has no column of images; it has {', '.join(rows.schema.names)}")
        there = [name for name in rows.schema.names if name != image.data.partition(".")[0]]
        mine = how.columns(there, str(rows.file))
        if mine != (columns or mine):
            raise SettingsError(f"{rows.file}: has other columns than {files[0].file}; give files of one dataset")
        columns = mine
        stem, named = PurePosixPath(rows.file.name).stem, image.path is not None and rows.is_empty(image.data)
        for row, (name, said) in enumerate(_said(rows, image, columns)):
            content = _own_file(rows, row, name, inside) if named else Cell(rows, image.data, row)
            places.append((stem, row))
            items.append(Item(str(content) if named else _plain(name) or f"{row:08d}", content, said))
    if items and all(item.content.path is not None for item in items):
        items = [Item(name, i.content, i.said) for name, i in zip(below([i.name for i in items]), items, strict=True)]
    names = apart(root, [item.name for item in items], lambda i: "{}-{:08d}".format(*places[i]))
    found = [Item(name, item.content, item.said) for name, item in zip(names, items, strict=True)]
    return Found(root, found, (), columns or Columns(), root)


def _own_file(rows: Rows, row: int, name: object, inside: Sequence[Path]) -> OwnFile:
    """The file that a row names in place of its bytes."""
    where = f"{rows.file}: row {row + 1}"
    if not isinstance(name, str) or not isinstance(rows.file, Path):
        raise SettingsError(f"{where}: holds no image; write the dataset with its images inside")
    file = Path(os.path.normpath((rows.file.parent / name).absolute()))
    try:
        if inside and not any(file.resolve().is_relative_to(folder.resolve()) for folder in inside):
            raise SettingsError(f"{where}: names {name[:200]!r}, which lies outside {', '.join(map(str, inside))}")
        if not file.is_file():
            raise SettingsError(
                f"{where}: names {name[:200]!r}: no such file; write the dataset with its images inside"
            )
    except (OSError, ValueError) as error:
        raise SettingsError(f"{where}: path {name[:80]!r} cannot be looked for: {error}") from error
    return OwnFile(file)


def _plain(path: object) -> str | None:
    """The file name that a row gives its image, with its folders where these are relative."""
    parts = [p for p in path.replace("\\", "/").split("/") if p != "."] if isinstance(path, str) else []
    if not parts or not parts[-1]:
        return None
    return parts[-1] if {"", ".."} & set(parts) or ":" in parts[0] else "/".join(parts)


def _said(rows: Rows, image: Column, columns: Columns) -> Iterator[tuple[object, Said]]:
    """Yields the file name of each row, if there is one, and what its columns say."""
    wanted = [name for name in dict.fromkeys(columns) if name is not None]
    read = rows.column([name for name in (image.path, *wanted) if name is not None])
    names = [None] * rows.n_rows if image.path is None else read[image.path].to_pylist()
    values = {name: _worded(rows, name, read[name]) for name in wanted}
    for row, name in enumerate(names):
        yield name, Said(*(None if column is None else values[column][row] for column in columns))


def _worded(rows: Rows, name: str, column: pa.ChunkedArray) -> Sequence[object]:
    """The values of a column; of one that holds numbers of classes, their names."""
    feature = features_of(rows.schema.metadata).get(name)
    names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
    values = column.to_pylist()
    if not isinstance(names, list):
        return values
    # -1 is what test sets have that nobody labelled.
    return [names[v] if isinstance(v, int) and 0 <= v < len(names) else None for v in values]
