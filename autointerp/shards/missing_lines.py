"""The lines of a part that its run has not. Of a line of the run its feature is kept, and where needed its place."""

import heapq
import itertools
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

import numpy as np

from autointerp.arrays import Mask, among
from autointerp.runs.index import NONE, Ints, keys
from autointerp.runs.jsonl import opened
from autointerp.unexplainable import UNEXPLAINABLE

SETTLED = f'"kind":"{UNEXPLAINABLE}"'.encode()
"""Stands in the line of a feature that can never be explained."""
_CREATED = re.compile(rb'"created":"[^"]*"')
_AT_ONCE = 4096
"""Numbers of an array that are made Python's own at once, since these take several times the memory."""

Places = tuple[Ints, Ints]
"""Features, ascending, and the byte at which a line of each begins; lines of one feature in their order."""


@dataclass
class Known:
    """Of which features a file of the run has lines, to which it gets those of part after part, and where."""

    _lots: dict[str, list[Places]] = field(default_factory=dict)
    """By scorer, empty where none is told from another."""

    @classmethod
    def of(cls, file: Path, *, notes: bool) -> "Known":
        """Those that a file has now; of records, which hold no `notes`, by scorer, and not where.

        Raises:
            RunError: a line names no feature.
        """
        known = cls()
        for scorer, (features, places) in _places(file, by_scorer=not notes).items():
            known.add(scorer, features, places if notes else NONE)
        return known

    def add(self, scorer: str, features: Ints, places: Ints) -> None:
        """The file has got lines of these features, ascending."""
        self._lots.setdefault(scorer, []).append((features, places))

    def has(self, scorer: str, features: Ints) -> Mask:
        """Which of these features, ascending, have a line of a scorer; shape [features]."""
        found = np.zeros(len(features), np.bool_)
        for lot, _ in self._meeting(scorer, features):
            found |= among(lot, features)
        return found

    def lines_of(self, features: Ints) -> Places:
        """Where the lines of these features, ascending, begin."""
        met = [(lot[own], at[own]) for lot, at in self._meeting("", features) if (own := among(features, lot)).any()]
        if not met:
            return NONE, NONE
        return _ascending(*(np.concatenate(columns) for columns in zip(*met, strict=True)))

    def _meeting(self, scorer: str, features: Ints) -> Iterator[Places]:
        """Most parts are runs of neighbours, and meet no other one."""
        for lot, at in self._lots.get(scorer, []):
            if len(lot) and len(features) and lot[0] <= features[-1] and features[0] <= lot[-1]:
                yield lot, at


def missing_records(file: Path, known: Known) -> Iterator[bytes]:
    """A part's explanations or scores that the run has not, by feature; of a feature's several the last one holds.

    Args:
        file: of the part.
        known: by scorer, what the run has; is told at the end what it got.

    Raises:
        RunError: a line is not JSON or names no feature.
    """
    found = {scorer: _last(*own) for scorer, own in _places(file, by_scorer=True).items()}
    new = ((*own, ~known.has(scorer, own[0])) for scorer, own in found.items())
    # Those of one feature in the order in which the part has their scorers first.
    ordered = heapq.merge(*(_numbers(features[m], places[m]) for features, places, m in new), key=itemgetter(0))
    with opened(file) as lines:
        for _, at in ordered:
            yield _line(lines, at)
    for scorer, (features, _) in found.items():
        known.add(scorer, features, NONE)


def missing_notes(file: Path, run: Path, known: Known) -> Iterator[bytes]:
    """A part's failures or exchanges that the run has not, by feature; equal lines count as often as they stand.

    Of a feature that is settled one line is enough, whenever and by whomever it was found.

    Args:
        file: of the part.
        run: the same file of the run, to which the lines are appended.
        known: which features have lines there; is told at the end what it got.

    Raises:
        RunError: a line is not JSON or names no feature.
    """
    features, places = _places(file, by_scorer=False).get("", (NONE, NONE))
    there, at_there = known.lines_of(np.unique(features[known.has("", features)]))
    got, got_at, end = array("q"), array("q"), run.stat().st_size
    with opened(file) as lines, opened(run) as others:
        for feature, group in itertools.groupby(_numbers(features, places), key=itemgetter(0)):
            own = (_line(lines, at) for _, at in group)
            first, last = (int(np.searchsorted(there, feature, side)) for side in ("left", "right"))
            for line in _without(own, [_line(others, at) for at in at_there[first:last].tolist()]):
                got.append(feature)
                got_at.append(end)
                end += len(line)
                yield line
    known.add("", np.frombuffer(got, np.int64), np.frombuffer(got_at, np.int64))


def _without(lines: Iterable[bytes], others: Iterable[bytes]) -> Iterator[bytes]:
    """The first of these lines, as many of each as there are more than among the others."""
    own = list(lines)
    more = Counter(map(_said, own))
    more.subtract(map(_said, others))
    for line in own:
        if more[_said(line)] > 0:
            more[_said(line)] -= 1
            yield line


def _said(line: bytes) -> bytes:
    """What a line says; that of a settled feature without its time."""
    return _CREATED.sub(b"", line) if SETTLED in line else line


def _places(file: Path, *, by_scorer: bool) -> dict[str, Places]:
    """Where the whole lines of a file begin, by scorer, or all together where none is told from another."""
    found: dict[str, tuple[array[int], array[int]]] = {}
    for feature, scorer, at in keys(file):
        features, places = found.setdefault(scorer if by_scorer else "", (array("q"), array("q")))
        features.append(feature)
        places.append(at)
    return {scorer: _ascending(*(np.frombuffer(column, np.int64) for column in own)) for scorer, own in found.items()}


def _ascending(features: Ints, places: Ints) -> Places:
    if (features[1:] >= features[:-1]).all():
        return features, places
    order = np.argsort(features, kind="stable")
    return features[order], places[order]


def _last(features: Ints, places: Ints) -> Places:
    """Of each feature the last line."""
    last = np.append(features[1:] != features[:-1], True)
    return features[last], places[last]


def _numbers(features: Ints, places: Ints) -> Iterator[tuple[int, int]]:
    for start in range(0, len(features), _AT_ONCE):
        lot = slice(start, start + _AT_ONCE)
        yield from zip(features[lot].tolist(), places[lot].tolist(), strict=True)


def _line(file: BinaryIO, at: int) -> bytes:
    file.seek(at)
    return file.readline()
