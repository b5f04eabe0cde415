"""Reads other methods' descriptions of features: the CSV files of CLIP-Dissect, MILAN and INVERT, and a plain one."""

import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autointerp.errors import SettingsError, one_line
from autointerp.runs.index import Ints

DELIMITERS = (",", ";", "\t")
N_NAMED = 8
"""Layers or columns that a message lists."""
_ID = re.compile(r"([0-9]{1,18})(?:\.0*)?")


@dataclass(frozen=True, slots=True)
class Kind:
    """A method's file as its header shows it."""

    method: str
    feature: str
    """Column that numbers the feature."""
    text: str
    also: str | None = None
    """A further column that tells this method from another."""


KINDS = (
    Kind("clip-dissect", "unit", "description", "similarity"),
    Kind("milan", "unit", "description"),
    Kind("invert", "neuron", "concept"),
    Kind("descriptions", "feature", "text"),
    Kind("descriptions", "feature", "explanation"),
    Kind("descriptions", "feature", "description"),
)
"""The first one whose columns are all there holds: Oikarinen & Weng 2023; Hernandez et al. 2022; Bykov et al. 2023."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a method says of one feature."""

    feature: int
    text: str
    """As it stands in the file, without white space around it; never empty."""
    line: int
    """Of the file, counted from 1, where the row begins."""


@dataclass(frozen=True, slots=True)
class Table:
    """How to read one file."""

    path: Path
    kind: Kind
    delimiter: str
    header: tuple[str, ...]
    """Names in lower case."""

    @property
    def layered(self) -> bool:
        """Whether rows name a layer."""
        return "layer" in self.header

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """First line and fields of each row below the header, empty lines left out.

        Raises:
            SettingsError: a row has not as many fields as the header, or the file is not UTF-8 or not CSV.
        """
        reader = _records(self.path, self.delimiter)
        next(reader)
        for line, fields in reader:
            if len(fields) != len(self.header):
                raise SettingsError(
                    f"{self.path}:{line}: {len(fields)} fields where the header has {len(self.header)}; "
                    "put a text that holds the delimiter in double quotes"
                )
            yield line, fields


@dataclass(frozen=True, slots=True)
class Foreign:
    """A checked file of descriptions, of which one layer is read."""

    table: Table
    layer: str | None
    """None where the file has no layers."""
    digest: str
    """SHA-256 of the file, hex."""
    features: Ints
    """Those described, ascending."""
    empty: int
    """Rows of the layer without a description."""

    @property
    def method(self) -> str:
        """`clip-dissect`, `milan`, `invert` or `descriptions`."""
        return self.table.kind.method

    @property
    def name(self) -> str:
        """Method, layer and file, as it stands for the explainer: `clip-dissect layer4 (resnet50.csv)`."""
        return " ".join(one_line(p) for p in (self.method, self.layer, f"({self.table.path.name})") if p)

    def descriptions(self) -> Iterator[Description]:
        """In the order of the file, read anew."""
        for line, unit, text in _of_layer(self.table, self.layer):
            if text:
                yield Description(_number(self.table, line, unit), text, line)


def open_foreign(path: Path, *, layer: str | None, n_latents: int) -> Foreign:
    """Recognises a file by its header and checks every row of the layer.

    The header's case does not matter, nor the order of the columns or further ones; fields are separated by commas,
    semicolons or tabs.

    Args:
        path: the file, UTF-8 with or without a byte order mark.
        layer: which layer, if the file has several.
        n_latents: size of the dump's dictionary; features are 0 to n_latents - 1.

    Raises:
        SettingsError: the file cannot be read or used; names the line and the remedy.
    """
    table = _open(path)
    layer = _pick(table, layer)
    line_of = np.zeros(n_latents, np.int64)
    empty = 0
    for line, unit, text in _of_layer(table, layer):
        feature = _number(table, line, unit)
        if feature >= n_latents:
            raise SettingsError(
                f"{path}:{line}: {table.kind.feature} {feature} does not exist: this dump has 0 to {n_latents - 1}; "
                "give the dump that the descriptions are of, or the right --layer"
            )
        if not text:
            empty += 1
            continue
        if line_of[feature]:
            raise SettingsError(
                f"{path}:{line}: {table.kind.feature} {feature} is described in line {line_of[feature]} already; "
                "delete one of the two rows"
            )
        line_of[feature] = line
    features = np.flatnonzero(line_of)
    if not len(features):
        raise SettingsError(f"{path}: no feature is described; give a file with a row for each")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Foreign(table, layer, digest, features, empty)


def _open(path: Path) -> Table:
    found: list[str] = []
    for delimiter in DELIMITERS:
        first = next(_records(path, delimiter, strict=False), (1, []))
        header = [name.strip().lower() for name in first[1]]
        for kind in KINDS:
            if {kind.feature, kind.text, *filter(None, [kind.also])} <= set(header):
                return Table(path, kind, delimiter, tuple(header))
        found = max(found, header, key=len)
    if not found:
        raise SettingsError(f"{path}: is empty; its first line must name the columns")
    raise SettingsError(
        f"{path}: the columns {_some(found)} are of no known kind; name them layer,unit,description(,similarity), "
        "neuron,concept or feature,text"
    )


def _pick(table: Table, asked: str | None) -> str | None:
    if not table.layered:
        if asked is not None:
            raise SettingsError(f"--layer {asked}: {table.path} has no column layer; leave the option out")
        return None
    at = table.header.index("layer")
    there = list(dict.fromkeys(fields[at].strip() for _, fields in table.rows()))
    if asked is not None and asked not in there:
        raise SettingsError(f"--layer {asked}: {table.path} has the layers {_some(there)}")
    if asked is None and len(there) > 1:
        raise SettingsError(f"{table.path}: has the layers {_some(there)}; choose the dump's with --layer")
    return asked if asked is not None else next(iter(there), None)


def _of_layer(table: Table, layer: str | None) -> Iterator[tuple[int, str, str]]:
    """Line, number and text of each row of the layer."""
    unit, text = table.header.index(table.kind.feature), table.header.index(table.kind.text)
    at = table.header.index("layer") if table.layered else None
    for line, fields in table.rows():
        if at is None or fields[at].strip() == layer:
            said = fields[text].strip()
            yield line, fields[unit].strip(), said if one_line(said) else ""


def _number(table: Table, line: int, unit: str) -> int:
    match = _ID.fullmatch(unit)
    if match is None:
        raise SettingsError(
            f"{table.path}:{line}: {table.kind.feature} {one_line(unit)!r} is not a number from 0; "
            "give the feature's index in the dictionary"
        )
    return int(match[1])


def _records(path: Path, delimiter: str, *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """First line and fields of each row that is not empty, the header included."""
    line = 1
    try:
        # utf-8-sig takes off the byte order mark that spreadsheets write.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=strict)
            for fields in reader:
                if any(fields):
                    yield line, fields
                line = reader.line_num + 1
    except UnicodeDecodeError as e:
        raise SettingsError(f"{path}: is not UTF-8 text; save it as CSV in UTF-8") from e
    except csv.Error as e:
        raise SettingsError(f"{path}:{line}: not CSV ({e}); a quote may be left open here") from e
    except OSError as e:
        raise SettingsError(f"{path}: cannot be read ({e.strerror}); name a CSV file of descriptions") from e


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(one_line(name) or "(none)" for name in names[:N_NAMED])
    return f"{shown} and {len(names) - N_NAMED} more" if len(names) > N_NAMED else shown
