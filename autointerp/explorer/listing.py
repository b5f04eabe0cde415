"""The list of features: found by words, narrowed down, sorted; all that it shows stands in its address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from autointerp.explorer.download import downloads
from autointerp.explorer.html import page
from autointerp.explorer.index_figures import PERSON, key_of
from autointerp.explorer.index_lines import Key, judges_of
from autointerp.explorer.index_rows import Listing
from autointerp.explorer.index_votes import VERDICTS
from autointerp.explorer.query import DOMAINS, PER_PAGE, SCORED, STATES, VOTES, Query
from autointerp.explorer.viewed import Viewed
from autointerp.reports.labels import scorer_labels
from autointerp.reports.score_details import axis_of

WIDEST = 8
"""Widths up to which a list of them is offered to choose from."""
WORDS = {
    "one": "one property",
    "mixed": "several properties",
    "none": "nothing in common",
    "failed": "failed, will be asked again",
    "unexplainable": "cannot be explained",
    "unexplained": "not explained yet",
    "found": "finding",
    "not found": "looked, found none",
    "any": "somebody voted",
    "split": "votes differ",
}
"""What stands in the lists to choose from, where the value's own name says too little."""


@dataclass(frozen=True, slots=True)
class Column:
    """Is the head of a column that sorts."""

    title: str
    meaning: str
    address: str
    sorted: str
    """`ascending`, `descending` or `none`."""


@dataclass(frozen=True, slots=True)
class Chip:
    """Is something that narrows the list, with the address of the list without it."""

    text: str
    address: str


def routes(viewed: Viewed) -> list[Route]:
    """The page `/`, and the same list as files."""

    def listed(request: Request) -> Response:
        for index in viewed.indices:
            index.refresh()
        query = Query.of(request.query_params)
        listing = viewed.listing
        n = listing.count(query)
        pages = max(1, -(-n // PER_PAGE))
        query = replace(query, page=min(query.page, pages))
        at = (query.page - 1) * PER_PAGE
        keys, judges = listing.keys(query), judges_of(viewed.index.keys)
        return page(
            viewed,
            "list.html.j2",
            viewed.dump.info.name,
            here="/",
            query=query,
            n=n,
            first=at,
            pages=pages,
            rows=listing.page(query, at, PER_PAGE),
            keys=keys,
            usual=key_of(viewed.index),
            reading=listing.meanings.reading if listing.meanings is not None and query.like else None,
            axes=[axis_of(key.scorer) for key in keys],
            heads=[head(query, key, keys, judges) for key in keys],
            judges=judges,
            column={name: column(query, name, title, meaning) for name, title, meaning in _COLUMNS},
            chips=chips(query, listing),
            choices=choices(viewed, listing),
            words=WORDS,
            step=step_of(query.page, pages),
        )

    return [Route("/", listed), *downloads(viewed)]


_COLUMNS = (
    ("feature", "Feature", "By number"),
    ("density", "Density", "Share of all images on which it fires"),
    ("max", "Strongest", "Strongest activation"),
    ("width", "Width", "Smallest nested width that holds the feature"),
    ("votes", "Votes", "People who voted on the explanation"),
    ("difference", "Difference", "Score of the second run less that of the first"),
)
UPWARDS = ("", "feature", "width")
"""What is sorted from the smallest on unless asked otherwise."""


def column(query: Query, name: str, title: str, meaning: str, **by: str) -> Column:
    """The head of a column; chosen again it turns the order round."""
    mine = (query.sort or "feature") == name and all(getattr(query, field) == value for field, value in by.items())
    usual = "0" if name in UPWARDS else "1"
    now = query.down or usual
    down = ("0" if now == "1" else "1") if mine else usual
    told = {"sort": "" if name == "feature" else name, "down": "" if down == usual else down, **by}
    order = {"1": "descending", "0": "ascending"}[now] if mine and not (query.q and not query.sort) else "none"
    return Column(title, meaning, query.address(**told), order)


def head(query: Query, key: Key, keys: Sequence[Key], judges: Mapping[Key, str]) -> Column:
    """The head of a column of scores; it names the judge where several judged, or one in several ways."""
    labels, judge = scorer_labels(key.scorer), judges[key]
    by = f", by {judge.removeprefix(PERSON)}" if len({judges[k] for k in keys}) > 1 else ""
    shown = query if query.by or key != keys[0] else replace(query, by=key.name)
    return column(shown, "score", f"{labels.short}{by}", f"{labels.title}, judged by {judge}", by=key.name)


def chips(query: Query, listing: Listing) -> list[Chip]:
    """What narrows the list, in words."""
    key = listing.key(query)
    score = scorer_labels(key.scorer).short if key else "score"
    score_range, density_range = _range(query.score_from, query.score_to), _range(query.density_from, query.density_to)
    said: tuple[tuple[object, str, dict[str, object]], ...] = (
        (query.q, f"“{query.q}”", {"q": ""}),
        (query.like, f"means about “{query.like}”", {"like": ""}),
        (query.state, WORDS.get(query.state, query.state), {"state": ""}),
        (query.scored, f"{score}: {query.scored}", {"scored": ""}),
        (score_range, f"{score} {score_range}", {"score_from": None, "score_to": None}),
        (density_range, f"density {density_range}", {"density_from": None, "density_to": None}),
        (query.width is not None, f"width {query.width}", {"width": None}),
        (query.domain, f"domain: {WORDS.get(query.domain, query.domain)}", {"domain": ""}),
        (query.votes, f"votes: {WORDS.get(query.votes, query.votes)}", {"votes": ""}),
        (query.differs is not None, f"runs differ by {query.differs} or more", {"differs": None}),
        (query.against is not None, f"judge and person differ by {query.against} or more", {"against": None}),
    )
    return [Chip(text, query.address("/", **less)) for there, text, less in said if there]


def _range(low: float | None, high: float | None) -> str:
    told = (f"≥ {low:g}" if low is not None else "", f"≤ {high:g}" if high is not None else "")
    return " and ".join(part for part in told if part)


def choices(viewed: Viewed, listing: Listing) -> dict[str, Sequence[object]]:
    """What can be chosen from; empty where there is nothing to choose."""
    keys = viewed.index.keys
    people = [key for key in keys if key.judge.startswith(PERSON)]
    has_domain = bool(viewed.index.now.whole("domain").any())
    return {
        "state": STATES if viewed.runs else (),
        "scored": SCORED if keys else (),
        "by": keys if len(keys) > 1 else (),
        "width": viewed.dump.info.widths if 1 < len(viewed.dump.info.widths) <= WIDEST else (),
        "domain": DOMAINS if has_domain else (),
        "votes": VOTES if has_votes(viewed) else (),
        "differs": (True,) if listing.other is not None else (),
        "against": (True,) if people and len(people) < len(keys) else (),
    }


def has_votes(viewed: Viewed) -> bool:
    """Says whether anybody voted on any explanation."""
    return any(viewed.index.now.whole(f"votes.{verdict}").any() for verdict in VERDICTS)


def step_of(at: int, pages: int) -> list[int | None]:
    """Pages to go to: the first, those around this one, the last; None where some are left out."""
    near = sorted({1, pages, *range(max(1, at - 2), min(pages, at + 2) + 1)})
    out: list[int | None] = []
    for number in near:
        if out and out[-1] is not None and number > out[-1] + 1:
            out.append(None)
        out.append(number)
    return out
