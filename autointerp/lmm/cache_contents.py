"""What a file of answers holds, row by row: its kind, size and age, whether it is sound; and how rows are removed."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from autointerp.lmm.cache import ANSWERS, CacheError
from autointerp.lmm.cache_salvage import DATABASE, FAULTS, digest_of

ANSWER, EMBEDDING, ENCODED, OUTCOME, REPLY, ENDPOINT, OTHER = (
    "answers",
    "embeddings",
    "encodings",
    "outcomes",
    "batch replies",
    "endpoints",
    "other rows",
)
_PREFIXES = {"encoded:": ENCODED, "outcome:": OUTCOME, "completion:": REPLY, "dialect:": ENDPOINT, "address:": ENDPOINT}
_OVERHEAD = 120
"""Bytes that a row takes besides its key and value, in the table and its index."""
_ROWS = "SELECT rowid, key, tag, store_time, value, raw, filename FROM Cache ORDER BY rowid"
_REMOVED = "DELETE FROM Cache WHERE rowid = ?"
_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Stored:
    """A row of the file of answers."""

    row: int
    key: str
    kind: str
    size: int
    """Bytes, as far as they can be told of one row."""
    time: float
    """When it was written, seconds since 1970."""
    model: str
    """Who answered; empty where the row names nobody."""
    answers: tuple[str, ...]
    """Of an outcome, the keys of the answers that it follows from."""
    sound: bool
    """Whether its digest, if it has one, and its form are right."""


def stored_rows(folder: Path) -> Iterator[Stored]:
    """Yields all rows of a cache folder's answers, in the order in which they were written.

    Raises:
        CacheError: the file cannot be read to its end.
    """
    file = folder / ANSWERS / DATABASE
    if not file.is_file():
        return
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", timeout=_WAIT, uri=True)) as opened:
            opened.text_factory = lambda raw: raw.decode("utf-8", "replace")
            for row, key, tag, time, value, raw, filename in opened.execute(_ROWS):
                yield _stored(row, key, tag, time, value, whole=raw == 1 and filename is None)
    except FAULTS as e:
        raise CacheError(f"{file}: cannot be read to its end ({e}); the next command that asks a model mends it") from e


def remove_rows(folder: Path, rows: Sequence[int]) -> None:
    """Removes rows, and gives their room back to the disk.

    Args:
        folder: of the cache, which no other process has open.
        rows: their numbers.

    Raises:
        CacheError: the file cannot be written.
    """
    file = folder / ANSWERS / DATABASE
    if not rows:
        return
    try:
        with closing(sqlite3.connect(file, timeout=_WAIT)) as opened:
            with opened:
                opened.executemany(_REMOVED, ((row,) for row in rows))
            opened.execute("VACUUM")
    except FAULTS as e:
        raise CacheError(f"{file}: rows cannot be removed ({e}); free space, or wait for who has it open") from e


def kind_of(key: str, value: dict[str, object] | None) -> str:
    """Says what a row is by its key, and an answer by its value, since those of an embedder have keys like any."""
    known = next((kind for prefix, kind in _PREFIXES.items() if key.startswith(prefix)), None)
    if known is not None:
        return known
    if len(key) != 64 or value is None:
        return OTHER
    return EMBEDDING if str(value.get("text", "")).startswith('{"vector"') else ANSWER


def _stored(row: int, key: object, tag: object, time: object, value: object, *, whole: bool) -> Stored:
    name = key if isinstance(key, str) else ""
    raw = value if isinstance(value, bytes) else b""
    read = _read(raw)
    stated = tag is None or tag == digest_of(name, raw)
    content = read or {}
    return Stored(
        row=row,
        key=name,
        kind=kind_of(name, read),
        size=len(name) + len(raw) + _OVERHEAD,
        time=float(time) if isinstance(time, float | int) else 0.0,
        model=str(content.get("model", "")),
        answers=_answers(content),
        sound=whole and bool(name) and read is not None and stated,
    )


def _read(raw: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _answers(value: dict[str, object]) -> tuple[str, ...]:
    stated = value.get("answers")
    found = _read(stated.encode()) if isinstance(stated, str) else None
    return tuple(found or ())
