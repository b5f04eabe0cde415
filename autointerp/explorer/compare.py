"""Two runs of one dump side by side, the features on which they differ most first."""

import math
from dataclasses import dataclass, replace

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from autointerp.explorer.html import page
from autointerp.explorer.index_figures import counterpart, figure
from autointerp.explorer.index_lines import Key
from autointerp.explorer.index_rows import Figure, Listing, Row
from autointerp.explorer.query import PER_PAGE, Query
from autointerp.explorer.viewed import Viewed
from autointerp.reports.arithmetic import Axis, Estimate, mean_estimate
from autointerp.reports.score_details import axis_of
from autointerp.runs.setting_differences import varied
from autointerp.statistics.rates import Interval


@dataclass(frozen=True, slots=True)
class Pair:
    """Is a feature as both runs have it."""

    one: Row
    other: Row
    difference: Interval | None
    """Score of the second less that of the first; None where one of them has none."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Is what the two runs score on the features that both have scored."""

    key: Key
    axis: Axis
    first: Estimate
    second: Estimate
    difference: Estimate
    """Second less first, feature by feature."""
    higher: int
    lower: int


def routes(viewed: Viewed) -> list[Route]:
    """The page `/compare`, where there are two runs."""

    def show(request: Request) -> Response:
        if len(viewed.indices) < 2:
            raise HTTPException(404, "Two runs are compared where both are named: autointerp view RUN RUN2.")
        for index in viewed.indices:
            index.refresh()
        asked = Query.of(request.query_params)
        query = asked if asked.sort else replace(asked, sort="difference")
        listing = viewed.listing
        n = listing.count(query)
        pages = max(1, -(-n // PER_PAGE))
        asked = replace(asked, page=min(asked.page, pages))
        at = (asked.page - 1) * PER_PAGE
        key = listing.key(query)
        return page(
            viewed,
            "compare.html.j2",
            "Compare",
            here="/compare",
            query=asked,
            n=n,
            first=at,
            pages=pages,
            pairs=pairs(viewed, query, at),
            balance=balance(viewed, key, counterpart(viewed.indices[1], key)) if key else None,
            axis=axis_of(key.scorer) if key else None,
            names=[run.path.resolve().name for run in viewed.runs],
            settings=varied(*(run.info for run in viewed.runs)),
        )

    return [Route("/compare", show)]


def pairs(viewed: Viewed, query: Query, at: int) -> list[Pair]:
    """A page of features as both runs have them."""
    listing, other = viewed.listing, Listing(viewed.indices[1])
    places = listing.order(query)[at : at + PER_PAGE]
    both = zip(listing.rows(places, query), other.rows(places, query), strict=True)
    return [_pair(one, second) for one, second in both]


def _pair(one: Row, other: Row) -> Pair:
    # By itself the second run would show the scores that it ranks by, which may be of another scorer.
    assert one.second is not None
    return Pair(one, replace(other, score=one.second), apart(one.score, one.second))


def apart(one: Figure, other: Figure) -> Interval | None:
    """The difference of two scores with an interval, as if they were independent.

    Its bounds are made of theirs (MOVER: Zou and Donner 2008, Statistics in Medicine 27).
    """
    if not (one.known and other.known):
        return None
    value = other.value - one.value
    down = math.hypot(other.value - other.low, one.high - one.value)
    up = math.hypot(other.high - other.value, one.value - one.low)
    return Interval(value, value - down, value + up)


def balance(viewed: Viewed, key: Key, second: Key | None) -> Balance | None:
    """The means of both, and of their difference; None where no feature is scored in both."""
    one, other = figure(viewed.indices[0], key), figure(viewed.indices[1], second)
    both = np.isfinite(one) & np.isfinite(other)
    if not both.any():
        return None
    mine, theirs = one[both].astype(np.float64), other[both].astype(np.float64)
    axis = axis_of(key.scorer, max(mine.max(), theirs.max()), min(mine.min(), theirs.min()))
    width = axis.high - axis.low
    means = [mean_estimate(values, (axis.low, axis.high)) for values in (mine, theirs)]
    difference = mean_estimate(theirs - mine, (-width, width))
    first, last = means
    assert first is not None
    assert last is not None
    assert difference is not None
    return Balance(key, axis, first, last, difference, int((theirs > mine).sum()), int((theirs < mine).sum()))
