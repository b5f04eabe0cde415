"""What can still be read of a damaged file of answers, row by row, where SQLite itself refuses the whole."""

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import diskcache

DATABASE = diskcache.core.DBNAME
FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""What Python's module raises on a damaged file; the second where SQLite's own message quotes damaged names."""
_HEADER = 100
"""Bytes of the database header (https://www.sqlite.org/fileformat.html, section 1.3)."""
_LEAST = 64
"""Bytes that a row takes at least."""
_ROW = "SELECT rowid, key, tag, value FROM Cache NOT INDEXED WHERE raw = 1 AND filename IS NULL AND mode = ? AND rowid "
_ELSEWHERE = ("BUSY", "LOCKED", "FULL", "IOERR", "CANTOPEN", "NOMEM", "PERM", "AUTH", "CONSTRAINT_TRIGGER")
"""SQLite's words for a fault that is not one of the file's content."""
_KNOWN = {**diskcache.core.DEFAULT_SETTINGS, **diskcache.core.METADATA}


class Row(NamedTuple):
    """An answer as the file holds it."""

    key: str
    value: bytes


def digest_of(key: str, value: bytes) -> str:
    """What stands beside a value: 32 hex digits of the SHA-256 of key and value, so that no row poses as another."""
    return hashlib.sha256(key.encode() + b"\0" + value).hexdigest()[:32]


def is_damage(error: Exception) -> bool:
    """Whether an error says that the content of the file is damaged, rather than that it is locked or the disk full."""
    name = str(getattr(error, "sqlite_errorname", "") or "").removeprefix("SQLITE_")
    return not name.startswith(_ELSEWHERE)


def check_settings(folder: Path) -> None:
    """Makes sure that the settings in a file of answers are such as diskcache writes, which uses them unseen.

    Raises:
        sqlite3.DatabaseError: they are not, or they cannot be read.
    """
    file = folder / DATABASE
    if not file.exists():
        return
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        rows = connection.execute("SELECT key, value FROM Settings").fetchall() if "Settings" in names else []
    for key, value in rows:
        if key not in _KNOWN or isinstance(value, str) is not isinstance(_KNOWN[key], str):
            raise sqlite3.DatabaseError("a setting in it is none")


def first_page(folder: Path) -> bytes:
    """The first page of a file of answers that nobody has open, its header and schema."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        ((size,),) = connection.execute("PRAGMA page_size").fetchall()
    with (folder / DATABASE).open("rb") as file:
        return file.read(size)


def salvage(damaged: Path, sound: bytes) -> Iterator[Row]:
    """The rows of a damaged file that can be read and whose digest is right, or that have none; each key once.

    Args:
        damaged: the folder of the file, which is not changed.
        sound: the first page of a new file, which stands in for one that cannot be read.
    """
    seen: set[str] = set()
    for start in (b"", sound[:_HEADER], sound):
        # SQLite writes to a file when it opens it.
        with tempfile.TemporaryDirectory(prefix="answers.copy-", dir=damaged.parent) as place:
            for name in (DATABASE, f"{DATABASE}-wal"):
                if (damaged / name).exists():
                    shutil.copyfile(damaged / name, Path(place, name))
            copy = Path(place, DATABASE)
            if start:
                _graft(start, len(sound), copy)
            for row in _rows(copy):
                if row is None:
                    return
                if row.key not in seen:
                    seen.add(row.key)
                    yield row


def _graft(start: bytes, page: int, file: Path) -> None:
    """Puts the first bytes of a sound file in the place of the same bytes of a damaged one."""
    with file.open("r+b") as broken:
        pages = broken.seek(0, 2) // page
        # Pages in the file, and no list of free ones, which may be wrong.
        whole = start[:28] + pages.to_bytes(4, "big") + bytes(8) + start[40:]
        broken.seek(0)
        broken.write(whole)


def _rows(file: Path) -> Iterator[Row | None]:
    """Forwards as far as it goes, then backwards, then what lies between, one by one; None if nothing was amiss."""
    with closing(sqlite3.connect(file)) as connection, suppress(*FAULTS):
        connection.text_factory = bytes
        connection.execute(_ROW + "= ? LIMIT 0", (diskcache.core.MODE_RAW, 0))  # where not even this goes, nothing does
        read: list[int] = []
        with suppress(*FAULTS):
            yield from _sound_ones(_read(connection, "> ? ORDER BY rowid", 0), read)
            yield None
            return
        first, read = max(read, default=0), []
        with suppress(*FAULTS):
            yield from _sound_ones(_read(connection, "> ? ORDER BY rowid DESC", first), read)
        for rowid in range(first + 1, min([first + file.stat().st_size // _LEAST, *read])):
            with suppress(*FAULTS):
                yield from _sound_ones(_read(connection, "= ?", rowid), read)


def _sound_ones(rows: Iterator[tuple[int, Row | None]], read: list[int]) -> Iterator[Row]:
    for number, row in rows:
        read.append(number)
        if row is not None:
            yield row


def _read(connection: sqlite3.Connection, which: str, rowid: int) -> Iterator[tuple[int, Row | None]]:
    """Row numbers that can be read, each with its row where that is sound."""
    for number, key, tag, value in connection.execute(_ROW + which, (diskcache.core.MODE_RAW, rowid)):
        yield number, _sound(key, tag, value)


def _sound(key: object, tag: object, value: object) -> Row | None:
    if not isinstance(key, bytes) or not isinstance(value, bytes):
        return None
    name = key.decode("utf-8", "replace")
    # An earlier version wrote no digests.
    stated = tag.decode("utf-8", "replace") if isinstance(tag, bytes) else tag
    return Row(name, value) if stated is None or stated == digest_of(name, value) else None
