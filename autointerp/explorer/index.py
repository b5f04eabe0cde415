"""The index of what the explorer shows: what each feature's row says, and where its records are.

It is made once and then follows a run that grows: appended lines are taken up whenever a page is loaded.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeVar

from pydantic import TypeAdapter

from autointerp.dump.reader import Dump
from autointerp.errors import RunError
from autointerp.explorer.index_columns import SOURCE, BrokenIndexError, Ints, Snapshot, check
from autointerp.explorer.index_file import BROKEN, PATIENCE, BusyError, IndexFile, is_broken, place_of
from autointerp.explorer.index_lines import N_LINES, Key, Reader
from autointerp.explorer.index_sources import LINES, VOTES, Source, files_of
from autointerp.explorer.index_update import Update, place_in
from autointerp.runs.folder import Run
from autointerp.runs.index import EXPLANATION, FAILURE
from autointerp.runs.jsonl import JsonLines, opened
from autointerp.runs.parts import open_with_parts
from autointerp.runs.score_lines import SCORE
from autointerp.schema import Explanation, FailureRecord, Scored, Unscored

T = TypeVar("T", bound=Explanation | Scored | Unscored | FailureRecord)
PER_TRANSACTION = 200_000
"""Lines after which what was read is kept, come what may."""
TURN = 0.15
"""Seconds between two transactions, so that another explorer which waits has its turn: it looks every tenth of one."""
OWN = {name: number for number, name in enumerate((*LINES, VOTES), start=1)}
"""Numbers of the run's own files; what they say holds before what a part says."""
FIRST_OF_PARTS = 16
Say = Callable[[str], None]
Files = Mapping[str, os.stat_result]


class _Found(NamedTuple):
    """Is all that the index holds, after a transaction."""

    snapshot: Snapshot
    sources: dict[str, Source]
    keys: dict[Key, int]


class Index:
    """Answers what the pages ask about features, from several threads at once.

    Args:
        dump: whose features they are.
        run: what is said of them; None for a dump alone.
        name: how the user knows the run or the dump: its folder, resolved, or its URL.
        cache: folder for what cannot be written beside the run.
        say: is told how far a long work is.

    Raises:
        RunError: a line of the run is not as it should be, or the index cannot be written.
    """

    def __init__(self, dump: Dump, run: Run | None, name: str, cache: Path, say: Say = lambda _: None) -> None:
        self.dump, self.run = dump, run
        self._copied = run is not None and name != str(run.path.resolve())
        self._name = name
        self._file = IndexFile(place_of(run, name, cache), self._about())
        self._say = say
        self._lock = Lock()
        self._info: tuple[int, int] = (0, 0)
        self._sources: dict[str, Source] = {}
        self._keys: dict[Key, int] = {}
        self._snapshot: Snapshot | None = None
        self.refresh()

    def _about(self) -> dict[str, str]:
        """Of what it is an index."""
        about = {"dump": self.dump.digest, "place": self._name}
        return about if self.run is None else about | {"run": self.run.info.created}

    def refresh(self) -> Snapshot:
        """Takes up what was appended since; whoever asks meanwhile is shown what was there before.

        Raises:
            RunError: as for the index itself.
        """
        first = self._snapshot is None
        if self._lock.acquire(blocking=first):
            try:
                self._follow(PATIENCE if first else 0.0)
            except BusyError:
                # Another explorer takes the lines up: the next page shows them.
                if first:
                    raise
            finally:
                self._lock.release()
        assert self._snapshot is not None
        return self._snapshot

    def forget(self) -> None:
        """Drops the file, since a page met something broken in it; the next refresh makes it anew."""
        with self._lock:
            self._file.remove()
            self._snapshot = None

    @property
    def now(self) -> Snapshot:
        """What was found at the last refresh."""
        return self._snapshot or self.refresh()

    @property
    def keys(self) -> tuple[Key, ...]:
        """Whose scores there are, in the order in which they first came."""
        return tuple(self._keys)

    @property
    def ids(self) -> Ints:
        """Numbers of the dump's features, ascending, shape [n]; their places are what columns go by."""
        return self.dump.feature_ids

    def scores_column(self, key: Key, figure: str) -> str:
        """The name of the column that holds a figure of a scorer and judge."""
        return f"score{self._keys[key]}.{figure}"

    def place(self, feature: int) -> int | None:
        """The place of a feature among all; None where the dump does not have it."""
        return place_in(self.ids, feature)

    def connect(self) -> sqlite3.Connection:
        """This thread's connection to the texts."""
        return self._file.connect()

    def explanation(self, feature: int) -> Explanation | None:
        """The explanation that holds; None where there is none."""
        at = self._line(feature, "explained")
        return self._record(at, EXPLANATION, feature) if at else None

    def scores(self, feature: int) -> Mapping[Key, Scored | Unscored]:
        """The scores that hold, by scorer and judge."""
        places = {key: self._line(feature, f"score{number}.at") for key, number in tuple(self._keys.items())}
        return {key: self._record(at, SCORE, feature) for key, at in places.items() if at}

    def failures(self, feature: int) -> tuple[FailureRecord, ...]:
        """The latest failure of each stage that has not succeeded since."""
        place = self.place(feature)
        asked = "SELECT stage, place FROM failures WHERE feature = ? ORDER BY stage"
        rows = self.connect().execute(asked, (place,)).fetchall() if place is not None else []
        done = {"explain"} if self._line(feature, "explained") else set()
        for key, number in tuple(self._keys.items()):
            if self._line(feature, f"score{number}.at"):
                done.add(f"score:{key.scorer}" + (f"@{key.judging}" if key.judging else ""))
        return tuple(self._record(at, FAILURE, feature) for stage, at in rows if stage not in done)

    def failing(self) -> Mapping[str, list[tuple[int, int]]]:
        """Of each stage, the places of the features that failed in it, each with the place of the latest line."""
        out: dict[str, list[tuple[int, int]]] = {}
        for stage, *places in self.connect().execute(
            "SELECT stage, feature, place FROM failures ORDER BY stage, feature"
        ):
            out.setdefault(stage, []).append((places[0], places[1]))
        return out

    def figures(self, key: Key) -> list[str]:
        """The columns of controls and details that scores have, as `runs.tables` names them."""
        column = f"score{self._keys[key]}.control."
        asked = self.connect().execute("SELECT name FROM columns WHERE substr(name, 1, ?) = ?", (len(column), column))
        controls = [f"control_{name[len(column) :]}" for (name,) in asked]
        asked = self.connect().execute("SELECT name FROM figures WHERE key = ?", (self._keys[key],))
        return sorted([*controls, *(f"detail_{name}" for (name,) in asked)])

    def files(self, name: str) -> Mapping[int, Path]:
        """The files of this name of the run and its parts, by the number that places of lines begin with."""
        assert self.run is not None
        own = {s.number: self.run.path / file for file, s in self._sources.items() if Path(file).name == name}
        return dict(sorted(own.items()))

    def _line(self, feature: int, column: str) -> int:
        place = self.place(feature)
        return 0 if place is None else int(self.now.whole(column)[place])

    def _record(self, at: int, adapter: TypeAdapter[T], feature: int) -> T:
        number, offset = divmod(at, SOURCE)
        names = [name for name, source in tuple(self._sources.items()) if source.number == number]
        if self.run is None or not names:
            raise BrokenIndexError(f"a place of feature {feature}")
        record = JsonLines(self.run.path / names[0], adapter)[offset]
        if record.feature != feature:
            raise BrokenIndexError(f"the place of feature {feature}")
        return record

    def _follow(self, patience: float) -> None:
        there = files_of(self.run.path) if self.run is not None else {}
        if self._snapshot is not None and self._is_as(there):
            return
        try:
            self._catch_up(there, patience)
        except BROKEN as error:
            if not is_broken(error):
                raise
            self._file.remove()
            self._snapshot = None
            self._catch_up(there, patience)

    def _is_as(self, there: Files) -> bool:
        same = self._sources.keys() == there.keys()
        return same and all(source.is_as(there[name]) for name, source in self._sources.items())

    def _catch_up(self, there: Files, patience: float) -> None:
        self._reopen()
        for n in count():
            if n and self.run is not None:
                read = sum(source.end for source in self._sources.values())
                self._say(f"Indexing {self.run.path}: {read / max(1, sum(s.st_size for s in there.values())):.0%}")
            with self._file.writing(patience) as file:
                found = self._advance(file, there)
            # Not before it is written: a reader would look for what is not there.
            self._sources, self._keys, self._snapshot = found.sources, found.keys, found.snapshot
            if all(source.size >= 0 for source in found.sources.values()):
                return
            time.sleep(TURN)

    def _reopen(self) -> None:
        """Reads run.json anew where it was replaced: a run that was explained is scored later."""
        if self.run is None:
            return
        with suppress(FileNotFoundError):
            stat = (self.run.path / "run.json").stat()
            if self._info not in ((0, 0), (stat.st_mtime_ns, stat.st_ino)):
                self.run = open_with_parts(self.run.path)
                if self.run.info.dump.digest != self.dump.digest:
                    raise RunError(f"{self.run.path}: is of another dump by now; start `autointerp view` anew")
                self._file.about = self._about()
            self._info = stat.st_mtime_ns, stat.st_ino

    def _advance(self, file: sqlite3.Connection, there: Files) -> _Found:
        """Reads on for one transaction."""
        found = self._loaded(file)
        if found is None or not self._go_on(found.sources, there):
            self._file.empty(file)
            found = _Found(Snapshot(0, self.dump.n_features, self._file.connect), {}, {})
        elif all(name in found.sources and found.sources[name].is_as(stat) for name, stat in there.items()):
            return found
        update = Update(file, found.snapshot, self.dump, found.keys)
        if not found.snapshot.generation:
            update.dump()
        self._read(update, found.sources, there)
        update.write()
        after = found.snapshot.followed_by(update.draft.changed, self._file.connect)
        _save(file, after.generation, found.sources)
        return _Found(after, found.sources, found.keys)

    def _loaded(self, file: sqlite3.Connection) -> _Found | None:
        """What the file holds; None where it does not fit."""
        if not self._file.fits(file):
            return None
        try:
            return self._found_in(file)
        except (TypeError, ValueError) as error:
            raise BrokenIndexError(str(error)) from error

    def _found_in(self, file: sqlite3.Connection) -> _Found:
        """What a file of this form holds. Raises TypeError or ValueError where it is not as the explorer writes it."""
        generation = int(file.execute("SELECT value FROM about WHERE name = 'generation'").fetchone()[0])
        snapshot = self._snapshot
        if snapshot is None or snapshot.generation != generation:
            check(file, self.dump.n_features)
            snapshot = Snapshot(generation, self.dump.n_features, self._file.connect)
        rows = file.execute("SELECT number, file, state FROM sources").fetchall()
        sources = {name: Source.loaded(number, state) for number, name, state in rows}
        keys = file.execute("SELECT scorer, judge, judging, number FROM keys ORDER BY number").fetchall()
        if not all(isinstance(name, str) for *names, _ in keys for name in names):
            raise TypeError("keys")
        return _Found(snapshot, sources, {Key(*names): number for *names, number in keys})

    def _go_on(self, sources: Mapping[str, Source], there: Files) -> bool:
        """Whether the files are those that were read, as far as they were."""
        assert self.run is not None or not sources
        return all(
            name in there
            and (
                source.is_as(there[name])
                or (self.run is not None and source.goes_on(self.run.path / name, there[name], copied=self._copied))
            )
            for name, source in sources.items()
        )

    def _read(self, update: Update, sources: dict[str, Source], there: Files) -> None:
        left = PER_TRANSACTION
        for name, stat in there.items():
            assert self.run is not None
            path = self.run.path / name
            source = sources.get(name) or Source(OWN.get(name) or _next(sources))
            end = source.end
            if stat.st_size > end:
                with opened(path) as stream:
                    read = Reader(path, end, stream)
                    while left > 0 and not read.done:
                        update.take(read, source.number)
                        left -= N_LINES
                    end = read.end
            sources[name] = source.read_to(path, end, stat, done=left > 0)
            if left <= 0:
                return


def _next(sources: Mapping[str, Source]) -> int:
    return max([FIRST_OF_PARTS, *(source.number for source in sources.values())]) + 1


def _save(file: sqlite3.Connection, generation: int, sources: Mapping[str, Source]) -> None:
    file.execute("INSERT OR REPLACE INTO about VALUES ('generation', ?)", (str(generation),))
    rows = [(source.number, name, source.saved) for name, source in sources.items()]
    file.executemany("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", rows)
