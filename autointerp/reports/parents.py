"""Which features stand within which, read from a dump a row group at a time."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from autointerp.dump.checks import feature_faults, ints
from autointerp.dump.format import FEATURES
from autointerp.dump.reader import Dump
from autointerp.errors import DumpError
from autointerp.reports.data import Kin, ReportData

Ints = NDArray[np.int64]
Small = NDArray[np.int32]

COSTLY = "histogram"
"""The one wide column of features.parquet; nothing here needs it."""


@dataclass(frozen=True, slots=True, eq=False)
class Kinship:
    """What a report needs to know of parents: eight bytes a feature of the run, and the whole only of the cards."""

    children: Small
    """Features that have a parent and are in the run, or lead to one that is; ascending."""
    closest: Small
    """The closest parent of each of `children`."""
    parents: dict[int, tuple[int, ...]]
    """All parents of the features that have a card, the closest first; those without any are left out."""
    n_narrower: Counter[int]
    """Features of the run that name one with a card as a parent."""

    def on_page(self) -> dict[int, list[int]]:
        """The features that have a card by those of their parents that stand here or elsewhere; ascending."""
        found: dict[int, list[int]] = {}
        for child in sorted(self.parents):
            for parent in self.parents[child]:
                found.setdefault(parent, []).append(child)
        return found


def kin_of(dump: Dump) -> Iterator[Kin]:
    """Every pair of a feature and a parent that the dump states.

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
        yield Kin(ints(table["feature"])[owner], ints(pc.call_function("list_flatten", [table["parents"]])))


def kinship_of(data: ReportData, known: Ints, chosen: Sequence[int]) -> Kinship:
    """Reads the parents once.

    Args:
        data: the run and its dump.
        known: features of the run, ascending.
        chosen: those of them that have a card, ascending.
    """
    growing, cards = _Growing(), np.array(chosen, np.int64)
    # Features of the last prefix are nobody's parents: those beyond the run lead nowhere.
    inner = data.widths[-2] if len(data.widths) > 1 else 0
    for kin in data.kin():
        in_run = among(known, kin.child)
        first = np.diff(kin.child, prepend=-1) != 0
        growing.add(kin, first & (in_run | (kin.child < inner)))
        of_card = among(cards, kin.child)
        for child, parent in zip(kin.child[of_card].tolist(), kin.parent[of_card].tolist(), strict=True):
            growing.parents[child] = (*growing.parents.get(child, ()), parent)
        growing.n_narrower.update(kin.parent[in_run & among(cards, kin.parent)].tolist())
    children, closest = _frozen(growing.children), _frozen(growing.closest)
    kept = _leading_to(children, closest, known, data.widths)
    return Kinship(children[kept], closest[kept], growing.parents, growing.n_narrower)


def among(sorted_ids: NDArray[np.integer], wanted: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of `wanted` are in `sorted_ids`, which ascend."""
    if not len(sorted_ids):
        return np.zeros(len(wanted), np.bool_)
    return sorted_ids[np.minimum(np.searchsorted(sorted_ids, wanted), len(sorted_ids) - 1)] == wanted


@dataclass(slots=True)
class _Growing:
    children: "array[int]" = field(default_factory=lambda: array("i"))
    closest: "array[int]" = field(default_factory=lambda: array("i"))
    parents: dict[int, tuple[int, ...]] = field(default_factory=dict)
    n_narrower: Counter[int] = field(default_factory=Counter)

    def add(self, kin: Kin, kept: NDArray[np.bool_]) -> None:
        self.children.frombytes(kin.child[kept].astype(np.int32).tobytes())
        self.closest.frombytes(kin.parent[kept].astype(np.int32).tobytes())


def _frozen(growing: "array[int]") -> Small:
    return np.frombuffer(growing, np.int32) if growing else np.empty(0, np.int32)


def _leading_to(children: Small, closest: Small, known: Ints, widths: Sequence[int]) -> NDArray[np.bool_]:
    """Which of `children` are in `known` or have, through closest parents, one below them that is."""
    kept = among(known, children)
    # Parents stand in smaller prefixes, so that each prefix is settled before the one below it.
    for low, high in reversed(list(pairwise((0, *widths)))):
        start, stop = np.searchsorted(children, [low, high])
        leading = np.unique(closest[stop:][kept[stop:]])
        kept[start:stop] |= among(leading, children[start:stop])
    return kept
