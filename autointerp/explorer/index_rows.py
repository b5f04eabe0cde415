"""What the list says of the features that a query finds."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autointerp.explorer.index import Index
from autointerp.explorer.index_columns import BrokenIndexError, Ints, Whole
from autointerp.explorer.index_figures import STATES, counterpart, density_of, figure, keep, key_of, state_of, status
from autointerp.explorer.index_lines import DOMAIN, SCORED, Key
from autointerp.explorer.index_search import Search
from autointerp.explorer.index_votes import VERDICTS
from autointerp.explorer.meaning import Meanings
from autointerp.explorer.query import Query
from autointerp.reports.labels import scorer_order

N_SHOWN = 3
"""Scorers and judges that the list has room for."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Is a score as the list shows it."""

    status: str
    """One of `SCORED`; empty where there is no line."""
    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return self.status in ("scored", "undetermined")


@dataclass(frozen=True, slots=True)
class Row:
    """Is what the list says of a feature."""

    feature: int
    state: str
    """One of `autointerp.exports.table.STATES`."""
    text: str
    concepts: tuple[str, ...]
    domain: str
    """One of `DOMAIN`."""
    domain_text: str
    width: int
    n_active: int
    density: float | None
    max_activation: float
    n_attribute: int | None
    score: Figure
    """By whom the query says."""
    others: tuple[Figure, ...]
    """By the other scorers and judges that the list has room for."""
    second: Figure | None
    """The first one again, of the second run."""

    @property
    def scores(self) -> tuple[Figure, ...]:
        """All of the first run that the list shows."""
        return (self.score, *self.others)

    votes: dict[str, int]
    """People by what they say; only those that somebody says."""


class Listing:
    """Finds features by a query.

    Args:
        index: of the run or the dump.
        other: of a second run of the same dump.
        meanings: of the explanations, where they can be searched by meaning.
    """

    def __init__(self, index: Index, other: Index | None = None, meanings: Meanings | None = None) -> None:
        self.index, self.other, self.meanings = index, other, meanings

    def key(self, query: Query) -> Key | None:
        """Whose scores a query means; None where there are none."""
        return key_of(self.index, query.by)

    def keys(self, query: Query) -> tuple[Key, ...]:
        """Whose scores the list shows: those that a query means first, then further ones of the same judge."""
        first = self.key(query)
        if first is None:
            return ()
        order = scorer_order({key.scorer for key in self.index.keys})
        rest = sorted(
            (key for key in self.index.keys if key != first),
            key=lambda key: (key.judge != first.judge, key.judging != first.judging, order.index(key.scorer)),
        )
        return (first, *rest[: N_SHOWN - 1])

    def count(self, query: Query) -> int:
        """How many features it finds."""
        return len(self.order(query))

    def page(self, query: Query, offset: int, n: int) -> list[Row]:
        """Some of the features that it finds, in its order."""
        return self.rows(self.order(query)[offset : offset + n], query)

    def row(self, feature: int, query: Query = Query()) -> Row | None:  # noqa: B008 - a frozen value
        """What the list says of one feature; None where the dump does not have it."""
        place = self.index.place(feature)
        return None if place is None else self.rows([place], query)[0]

    def numbers(self, query: Query) -> Ints:
        """All features that it finds, in its order."""
        return self.index.ids[self.order(query)]

    def neighbours(self, feature: int, query: Query) -> tuple[int | None, int | None]:
        """The features before and after one in a query's order; by number where it does not find it."""
        place = self.index.place(feature)
        order = self.order(query)
        found = np.flatnonzero(order == place)
        if not len(found):
            order = np.arange(self.index.now.n)
            found = np.flatnonzero(order == place)
        if not len(found):
            return None, None
        at, ids = int(found[0]), self.index.ids
        before = int(ids[order[at - 1]]) if at else None
        return before, int(ids[order[at + 1]]) if at + 1 < len(order) else None

    def order(self, query: Query) -> Whole:
        """Places of the features that it finds."""
        now, other = self.index.now, self.other.now if self.other is not None else None
        read = self.meanings.reading.done if self.meanings is not None and query.like else 0
        key = "order", replace(query, page=1), other.generation if other is not None else 0, read
        found = now.kept.get(key)
        if found is None:
            order = Search(self.index, self.other, self.meanings, query).order()
            found = keep(now, key, order.astype(np.int32))
        assert isinstance(found, np.ndarray)
        return found

    def rows(self, places: Sequence[int] | Whole, query: Query) -> list[Row]:
        """What the list says of features at some places."""
        at = np.asarray(places, np.int64)
        texts = _texts(self.index.connect(), at.tolist())
        columns = _columns(self.index, at)
        scores = [_figures(self.index, key, at) for key in self.keys(query)] or [_figures(self.index, None, at)]
        seconds: list[Figure] | list[None] = [None] * len(at)
        if self.other is not None:
            seconds = _figures(self.other, counterpart(self.other, self.key(query)), at)
        return [
            Row(**own, **texts.get(place, _NO_TEXT), score=first, others=tuple(others), second=second)
            for place, own, (first, *others), second in zip(
                at.tolist(), columns, zip(*scores, strict=True), seconds, strict=True
            )
        ]


_NO_TEXT = {"text": "", "concepts": (), "domain_text": ""}


def _texts(file: sqlite3.Connection, places: list[int]) -> dict[int, dict[str, object]]:
    out: dict[int, dict[str, object]] = {}
    for start in range(0, len(places), 500):
        own = places[start : start + 500]
        asked = f"SELECT rowid, text, concepts, domain FROM said WHERE rowid IN ({','.join('?' * len(own))})"
        for place, text, concepts, domain in file.execute(asked, own):
            if not all(isinstance(one, str) for one in (text, concepts, domain)):
                raise BrokenIndexError(f"the text at {place}")
            out[place] = {
                "text": text,
                "concepts": tuple(concepts.split("\n")) if concepts else (),
                "domain_text": domain,
            }
    return out


def _columns(index: Index, at: Ints) -> Iterator[dict]:  # pyright: ignore[reportMissingTypeArgument]
    now = index.now
    columns = {
        "feature": index.ids[at],
        "state": state_of(now, at),
        "domain": now.whole("domain")[at],
        "width": now.whole("width")[at],
        "n_active": now.whole("n_active")[at],
        "density": density_of(index, now)[at],
        "max_activation": now.floats("max_activation")[at],
        "n_attribute": now.whole("n_attribute")[at],
    }
    votes = {verdict: now.whole(f"votes.{verdict}")[at].tolist() for verdict in VERDICTS}
    for n, values in enumerate(zip(*(column.tolist() for column in columns.values()), strict=True)):
        row = dict(zip(columns, values, strict=True))
        row["state"], row["domain"] = STATES[row["state"]], DOMAIN[row["domain"]]
        row["density"] = None if np.isnan(row["density"]) else row["density"]
        row["n_attribute"] = None if row["n_attribute"] < 0 else row["n_attribute"]
        yield row | {"votes": {verdict: counts[n] for verdict, counts in votes.items() if counts[n]}}


def _figures(index: Index, key: Key | None, at: Ints) -> list[Figure]:
    said = status(index, key)[at].tolist()
    values = zip(*(figure(index, key, name)[at].tolist() for name in ("value", "low", "high")), strict=True)
    return [Figure(SCORED[one], *own) for one, own in zip(said, values, strict=True)]
