"""Reads other methods' descriptions of features: the CSV files of CLIP-Dissect, MILAN and INVERT, and a plain one."""

import csv
import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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


class Description(NamedTuple):
    """What a method says of one feature."""

    feature: int
    text: str
    """As it stands in the file, without white space around it; never empty."""
    line: int
    """Of the file, counted from 1, where the row begins."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A checked file of descriptions, of which one layer is read."""

    method: str
    """`clip-dissect`, `milan`, `invert` or `descriptions`."""
    name: str
    """Method, layer and file, as it stands for the explainer: `clip-dissect layer4 (resnet50.csv)`."""
    digest: str
    """SHA-256 of the file, hex."""
    descriptions: tuple[Description, ...]
    """In the order of the file, of each feature one."""
    empty: int
    """Rows of the layer without a description."""

    @property
    def features(self) -> Ints:
        """Those described, ascending."""
        return np.sort(np.array([d.feature for d in self.descriptions], np.int64))


def open_foreign(path: Path, *, layer: str | None, n_latents: int) -> Foreign:
    """Recognises a file by its header and reads the layer, each row of which it checks.

    The header's case does not matter, nor the order of the columns or further ones; fields are separated by commas,
    semicolons or tabs.

    Args:
        path: the file, UTF-8 with or without a byte order mark.
        layer: which layer, if the file has several.
        n_latents: size of the dump's dictionary; features are 0 to n_latents - 1.

    Raises:
        SettingsError: the file cannot be read or used; names the line and the remedy.
    """
    kind, delimiter, header = _header(path)
    rows = list(_rows(path, delimiter, header))
    layer = _picked(path, rows, layer, layered="layer" in header)
    found: dict[int, Description] = {}
    empty = 0
    for line, row in rows:
        if layer is not None and row["layer"] != layer:
            continue
        feature, text = _number(f"{path}:{line}: {kind.feature}", row[kind.feature], n_latents), row[kind.text]
        if not one_line(text):
            empty += 1
            continue
        if feature in found:
            raise SettingsError(
                f"{path}:{line}: {kind.feature} {feature} is described in line {found[feature].line} already; "
                "delete one of the two rows"
            )
        found[feature] = Description(feature, text, line)
    if not found:
        raise SettingsError(f"{path}: no feature is described; give a file with a row for each")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = " ".join(one_line(part) for part in (kind.method, layer, f"({path.name})") if part)
    return Foreign(kind.method, name, digest, tuple(found.values()), empty)


def _header(path: Path) -> tuple[Kind, str, list[str]]:
    """The kind of a file, what separates its fields, and its header in lower case."""
    found: list[str] = []
    for delimiter in DELIMITERS:
        first = next(_records(path, delimiter, strict=False), (1, []))
        header = [name.strip().lower() for name in first[1]]
        for kind in KINDS:
            if {kind.feature, kind.text, *filter(None, [kind.also])} <= set(header):
                return kind, delimiter, header
        found = max(found, header, key=len)
    if not found:
        raise SettingsError(f"{path}: is empty; its first line must name the columns")
    raise SettingsError(
        f"{path}: the columns {_some(found)} are of no known kind; name them layer,unit,description(,similarity), "
        "neuron,concept or feature,text"
    )


def _rows(path: Path, delimiter: str, header: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """First line and fields of each row below the header; of two columns of one name the first counts."""
    for line, fields in itertools.islice(_records(path, delimiter), 1, None):
        if len(fields) != len(header):
            raise SettingsError(
                f"{path}:{line}: {len(fields)} fields where the header has {len(header)}; "
                "put a text that holds the delimiter in double quotes"
            )
        yield line, {name: field.strip() for name, field in zip(reversed(header), reversed(fields), strict=True)}


def _picked(path: Path, rows: list[tuple[int, dict[str, str]]], asked: str | None, *, layered: bool) -> str | None:
    """The layer to read; None where the file has none."""
    if not layered and asked is not None:
        raise SettingsError(f"--layer {asked}: {path} has no column layer; leave the option out")
    there = list(dict.fromkeys(row["layer"] for _, row in rows)) if layered else []
    if asked is not None and asked not in there:
        raise SettingsError(f"--layer {asked}: {path} has the layers {_some(there)}")
    if asked is None and len(there) > 1:
        raise SettingsError(f"{path}: has the layers {_some(there)}; choose the dump's with --layer")
    return asked if asked is not None else next(iter(there), None)


def _number(where: str, unit: str, n_latents: int) -> int:
    match = _ID.fullmatch(unit)
    if match is None:
        raise SettingsError(
            f"{where} {one_line(unit)!r} is not a number from 0; give the feature's index in the dictionary"
        )
    if (feature := int(match[1])) >= n_latents:
        raise SettingsError(
            f"{where} {feature} does not exist: this dump has 0 to {n_latents - 1}; give the dump that the "
            "descriptions are of, or the right --layer"
        )
    return feature


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
