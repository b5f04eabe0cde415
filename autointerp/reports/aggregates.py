"""One pass over a run's records: a few numbers a feature, however many features there are."""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import nan

import numpy as np
from numpy.typing import NDArray

from autointerp.reports.data import ReportData
from autointerp.schema import Explanation, FailureRecord, Score, Scored, Usage
from autointerp.scoring.control_tests import Separation

ONE, NONE, MIXED = 0.0, 1.0, 2.0
"""What an explanation says: one property, no common property, several."""

EXPLAIN = "explain"
"""The stage of explaining, as failures.jsonl names it."""
PLACE = "place"
"""The column of a stage that holds where each feature's record is."""

Key = tuple[str, ...]
"""What a column holds: the stage as failures.jsonl names it, then the name of the figure."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Holds one figure a feature."""

    features: NDArray[np.int64]
    """Distinct, ascending."""
    values: NDArray[np.float64]
    """NaN where there is no verdict."""

    @property
    def known(self) -> NDArray[np.float64]:
        """Returns the figures without the missing ones."""
        return self.values[np.isfinite(self.values)]

    def get(self, feature: int) -> float | None:
        """Returns the figure of one feature; None where the column does not have it."""
        at = int(np.searchsorted(self.features, feature))
        return float(self.values[at]) if at < len(self.features) and self.features[at] == feature else None


EMPTY = Column(np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Counts the failures of one stage and kind."""

    latest: FailureRecord
    records: int
    features: int
    open: int
    """Features that still lack what failed; the others were answered by a later try."""


@dataclass(frozen=True, slots=True, eq=False)
class Aggregates:
    """Holds everything the summary is made from, and where the records of each feature are."""

    columns: Mapping[Key, Column]
    separations: tuple[Separation, ...]
    """The run's controls against its own scores."""
    failures: tuple[FailureGroup, ...]
    """Those with open features first, then by number of records."""
    base_rate: float | None
    """Share of all images that carry the attribute; None where no score says it."""
    base_rate_exact: bool
    """Whether that is a count, or an estimate from the images drawn."""
    explaining: Usage
    judging: Usage
    explainers: tuple[str, ...]
    judges: tuple[str, ...]

    def column(self, *key: str) -> Column:
        """Returns a column; an empty one where no record has the figure."""
        return self.columns.get(key, EMPTY)

    def score(self, scorer: str, name: str = "value") -> Column:
        """Returns a figure of a scorer; its value is NaN where unscored."""
        return self.column(stage_of(scorer), name)

    def below(self, *key: str) -> dict[str, Column]:
        """Returns the columns whose key is `key` and one name more, by that name."""
        return {k[-1]: c for k, c in sorted(self.columns.items()) if k[:-1] == key}

    @property
    def scorers(self) -> set[str]:
        """Returns the scorers that gave a verdict or a reason for none."""
        return {k[0].removeprefix("score:") for k in self.columns if k[0].startswith("score:") and k[1] == "value"}

    @property
    def failed(self) -> NDArray[np.int64]:
        """Returns the features whose explanation failed and is still missing, ascending."""
        failing = [c.features for stage, c in self.below("failure").items() if stage.startswith(EXPLAIN)]
        return np.setdiff1d(np.concatenate([EMPTY.features, *failing]), self.column(EXPLAIN, PLACE).features)

    @property
    def features(self) -> NDArray[np.int64]:
        """Returns every feature that has an explanation or an open failure, ascending."""
        return np.union1d(self.column(EXPLAIN, PLACE).features, self.failed)


def stage_of(scorer: str) -> str:
    """Returns a scorer's stage as failures.jsonl names it."""
    return f"score:{scorer}"


def answered(columns: Mapping[Key, Column], stage: str) -> Column:
    """Returns where the records are that a stage makes; the passes of explaining succeed together."""
    return columns.get((EXPLAIN if stage.startswith(EXPLAIN) else stage, PLACE), EMPTY)


def aggregate(data: ReportData) -> Aggregates:
    """Reads explanations, scores and failures once each."""
    read = _Reader()
    for place, explanation in data.explanations:
        read.explanation(place, explanation)
    scores = read.passing(data)
    separations = data.separations(scores)
    for _ in scores:
        pass  # whatever the tests of the controls left unread
    failed: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    latest: dict[tuple[str, str], FailureRecord] = {}
    settled = data.unexplainable()
    for place, failure in data.failures:
        if failure.feature in settled:
            continue
        read.add(place, failure.feature, "failure", **{failure.stage: place})
        group = (failure.stage, failure.kind)
        failed[group].append(failure.feature)
        if group not in latest or failure.created >= latest[group].created:
            latest[group] = failure
    columns = _current(read.rows)
    groups = [_group(columns, failed[group], last) for group, last in latest.items()]
    return Aggregates(
        columns=columns,
        separations=separations,
        failures=tuple(sorted(groups, key=lambda g: (g.open == 0, -g.records, g.latest.stage, g.latest.kind))),
        base_rate=read.base_rate,
        base_rate_exact=read.exact,
        explaining=read.explaining,
        judging=read.judging,
        explainers=tuple(sorted(read.explainers)),
        judges=tuple(sorted(read.judges)),
    )


@dataclass(slots=True)
class _Rows:
    """Is a column while it is read, at 24 bytes a row."""

    features: "array[int]" = field(default_factory=lambda: array("q"))
    places: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def column(self, current: NDArray[np.float64] | None) -> Column:
        """Returns the last figure of each feature, from the records that are `current`."""
        features, values = np.array(self.features, np.int64), np.array(self.values)
        if current is not None:
            kept = np.isin(np.array(self.places, np.int64), current.astype(np.int64))
            features, values = features[kept], values[kept]
        distinct, first = np.unique(features[::-1], return_index=True)
        return Column(distinct, values[::-1][first])


def _current(rows: Mapping[Key, _Rows]) -> dict[Key, Column]:
    """Makes the columns, without the figures of records that a later one replaced."""
    places = {key[0]: own.column(None).values for key, own in rows.items() if key[1:] == (PLACE,)}
    return {key: own.column(places.get(key[0])) for key, own in rows.items()}


def _group(columns: Mapping[Key, Column], failed: list[int], latest: FailureRecord) -> FailureGroup:
    missing = np.setdiff1d(failed, answered(columns, latest.stage).features)
    return FailureGroup(latest, len(failed), len(set(failed)), len(missing))


@dataclass(slots=True)
class _Reader:
    """Holds what was read so far."""

    rows: defaultdict[Key, _Rows] = field(default_factory=lambda: defaultdict(_Rows))
    explaining: Usage = field(default_factory=Usage)
    judging: Usage = field(default_factory=Usage)
    explainers: set[str] = field(default_factory=set)
    judges: set[str] = field(default_factory=set)
    base_rate: float | None = None
    exact: bool = True

    def add(self, place: int, feature: int, /, *group: str, **figures: float | None) -> None:
        """Adds one row to the column of each figure that the record has."""
        for name, value in figures.items():
            if value is not None:
                rows = self.rows[*group, name]
                rows.features.append(feature)
                rows.places.append(place)
                rows.values.append(value)

    def explanation(self, place: int, e: Explanation) -> None:
        """Takes the figures of an explanation."""
        state = NONE if e.none else MIXED if e.mixed else ONE
        self.add(place, e.feature, EXPLAIN, place=place, state=state)
        if e.domain is not None:
            self.add(place, e.feature, EXPLAIN, "domain", **{e.domain.domain: float(e.domain.found)})
        if (found := e.sampled) is not None:
            kept = max(1.0, float(len(found.kept))) if found.beats_chance else 0.0
            best = found.frequent_is_best
            misled = None if best is None else float(not best)
            self.add(place, e.feature, EXPLAIN, kept=kept, collapse=found.collapse, misled=misled)
        if e.steered is not None:
            same = {control.kind: float(control.same) for control in e.steered.controls}
            self.add(place, e.feature, EXPLAIN, "steered", **same)
        self.explaining += e.usage
        self.explainers.add(e.model)

    def passing(self, data: ReportData) -> Iterator[Score]:
        """Takes the figures of the scores, and hands each on."""
        for place, score in data.scores:
            self.score(place, score)
            yield score

    def score(self, place: int, s: Score) -> None:
        """Takes the figures of a score."""
        stage = stage_of(s.scorer)
        self.add(place, s.feature, stage, place=place, value=s.value if isinstance(s, Scored) else nan)
        if not isinstance(s, Scored):
            return
        self.add(place, s.feature, stage, low=s.low, undetermined=float(s.undetermined))
        self.add(place, s.feature, stage, unanswered=s.number("unanswered"), unsure=s.number("unsure"))
        self.add(place, s.feature, stage, "control", **{name: c.value for name, c in s.controls.items()})
        self.judging += s.usage
        self.judges |= {s.judge} if s.judge else set()
        if s.scorer == "relevance":
            # The value is the label's share, or that is a detail where the value is the model's yes or no.
            named = s.details.get("form") == "lmm"
            label_share = s.number("label_share") if named else s.value
            effect = {name: s.number(name) for name in ("lift", "lift_low", "lift_high")}
            self.add(place, s.feature, stage, label_share=label_share, p=s.number("p_fisher"), **effect)
            self.add(place, s.feature, stage, named=s.value if named else None)
            if (base := s.number("label_base_rate")) is not None:
                self.base_rate, self.exact = base, s.details.get("base_rate_exact") is not False
