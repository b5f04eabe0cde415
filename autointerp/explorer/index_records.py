"""The records of a run by feature, from where an index knows them to be."""

from typing import TypeVar

import numpy as np
from pydantic import TypeAdapter

from autointerp.explorer.index import Index
from autointerp.explorer.index_columns import SOURCE, BrokenIndexError, Whole
from autointerp.runs.by_feature import ByFeature, Lines, Verdicts
from autointerp.runs.index import EXPLANATION, FAILURE
from autointerp.runs.jsonl import JsonLines
from autointerp.runs.score_lines import FIGURES
from autointerp.schema import Explanation, FailureRecord, Scored, Unscored

T = TypeVar("T", bound=Explanation | Scored | Unscored | FailureRecord)


class IndexedRecords(ByFeature):
    """Reads the records of a run by feature without looking through its files.

    Args:
        index: of a run, as it is now.
    """

    def __init__(self, index: Index) -> None:
        self._index, now = index, index.now
        self.explanations = self._lines(now.whole("explained"), "explanations.jsonl", EXPLANATION)
        self.scores = {
            Verdicts(key.scorer, key.judging): self._lines(
                now.whole(index.scores_column(key, "at")), "scores.jsonl", FIGURES
            )
            for key in index.keys
        }
        self.figures = {Verdicts(key.scorer, key.judging): index.figures(key) for key in index.keys}
        self.failures = {}
        for stage, failing in index.failing().items():
            places = np.zeros(now.n, np.int64)
            features, at = np.array(failing, np.int64).T
            places[features] = at
            lines = self._lines(places, "failures.jsonl", FAILURE)
            self.failures[stage] = lines.without(self._succeeded(stage))

    def _lines(self, places: Whole, name: str, adapter: TypeAdapter[T]) -> Lines[T]:
        there = np.flatnonzero(places)
        numbers, offsets = np.divmod(places[there].astype(np.int64), SOURCE)
        paths = self._index.files(name)
        if not np.isin(numbers, list(paths)).all():
            raise BrokenIndexError(f"a place in {name}")
        files = [JsonLines(path, adapter) for path in paths.values()]
        return Lines(files, self._index.ids[there], np.searchsorted(list(paths), numbers), offsets)
