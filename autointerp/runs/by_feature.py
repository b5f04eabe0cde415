"""The records of a run and its parts by feature: where each one stands, at a few bytes of memory for each line."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from pydantic import TypeAdapter

from autointerp.runs.folder import Run
from autointerp.runs.index import EXPLANATION, FAILURE, NONE, Ints, named
from autointerp.runs.jsonl import JsonLines
from autointerp.runs.score_lines import FIGURES
from autointerp.runs.tables import SCORES, scored_row
from autointerp.schema import Explanation, FailureRecord, Scored, Unscored

T = TypeVar("T", bound=Explanation | Scored | Unscored | FailureRecord)
EXPLAIN = "explain"
SCORE = "score:"
"""What stands before a scorer in the stage of a failure."""


class Verdicts(NamedTuple):
    """Names the scores of one scorer in one judging."""

    scorer: str
    judging: str
    """Its name in run.json; empty for the first one."""

    @property
    def stage(self) -> str:
        """The stage of their failures."""
        return named(SCORE + self.scorer, self.judging)


@dataclass(frozen=True, slots=True, eq=False)
class Lines(Generic[T]):
    """Says where the record of each feature is that holds, and reads it."""

    files: Sequence[JsonLines[T]]
    """Those of the run and its parts."""
    features: Ints
    """Ids, ascending, each once."""
    numbers: Ints
    """In which of the files each record stands."""
    offsets: Ints
    """At which byte of it."""

    def without(self, features: Ints) -> "Lines[T]":
        """The same without these features."""
        kept = ~np.isin(self.features, features)
        return replace(self, features=self.features[kept], numbers=self.numbers[kept], offsets=self.offsets[kept])

    def among(self, features: Ints) -> dict[int, T]:
        """The records of those of the features, ascending, that have one."""
        first = int(np.searchsorted(self.features, features[0], "left"))
        last = int(np.searchsorted(self.features, features[-1], "right"))
        own = np.arange(first, last)[np.isin(self.features[first:last], features)]
        found: dict[int, T] = {}
        for number, file in enumerate(self.files):
            there = own[self.numbers[own] == number]
            if len(there):
                places = zip(self.offsets[there].tolist(), self.features[there].tolist(), strict=True)
                found |= {r.feature: r for r in file.read((at, f"feature {f}") for at, f in places)}
        return found


@dataclass(slots=True)
class _Reading:
    """Is what was read so far of the records that are kept apart under one name."""

    features: "array[int]" = field(default_factory=lambda: array("q"))
    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    offsets: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, feature: int, number: int, offset: int) -> None:
        """Takes one line; a later one of the same feature replaces it."""
        self.features.append(feature)
        self.numbers.append(number)
        self.offsets.append(offset)

    def lines(self, files: Sequence[JsonLines[T]]) -> Lines[T]:
        """Keeps of each feature the last line."""
        features, numbers, offsets = (np.array(a, np.int64)[::-1] for a in (self.features, self.numbers, self.offsets))
        ids, at = np.unique(features, return_index=True)
        return Lines(files, ids, numbers[at], offsets[at])


class ByFeature:
    """Reads the records of a run by feature. The run's own lines hold before those of its parts.

    Args:
        run: as it is now; what is appended later is not read.

    Raises:
        RunError: a line is no such record; the message names the file and the line.
    """

    def __init__(self, run: Run) -> None:
        last = tuple(reversed(run.folders))
        self.explanations = _explanations(_files(last, "explanations.jsonl", EXPLANATION))
        self.scores, self.figures = _scores(_files(last, "scores.jsonl", FIGURES))
        """By scorer and judging; and the controls and details that some of these scores have, as columns."""
        self.failures = {
            stage: lines.without(self._succeeded(stage))
            for stage, lines in _failures(_files(run.folders, "failures.jsonl", FAILURE)).items()
        }
        """By stage, as that of some verdicts or `explain`: the latest failure of each feature not mended since."""

    def _succeeded(self, stage: str) -> Ints:
        if stage == EXPLAIN:
            return self.explanations.features
        return _union(v.features for k, v in self.scores.items() if k.stage == stage)

    @property
    def features(self) -> Ints:
        """Every feature that is explained, scored or settled, or failed; ascending."""
        failed = (lines.features for lines in self.failures.values())
        return _union([self.explanations.features, *(lines.features for lines in self.scores.values()), *failed])


def _files(folders: Iterable[Path], name: str, adapter: TypeAdapter[T]) -> list[JsonLines[T]]:
    return [JsonLines(folder / name, adapter) for folder in folders]


def _records(files: Sequence[JsonLines[T]]) -> Iterator[tuple[int, int, T]]:
    """Number of the file, place and record of every line."""
    for number, file in enumerate(files):
        yield from ((number, place, record) for place, record in file)


def _explanations(files: list[JsonLines[Explanation]]) -> Lines[Explanation]:
    read = _Reading()
    for number, place, record in _records(files):
        read.add(record.feature, number, place)
    return read.lines(files)


def _scores(
    files: list[JsonLines[Scored | Unscored]],
) -> tuple[dict[Verdicts, Lines[Scored | Unscored]], dict[Verdicts, list[str]]]:
    read: dict[Verdicts, _Reading] = {}
    names: dict[Verdicts, set[str]] = {}
    for number, place, record in _records(files):
        key = Verdicts(record.scorer, record.judging)
        read.setdefault(key, _Reading()).add(record.feature, number, place)
        names.setdefault(key, set()).update(scored_row(record))
    figures = {key: sorted(found.difference(SCORES.names)) for key, found in names.items()}
    return {key: own.lines(files) for key, own in read.items()}, figures


def _failures(files: list[JsonLines[FailureRecord]]) -> dict[str, Lines[FailureRecord]]:
    read: dict[str, _Reading] = {}
    for number, place, record in _records(files):
        # The passes of explaining fail and succeed together, so the latest failure of any stands for all.
        stage = EXPLAIN if record.stage.startswith(EXPLAIN) else record.stage
        if stage == EXPLAIN or stage.startswith(SCORE):
            read.setdefault(stage, _Reading()).add(record.feature, number, place)
    return {stage: own.lines(files) for stage, own in read.items()}


def _union(several: Iterable[Ints]) -> Ints:
    return np.unique(np.concatenate([NONE, *several]))
