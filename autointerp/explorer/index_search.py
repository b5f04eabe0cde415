"""Which features a query finds, and in which order."""

import sqlite3
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from autointerp.explorer.index import Index
from autointerp.explorer.index_columns import Floats, Ints, Snapshot, Whole
from autointerp.explorer.index_figures import (
    PERSON,
    STATES,
    counterpart,
    density_of,
    figure,
    keep,
    key_of,
    state_of,
    status,
)
from autointerp.explorer.index_lines import DOMAIN, SCORED
from autointerp.explorer.index_votes import VERDICTS
from autointerp.explorer.meaning import Meanings
from autointerp.explorer.query import NOT_ASKED, Query

Mask = NDArray[np.bool_]
N_MATCHES = 100
"""Searches whose matches are kept, at a bit a feature."""
N_RANKED = 2_000
"""Most matches that are put in the order of relevance."""


class Search:
    """Works out which features a query finds, and in which order.

    Args:
        index: of the run or the dump.
        other: of a second run of the same dump.
        meanings: of the explanations.
        query: what is asked for.
    """

    def __init__(self, index: Index, other: Index | None, meanings: Meanings | None, query: Query) -> None:
        self._index, self._other, self._meanings = index, other, meanings
        self._query, self._now = query, index.now
        self._key = key_of(index, query.by)
        self._ranked: Ints | None = None
        """The matches by relevance, where they are few enough."""

    def order(self) -> Whole:
        """Places of the features that it finds."""
        mask = np.ones(self._now.n, np.bool_)
        for part in self._masks():
            mask &= part
        places = np.flatnonzero(mask)
        values, down = self._values()
        if values is None:
            if self._ranked is not None:
                return self._ranked[mask[self._ranked]]
            return places[::-1] if self._query.down == "1" else places
        if len(places) < self._now.n // 16:
            return places[_sorted(values[places], down)]
        whole = self._sorted(values, down)
        return whole[mask[whole]]

    def _sorted(self, values: Floats | Whole, down: bool) -> Whole:
        """All features in the order of a column."""
        q, other = self._query, self._other
        generation = other.now.generation if other is not None else 0
        key = "sorted", q.sort, self._key, down, generation
        found = self._now.kept.get(key)
        if found is None:
            found = keep(self._now, key, _sorted(values, down).astype(np.int32))
        assert isinstance(found, np.ndarray)
        return found

    def _masks(self) -> Iterator[Mask]:
        q, now = self._query, self._now
        if q.q:
            yield self._matching()
        if q.like:
            yield self._meaning()
        if q.state:
            yield state_of(now) == STATES.index(q.state)
        if q.scored:
            yield _scored(status(self._index, self._key), q.scored)
        yield from _between(figure(self._index, self._key), q.score_from, q.score_to)
        yield from _between(density_of(self._index, now), q.density_from, q.density_to)
        if q.width is not None:
            yield now.whole("width") == q.width
        if q.domain:
            yield now.whole("domain") == DOMAIN.index("" if q.domain == NOT_ASKED else q.domain)
        if q.votes:
            yield _voted(now, q.votes)
        yield from _between(np.abs(self._difference()) if q.differs is not None else np.empty(0), q.differs, None)
        yield from _between(np.abs(self._against()) if q.against is not None else np.empty(0), q.against, None)

    def _values(self) -> tuple[Floats | Whole | None, bool]:
        q, now = self._query, self._now
        down = q.down != "0"
        match q.sort:
            case "score":
                return figure(self._index, self._key), down
            case "density":
                return density_of(self._index, now), down
            case "max":
                return now.floats("max_activation"), down
            case "width":
                return now.whole("width"), q.down == "1"
            case "votes":
                return np.sum([now.whole(f"votes.{v}") for v in VERDICTS], axis=0), down
            case "difference":
                return np.abs(self._difference()), down
            case "against":
                return np.abs(self._against()), down
            case _:
                return None, False

    def _matching(self) -> Mask:
        words = self._query.words
        mask = self._with(words) if words else np.zeros(self._now.n, np.bool_)
        number = int(self._query.q) if self._query.q.isascii() and self._query.q.isdecimal() else None
        own = self._index.place(number) if number is not None and number < 2**63 else None
        named = np.array([own] if own is not None else [], np.int64)
        if self._query.sort in ("", "relevance") and np.count_nonzero(mask) <= N_RANKED:
            ranked = _ranked(self._index.connect(), words, self._now.n) if words else named
            self._ranked = np.concatenate([named, ranked[~np.isin(ranked, named)]])
        mask[named] = True
        return mask

    def _with(self, words: str) -> Mask:
        """Which features have words; kept, since the next page or another order has the same."""
        key = "match", words
        kept = self._now.kept.get(key)
        if isinstance(kept, np.ndarray):
            return np.unpackbits(kept, count=self._now.n).view(np.bool_)
        mask = np.zeros(self._now.n, np.bool_)
        mask[_matches(self._index.connect(), words, self._now.n)] = True
        keep(self._now, key, np.packbits(mask), N_MATCHES)
        return mask

    def _meaning(self) -> Mask:
        mask = np.zeros(self._now.n, np.bool_)
        meanings = self._meanings
        found = (
            meanings.nearest(self._query.like) if meanings is not None and meanings.is_there else np.zeros(0, np.int64)
        )
        mask[found] = True
        if self._query.sort in ("", "relevance"):
            self._ranked = found
        return mask

    def _difference(self) -> Floats:
        other = self._other
        mine = figure(self._index, self._key)
        if other is None:
            return np.full(self._now.n, np.nan)
        return figure(other, counterpart(other, self._key)) - mine

    def _against(self) -> Floats:
        key = self._key
        people = [k for k in self._index.keys if k.judge.startswith(PERSON) and key and k.scorer == key.scorer]
        if not people or key is None or key in people:
            return np.full(self._now.n, np.nan)
        apart = [figure(self._index, person) - figure(self._index, key) for person in people]
        return np.fmax.reduce([np.abs(one) for one in apart])


def _sorted(values: Floats | Whole, down: bool) -> Whole:
    own = values if values.dtype.kind == "f" else values.astype(np.float64)
    # What has no value comes last either way.
    return np.argsort(-own if down else own, kind="stable")


_MATCHING = "FROM said WHERE said MATCH ? AND rowid BETWEEN 0 AND ?"


def _matches(file: sqlite3.Connection, words: str, n: int) -> Ints:
    """Places of what matches among `n` features, ascending."""
    # One text of all numbers takes a third of the time that a row each does, and little memory.
    found = file.execute(f"SELECT group_concat(rowid) {_MATCHING}", (words, n - 1)).fetchone()[0]
    return np.fromstring(found, np.int64, sep=",") if found else np.zeros(0, np.int64)


def _ranked(file: sqlite3.Connection, words: str, n: int) -> Ints:
    rows = file.execute(f"SELECT rowid {_MATCHING} ORDER BY rank, rowid", (words, n - 1)).fetchall()
    return np.array(rows, np.int64).reshape(-1)


def _between(values: Floats, low: float | None, high: float | None) -> Iterator[Mask]:
    # A column of single precision is compared in single precision, so that a bound of 0.7 takes in a score of 0.7.
    if low is not None:
        yield values >= values.dtype.type(low)
    if high is not None:
        yield values <= values.dtype.type(high)


def _scored(said: Whole, wanted: str) -> Mask:
    return said == SCORED.index("" if wanted == NOT_ASKED else wanted)


def _voted(now: Snapshot, wanted: str) -> Mask:
    counts = {verdict: now.whole(f"votes.{verdict}") for verdict in VERDICTS}
    several = np.sum([count > 0 for count in counts.values()], axis=0)
    if wanted in counts:
        return counts[wanted] > 0
    wide: dict[str, Mask] = {"any": several > 0, "none": several == 0, "split": several > 1}
    return wide[wanted]
