"""Reads other methods' descriptions of features: which of a file are meant, and whether each can be used."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autointerp.errors import SettingsError, one_line
from autointerp.reading import in_short
from autointerp.runs.description_files import Row, Table, read_table, some
from autointerp.runs.index import Ints

MOST_TEXT = 10_000
"""Characters of a description."""
_ID = re.compile(r"([0-9]{1,18})(?:\.0*)?")


class Description(NamedTuple):
    """What a method says of one feature."""

    feature: int
    text: str
    """As it stands in the file, without white space around it and what the method puts before every text."""
    line: int
    """Of the file, or entry of a list, counted from 1."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Checked descriptions, of one layer and one method."""

    method: str
    """As its `Kind` names it, `descriptions` where the method is not known."""
    name: str
    """Method, layer and file, as it stands for the explainer: `clip-dissect layer4 (resnet50.csv)`."""
    digest: str
    """SHA-256 of the file, hex; of a folder, over names and digests of what was read of it."""
    descriptions: tuple[Description, ...]
    """In the order of the file, of each feature one."""
    empty: int
    """Rows of the layer without a description."""
    further: int = 0
    """Texts beyond the first of a feature, which the method itself does not use."""

    @property
    def features(self) -> Ints:
        """The features that are described, ascending."""
        return np.sort(np.array([d.feature for d in self.descriptions], np.int64))


def open_foreign(path: Path, *, layer: str | None, n_latents: int) -> Foreign:
    """Recognises a file by its content and reads the layer, each row of which it checks.

    Args:
        path: the file, UTF-8, as it is or packed by gzip; or the folder of several.
        layer: which layer, model or explainer, if the file has several.
        n_latents: size of the dump's dictionary; features are 0 to n_latents - 1.

    Raises:
        SettingsError: the file cannot be read or used; names the row and the remedy.
    """
    table, files = read_table(path)
    rows = _told_apart(table.rows)
    source = _picked(path, rows, layer)
    found: dict[int, tuple[Row, str]] = {}
    empty = 0
    for row in rows:
        if row.source != source:
            continue
        feature, text = _number(row, table, n_latents), _text(row, table)
        if not text:
            empty += 1
            continue
        if feature in found:
            raise SettingsError(_twice(row, found[feature][0], table, feature))
        found[feature] = row, text
    if not found:
        raise SettingsError(f"{path}: no feature is described; give a file with a row for each")
    name = " ".join(filter(None, map(one_line, (table.kind.method, "/".join(source), f"({path.name})"))))
    described = tuple(Description(feature, text, row.number) for feature, (row, text) in found.items())
    return Foreign(table.kind.method, name, _digest(path, files), described, empty, table.further)


def _told_apart(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows, with who wrote each as part of its source where several described the same feature."""
    counts = Counter((row.source, str(row.feature)) for row in rows if row.by)
    if all(n == 1 for n in counts.values()):
        return rows
    return [row._replace(source=row.source + row.by) for row in rows]


def _picked(path: Path, rows: Sequence[Row], asked: str | None) -> tuple[str, ...]:
    """What to read of the sources that the rows have."""
    there = list(dict.fromkeys(row.source for row in rows))
    if asked is not None and not any(there):
        raise SettingsError(f"--layer {asked}: {path} has no column layer; leave the option out")
    names = dict(zip(there, _short(there), strict=True))
    if asked is None:
        if len(there) > 1:
            raise SettingsError(f"{path}: has the layers {some([*names.values()])}; choose the dump's with --layer")
        return there[0] if there else ()
    fitting = [s for s in there if asked in (*s, names[s], "/".join(s))]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise SettingsError(f"--layer {asked}: {path} has the layers {some([*names.values()])}")
    raise SettingsError(f"--layer {asked}: fits {some([names[s] for s in fitting])} of {path}; give one of these")


def _short(sources: Sequence[tuple[str, ...]]) -> list[str]:
    """The sources by what tells them apart; a single one whole."""
    differ = {n for source in sources for n, part in enumerate(source) if sources[0][n : n + 1] != (part,)}
    return ["/".join(p for n, p in enumerate(s) if n in differ or len(sources) == 1) for s in sources]


def _number(row: Row, table: Table, n_latents: int) -> int:
    unit = row.feature
    match = _ID.fullmatch(str(unit)) if isinstance(unit, str | int | float) else None
    if match is None:
        shown = repr(one_line(unit)[:80]) if isinstance(unit, str) else in_short(unit)
        raise SettingsError(
            f"{row.where}: {table.kind.feature} {shown} is not a number from 0; give the feature's index in the "
            "dictionary"
        )
    if (feature := int(match[1])) >= n_latents:
        raise SettingsError(
            f"{row.where}: {table.kind.feature} {feature} does not exist: this dump has 0 to {n_latents - 1}; give the "
            "dump that the descriptions are of, or the right --layer"
        )
    return feature


def _text(row: Row, table: Table) -> str:
    """The description; empty where there is none."""
    text = row.text
    if text is None:
        return ""
    where = f"{row.where}: {table.kind.text}"
    if not isinstance(text, str):
        raise SettingsError(f"{where} is {in_short(text)}, no text; mend or delete it")
    if len(text) > MOST_TEXT:
        raise SettingsError(f"{where} has {len(text):,} characters, and {MOST_TEXT:,} are the most; shorten it")
    if text.strip().lower() == "nan":
        raise SettingsError(f"{where} is {text.strip()!r}, which is no description; leave it empty or delete the row")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingsError(f"{where} holds half a character (a lone surrogate); mend or delete it") from None
    cleaned = table.kind.cleaned(text)
    return cleaned if one_line(cleaned) else ""


def _twice(row: Row, first: Row, table: Table, feature: int) -> str:
    before = first.place if first.file == row.file else first.where
    return f"{row.where}: {table.kind.feature} {feature} is described in {before} already; delete one of the two rows"


def _digest(path: Path, files: Sequence[Path]) -> str:
    """SHA-256 of a file, or of what was read of a folder."""
    digests: dict[str, str] = {}
    for file in files:
        with file.open("rb") as opened:
            digests[file.relative_to(path).as_posix()] = hashlib.file_digest(opened, "sha256").hexdigest()
    if files == [path]:
        return digests["."]
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in digests.items()).encode()).hexdigest()
