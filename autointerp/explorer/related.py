"""The features that have to do with one: parents, children, those that fire together, those of a like direction."""

from collections.abc import Iterable
from dataclasses import dataclass

from autointerp.explorer.cofiring import Near, Stored, alike_directions, cofiring
from autointerp.explorer.query import Query
from autointerp.explorer.reverse import Reverse
from autointerp.explorer.viewed import Viewed
from autointerp.schema import Feature

MOST = 8
MOST_CHILDREN = 24


@dataclass(frozen=True, slots=True)
class Line:
    """Names another feature in a line."""

    feature: int
    text: str
    """Its explanation; empty where there is none."""
    width: int
    near: Near | None = None
    cosine: float | None = None
    """Of the two decoder vectors."""


@dataclass(frozen=True, slots=True)
class Related:
    """Holds the features that have to do with one."""

    parents: tuple[Line, ...]
    children: tuple[Line, ...]
    n_children: int
    duplicates: tuple[Line, ...]
    together: tuple[Line, ...] | None
    """Those that fire on the same images; None while the reverse index is being made."""
    directions: tuple[Line, ...] | None
    """Those whose decoder vectors point most in the same direction; None where no coder was given."""


def related_to(viewed: Viewed, feature: Feature, reverse: Reverse | None) -> Related:
    """Finds the features that have to do with one.

    Args:
        viewed: what is shown.
        feature: whose relatives are sought.
        reverse: of the dump; None where it is not made yet.
    """
    known = viewed.evidence.has_feature
    parents, duplicates = (list(filter(known, ids or ())) for ids in (feature.row.parents, feature.row.duplicates))
    children = viewed.evidence.children(feature.id).tolist()
    together = None if reverse is None else _together(viewed, feature, reverse)
    directions = _directions(viewed, feature)
    near = [n.feature for n in together or ()] + [f for f, _ in directions or ()]
    texts = texts_of(viewed, [*parents, *duplicates, *children[:MOST_CHILDREN], *near])

    def line(number: int, near: Near | None = None, cosine: float | None = None) -> Line:
        return Line(number, texts.get(number, ""), viewed.dump.info.width_of(number), near, cosine)

    return Related(
        parents=tuple(map(line, parents)),
        children=tuple(map(line, children[:MOST_CHILDREN])),
        n_children=len(children),
        duplicates=tuple(map(line, duplicates)),
        together=None if together is None else tuple(line(n.feature, near=n) for n in together),
        directions=None if directions is None else tuple(line(f, cosine=cosine) for f, cosine in directions),
    )


def texts_of(viewed: Viewed, features: Iterable[int]) -> dict[int, str]:
    """The explanations of features of the dump, empty where there is none."""
    places = [place for f in dict.fromkeys(features) if (place := viewed.index.place(f)) is not None]
    return {row.feature: row.text for row in viewed.listing.rows(places, Query())} if places else {}


def _together(viewed: Viewed, feature: Feature, reverse: Reverse) -> list[Near]:
    table, known = viewed.dump.image_table.known, viewed.evidence.known
    places = ((table.position(e.image), e.probability) for e in feature.active)
    own = [Stored(place, chance) for place, chance in places if place is not None]
    return cofiring(reverse, feature.id, own, known.ids, known.n_active, most=MOST)


def _directions(viewed: Viewed, feature: Feature) -> list[tuple[int, float]] | None:
    directions = None if viewed.encoder is None else viewed.encoder.directions
    if directions is None:
        return None
    found = alike_directions(directions, feature.id, most=MOST)
    return [(number, cosine) for number, cosine in found if viewed.evidence.has_feature(number)]
