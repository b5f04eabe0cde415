"""A score as a line on an axis: the value, its interval, its controls and what guessing would give."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from autointerp.reports.labels import count, interval_words, number, scorer_words, usage_words, words_of
from autointerp.reports.score_details import Particulars, Row, particulars_of, yes_or_no
from autointerp.schema import Score, Scored, Unscored

CHANCE = "chance"
"""The control that is what guessing scores: a line across the axis and not a point on it."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values of a scorer to 0–100 % of a drawing's width."""

    low: float
    high: float
    chance: float | None
    """Where guessing stands, in values."""

    def place(self, value: float) -> float:
        """Percent of the width, cut at the ends."""
        return round(100 * min(1.0, max(0.0, (value - self.low) / (self.high - self.low))), 2)

    @property
    def chance_place(self) -> float | None:
        """Percent of the width; None where guessing is not one number."""
        return None if self.chance is None else self.place(self.chance)


@dataclass(frozen=True, slots=True)
class ScorerPlan:
    """Which scorers a page shows, and where."""

    scorers: tuple[str, ...]
    """All of the run, in the order of the report."""
    columns: tuple[str, ...]
    """Those with a column in the table: the first few that scored anything."""
    headline: str | None
    """The column by which cards are chosen and the table is filtered."""
    axes: Mapping[str, Axis]
    """One for each of `scorers`."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A control on the axis of its score."""

    title: str
    text: str
    place: float
    interval: str = ""
    p: str = ""
    drawn: bool = True
    """Whether it is a point; guessing is a line instead."""


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """One scored or unscored line of a card."""

    title: str
    text: str
    """The value to read; empty where unscored."""
    interval: str
    place: float
    low: float
    high: float
    """The value and its interval in percent of the axis."""
    axis: Axis
    controls: tuple[Mark, ...]
    figures: tuple[Row, ...]
    """Further figures with intervals."""
    remarks: tuple[str, ...]
    details: tuple[tuple[str, str], ...]
    """The rest, for those who look for it."""
    facts: str
    """Judgements, judge, prompt and cost."""
    reason: str
    """Why there is no verdict; empty where there is one."""
    label: str
    """The drawing in words; empty for a yes or no, which has none."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A score in the table."""

    text: str
    value: str
    """To sort by; empty where there is none."""
    place: float
    low: float
    high: float
    drawn: bool
    title: str


def axis_of(scorer: str, largest: float = 1.0, smallest: float = 0.0, chance: float | None = None) -> Axis:
    """The axis of a scorer: its own bounds, wider where values stand outside of them; `chance` where it is known."""
    words = scorer_words(scorer)
    guessing = words.chance if chance is None else chance
    return Axis(min(words.bounds[0], smallest), max(words.bounds[1], largest), guessing)


def control_mark(name: str, value: float, axis: Axis) -> Mark:
    """A control on its score's axis."""
    return Mark(words_of(name), number(value), axis.place(value), drawn=name != CHANCE)


def score_line(score: Score, axis: Axis) -> ScoreLine:
    """The line of one score."""
    title = scorer_words(score.scorer).title
    if isinstance(score, Unscored):
        return ScoreLine(title, "", "", 0, 0, 0, axis, (), (), (), (), "", score.reason, f"{title}: not scored")
    if CHANCE in score.controls:
        axis = replace(axis, chance=score.controls[CHANCE].value)
    known = particulars_of(score)
    controls = _marks(known, axis)
    asked = yes_or_no(score)
    interval = "" if asked else interval_words(score.low, score.high)
    text = number(score.value)
    if asked:
        text = "yes" if score.value else "no"
    beside = "".join(f"; control {mark.title} {mark.text}" for mark in controls)
    return ScoreLine(
        title=title,
        text=text,
        interval=interval,
        place=axis.place(score.value),
        low=axis.place(score.low),
        high=axis.place(score.high),
        axis=axis,
        controls=controls,
        figures=known.figures,
        remarks=known.remarks,
        details=known.rest,
        facts=_facts(score),
        reason="",
        label="" if asked else f"{title}: {text}, 95 % interval {interval}{beside}",
    )


def _marks(known: Particulars, axis: Axis) -> tuple[Mark, ...]:
    return tuple(
        Mark(row.title, row.text, axis.place(row.value), row.interval, row.p, drawn=row.name != CHANCE)
        for row in known.controls
    )


def score_cell(score: Score | None, axis: Axis) -> Cell:
    """The cell of one score; a dash where there is no verdict."""
    if score is None:
        return Cell("—", "", 0, 0, 0, False, "not scored")
    if isinstance(score, Unscored):
        return Cell("—", "", 0, 0, 0, False, f"not scored: {score.reason}")
    if not math.isfinite(score.value):
        return Cell("—", "", 0, 0, 0, False, "not a finite number")
    if yes_or_no(score):
        return Cell("yes" if score.value else "no", repr(score.value), 0, 0, 0, False, "the second pass's word")
    return Cell(
        text=number(score.value),
        value=repr(score.value),
        place=axis.place(score.value),
        low=axis.place(score.low),
        high=axis.place(score.high),
        drawn=True,
        title=f"95 % interval {interval_words(score.low, score.high)}, n = {count(score.n)}",
    )


def score_words(score: Score) -> tuple[str, str]:
    """Value and interval to read, each empty where there is none."""
    if isinstance(score, Unscored) or not math.isfinite(score.value):
        return "", ""
    if yes_or_no(score):
        return "yes" if score.value else "no", ""
    return number(score.value), interval_words(score.low, score.high)


def _facts(score: Scored) -> str:
    facts = [f"n = {count(score.n)}"]
    if score.judge:
        facts.append(f"judged by {score.judge}")
    if score.prompt:
        facts.append(f"prompt {score.prompt}")
    if score.usage.calls:
        facts.append(usage_words(score.usage))
    return " · ".join(facts)
