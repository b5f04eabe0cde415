"""Random access to scores.jsonl: a few bytes of memory a line, however many judgements the lines hold."""

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from autointerp.errors import RunError
from autointerp.runs.folder import SCORE
from autointerp.runs.index import Ints, keys
from autointerp.runs.jsonl import opened
from autointerp.schema import Scored, Unscored


class ScoreIndex:
    """The lines of each scorer by feature; of a feature scored twice the last line holds.

    Args:
        path: the file, which may be missing.

    Raises:
        RunError: a line is not JSON or names no feature.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        lines: dict[str, tuple[array[int], array[int]]] = {}
        for feature, scorer, offset in keys(path):
            features, offsets = lines.setdefault(scorer, (array("q"), array("q")))
            features.append(feature)
            offsets.append(offset)
        self._lines = {name: _last(*columns) for name, columns in lines.items()}

    @property
    def scorers(self) -> list[str]:
        """In the order in which they first appear."""
        return list(self._lines)

    def features(self, scorer: str) -> Ints:
        """Features with a line of this scorer, ascending; none for a scorer without lines."""
        return self._lines[scorer][0] if scorer in self._lines else np.zeros(0, np.int64)

    def scores(self, scorer: str, among: Ints) -> Iterator[Scored | Unscored]:
        """The last line of each of these features, in this order; each must be one of `features(scorer)`.

        Raises:
            RunError: a line is no score; names the file and the feature.
        """
        features, offsets = self._lines[scorer]
        with opened(self._path) as file:
            for feature, at in zip(among.tolist(), offsets[np.searchsorted(features, among)].tolist(), strict=True):
                file.seek(at)
                try:
                    yield SCORE.validate_json(file.readline())
                except ValidationError as e:
                    first = e.errors(include_url=False, include_input=False)[0]
                    where = ".".join(str(part) for part in first["loc"]) or "line"
                    raise RunError(
                        f"{self._path}: feature {feature}, {scorer}: {where}: {first['msg']}; mend or delete the line"
                    ) from e


def _last(features: "array[int]", offsets: "array[int]") -> tuple[Ints, Ints]:
    """Each feature once, ascending, with the offset of its last line."""
    found, at = np.array(features, np.int64), np.array(offsets, np.int64)
    order = np.lexsort((at, found))
    last = np.append(np.diff(found[order]) != 0, True)
    return found[order][last], at[order][last]
