"""Reads what one folder of images says of its feature: `activations.csv`, `metadata.txt`, or the order of its files."""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autointerp.errors import DumpError
from autointerp.images.formats import why_no_image
from autointerp.schema import SILENT_STRATA, STRATA

CSV_FILE = "activations.csv"
METADATA_FILE = "metadata.txt"

_LINE = re.compile(r"\s*\d+\s*\.\s*(?P<value>[-+]?[\w.]+(?:[eE][-+]?\d+)?)\s+-\s+(?P<name>.+?)\s*")
_COLUMNS = ("image", "file", "activation", "stratum", "probability")


JUNK = frozenset({"__macosx", "@eadir", "thumbs", "$recycle.bin", "system volume information"})
"""Folders that operating systems and file servers leave, in lower case; and all whose names begin with a dot."""


def is_junk(folder: Path) -> bool:
    """Whether an operating system left a folder, which holds no images of anybody's."""
    return folder.name.startswith(".") or folder.name.lower() in JUNK


@dataclass(frozen=True, slots=True)
class Listed:
    """One image of a feature's folder."""

    file: Path
    activation: float
    """Above 0, unless the stratum is silent."""
    stratum: str
    probability: float


@dataclass(frozen=True, slots=True)
class Listing:
    """What a feature's folder says."""

    images: tuple[Listed, ...]
    known: bool
    """Whether their activations are known; else only their order is."""
    others: tuple[tuple[str, Path], ...]
    """Files that are no images: why, and which."""


class _Files:
    """The files of a folder and of those in it, found by the names that listings use."""

    def __init__(self, folder: Path) -> None:
        found: dict[str, tuple[Path, str | None]] = {}
        for file in _below(folder):
            name = file.relative_to(folder).as_posix()
            if name not in (CSV_FILE, METADATA_FILE):
                found[name] = file, why_no_image(file)
        self.images = {name: f for name, (f, why) in found.items() if why is None}
        self.others = tuple((why, f) for f, why in found.values() if why is not None)
        self._no_images = {name for name, (_, why) in found.items() if why is not None}

    def find(self, name: str, where: str) -> Path | None:
        """The image of this name: as it is, with `/` written as `_`, or its last part; None if that is no image."""
        plain = name.replace("\\", "/")
        for candidate in (name, plain, plain.replace("/", "_"), plain.rpartition("/")[2]):
            if candidate in self.images:
                return self.images[candidate]
            if candidate in self._no_images:
                return None
        raise DumpError(f"{where}: there is no image {name!r} in this folder (tried `_` for `/`, and its last part)")


def _below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The files of a folder and of those in it, ordered; links are followed, except to folders that hold this one."""
    above |= {(here := folder.resolve()), *here.parents}
    try:
        there = sorted(folder.iterdir())
    except OSError as error:
        raise DumpError(f"{folder}: cannot be listed: {error.strerror}") from error
    for path in there:
        if path.is_dir() and not is_junk(path) and path.resolve() not in above:
            yield from _below(path, above)
        else:
            yield path


def read_listing(folder: Path) -> Listing:
    """The images of one feature.

    Where neither file is there, the order of the names (numbers in them by value) is taken as the rank, and the
    activations n, n - 1, …, 1 mean nothing but that. A line that names a file which is no image is passed over.

    Raises:
        DumpError: a line cannot be read, names no file of the folder, or leaves out an image.
    """
    files = _Files(folder)
    if (folder / CSV_FILE).exists():
        listed = list(_from_csv(folder / CSV_FILE, files))
        source = CSV_FILE
    elif (folder / METADATA_FILE).exists():
        listed = list(_from_metadata(folder / METADATA_FILE, files))
        source = METADATA_FILE
    else:
        ordered = sorted(files.images, key=_natural)
        ranked = (Listed(files.images[n], float(len(ordered) - i), "top", 1.0) for i, n in enumerate(ordered))
        return Listing(tuple(ranked), False, files.others)
    forgotten = sorted(set(files.images.values()) - {entry.file for entry in listed})
    if forgotten:
        raise DumpError(f"{forgotten[0]}: is not named in {source}; add a line for it or remove the file")
    return Listing(tuple(listed), True, files.others)


def _from_metadata(path: Path, files: _Files) -> Iterator[Listed]:
    """Lines such as `1. 12.25 - n01440764/cat.JPEG`."""
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        match = _LINE.fullmatch(line)
        if match is None:
            raise DumpError(f"{where}: {line.strip()!r} is not of the form `rank. value - name`")
        activation = _active(_number(match["value"], where, "value"), where)
        if (file := files.find(match["name"], where)) is not None:
            yield Listed(file, activation, "top", 1.0)


def _from_csv(path: Path, files: _Files) -> Iterator[Listed]:
    reader = csv.reader(_lines(path), strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, where)
                continue
            if len(cells) != len(header):
                raise DumpError(f"{where}: has {len(cells)} cells; expected {len(header)} as in the header")
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
            activation, stratum, probability = _csv_row(row, where)
            if (file := files.find(row["file"], where)) is not None:
                yield Listed(file, activation, stratum, probability)
    except csv.Error as error:
        raise DumpError(f"{path}:{reader.line_num}: not CSV: {error}") from error


def _header(cells: Sequence[str], where: str) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    names = [name for name in header if name in ("image", "file")]
    if len(names) != 1 or "activation" not in header or len(set(header)) < len(header):
        wanted = "image (or file) and activation, and if you like stratum and probability"
        raise DumpError(f"{where}: the header is {','.join(cells)!r}; expected the columns {wanted}")
    unknown = [name for name in header if name not in _COLUMNS]
    if unknown:
        raise DumpError(f"{where}: unknown column {unknown[0]!r}; expected some of {', '.join(_COLUMNS)}")
    return ["file" if name == "image" else name for name in header]


def _csv_row(row: dict[str, str], where: str) -> tuple[float, str, float]:
    """Reads activation, stratum and probability of a row."""
    stratum = row.get("stratum") or "top"
    if stratum not in STRATA:
        raise DumpError(f"{where}: stratum is {stratum!r}; expected top, q1 to q9, silent or guided")
    activation = _number(row["activation"], where, "activation")
    if stratum not in SILENT_STRATA:
        activation = _active(activation, where)
    elif activation > 0:
        raise DumpError(f"{where}: activation is {activation} and stratum {stratum}; expected 0 or less")
    stated = row.get("probability")
    if not stated and stratum != "top":
        raise DumpError(f"{where}: there is no probability; a row of stratum {stratum} needs one")
    probability = _number(stated, where, "probability") if stated else 1.0
    if not 0 < probability <= 1 or (stratum == "top" and probability != 1):
        raise DumpError(f"{where}: probability is {probability}; expected more than 0, at most 1, and 1 for top")
    return activation, stratum, probability


def _lines(path: Path) -> list[str]:
    try:
        # Spreadsheets put a byte order mark at the start.
        return path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise DumpError(f"{path}: cannot be read: {error}; expected UTF-8 text") from error


def _number(text: str, where: str, field: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise DumpError(f"{where}: {field} is {text!r}; expected a number") from None
    if not math.isfinite(value):
        raise DumpError(f"{where}: {field} is {text!r}; expected a finite number")
    return value


def _active(value: float, where: str) -> float:
    if value <= 0:
        raise DumpError(f"{where}: activation is {value}; expected more than 0 for an image that fires the feature")
    return value


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """So that `2.png` comes before `10.png`."""
    pieces = (piece for piece in re.split(r"(\d+)", name) if piece)
    return tuple((0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces)
