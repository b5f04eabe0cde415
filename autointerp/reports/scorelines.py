"""A score as a line on an axis: the value, its interval, its controls and what guessing would give."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from autointerp.reports.wording import count, number, scorer_words, usage_words
from autointerp.schema import Score, Scored, Unscored


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

    name: str
    text: str
    place: float


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
    details: tuple[tuple[str, str], ...]
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


def axis_of(scorer: str, largest: float = 1.0, smallest: float = 0.0) -> Axis:
    """The axis of a scorer: its own bounds, wider where values stand outside of them."""
    words = scorer_words(scorer)
    return Axis(min(words.bounds[0], smallest), max(words.bounds[1], largest), words.chance)


def control_mark(name: str, value: float, axis: Axis) -> Mark:
    """A control on its score's axis."""
    return Mark(_words_of(name), number(value), axis.place(value))


def score_line(score: Score, axis: Axis) -> ScoreLine:
    """The line of one score."""
    title = scorer_words(score.scorer).title
    if isinstance(score, Unscored):
        return ScoreLine(title, "", "", 0, 0, 0, axis, (), (), "", score.reason, f"{title}: not scored")
    if _yes_or_no(score):
        said, details = "yes" if score.value else "no", _detail_pairs(score.details)
        return ScoreLine(title, said, "", 0, 0, 0, axis, (), details, _facts(score), "", "")
    interval = f"{number(score.low)} to {number(score.high)}"
    controls = tuple(control_mark(name, control.value, axis) for name, control in score.controls.items())
    beside = "".join(f"; control {mark.name} {mark.text}" for mark in controls)
    return ScoreLine(
        title=title,
        text=number(score.value),
        interval=interval,
        place=axis.place(score.value),
        low=axis.place(score.low),
        high=axis.place(score.high),
        axis=axis,
        controls=controls,
        details=_detail_pairs(score.details),
        facts=_facts(score),
        reason="",
        label=f"{title}: {number(score.value)}, 95 % interval {interval}{beside}",
    )


def score_cell(score: Score | None, axis: Axis) -> Cell:
    """The cell of one score; a dash where there is no verdict."""
    if score is None:
        return Cell("—", "", 0, 0, 0, False, "not scored")
    if isinstance(score, Unscored):
        return Cell("—", "", 0, 0, 0, False, f"not scored: {score.reason}")
    if not math.isfinite(score.value):
        return Cell("—", "", 0, 0, 0, False, "not a finite number")
    if _yes_or_no(score):
        return Cell("yes" if score.value else "no", repr(score.value), 0, 0, 0, False, "the second pass's word")
    return Cell(
        text=number(score.value),
        value=repr(score.value),
        place=axis.place(score.value),
        low=axis.place(score.low),
        high=axis.place(score.high),
        drawn=True,
        title=f"95 % interval {number(score.low)} to {number(score.high)}, n = {count(score.n)}",
    )


def _yes_or_no(score: Scored) -> bool:
    """Relevance in the form of a model's word: one answer, with no interval to draw."""
    return score.details.get("form") == "lmm"


def _detail_pairs(details: Mapping[str, float | int | str | bool | None]) -> tuple[tuple[str, str], ...]:
    return tuple((_words_of(name), _detail(value)) for name, value in details.items() if value is not None)


def _detail(value: float | int | str | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    return count(value) if isinstance(value, int) else str(value)


def _facts(score: Scored) -> str:
    facts = [f"n = {count(score.n)}"]
    if score.judge:
        facts.append(f"judged by {score.judge}")
    if score.prompt:
        facts.append(f"prompt {score.prompt}")
    if score.usage.calls:
        facts.append(usage_words(score.usage))
    return " · ".join(facts)


def _words_of(name: str) -> str:
    return name.replace("_", " ")
