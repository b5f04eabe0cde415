"""Which features are whose parents, read from a dump a row group at a time."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from autointerp.dump.checks import feature_faults, ints
from autointerp.dump.format import FEATURES
from autointerp.dump.reader import Dump
from autointerp.errors import DumpError
from autointerp.reports.data import ParentPairs, ReportData

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
        for fault in feature_faults(table.append_column(COSTLY, nothing), dump.info):
            raise DumpError(f"{parts.where(at, fault.row)}: {fault.field} {fault.message}")
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
