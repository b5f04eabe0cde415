"""Reads files of other methods' descriptions into rows: CSV, JSON lines and JSON, also packed by gzip, and folders.

What a file is follows from its content. What is read of it is bounded, unpacked too.
"""

import csv
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from autointerp.errors import SettingsError, one_line
from autointerp.reading import in_short, read_json
from autointerp.runs.description_kinds import MULTIMODAL_SAE, PLAIN, VISION_INTERP, Kind, kind_of, named_feature

DELIMITERS = (",", ";", "\t")
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".gz")
"""Of the files that are read of a folder."""
N_NAMED = 8
"""Layers or columns that a message lists."""
MOST_BYTES = 1 << 28
"""Of a file, unpacked."""
MOST_LINE = 1 << 20
"""Characters of a line."""
MOST_ROWS = 2_000_000
MOST_LINES = 4 * MOST_ROWS
"""A text may take several, and some may be empty."""
_WANTED = (
    "name them layer,unit,description(,similarity), neuron,concept or feature,text, or give the file of another tool "
    "as it is (docs/bring-your-own.md)"
)
_LATENT = re.compile(r"latent_([0-9]{1,18})")


class Row(NamedTuple):
    """A description as it stands in a file, as yet unchecked."""

    file: Path
    number: int
    """Of the line where it begins, or of the entry in a list, counted from 1; 0 where a file holds one alone."""
    is_line: bool
    source: tuple[str, ...]
    """What it is of, from the model to the layer."""
    by: tuple[str, ...]
    """Who wrote it."""
    feature: object
    text: object

    @property
    def place(self) -> str:
        """Where in its file it stands."""
        return f"line {self.number}" if self.is_line else f"entry {self.number}"

    @property
    def where(self) -> str:
        """The file and where in it, as a message begins."""
        if not self.number:
            return str(self.file)
        return f"{self.file}:{self.number}" if self.is_line else f"{self.file}: {self.place}"


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of one kind."""

    kind: Kind
    rows: Sequence[Row]
    further: int = 0
    """Texts beyond the first of a feature, which the method itself does not use."""


def read_table(path: Path) -> tuple[Table, list[Path]]:
    """The rows of a file or a folder, and the files that were read.

    Raises:
        SettingsError: a file cannot be read, or is of no known kind; names it, and the line or the entry.
    """
    if not path.is_dir():
        return _of_file(path), [path]
    if latents := _latents(path):
        return _of_latents(latents), [file for _, _, file in latents]
    files = _files(path) or _files(path / "explanations")
    if not files:
        raise SettingsError(f"{path}: has no {', '.join(SUFFIXES)} and no latent_N/explanations; name a file")
    tables = [_of_file(file) for file in files]
    odd = next((n for n, table in enumerate(tables) if table.kind != tables[0].kind), None)
    if odd is not None:
        methods = f"{files[0].name} is of {tables[0].kind.method} and {files[odd].name} of {tables[odd].kind.method}"
        raise SettingsError(f"{path}: {methods}; name one of the files")
    return Table(tables[0].kind, [row for table in tables for row in table.rows]), files


def some(names: Sequence[str]) -> str:
    """The first names, for a message."""
    shown = ", ".join(one_line(name)[:80] or "(none)" for name in names[:N_NAMED])
    return f"{shown} and {len(names) - N_NAMED} more" if len(names) > N_NAMED else shown


def _files(folder: Path) -> list[Path]:
    """The files of a folder that may hold descriptions, `batch-2` before `batch-10`."""
    if not folder.is_dir():
        return []
    found = [f for f in folder.iterdir() if f.suffix in SUFFIXES and f.is_file() and not f.name.startswith(".")]
    return sorted(found, key=lambda f: [(not d, int(d or 0), t) for d, t in re.findall(r"(\d+)|(\D+)", f.name)])


def _of_file(path: Path) -> Table:
    """The rows of a file, which its first character that is no white space tells."""
    lines = ((number, line) for number, line in enumerate(_lines(path), 1) if line.strip())
    first = next(lines, (1, ""))
    match first[1].lstrip()[:1]:
        case "{":
            return _of_objects(path, first, lines)
        case "[":
            return _of_document(path)
        case _:
            return _of_csv(path)


def _of_objects(path: Path, first: tuple[int, str], rest: Iterable[tuple[int, str]]) -> Table:
    """Of JSON lines, or of one object."""
    try:
        fields = _lowered(read_json(first[1]))
    except ValueError:
        return _of_document(path)  # begun in this line; what is wrong with it will be said there
    rest = iter(rest)
    second = next(rest, None)
    if second is None and kind_of(fields) is None:
        return _of_document(path)
    lines = itertools.chain([first], [] if second is None else [second], rest)
    objects = ((number, _parsed(f"{path}:{number}", line)) for number, line in lines)
    return _of_fields(path, objects, is_line=True)


def _parsed(where: str, text: str) -> object:
    try:
        return read_json(text)
    except ValueError as e:
        raise SettingsError(f"{where}: is not JSON ({_reason(e)}); mend or delete it") from e


def _reason(error: Exception) -> str:
    return one_line(str(error))[:200]


def _of_document(path: Path) -> Table:
    """Of one JSON value: a list of objects, alone or as `explanations`, or texts by the name of their feature."""
    value = _parsed(str(path), "".join(_lines(path)))
    if isinstance(value, dict) and isinstance(value.get("explanations"), list):
        value = value["explanations"]
    if isinstance(value, dict) and "explanation" in value:
        raise SettingsError(f"{path}: is of one feature; name the folder that holds latent_0, latent_1 and so on")
    if isinstance(value, dict):
        return _of_names(path, PLAIN, enumerate(value.items(), 1))
    if not isinstance(value, list) or not value:
        raise SettingsError(f"{path}: is {in_short(value)}, no list of descriptions")
    if isinstance(value[0], dict) and any(named_feature(name) for name in value[0]):
        return _of_names(path, MULTIMODAL_SAE, _single(path, value))
    return _of_fields(path, enumerate(value, 1), is_line=False)


def _single(path: Path, entries: Sequence[object]) -> Iterator[tuple[int, tuple[str, object]]]:
    """The fields of the objects in a list that name a feature; a `prompt` may stand beside them."""
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            raise SettingsError(f"{path}: entry {number}: is {in_short(entry)}, no object")
        yield from ((number, item) for item in entry.items() if item[0] != "prompt")


def _of_names(path: Path, kind: Kind, items: Iterable[tuple[int, tuple[str, object]]]) -> Table:
    """Of texts by the name of their feature."""
    rows: list[Row] = []
    for number, (name, text) in items:
        found = named_feature(name)
        if found is None:
            raise SettingsError(
                f"{path}: entry {number}: {in_short(one_line(name))} names no feature; write it as HOOK_feature7 or 7"
            )
        source = (found[0],) if found[0] else ()
        rows.append(Row(path, number, False, source, (), found[1], text))
    return Table(kind, _few(path, rows))


def _of_fields(path: Path, objects: Iterable[tuple[int, object]], *, is_line: bool) -> Table:
    """Of objects, of which the first tells the kind."""
    rows: list[Row] = []
    kind: Kind | None = None
    for number, value in objects:
        where = f"{path}:{number}" if is_line else f"{path}: entry {number}"
        try:
            fields = _lowered(value)
        except ValueError as e:
            raise SettingsError(f"{where}: {e}; give one for each feature") from e
        kind = kind or kind_of(fields)
        if kind is None:
            raise SettingsError(f"{where}: the fields {some([*fields])} are of no known kind; {_WANTED}")
        rows.append(_row(kind, where, fields, (path, number, is_line)))
        if len(rows) > MOST_ROWS:
            break
    assert kind is not None
    rows = _few(path, rows)
    return Table(kind, _latest(rows) if kind.is_history else rows)


def _latest(rows: Sequence[Row]) -> list[Row]:
    """Of each person the last row on each feature, as far as it has a text."""
    last = {(row.by, str(row.feature)): row for row in rows}
    return [row for row in last.values() if row.text is not None]


def _row(kind: Kind, where: str, fields: Mapping[str, object], at: tuple[Path, int, bool]) -> Row:
    if lacking := [name for name in (kind.feature, kind.text) if name not in fields]:
        raise SettingsError(f"{where}: has no {lacking[0]}; delete it, or give a file of {kind.method} as it is")
    source, by = (tuple(_label(where, n, fields[n]) for n in names if n in fields) for names in (kind.source, kind.by))
    return Row(*at, source, by, fields[kind.feature], fields[kind.text])


def _label(where: str, name: str, value: object) -> str:
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return "" if value is None else str(value)
    raise SettingsError(f"{where}: {name} is {in_short(value)}; expected a text")


def _lowered(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"is {in_short(value)}, no object")
    return {name.lower(): field for name, field in value.items()}


def _few(path: Path, rows: list[Row]) -> list[Row]:
    if len(rows) > MOST_ROWS:
        raise SettingsError(f"{path}: has more than {MOST_ROWS:,} rows; give those of the dump's layer alone")
    return rows


def _latents(folder: Path) -> list[tuple[tuple[str, ...], str, Path]]:
    """Method, number and file of each feature of vision-interp, in the folder itself or in those of several methods."""
    found: list[tuple[tuple[str, ...], str, Path]] = []
    methods = [p for p in folder.iterdir() if p.is_dir() and not _LATENT.fullmatch(p.name)]
    for source, place in [((), folder), *(((m.name,), m) for m in sorted(methods))]:
        numbers = {int(m[1]): p for p in place.iterdir() if (m := _LATENT.fullmatch(p.name)) and p.is_dir()}
        files = [(str(n), numbers[n] / "explanations" / "explanation.json") for n in sorted(numbers)]
        found += [(source, number, file) for number, file in files if file.exists()]
    return found


def _of_latents(latents: Sequence[tuple[tuple[str, ...], str, Path]]) -> Table:
    """Of each feature's own file; of several texts the first counts, as it does for the method itself."""
    rows: list[Row] = []
    further = 0
    for source, number, file in latents:
        value = _parsed(str(file), "".join(_lines(file)))
        if not isinstance(value, dict) or "explanation" not in value:
            raise SettingsError(f"{file}: has no explanation; delete it, or explain the feature anew")
        named = value.get("feature_name", number)
        if str(named) not in (number, f"latent_{number}"):
            raise SettingsError(f"{file}: is of feature {in_short(named)}, and its folder of {number}; move it there")
        texts = value["explanation"]
        if isinstance(texts, list):
            further += max(0, len(texts) - 1)
            texts = texts[0] if texts else None
        rows.append(Row(file, 0, False, source, (), number, texts))
    return Table(VISION_INTERP, rows, further)


def _of_csv(path: Path) -> Table:
    """Of a table with a header, in any case; its fields are separated by commas, semicolons or tabs."""
    kind, delimiter, header = _header(path)
    rows: list[Row] = []
    for line, fields in itertools.islice(_records(path, delimiter), 1, None):
        if len(fields) != len(header):
            raise SettingsError(
                f"{path}:{line}: {len(fields)} fields where the header has {len(header)}; "
                "put a text that holds the delimiter in double quotes"
            )
        # Of two columns of one name the first counts.
        named = {name: field.strip() for name, field in zip(reversed(header), reversed(fields), strict=True)}
        rows.append(_row(kind, f"{path}:{line}", named, (path, line, True)))
        if len(rows) > MOST_ROWS:
            break
    return Table(kind, _few(path, rows))


def _header(path: Path) -> tuple[Kind, str, list[str]]:
    """The kind of a table, what separates its fields, and its header in lower case."""
    found: list[str] = []
    for delimiter in DELIMITERS:
        first = next(_records(path, delimiter, strict=False), (1, []))
        header = [name.strip().lower() for name in first[1]]
        if (kind := kind_of(header)) is not None:
            return kind, delimiter, header
        found = max(found, header, key=len)
    if not found:
        raise SettingsError(f"{path}: is empty; its first line must name the columns")
    raise SettingsError(f"{path}: the columns {some(found)} are of no known kind; {_WANTED}")


def _records(path: Path, delimiter: str, *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """First line and fields of each row that is not empty, the header included."""
    line = 1
    try:
        reader = csv.reader(_lines(path), delimiter=delimiter, strict=strict)
        for fields in reader:
            if any(fields):
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as e:
        raise SettingsError(f"{path}:{line}: not CSV ({e}); a quote may be left open here") from e


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file, unpacked where it is packed."""
    with _told(path), ExitStack() as held:
        raw = held.enter_context(path.open("rb"))
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        unpacked = held.enter_context(gzip.GzipFile(fileobj=raw)) if packed else raw
        # utf-8-sig takes off the byte order mark that spreadsheets write.
        text = io.TextIOWrapper(io.BufferedReader(_Bounded(unpacked, path)), encoding="utf-8-sig", newline="")
        for number in itertools.count(1):
            if number > MOST_LINES:
                raise SettingsError(f"{path}: has more than {MOST_LINES:,} lines; give those of the dump's layer alone")
            line = text.readline(MOST_LINE)
            if len(line) == MOST_LINE:
                raise SettingsError(f"{path}:{number}: has {MOST_LINE:,} characters or more; shorten it")
            if not line:
                return
            yield line


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Says in one line why a file cannot be read."""
    try:
        yield
    except UnicodeDecodeError as e:
        raise SettingsError(f"{path}: is not UTF-8 text; save it in UTF-8") from e
    except (gzip.BadGzipFile, EOFError, zlib.error) as e:
        raise SettingsError(f"{path}: cannot be unpacked ({_reason(e)}); fetch it again") from e
    except OSError as e:
        raise SettingsError(f"{path}: cannot be read ({e.strerror}); name a file of descriptions") from e


class _Bounded(io.RawIOBase):
    """The bytes of a file, which end in an error where there are too many."""

    def __init__(self, file: BinaryIO | gzip.GzipFile, path: Path) -> None:
        self._file, self._path, self._left = file, path, MOST_BYTES

    def readable(self) -> bool:
        """Says yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Reads into the buffer; returns how many bytes."""
        part = self._file.read(len(buffer))
        self._left -= len(part)
        if self._left < 0:
            raise SettingsError(
                f"{self._path}: has more than {MOST_BYTES >> 20} MiB unpacked; give a file of this dump's layer alone"
            )
        buffer[: len(part)] = part
        return len(part)
