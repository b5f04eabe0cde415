"""One pass over a run's records: what the summary counts, in a few numbers a feature however many there are."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import nan

import numpy as np
from numpy.typing import NDArray

from autointerp.reports.columns import Column, Growing
from autointerp.reports.data import ReportData
from autointerp.reports.score_details import unanswered
from autointerp.schema import Explanation, FailureRecord, Score, Scored, Usage

ONE, NONE, MIXED = 0.0, 1.0, 2.0
"""What an explanation says: one property, no common property, several."""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """All failures of one stage and kind."""

    stage: str
    kind: str
    records: int
    features: int
    open: int
    """Features that still lack what failed; the others were answered by a later try."""
    message: str
    """The latest."""
    created: str


@dataclass(frozen=True, slots=True)
class Relevance:
    """What relevance scores say beyond their values."""

    p: Column
    """Fisher's p of each feature that was tested against the base rate."""
    base_rate: float | None
    """Share of all images that carry the attribute; None where no score says it."""
    exact: bool
    """Whether that is a count, or an estimate from the images drawn."""
    named: Column
    """Whether the model named a shared error in the feature's images, 1.0 or 0.0."""
    shuffled: Column
    """The same for a shuffled image set, where one was asked about."""


@dataclass(frozen=True, slots=True)
class SampledTally:
    """Features whose explanations were chosen from several sampled ones."""

    kept: Column
    """Explanations that beat chance, for each of them; 0 also where there is no common property."""
    collapse: Column
    """Collapse index, 0 to 1, where meanings were told apart."""
    misled: Column
    """There: 1.0 where the most frequent meaning is not the best one, else 0.0."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Everything the summary is made from."""

    states: Column
    """ONE, NONE or MIXED for each explained feature."""
    scores: dict[str, Column]
    """By scorer; NaN where unscored."""
    controls: dict[str, dict[str, Column]]
    """By scorer and control."""
    label_shares: Column
    """Share of its active images that carry the dump's attribute, for each feature where relevance says it."""
    unanswered: dict[str, int]
    """By scorer: judgements without a usable answer, over all lines; only those that have some."""
    relevance: Relevance
    domains: dict[str, Column]
    """By domain: whether its second pass found something, 1.0 or 0.0."""
    sampled: SampledTally
    failed: NDArray[np.int64]
    """Features whose explanation failed and is still missing, ascending."""
    failures: tuple[FailureGroup, ...]
    """Those with open features first, then by number of records."""
    explaining: Usage
    judging: Usage
    explainers: tuple[str, ...]
    judges: tuple[str, ...]

    @property
    def features(self) -> NDArray[np.int64]:
        """Every feature that has an explanation or an open failure, ascending."""
        return np.union1d(self.states.features, self.failed)


@dataclass(slots=True)
class _UsageSum:
    """Adds up usage without making a record for every line."""

    tokens: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    dollars: float | None = None

    def add(self, usage: Usage) -> None:
        figures = (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.calls)
        self.tokens = [a + b for a, b in zip(self.tokens, figures, strict=True)]
        if usage.dollars is not None:
            self.dollars = (self.dollars or 0.0) + usage.dollars

    def usage(self) -> Usage:
        given, written, cached, calls = self.tokens
        return Usage(input_tokens=given, output_tokens=written, cached_tokens=cached, calls=calls, dollars=self.dollars)


def tally(data: ReportData) -> Tally:
    """Reads explanations, scores and failures once each."""
    told = _read_explanations(data.explanations())
    states = told.states.column()
    read = _read_scores(data.scores())
    scores = {name: growing.column() for name, growing in read.values.items()}
    groups = _grouped(data.failures())
    failures = tuple(
        sorted(
            (_failure_group(stage, kind, records, states, scores) for (stage, kind), records in groups.items()),
            key=lambda g: (g.open == 0, -g.records, g.stage, g.kind),
        )
    )
    failing = [np.array(r.features, np.int64) for (stage, _), r in groups.items() if stage == "explain"]
    failed = np.setdiff1d(np.concatenate(failing), states.features) if failing else np.empty(0, np.int64)
    return Tally(
        states=states,
        scores=scores,
        controls={
            scorer: {name: growing.column() for name, growing in own.items()} for scorer, own in read.controls.items()
        },
        label_shares=read.relevance.label_shares.column(),
        unanswered=dict(read.unanswered),
        relevance=read.relevance.whole(),
        domains={name: growing.column() for name, growing in sorted(told.domains.items())},
        sampled=told.sampled.whole(),
        failed=failed,
        failures=failures,
        explaining=told.usage.usage(),
        judging=read.usage.usage(),
        explainers=tuple(sorted(told.models)),
        judges=tuple(sorted(read.judges)),
    )


@dataclass(slots=True)
class _Sampled:
    kept: Growing = field(default_factory=Growing)
    collapse: Growing = field(default_factory=Growing)
    misled: Growing = field(default_factory=Growing)

    def add(self, explanation: Explanation) -> None:
        found = explanation.sampled
        if found is None and not self.kept.features:
            return
        best = found.frequent_is_best if found is not None else None
        collapse = found.collapse if found is not None else None
        # A later explanation without these figures has to replace an earlier one's.
        n = nan if found is None else max(1.0, float(len(found.kept))) if found.beats_chance else 0.0
        self.kept.add(explanation.feature, n)
        self.collapse.add(explanation.feature, nan if collapse is None else collapse)
        self.misled.add(explanation.feature, nan if best is None else float(not best))

    def whole(self) -> SampledTally:
        return SampledTally(self.kept.column(), self.collapse.column(), self.misled.column())


@dataclass(slots=True)
class _Explained:
    states: Growing = field(default_factory=Growing)
    domains: defaultdict[str, Growing] = field(default_factory=lambda: defaultdict(Growing))
    sampled: _Sampled = field(default_factory=_Sampled)
    usage: _UsageSum = field(default_factory=_UsageSum)
    models: set[str] = field(default_factory=set)


def _read_explanations(explanations: Iterable[Explanation]) -> _Explained:
    read = _Explained()
    for explanation in explanations:
        read.states.add(explanation.feature, NONE if explanation.none else MIXED if explanation.mixed else ONE)
        if explanation.domain is not None:
            read.domains[explanation.domain.domain].add(explanation.feature, float(explanation.domain.found))
        read.sampled.add(explanation)
        read.usage.add(explanation.usage)
        read.models.add(explanation.model)
    return read


@dataclass(slots=True)
class _Relevance:
    label_shares: Growing = field(default_factory=Growing)
    p: Growing = field(default_factory=Growing)
    named: Growing = field(default_factory=Growing)
    shuffled: Growing = field(default_factory=Growing)
    base_rate: float | None = None
    exact: bool = True

    def add(self, score: Scored) -> None:
        details, lmm = score.details, score.details.get("form") == "lmm"
        # The value is the label's share, or a detail of it where the value is the model's yes or no.
        figures = [(self.label_shares, details.get("label_share") if lmm else score.value)]
        figures.append((self.p, details.get("p_fisher")))
        if lmm:
            control = score.controls.get("shuffled")
            figures += [(self.named, score.value), (self.shuffled, control.value if control is not None else None)]
        for growing, value in figures:
            if isinstance(value, float | int):
                growing.add(score.feature, float(value))
        base = details.get("label_base_rate")
        if isinstance(base, float | int):
            self.base_rate, self.exact = float(base), details.get("base_rate_exact") is not False

    def whole(self) -> Relevance:
        return Relevance(
            p=self.p.column(),
            base_rate=self.base_rate,
            exact=self.exact,
            named=self.named.column(),
            shuffled=self.shuffled.column(),
        )


@dataclass(slots=True)
class _Scores:
    values: defaultdict[str, Growing] = field(default_factory=lambda: defaultdict(Growing))
    controls: dict[str, defaultdict[str, Growing]] = field(default_factory=dict)
    unanswered: Counter[str] = field(default_factory=Counter)
    relevance: _Relevance = field(default_factory=_Relevance)
    usage: _UsageSum = field(default_factory=_UsageSum)
    judges: set[str] = field(default_factory=set)


def _read_scores(scores: Iterable[Score]) -> _Scores:
    read = _Scores()
    for score in scores:
        read.values[score.scorer].add(score.feature, score.value if isinstance(score, Scored) else np.nan)
        if not isinstance(score, Scored):
            continue
        for name, control in score.controls.items():
            read.controls.setdefault(score.scorer, defaultdict(Growing))[name].add(score.feature, control.value)
        if n := unanswered(score):
            read.unanswered[score.scorer] += n
        if score.scorer == "relevance":
            read.relevance.add(score)
        read.usage.add(score.usage)
        if score.judge:
            read.judges.add(score.judge)
    return read


@dataclass(slots=True)
class _FailureList:
    features: "array[int]" = field(default_factory=lambda: array("q"))
    latest: tuple[str, str] = ("", "")
    """When, and the message."""


def _grouped(failures: Iterable[FailureRecord]) -> dict[tuple[str, str], _FailureList]:
    groups: defaultdict[tuple[str, str], _FailureList] = defaultdict(_FailureList)
    for failure in failures:
        group = groups[failure.stage, failure.kind]
        group.features.append(failure.feature)
        if failure.created >= group.latest[0]:
            group.latest = (failure.created, failure.message)
    return groups


def _failure_group(
    stage: str, kind: str, found: _FailureList, states: Column, scores: dict[str, Column]
) -> FailureGroup:
    features = np.unique(np.array(found.features, np.int64))
    missing = np.setdiff1d(features, _answered(stage, states, scores))
    created, message = found.latest
    return FailureGroup(stage, kind, len(found.features), len(features), len(missing), message, created)


def _answered(stage: str, states: Column, scores: dict[str, Column]) -> NDArray[np.int64]:
    """Features that have what `stage` makes; a second pass counts as made with its explanation."""
    if stage.startswith("score:"):
        column = scores.get(stage.removeprefix("score:"))
        return column.features if column is not None else np.empty(0, np.int64)
    return states.features
