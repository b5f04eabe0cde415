"""The lines of a run by feature: which a file speaks of, and where; a few bytes of memory for each line."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from autointerp.errors import RunError
from autointerp.runs.jsonl import JsonLines, opened
from autointerp.runs.score_lines import SCORE
from autointerp.schema import Explanation, FailureRecord, Scored, Unscored

Ints = npt.NDArray[np.int64]
NONE: Ints = np.zeros(0, np.int64)
"""No features."""
EXPLANATION = TypeAdapter[Explanation](Explanation)
FAILURE = TypeAdapter[FailureRecord](FailureRecord)


class _Key(BaseModel):
    """The part of a line that says what it is about."""

    feature: Annotated[int, Field(ge=0, lt=2**63)]
    scorer: str = ""
    judging: str = ""


_KEY = TypeAdapter[_Key](_Key)


def named(what: str, judging: str) -> str:
    """The name of a scorer, or of a stage, with that of a judging other than the first."""
    return f"{what}@{judging}" if judging else what


def judging_of(name: str) -> str:
    """The judging in such a name; empty for the first one."""
    return name.partition("@")[2]


def keys(path: Path) -> Iterator[tuple[int, str, int]]:
    """Feature, scorer with its judging (empty in explanations.jsonl) and byte offset of every whole line.

    Raises:
        RunError: a line is not JSON or names no feature.
    """
    if not path.exists():
        return
    offset = 0
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return  # torn: its writer was killed or is writing it now
            try:
                key = _KEY.validate_json(line)
            except ValidationError as e:
                raise RunError(f"{path}:{number}: not a line of a run; mend or delete it") from e
            yield key.feature, named(key.scorer, key.judging), offset
            offset += len(line)


def holds(ids: Ints, feature: int) -> bool:
    """Whether an id is among ascending ones; unlike `in`, it does not read them all."""
    at = int(np.searchsorted(ids, feature))
    return at < len(ids) and int(ids[at]) == feature


def last_lines(path: Path) -> dict[str, tuple[Ints, Ints]]:
    """By scorer with its judging: the features that have a line, ascending, and the byte offset of the last of each.

    Raises:
        RunError: a line is not JSON or names no feature.
    """
    found: dict[str, array[int]] = {}
    for feature, scorer, offset in keys(path):
        found.setdefault(scorer, array("q")).extend((feature, offset))
    return {scorer: _last(np.array(pairs, np.int64).reshape(-1, 2)[::-1]) for scorer, pairs in found.items()}


def _last(lines: Ints) -> tuple[Ints, Ints]:
    """Of features and offsets, shape [lines, 2], the last line first."""
    features, at = np.unique(lines[:, 0], return_index=True)
    return features, lines[at, 1]


class ExplanationIndex:
    """Random access to explanations.jsonl; of a feature explained twice the last line holds.

    Args:
        path: the file, which may be missing.

    Raises:
        RunError: a line is not JSON or names no feature.
    """

    def __init__(self, path: Path) -> None:
        self._records = JsonLines(path, EXPLANATION)
        self.features, self._offsets = last_lines(path).get("", (NONE, NONE))
        """Ids, ascending, each once; and where their lines begin."""

    def __getitem__(self, feature: int) -> Explanation:
        """The explanation of a feature. Raises KeyError where there is none, RunError where its line is broken."""
        if not holds(self.features, feature):
            raise KeyError(feature)
        at = int(self._offsets[np.searchsorted(self.features, feature)])
        return next(self._records.read([(at, f"the explanation of feature {feature}")]))


class ScoreIndex:
    """Random access to scores.jsonl: the lines of each scorer by feature; of a feature scored twice the last one holds.

    Args:
        path: the file, which may be missing.
        judging: whose lines are read; the first one's by default.

    Raises:
        RunError: a line is not JSON or names no feature.
    """

    def __init__(self, path: Path, judging: str = "") -> None:
        self._records = JsonLines(path, SCORE)
        own = {name: lines for name, lines in last_lines(path).items() if judging_of(name) == judging}
        self._lines = {name.partition("@")[0]: lines for name, lines in own.items()}

    @property
    def scorers(self) -> list[str]:
        """In the order in which they first appear."""
        return list(self._lines)

    def features(self, scorer: str) -> Ints:
        """Features with a line of this scorer, ascending; none for a scorer without lines."""
        return self._lines.get(scorer, (NONE, NONE))[0]

    def scores(self, scorer: str, among: Ints) -> Iterator[Scored | Unscored]:
        """The last line of each of these features, in this order; each must be one of `features(scorer)`.

        Raises:
            RunError: a line is no score; names the file and the feature.
        """
        features, offsets = self._lines[scorer]
        places = offsets[np.searchsorted(features, among)].tolist()
        return self._records.read((at, f"feature {f}, {scorer}") for f, at in zip(among.tolist(), places, strict=True))
