"""The records of single features, read from the run's files by place."""

from autointerp.errors import RunError
from autointerp.reports.aggregates import EXPLAIN, PLACE, Aggregates, Column, answered
from autointerp.reports.data import Lines, ReportData, T_co
from autointerp.reports.labels import scorer_order
from autointerp.schema import Explanation, FailureRecord, Score


class Records:
    """Reads explanations, scores and open failures by feature."""

    def __init__(self, data: ReportData, counted: Aggregates) -> None:
        self._data = data
        self._counted = counted
        self._scorers = scorer_order(counted.scorers)

    def explanation(self, feature: int) -> Explanation | None:
        """Returns the explanation that holds; None where there is none."""
        return _record(self._data.explanations, self._counted.column(EXPLAIN, PLACE), feature)

    def score(self, feature: int, scorer: str) -> Score | None:
        """Returns the score that holds; None where the scorer has not come to the feature."""
        return _record(self._data.scores, self._counted.score(scorer, PLACE), feature)

    def scores(self, feature: int) -> dict[str, Score]:
        """Returns the scores that hold by scorer, in the order of the report."""
        found = {scorer: self.score(feature, scorer) for scorer in self._scorers}
        return {scorer: score for scorer, score in found.items() if score is not None}

    def failures(self, feature: int) -> tuple[FailureRecord, ...]:
        """Returns the latest failure of each stage that has not succeeded since."""
        stages = self._counted.below("failure")
        missing = [s for s in stages if answered(self._counted.columns, s).get(feature) is None]
        found = (_record(self._data.failures, stages[stage], feature) for stage in missing)
        return tuple(failure for failure in found if failure is not None)

    def state(self, feature: int) -> str:
        """Returns `one`, `mixed` or `none` by what the explanation says; `failed` where there is none."""
        explanation = self.explanation(feature)
        if explanation is None:
            return "failed"
        return "none" if explanation.none else "mixed" if explanation.mixed else "one"


def _record(lines: Lines[T_co], places: Column, feature: int) -> T_co | None:
    place = places.get(feature)
    if place is None:
        return None
    record = lines[int(place)]
    if record.feature != feature:
        raise RunError("the run's files were rewritten while they were read; run the same command again")
    return record
