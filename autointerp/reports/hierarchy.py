"""A feature's parents and children on its card, and the tree of a run's features, as much as a page can hold."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from autointerp.arrays import ints
from autointerp.dump.checks import feature_faults, stop_at
from autointerp.dump.format import FEATURES, DumpInfo
from autointerp.dump.reader import Dump
from autointerp.reports.data import ParentPairs, ReportData
from autointerp.reports.labels import count, plural, scorer_labels
from autointerp.reports.records import Records
from autointerp.schema import Explanation

COSTLY = "histogram"
"""The one wide column of features.parquet; nothing here needs it."""


@dataclass(frozen=True, slots=True)
class Parents:
    """Holds what a report needs to know of parents: the closest of all features, the others only of the cards."""

    closest: Mapping[int, int]
    """The closest parent of features that are in the run, or lead to one that is; by feature, ascending."""
    of_cards: Mapping[int, tuple[int, ...]]
    """All parents of the features that have a card, the closest first; those without any are left out."""
    n_children: Counter[int]
    """Features of the run that name one with a card as a parent."""


def parent_pairs(dump: Dump) -> Iterator[ParentPairs]:
    """Yields every pair of a feature and a parent that the dump states.

    Raises:
        DumpError: a row is not as the format says.
    """
    parts, names = dump.feature_parts, [name for name in FEATURES.names if name != COSTLY]
    for at in range(len(parts.index.rows)):
        table = parts.read(at, names)
        nothing = pa.nulls(table.num_rows, FEATURES.field(COSTLY).type)
        stop_at(feature_faults(table.append_column(COSTLY, nothing), dump.info), partial(parts.where, at))
        owner = ints(pc.call_function("list_parent_indices", [table["parents"]]))
        yield ParentPairs(ints(table["feature"])[owner], ints(pc.call_function("list_flatten", [table["parents"]])))


def read_parents(data: ReportData, known: Collection[int], chosen: Collection[int]) -> Parents:
    """Reads the parents once.

    Args:
        data: the run and its dump.
        known: features of the run.
        chosen: those of them that have a card.
    """
    widths, known, chosen = data.info.widths, set(known), set(chosen)
    # Features of the last prefix are nobody's parents: those beyond the run lead nowhere.
    inner = widths[-2] if len(widths) > 1 else 0
    closest: dict[int, int] = {}
    of_cards: dict[int, tuple[int, ...]] = {}
    n_children: Counter[int] = Counter()
    for pairs in data.parents():
        for child, parent in zip(pairs.child.tolist(), pairs.parent.tolist(), strict=True):
            if child in known or child < inner:
                closest.setdefault(child, parent)
            if child in chosen:
                of_cards[child] = (*of_cards.get(child, ()), parent)
            n_children[parent] += parent in chosen and child in known
    leading: set[int] = set()
    for child in known & closest.keys():
        while child in closest and child not in leading:
            leading.add(child)
            child = closest[child]
    return Parents({child: closest[child] for child in sorted(leading)}, of_cards, +n_children)


MAX_PARENTS = 4
MAX_CHILDREN = 8
"""Most of each that a card names; the others are counted."""
MAX_ROOTS = 60
MAX_UNDER = 12
"""Most under one feature of the tree."""
MAX_NODES = 1500
"""Most in the whole tree: what a page of several prefixes can hold."""
MAX_DEPTH = 12
"""Most levels; a dump has as many as it has prefixes."""
OPEN_UP_TO = 40
"""A tree of no more features than this is unfolded to begin with."""


@dataclass(frozen=True, slots=True)
class Line:
    """Names another feature in a line."""

    feature: int
    width: int
    text: str
    """Its explanation; empty where there is none."""
    instead: str
    """Why there is none, in a few words."""
    linked: bool
    """Whether it has a card."""


@dataclass(frozen=True, slots=True)
class Family:
    """Holds the parents and children of a feature."""

    parents: tuple[Line, ...]
    """The closest first."""
    more_parents: int
    """Parents beyond those."""
    told: str
    """Whether the explainer was told of the parents; empty without parents or without an explanation."""
    children: tuple[Line, ...]
    """Those that have a card."""
    more_children: int
    """Further children in the run, with a card or without."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Is a feature of the tree with those below it."""

    feature: int
    n_children: int
    """Features of the run, or leading to one, that stand right under it; shown or not."""
    children: "tuple[Branch, ...]"

    @property
    def size(self) -> int:
        """Counts the features that it shows, itself and those below."""
        return 1 + sum(child.size for child in self.children)


@dataclass(frozen=True, slots=True)
class Tree:
    """Holds the features that have others under them, and these."""

    branches: tuple[Branch, ...]
    n_roots: int
    """Features with others below and none above, shown or not."""
    n: int
    """All that stand above or below another, shown or not."""

    @property
    def n_shown(self) -> int:
        """Counts the features that are shown."""
        return sum(branch.size for branch in self.branches)

    @property
    def unfolded(self) -> bool:
        """Says whether it is small enough to be unfolded to begin with."""
        return self.n_shown <= OPEN_UP_TO


class Hierarchy:
    """Knows the features around each feature that has a card."""

    def __init__(self, parents: Parents, chosen: Collection[int], info: DumpInfo, records: Records) -> None:
        self._parents, self._info, self._records = parents, info, records
        self._chosen = set(chosen)
        self._children: dict[int, list[int]] = {}
        for child in sorted(parents.of_cards):
            for parent in parents.of_cards[child]:
                self._children.setdefault(parent, []).append(child)

    def line(self, feature: int) -> Line:
        """Returns what stands of a feature in a line."""
        explanation = self._records.explanation(feature)
        if explanation is not None:
            instead = "" if explanation.text else "no common property"
        else:
            instead = "failed" if self._records.failures(feature) else "not in this run"
        text = explanation.text if explanation is not None else ""
        return Line(feature, self._info.width_of(feature), text, instead, feature in self._chosen)

    def family(self, feature: int, own: Explanation | None) -> Family | None:
        """Returns the parents and children of a feature that has a card; None where it has none."""
        parents, children = self._parents.of_cards.get(feature, ()), self._children.get(feature, [])
        n_children = self._parents.n_children[feature]
        if not parents and not n_children:
            return None
        return Family(
            parents=tuple(map(self.line, parents[:MAX_PARENTS])),
            more_parents=max(0, len(parents) - MAX_PARENTS),
            told=told_text(parents, own.parents) if own is not None else "",
            children=tuple(map(self.line, children[:MAX_CHILDREN])),
            more_children=n_children - len(children[:MAX_CHILDREN]),
        )


def told_text(parents: Sequence[int], told: Collection[int]) -> str:
    """Says whether the explainer was told what the parents are about; it is empty without parents."""
    if not parents:
        return ""
    known = [p for p in parents if p in told]
    if known and len(known) < len(parents):
        return f"The explainer was told of {', '.join(map(str, known))} only."
    return f"The explainer was {'' if known else 'not '}told of {'it' if len(parents) == 1 else 'them'}."


def plan_tree(parents: Parents, known: Collection[int], widths: tuple[int, ...]) -> Tree:
    """Chooses what the tree shows, level by level from the top; each level shares what room is left evenly.

    Args:
        parents: who stands under whom.
        known: features of the run.
        widths: prefixes of the dump, ascending.
    """
    under: dict[int, list[int]] = {}
    for child, parent in parents.closest.items():
        under.setdefault(parent, []).append(child)
    known = set(known)

    def first(features: Iterable[int], limit: int) -> list[int]:
        """Takes those of the smallest prefix first, then those of the run, then those with most below."""
        rank = {f: (f >= widths[0], f not in known, -len(under.get(f, ())), f) for f in features}
        return sorted(rank, key=rank.__getitem__)[:limit]

    roots = [f for f in under if f not in parents.closest]
    level = top = first(roots, MAX_ROOTS)
    shown: dict[int, list[int]] = {}
    room = MAX_NODES - len(top)
    for _ in widths[1:MAX_DEPTH]:
        above = [f for f in level if f in under]
        most = min(MAX_UNDER, room // max(len(above), 1))
        shown |= {f: first(under[f], most) for f in above}
        level = [child for f in above for child in shown[f]]
        room -= len(level)

    def branch(feature: int) -> Branch:
        return Branch(feature, len(under.get(feature, ())), tuple(map(branch, shown.get(feature, ()))))

    return Tree(tuple(map(branch, top)), len(roots), len(roots) + len(parents.closest))


def tree_sentence(tree: Tree, headline: str | None) -> str:
    """Says what the tree shows and what it leaves out."""
    said = "Each feature stands under its closest parent: a feature of a smaller prefix that fires where it does."
    if headline is not None:
        said += f" The number is its “{scorer_labels(headline).title}”, with its 95 % interval."
    if tree.n_shown < tree.n:
        said += (
            f" {count(tree.n_shown)} of {plural(tree.n, 'feature')} are shown: {count(len(tree.branches))} of"
            f" {count(tree.n_roots)} at the top and at most {MAX_UNDER} under each, those with most under them first."
        )
    return said
