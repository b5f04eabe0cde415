"""The tree of a run's features: narrower ones under the closest of their parents, as much of it as a page can hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.reports.hierarchy import Relative
from autointerp.reports.labels import count, plural
from autointerp.reports.parents import Ints, Kinship, among

MAX_ROOTS = 60
MAX_CHILDREN = 12
"""Most under one feature."""
MAX_NODES = 1500
"""Most in the whole tree: what a page of several prefixes can hold."""
MAX_DEPTH = 12
"""Most levels; a dump has as many as it has prefixes."""
OPEN_UP_TO = 40
"""A tree of no more features than this is unfolded to begin with."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Which features a tree shows."""

    feature: int
    n_children: int
    """Features of the run, or leading to one, that stand right under it; shown or not."""
    children: "tuple[Branch, ...]"

    def features(self) -> Iterator[int]:
        """Its own and those below, from the top."""
        yield self.feature
        for child in self.children:
            yield from child.features()


@dataclass(frozen=True, slots=True)
class Plan:
    """The shape of a tree."""

    branches: tuple[Branch, ...]
    n_roots: int
    """Features with others below and none above, shown or not."""
    n_below: int
    """Features that stand under another, shown or not."""

    def features(self) -> set[int]:
        """All that it shows."""
        return {f for branch in self.branches for f in branch.features()}


@dataclass(frozen=True, slots=True)
class Node:
    """A feature of the tree, as the templates need it."""

    own: Relative
    score: str
    """Of the run's headline scorer; empty where there is none."""
    interval: str
    n_children: int
    children: "tuple[Node, ...]"

    @property
    def rest(self) -> int:
        """Features right under it that are not shown."""
        return self.n_children - len(self.children)


@dataclass(frozen=True, slots=True)
class Tree:
    """The section."""

    nodes: tuple[Node, ...]
    sentence: str
    cut: bool
    unfolded: bool


class Levels:
    """Children by parent.

    Args:
        kinship: who stands under whom.
        known: features of the run, ascending.
        inner: width of the smallest prefix.
    """

    def __init__(self, kinship: Kinship, known: Ints, inner: int) -> None:
        order = np.argsort(kinship.closest, kind="stable")
        self._children = kinship.children[order]
        self._parents, starts = np.unique(kinship.closest[order], return_index=True)
        self._bounds = np.append(starts, len(order))
        self._known, self._inner = known, inner
        self.roots = self._parents[~among(kinship.children, self._parents)]
        """Features with others below and none above, ascending."""

    def sizes(self, features: NDArray[np.int32]) -> Ints:
        """How many stand right under each of `features`."""
        if not len(self._parents):
            return np.zeros(len(features), np.int64)
        at = np.minimum(np.searchsorted(self._parents, features), len(self._parents) - 1)
        return np.where(self._parents[at] == features, np.diff(self._bounds)[at], 0)

    def under(self, feature: int) -> NDArray[np.int32]:
        """Those right under one feature, ascending."""
        at = int(np.searchsorted(self._parents, feature))
        if at == len(self._parents) or self._parents[at] != feature:
            return self._children[:0]
        return self._children[self._bounds[at] : self._bounds[at + 1]]

    def first(self, features: NDArray[np.int32], limit: int) -> list[int]:
        """At most `limit`: of the smallest prefix first, then those of the run, then those with most below."""
        keys = (features, -self.sizes(features), ~among(self._known, features), features >= self._inner)
        return features[np.lexsort(keys)[:limit]].tolist()


def plan_tree(kinship: Kinship, known: Ints, widths: tuple[int, ...]) -> Plan:
    """Chooses what the tree shows, level by level from the top; each level shares what room is left evenly.

    Args:
        kinship: who stands under whom.
        known: features of the run, ascending.
        widths: prefixes of the dump, ascending.
    """
    levels = Levels(kinship, known, widths[0])
    top = levels.first(levels.roots, MAX_ROOTS)
    below: dict[int, list[int]] = {}
    level, room = top, MAX_NODES - len(top)
    for _ in widths[1:MAX_DEPTH]:
        parents = [f for f in level if len(levels.under(f))]
        most = min(MAX_CHILDREN, room // max(len(parents), 1))
        below |= {f: levels.first(levels.under(f), most) for f in parents}
        level = [child for f in parents for child in below[f]]
        room -= len(level)

    def branch(feature: int) -> Branch:
        return Branch(feature, len(levels.under(feature)), tuple(branch(c) for c in below.get(feature, ())))

    return Plan(tuple(branch(f) for f in top), len(levels.roots), len(kinship.children))


def tree_of(
    plan: Plan, relatives: Mapping[int, Relative], scores: Mapping[int, tuple[str, str]], headline: str
) -> Tree | None:
    """Fills the shape; None where no feature stands under another.

    Args:
        plan: which features are shown.
        relatives: a line for each of them.
        scores: value and interval of those that have them.
        headline: what the score is; empty where the run has none.
    """
    if not plan.branches:
        return None

    def node(branch: Branch) -> Node:
        score, interval = scores.get(branch.feature, ("", ""))
        children = tuple(node(child) for child in branch.children)
        return Node(relatives[branch.feature], score, interval, branch.n_children, children)

    nodes = tuple(node(branch) for branch in plan.branches)
    n_shown = len(plan.features())
    cut = n_shown < plan.n_roots + plan.n_below
    return Tree(nodes, _sentence(plan, n_shown, headline, cut=cut), cut, n_shown <= OPEN_UP_TO)


def _sentence(plan: Plan, n_shown: int, headline: str, *, cut: bool) -> str:
    said = "A feature stands under the closest of its parents: features of smaller prefixes that fire where it does."
    if headline:
        said += f" Its number is “{headline}”, with its 95 % interval."
    if cut:
        said += (
            f" {count(n_shown)} of {plural(plan.n_roots + plan.n_below, 'feature')} are shown:"
            f" {count(len(plan.branches))} of {count(plan.n_roots)} at the top and at most {MAX_CHILDREN} under each,"
            " first those with most under them."
        )
    return said
