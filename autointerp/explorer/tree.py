"""The hierarchy of features: each under its closest parent, a level at a time as it is unfolded."""

from dataclasses import dataclass
from threading import Lock

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from autointerp.arrays import Ints
from autointerp.dump.reader import Dump
from autointerp.explorer.asked import number_in
from autointerp.explorer.html import page
from autointerp.explorer.index_rows import Row
from autointerp.explorer.query import Query
from autointerp.explorer.viewed import Viewed
from autointerp.reports.hierarchy import parent_pairs
from autointerp.reports.score_details import axis_of

MOST = 60
"""Features that are shown under one."""


@dataclass(frozen=True, slots=True)
class Level:
    """Is what stands under a feature, or at the top."""

    rows: tuple[tuple[Row, int], ...]
    """Each with the number of features under it; those with most come first."""
    more: int
    """Further ones."""


class Hierarchy:
    """Knows who stands under whom; it reads the dump when it is first asked.

    Args:
        dump: which states parents.
        ids: numbers of its features, ascending.
    """

    def __init__(self, dump: Dump, ids: Ints) -> None:
        self._dump, self._ids = dump, ids
        self._lock = Lock()
        self._closest: Ints | None = None
        self._children: Ints = np.zeros(0, np.int64)
        self._n: Ints = np.zeros(0, np.int64)

    def below(self, place: int | None) -> Ints:
        """Places of the features right under one, or of those at the top that have some; those with most first."""
        self._read()
        assert self._closest is not None
        if place is None:
            found = np.flatnonzero((self._closest < 0) & (self._n > 0))
        else:
            own = self._closest[self._children]
            found = self._children[np.searchsorted(own, place) : np.searchsorted(own, place, "right")]
        return found[np.argsort(-self._n[found], kind="stable")]

    def n_below(self, place: int) -> int:
        """How many stand right under a feature."""
        self._read()
        return int(self._n[place])

    def _read(self) -> None:
        with self._lock:
            if self._closest is not None:
                return
            closest = np.full(len(self._ids), -1, np.int64)
            for pairs in parent_pairs(self._dump):
                # The first parent that a feature states is its closest.
                children, first = np.unique(pairs.child, return_index=True)
                closest[np.searchsorted(self._ids, children)] = np.searchsorted(self._ids, pairs.parent[first])
            has = np.flatnonzero(closest >= 0)
            self._children = has[np.argsort(closest[has], kind="stable")]
            self._n = np.bincount(closest[has], minlength=len(self._ids))
            self._closest = closest


class Branches:
    """Gives the levels of a tree of what is viewed."""

    def __init__(self, viewed: Viewed) -> None:
        self._viewed = viewed
        self._hierarchy = Hierarchy(viewed.dump, viewed.index.ids)

    def level(self, feature: int | None) -> Level:
        """What stands under a feature, or at the top."""
        index = self._viewed.index
        found = self._hierarchy.below(None if feature is None else index.place(feature))
        rows = self._viewed.listing.rows(found[:MOST], Query())
        shown = zip(rows, found[:MOST].tolist(), strict=True)
        return Level(tuple((row, self._hierarchy.n_below(place)) for row, place in shown), max(0, len(found) - MOST))

    def show(self, request: Request) -> Response:
        """A level as a page, of which the tree takes what it needs."""
        feature = number_in(request, "feature")
        if self._viewed.index.place(feature) is None:
            raise HTTPException(404, f"The dump has no feature {feature}.")
        keys = self._viewed.listing.keys(Query())
        return page(
            self._viewed,
            "tree_level.html.j2",
            f"Features under {feature}",
            under=feature,
            level=self.level(feature),
            axis=axis_of(keys[0].scorer) if keys else None,
        )


def routes(branches: Branches) -> list[Route]:
    """The levels, which the tree loads."""
    return [Route("/tree/{feature}", branches.show)]
