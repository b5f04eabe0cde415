"""Takes new lines of a run up into an index, in one transaction."""

import math
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autointerp.arrays import floats, ints
from autointerp.dump.reader import Dump
from autointerp.errors import RunError
from autointerp.explorer import index_lines as lines
from autointerp.explorer import index_votes as votes
from autointerp.explorer.index_columns import SOURCE, Draft, Ints, Snapshot, kind_of
from autointerp.explorer.index_lines import Columns, Key, Reader, Usages
from autointerp.runs.index import holds
from autointerp.unexplainable import UNEXPLAINABLE

FAILED, SETTLED = 1, 2
"""What the column `failed` says: the feature is pending, or it can never be explained."""
OF_DUMP = {name: name for name in ("width", "n_active", "max_activation")} | {"n_attribute": "n_active_attribute"}
"""What the dump says of its features, by the names of columns."""
FIGURES = ("value", "low", "high")


class Update:
    """Changes an index in one transaction.

    Args:
        file: in a transaction.
        before: the columns as they are.
        dump: whose features they are of.
        keys: numbers of the scorers and judges that are known.
    """

    def __init__(self, file: sqlite3.Connection, before: Snapshot, dump: Dump, keys: dict[Key, int]) -> None:
        self.draft = Draft(before, file)
        self.keys = keys
        self._file, self._dump = file, dump
        self._used: defaultdict[str, Usages] = defaultdict(Usages)

    def dump(self) -> None:
        """Takes up what the dump says of its features."""
        table = self._dump.feature_parts.read_all([*OF_DUMP.values()])
        everywhere = np.arange(len(table), dtype=np.int64)
        for name, column in zip(OF_DUMP, table.columns, strict=True):
            self.draft.put(name, everywhere, floats(column) if kind_of(name).kind == "f" else ints(column))

    def take(self, read: Reader, source: int) -> None:
        """Takes up the next lines of a file.

        Args:
            read: the file, whose name says what they are.
            source: number of the file.

        Raises:
            RunError: a line is not as it should be.
        """
        if read.file.name == "explanations.jsonl":
            self._explanations(lines.explanations(read), source, read.file)
        elif read.file.name == "scores.jsonl":
            for key, found in lines.scores(read).items():
                self._scores(key, found, source, read.file)
        elif read.file.name == "failures.jsonl":
            self._failures(lines.failures(read), source, read.file)
        else:
            self._votes(votes.votes(read))

    def write(self) -> None:
        """Writes the columns and sums that have changed."""
        self.draft.write()
        for stage, used in self._used.items():
            self._file.execute(
                "INSERT INTO used VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,"
                " input_tokens = input_tokens + excluded.input_tokens,"
                " cached_tokens = cached_tokens + excluded.cached_tokens,"
                " output_tokens = output_tokens + excluded.output_tokens,"
                " dollars = coalesce(dollars + excluded.dollars, dollars, excluded.dollars)",
                (stage, used.calls, used.input_tokens, used.cached_tokens, used.output_tokens, used.dollars),
            )
        self._used.clear()

    def _explanations(self, found: Columns, source: int, path: Path) -> None:
        self._used["explain"].add(Usages.of(found.usages))
        at, places = self._at(found.features, path), _places(found.places, source)
        last = self._holding("explained", at, places)
        values = [found.values[n] for n in last.tolist()]
        rows = ((n, *value[:3]) for n, value in zip(at[last].tolist(), values, strict=True))
        self._file.executemany("INSERT OR REPLACE INTO said (rowid, text, concepts, domain) VALUES (?, ?, ?, ?)", rows)
        self.draft.put("explained", at[last], places[last])
        self.draft.put("said", at[last], [value[3] for value in values])
        self.draft.put("domain", at[last], [value[4] for value in values])
        self._count_votes(at[last])

    def _scores(self, key: Key, found: Columns, source: int, path: Path) -> None:
        self._used[key.name].add(Usages.of(found.usages))
        name = self._name(key)
        at, places = self._at(found.features, path), _places(found.places, source)
        last = self._holding(f"{name}.at", at, places)
        values = [found.values[n] for n in last.tolist()]
        self.draft.put(f"{name}.at", at[last], places[last])
        self.draft.put(f"{name}.status", at[last], [value[0] for value in values])
        for column, figure in enumerate(FIGURES, start=1):
            self.draft.put(f"{name}.{figure}", at[last], [value[column] for value in values])
        told = [(self.keys[key], figure) for figure in sorted(found.figures)]
        self._file.executemany("INSERT OR IGNORE INTO figures VALUES (?, ?)", told)
        controls = [value[4] for value in values]
        for control in sorted(set().union(*controls)):
            own = [one[control]["value"] if control in one else math.nan for one in controls]
            self.draft.put(f"{name}.control.{control}", at[last], own)

    def _failures(self, found: Columns, source: int, path: Path) -> None:
        at, places = self._at(found.features, path), _places(found.places, source)
        rows = [
            (n, stage, place, kind)
            for n, place, (stage, kind) in zip(at.tolist(), places.tolist(), found.values, strict=True)
        ]
        self._file.executemany(
            "INSERT INTO failures VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET place = excluded.place,"
            " kind = excluded.kind WHERE excluded.place >= place",
            rows,
        )
        explaining = sorted({row[0] for row in rows if row[1] == "explain"})
        asked = "SELECT kind FROM failures WHERE feature = ? AND stage = 'explain'"
        kinds = [self._file.execute(asked, (n,)).fetchone()[0] for n in explaining]
        failed = [SETTLED if kind == UNEXPLAINABLE else FAILED for kind in kinds]
        self.draft.put("failed", np.array(explaining, np.int64), failed)

    def _votes(self, found: Columns) -> None:
        # Other people's votes may be on a larger dump: those on its further features say nothing here.
        places = [place_in(self._dump.feature_ids, feature) for feature in found.features]
        own = [(place, value) for place, value in zip(places, found.values, strict=True) if place is not None]
        rows = [(place, *value) for place, value in own]
        at = np.array([place for place, _ in own], np.int64)
        self._file.executemany("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?)", rows)
        self._count_votes(at)

    def _count_votes(self, at: Ints) -> None:
        """Counts anew what people say of the explanations of some features."""
        if not (features := votes.voted(self._file, at)):
            return
        counted = votes.counted(self._file, features)
        for verdict, column in counted.columns.items():
            self.draft.put(f"votes.{verdict}", counted.features, column)

    def _name(self, key: Key) -> str:
        if key not in self.keys:
            self.keys[key] = len(self.keys)
            self._file.execute(
                "INSERT INTO keys VALUES (?, ?, ?, ?)", (self.keys[key], key.scorer, key.judge, key.judging)
            )
        return f"score{self.keys[key]}"

    def _at(self, features: Sequence[int], path: Path) -> Ints:
        """Places of features among those of the dump."""
        ids, numbers = self._dump.feature_ids, np.array(features, np.int64)
        at = np.searchsorted(ids, numbers)
        known = at < len(ids)
        known[known] = ids[at[known]] == numbers[known]
        if not known.all():
            first = int(numbers[np.argmin(known)])
            raise RunError(f"{path}: speaks of feature {first}, which {self._dump.path} does not have; score it anew")
        return at

    def _holding(self, name: str, at: Ints, places: Ints) -> Ints:
        """Which lines hold: of each feature the last, unless a file that goes before has one."""
        last = len(at) - 1 - np.unique(at[::-1], return_index=True)[1]
        before = self.draft.column(name).astype(np.int64, copy=False)[at[last]]
        return last[(before == 0) | (places[last] // SOURCE <= before // SOURCE)]


def place_in(ids: Ints, feature: int) -> int | None:
    """The place of a feature among ascending ones; None where it is not there."""
    return int(np.searchsorted(ids, feature)) if holds(ids, feature) else None


def _places(offsets: Sequence[int], source: int) -> Ints:
    return np.array(offsets, np.int64) + source * SOURCE
