"""Numbers of all features, a column for each kind: in memory once asked for, and in blocks of an SQLite file."""

import secrets
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from threading import Lock
from typing import cast

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.generic]
Ints = NDArray[np.int64]
Whole = NDArray[np.integer]
Floats = NDArray[np.floating]

BLOCK = 16_384
"""Features of a block: what is written anew where one of them changes."""
SCHEMA = (
    "CREATE TABLE columns (name TEXT PRIMARY KEY, kind TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE blocks (name TEXT, first INTEGER, data BLOB NOT NULL, PRIMARY KEY (name, first)) WITHOUT ROWID",
)
KINDS = {
    "width": "<i4",
    "n_active": "<i8",
    "max_activation": "<f4",
    "n_attribute": "<i8",
    "explained": "<i8",
    **dict.fromkeys(("said", "domain", "failed"), "|u1"),
}
"""NumPy's names of the types of columns, but for those of scores and votes."""
CODES = {"said": 4, "domain": 3, "failed": 3, "status": 4}
"""Of columns that hold codes, by what their names end with: how many codes there are."""
SOURCE = 1 << 44
"""What the number of a file counts in a place: no file is as long as that."""


class BrokenIndexError(Exception):
    """The file holds something that the explorer never writes."""


def kind_of(name: str) -> np.dtype:
    """The type of a column."""
    if name in KINDS:
        return np.dtype(KINDS[name])
    family, _, own = name.partition(".")
    return np.dtype("<u2" if family == "votes" else {"at": "<i8", "status": "|u1"}.get(own or name, "<f4"))


def nothing(kind: np.dtype) -> float:
    """What a column holds of a feature of which nothing is known."""
    return np.nan if kind.kind == "f" else 0


class Snapshot:
    """The columns as they were at one time; safe to read from several threads.

    Args:
        generation: another one after each change of the index; 0 for one that holds nothing yet.
        n: features.
        connect: gives this thread's connection to the file.
    """

    def __init__(self, generation: int, n: int, connect: Callable[[], sqlite3.Connection]) -> None:
        self.generation, self.n = generation, n
        self.kept: dict[object, object] = {}
        """What was worked out from the columns, by whoever did."""
        self._connect, self._lock = connect, Lock()
        self._columns: dict[str, Numbers] = {}

    def __getitem__(self, name: str) -> Numbers:
        """A column, shape [n], not to be changed. Raises KeyError where there is none."""
        if name not in self._columns:
            with self._lock:
                if name not in self._columns:
                    self._columns[name] = _read(self._connect(), name, self.n)
        return self._columns[name]

    def get(self, name: str) -> Numbers:
        """A column; one that says nothing where there is none."""
        try:
            return self[name]
        except KeyError:
            kind = kind_of(name)
            return np.broadcast_to(np.array(nothing(kind), kind), self.n)

    def whole(self, name: str) -> Whole:
        """A column of whole numbers, all 0 where there is none."""
        return cast("Whole", self.get(name))

    def floats(self, name: str) -> Floats:
        """A column of figures, all NaN where there is none."""
        return cast("Floats", self.get(name))

    def followed_by(self, changed: dict[str, Numbers], connect: Callable[[], sqlite3.Connection]) -> "Snapshot":
        """What comes after it: the same but for some columns.

        The first one has a number at random, lest one of an index that was made anew be taken for one of before.
        """
        number = self.generation + 1 if self.generation else 1 + secrets.randbits(48)
        after = Snapshot(number, self.n, connect)
        with self._lock:
            after._columns = self._columns | changed
        return after


class Draft:
    """Columns that are being changed, in one transaction.

    Args:
        before: as they are.
        file: where they are kept.
    """

    def __init__(self, before: Snapshot, file: sqlite3.Connection) -> None:
        self._before, self._file = before, file
        self.changed: dict[str, Numbers] = {}
        self._dirty: dict[str, set[int]] = {}

    def column(self, name: str) -> Numbers:
        """A column as it has become so far; an empty one where there is none yet."""
        return self.changed[name] if name in self.changed else self._before.get(name)

    def put(self, name: str, at: Ints, values: object) -> None:
        """Sets a column at some places.

        Args:
            name: of the column; it is made where there is none.
            at: places of features, each once.
            values: as many.
        """
        if name not in self.changed:
            self.changed[name] = self._before.get(name).copy()
        self.changed[name][at] = np.asarray(values, kind_of(name))
        self._dirty.setdefault(name, set()).update(np.unique(at // BLOCK).tolist())

    def write(self) -> None:
        """Writes the blocks that have changed."""
        for name, numbers in self._dirty.items():
            column = self.changed[name]
            self._file.execute("INSERT OR IGNORE INTO columns VALUES (?, ?)", (name, column.dtype.str))
            firsts = (number * BLOCK for number in sorted(numbers))
            rows = ((name, first, column[first : first + BLOCK].tobytes()) for first in firsts)
            self._file.executemany("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?)", rows)
        self._dirty.clear()


def check(file: sqlite3.Connection, n: int) -> None:
    """Looks whether columns are of their types, blocks of the size that these have, and failures those of features.

    Raises:
        BrokenIndexError: one is not.
    """
    kinds = dict(file.execute("SELECT name, kind FROM columns").fetchall())
    if not all(isinstance(name, str) and kind == kind_of(name).str for name, kind in kinds.items()):
        raise BrokenIndexError("columns")
    for name, first, size in file.execute("SELECT name, first, length(data) FROM blocks"):
        wanted = min(BLOCK, n - first) * kind_of(name).itemsize if name in kinds else None
        if first % BLOCK or size != wanted:
            raise BrokenIndexError(f"block {first} of {name}")
    if file.execute(_ODD_FAILURE, (n - 1,)).fetchone() is not None:
        raise BrokenIndexError("failures")


_ODD_FAILURE = (
    "SELECT 1 FROM failures WHERE feature NOT BETWEEN 0 AND ? OR place < 0"
    " OR typeof(feature) != 'integer' OR typeof(place) != 'integer' OR typeof(stage) != 'text' LIMIT 1"
)


def _read(file: sqlite3.Connection, name: str, n: int) -> Numbers:
    with closing(file.cursor()) as asked:
        if asked.execute("SELECT 1 FROM columns WHERE name = ?", (name,)).fetchone() is None:
            raise KeyError(name)
        kind = kind_of(name)
        column = np.full(n, nothing(kind), kind)
        rows: Iterable[tuple[int, bytes]] = asked.execute("SELECT first, data FROM blocks WHERE name = ?", (name,))
        for first, data in rows:
            there = column[first : first + BLOCK]
            if len(data) != there.nbytes:
                raise BrokenIndexError(f"block {first} of {name}")
            there[:] = np.frombuffer(data, kind)
    codes = CODES.get(name.rpartition(".")[2]) if kind == np.uint8 else None
    if codes is not None and column.max(initial=0) >= codes:
        raise BrokenIndexError(f"a code of {name}")
    return column
