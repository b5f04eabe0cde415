"""A run together with the parts of its shards that are not merged yet, for whoever only reads."""

from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import numpy as np

from autointerp.remote.path import local_path
from autointerp.runs.folder import Run, joined, open_run
from autointerp.runs.index import Ints
from autointerp.runs.parts import Part, parts_of
from autointerp.schema import Explanation, FailureRecord, Scored, Unscored


class WithParts(Run):
    """Reads the run's own records, then those of its parts that it has not.

    Args:
        run: the run itself; where it has no folder yet, it has no records.
        parts: that are not merged.
    """

    def __init__(self, run: Run, parts: list[Part]) -> None:
        super().__init__(run.path, reduce(joined, (part.run.info for part in parts), run.info))
        self._parts = [part.run for part in parts]

    def explanations(self) -> Iterator[Explanation]:
        """In the order they were written; the last of a feature holds."""
        yield from super().explanations()
        known = set(super().explained().tolist())
        for part in self._parts:
            yield from (e for e in part.explanations() if e.feature not in known)

    def scores(self) -> Iterator[Scored | Unscored]:
        """In the order they were written."""
        known: set[tuple[int, str]] = set()
        for score in super().scores():
            known.add((score.feature, score.scorer))
            yield score
        for part in self._parts:
            yield from (s for s in part.scores() if (s.feature, s.scorer) not in known)

    def failures(self) -> Iterator[FailureRecord]:
        """Every failure there ever was, also of features that succeeded later."""
        yield from super().failures()
        for part in self._parts:
            yield from part.failures()

    def explained(self) -> Ints:
        """Ids of the features that have an explanation, ascending."""
        return np.unique(np.concatenate([super().explained(), *(part.explained() for part in self._parts)]))

    def scored(self, scorer: str) -> Ints:
        """Ids of the features that have a score, or a reason for none, by this scorer; ascending."""
        return np.unique(np.concatenate([super().scored(scorer), *(part.scored(scorer) for part in self._parts)]))


def open_with_parts(path: str | Path) -> Run:
    """Reads a run folder and what of its shards is not merged yet.

    Raises:
        RunError: no such folder, or not one of this format.
    """
    path = local_path(path)
    parts = list(parts_of(path))
    if not parts:
        return open_run(path)
    own = open_run(path) if (path / "run.json").exists() else Run(path, parts[0].run.info)
    return WithParts(own, parts)
