"""Tables that list images and say what they are: CSV and TSV with a header, Parquet, and a path a line."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, TextIOWrapper

from autointerp.errors import SettingsError
from autointerp.populations.files import opened
from autointerp.populations.listing import Columns, Said
from autointerp.populations.rows import ParquetRows
from autointerp.remote.path import AnyPath

PATH_COLUMNS = ("path", "file_name", "filename", "file", "filepath", "file_path", "image_path", "image")
"""Columns that hold paths; the first that is there counts."""
PARQUET = b"PAR1"
"""How a Parquet file begins."""
LINES = (".txt", ".lst")
"""How the names of lists without a header end."""
Rows = Callable[[Sequence[str]], Iterator[tuple[object, ...]]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table on disk, which is read anew whenever rows are asked for."""

    name: str
    """The file, for messages."""
    folder: AnyPath
    """In which it lies."""
    columns: tuple[str, ...]
    rows: Rows
    """Yields the values of some columns, row by row."""

    def __str__(self) -> str:
        return self.name

    @property
    def path_column(self) -> str:
        """The column of the paths.

        Raises:
            SettingsError: there is none.
        """
        found = next((name for name in PATH_COLUMNS if name in self.columns), None)
        if found is None:
            raise SettingsError(
                f"{self}: has no column 'path'; it has {', '.join(self.columns) or 'none'}; the header should be such "
                "as path,label or path,label,group"
            )
        return found


def listed_rows(table: Table, columns: Columns) -> Iterator[tuple[int, str, Said]]:
    """Yields the number of each row, from 1, the path in it, and what it says.

    Raises:
        SettingsError: a row has no path.
    """
    names = [name for name in columns if name is not None]
    at = [None if name is None else names.index(name) + 1 for name in columns]
    for number, row in enumerate(table.rows([table.path_column, *names]), start=1):
        path = row[0]
        if not isinstance(path, str) or not path:
            raise SettingsError(f"{table}: row {number}: has no path in {table.path_column!r}")
        yield number, path, Said(*(None if i is None else row[i] for i in at))


def read_table(path: AnyPath, option: str = "") -> Table:
    """Reads the columns of a table.

    Args:
        path: CSV or TSV in UTF-8 with a header, its fields divided by commas, or by tabs or semicolons where the header
            has some and no comma; Parquet; or, where it ends in `.txt`, one path a line.
        option: how messages call it, such as `--labels`.

    Raises:
        SettingsError: it cannot be read. So do its rows, where one has another number of fields than the header.
    """
    name = f"{option} {path}".strip()
    with _opened(path, name) as (stream, file):
        if stream.peek(4)[:4] == PARQUET:
            return _parquet_table(path)
        if path.name.lower().endswith(LINES):
            return Table(str(path), folder_of(path), (PATH_COLUMNS[0],), lambda _: _lines(path, name))
        first = file.readline()
        if "\0" in first:
            raise SettingsError(f"{name}: is no table of text, nor images or an archive of a kind that is read")
        by = "," if "," in first else next((sign for sign in "\t;" if sign in first), ",")
        file.seek(0)
        columns = tuple(next(_fields(file, by), []))
    return Table(str(path), folder_of(path), columns, lambda wanted: _csv_rows(path, name, by, columns, wanted))


def folder_of(path: AnyPath) -> AnyPath:
    """The folder in which a file lies."""
    return path.parent


def _parquet_table(path: AnyPath) -> Table:
    rows = ParquetRows(path)

    def values(wanted: Sequence[str]) -> Iterator[tuple[object, ...]]:
        read = rows.column(list(dict.fromkeys(wanted)))
        yield from zip(*(read[name].to_pylist() for name in wanted), strict=True)

    return Table(str(path), folder_of(path), tuple(rows.schema.names), values)


def _lines(path: AnyPath, name: str) -> Iterator[tuple[object, ...]]:
    with _opened(path, name) as (_, file):
        yield from ((line.rstrip("\r\n"),) for line in file if line.strip())


def _csv_rows(
    path: AnyPath, name: str, by: str, columns: tuple[str, ...], wanted: Sequence[str]
) -> Iterator[tuple[object, ...]]:
    places = [columns.index(one) for one in wanted]
    with _opened(path, name) as (_, file):
        lines = (line for line in _fields(file, by) if line)
        next(lines, None)
        for number, line in enumerate(lines, start=1):
            if len(line) != len(columns):
                raise SettingsError(f"{path}: row {number}: has another number of fields than the header")
            yield tuple(line[i] for i in places)


def _fields(file: TextIOWrapper, by: str) -> Iterator[list[str]]:
    return csv.reader(file, delimiter=by, skipinitialspace=True)


@contextmanager
def _opened(path: AnyPath, name: str) -> Iterator[tuple[BufferedReader, TextIOWrapper]]:
    """The file as bytes and as text; whoever reads it may find that it is not as it should be."""
    try:
        with opened(path) as stream:
            assert isinstance(stream, BufferedReader)
            yield stream, TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    except FileNotFoundError:
        raise SettingsError(f"{name}: no such file") from None
    except UnicodeDecodeError as e:
        raise SettingsError(f"{name}: is not UTF-8; save it as CSV in UTF-8 ({e})") from e
    except (OSError, csv.Error) as e:
        raise SettingsError(f"{name}: cannot be read: {e}") from e
