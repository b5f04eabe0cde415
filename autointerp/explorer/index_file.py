"""The file of an index: an SQLite database beside the run, or in the cache where the run cannot be written.

It is never trusted blindly: one that is of another run, of another version or damaged is made anew.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from autointerp.errors import RunError
from autointerp.explorer.index_columns import SCHEMA as COLUMNS
from autointerp.explorer.index_columns import BrokenIndexError
from autointerp.runs.folder import Run

FORMAT = "autointerp-view/1"
NAME = "view.sqlite"
BESIDE = ("-journal", "-wal", "-shm")
"""Ends of the names of the files that SQLite keeps beside it."""
NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")
"""The last bytes of a journal that names a further file; the explorer never writes such a one."""
PATIENCE = 60.0
"""Seconds to wait for another explorer that is writing."""
READING, WRITING = 4_000, 64_000
"""Kilobytes of the file that a connection keeps in memory; each thread of the server has one to read with."""
SCHEMA = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE sources (number INTEGER PRIMARY KEY, file TEXT UNIQUE NOT NULL, state TEXT NOT NULL)",
    "CREATE TABLE keys (number INTEGER PRIMARY KEY, scorer TEXT NOT NULL, judge TEXT NOT NULL, judging TEXT NOT NULL)",
    "CREATE TABLE figures (key INTEGER, name TEXT, PRIMARY KEY (key, name)) WITHOUT ROWID",
    "CREATE TABLE failures (feature INTEGER, stage TEXT, place INTEGER NOT NULL, kind TEXT NOT NULL,"
    " PRIMARY KEY (feature, stage)) WITHOUT ROWID",
    "CREATE TABLE votes (feature INTEGER, explanation TEXT, who TEXT, verdict TEXT NOT NULL,"
    " PRIMARY KEY (feature, explanation, who)) WITHOUT ROWID",
    "CREATE TABLE used (stage TEXT PRIMARY KEY, calls INTEGER NOT NULL, input_tokens INTEGER NOT NULL,"
    " cached_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, dollars REAL) WITHOUT ROWID",
    "CREATE VIRTUAL TABLE said USING fts5(text, concepts, domain, tokenize = 'porter unicode61 remove_diacritics 2')",
    *COLUMNS,
)


class BusyError(RunError):
    """Another explorer writes the index."""


def place_of(run: Run | None, name: str, cache: Path) -> Path:
    """Says where the index belongs.

    Args:
        run: what it is of; None for a dump alone.
        name: how the user knows that: its folder, resolved, or its URL.
        cache: folder for what cannot lie beside a run.
    """
    if run is not None and name == str(run.path.resolve()) and os.access(run.path, os.W_OK):
        place = run.path / NAME
        if _stands_alone(place):
            return place
    folder = cache / "view"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.sqlite"


def _stands_alone(place: Path) -> bool:
    """Whether SQLite touches no file elsewhere by this one.

    In a run from elsewhere a link may name any file of this machine. So may the end of a journal: SQLite removes the
    file that it names once the journal is rolled back (https://sqlite.org/fileformat2.html#the_rollback_journal).
    """
    beside = [place.with_name(f"{place.name}{end}") for end in BESIDE]
    if any(file.is_symlink() or (file.exists() and not file.is_file()) for file in (place, *beside)):
        return False
    journal = beside[0]
    if not journal.exists():
        return True
    with journal.open("rb") as stream:
        stream.seek(max(0, journal.stat().st_size - len(NAMES_ANOTHER)))
        return stream.read() != NAMES_ANOTHER


class IndexFile:
    """Opens the file, a connection for each thread.

    Args:
        place: of the file; it is made where it is missing.
        about: of what it must be an index, by name.
    """

    def __init__(self, place: Path, about: dict[str, str]) -> None:
        self.place, self.about = place, about
        self._threads = threading.local()
        self._times = 0
        """How often the file was made anew in the place of a broken one."""

    def connect(self) -> sqlite3.Connection:
        """Gives this thread's connection, to the file that is there now."""
        found: tuple[object, sqlite3.Connection] | None = getattr(self._threads, "found", None)
        if found is not None and found[1].in_transaction:
            return found[1]
        if found is None or found[0] != self._state():
            if found is not None:
                found[1].close()
            file = self._opened()
            found = self._state(), file
            self._threads.found = found
        return found[1]

    def _state(self) -> tuple[int, int, int]:
        """What changes when there is another file in its place, which another explorer may have made as well."""
        try:
            stat = self.place.stat()
        except OSError:
            return self._times, 0, 0
        return self._times, stat.st_dev, stat.st_ino

    def _opened(self) -> sqlite3.Connection:
        try:
            file = sqlite3.connect(self.place, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            # Triggers and views of a file from elsewhere must not run anything.
            file.execute("PRAGMA trusted_schema = OFF")
            # A power failure may break it, and then it is made anew; a kill does no harm.
            file.execute("PRAGMA synchronous = OFF")
            file.execute(f"PRAGMA cache_size = -{READING}")
            file.execute("PRAGMA temp_store = MEMORY")
        except sqlite3.OperationalError as error:
            raise RunError(f"{self.place}: the index cannot be opened ({error}); name a folder with --cache") from error
        return file

    @contextmanager
    def writing(self, patience: float = PATIENCE) -> Iterator[sqlite3.Connection]:
        """A transaction in which nobody else writes.

        Args:
            patience: seconds to wait for another explorer.

        Raises:
            BusyError: another explorer writes for longer than that.
            RunError: the index cannot be written, for example since the disk is full.
        """
        file = self.connect()
        try:
            file.execute(f"PRAGMA busy_timeout = {int(1000 * patience)}")
            file.execute("BEGIN IMMEDIATE")
            file.execute(f"PRAGMA cache_size = -{WRITING}")
            file.execute(f"PRAGMA busy_timeout = {int(1000 * PATIENCE)}")
            try:
                yield file
            except BaseException:
                file.execute("ROLLBACK")
                raise
            file.execute("COMMIT")
            file.execute(f"PRAGMA cache_size = -{READING}")
        except sqlite3.OperationalError as error:
            if file.in_transaction:
                file.execute("ROLLBACK")
            kind = BusyError if error.sqlite_errorcode == sqlite3.SQLITE_BUSY else RunError
            raise kind(f"{self.place}: the index cannot be written ({error}); mend that, or wait") from error

    def fits(self, file: sqlite3.Connection) -> bool:
        """Whether it is an index of what is looked at, in the form that this version writes."""
        with closing(file.cursor()) as asked:
            own = [sql for (sql,) in asked.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
            if not set(SCHEMA) <= set(own) or any(sql.startswith(("CREATE TRIGGER", "CREATE VIEW")) for sql in own):
                return False
            said = dict(asked.execute("SELECT name, value FROM about"))
        return all(said.get(name) == value for name, value in {"format": FORMAT, **self.about}.items())

    def empty(self, file: sqlite3.Connection) -> None:
        """Drops all that is there, inside a transaction."""
        names = "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rootpage"
        for kind, name in file.execute(names).fetchall():
            # The tables that hold a virtual one go with it.
            if not name.startswith(("sqlite_", "said_")):
                file.execute('DROP {} IF EXISTS "{}"'.format(kind, name.replace('"', '""')))
        for statement in SCHEMA:
            file.execute(statement)
        file.executemany("INSERT INTO about VALUES (?, ?)", {"format": FORMAT, **self.about}.items())

    def remove(self) -> None:
        """Removes a file that is broken; the next connection makes it anew."""
        self.place.unlink(missing_ok=True)
        for end in BESIDE:
            self.place.with_name(f"{self.place.name}{end}").unlink(missing_ok=True)
        self._times += 1


BROKEN = (sqlite3.DatabaseError, BrokenIndexError)
"""What reading a broken file raises; `OperationalError` is one of them and means something else."""


def is_broken(error: BaseException) -> bool:
    """Whether an error says that the file is broken rather than busy."""
    return isinstance(error, BROKEN) and not isinstance(error, sqlite3.OperationalError)
