"""Whether a run's controls separate: the line at the top of the page, and each control beside the explanations' own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autointerp.reports.labels import count, interval_words, number, p_value, p_words, plural
from autointerp.reports.scorelines import Axis
from autointerp.scoring.control_tests import CONTROLS, HARDER, LEAST, MUST_LOSE, Separation, with_verb

Tone = Literal["bad", "good", "few", "none"]

VERDICTS = {"separates": "separates", "does not separate": "does not separate", "too few": "too few to tell"}


@dataclass(frozen=True, slots=True)
class Banner:
    """The first thing on the page."""

    tone: Tone
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Against:
    """One control and the explanations' own score, over the features that carry it."""

    title: str
    tone: str
    """`bad`, `good`, `few`, or `may` for a control that may rightly do as well."""
    verdict: str
    own: str
    value: str
    own_place: float
    place: float
    """Both in percent of the axis."""
    difference: str
    interval: str
    """Of the difference; empty where there are too few features for one."""
    p: str
    basis: str
    label: str
    """The drawing in words."""


def banner_of(found: Sequence[Separation]) -> Banner:
    """Says whether the controls that should lose do lose; one that does not outweighs all that do."""
    telling = [s for s in found if s.control in MUST_LOSE]
    if not telling:
        return Banner(
            "none",
            "This run has no controls.",
            "Its scores stand beside nothing that should lose, so they may say little about the explanations. The"
            " scorer detection makes controls.",
        )
    if lost := [s for s in telling if s.verdict == "does not separate"]:
        said = "; ".join(map(_beside, lost))
        return Banner(
            "bad",
            "The controls do not separate.",
            f"These scores say little about the explanations, for they do not stand clearly above what should lose:"
            f" {said}.",
        )
    enough = [s for s in telling if s.verdict == "separates"]
    if not {s.control for s in enough} & set(HARDER):
        most = plural(max((s.n for s in telling if s.control in HARDER), default=0), "feature")
        chance = f" Answers beat chance: {'; '.join(map(_beside, enough))}." if enough else ""
        return Banner("few", "Too few controls to tell.", f"{most} with controls; at least {LEAST} are needed.{chance}")
    said = "; ".join(map(_beside, enough))
    return Banner("good", "The controls separate.", f"{_capital(said)}.")


def against_of(found: Sequence[Separation], axis: Axis) -> tuple[Against, ...]:
    """The rows of the table under the detection figure, drawn on its axis."""
    return tuple(_row(s, axis) for s in found)


def _beside(s: Separation) -> str:
    return f"{with_verb(s.control)} {number(s.value)} where the explanations score {number(s.own)} ({p_words(s.p)})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _row(s: Separation, axis: Axis) -> Against:
    title = _capital(CONTROLS[s.control])
    difference = number(s.difference) if s.difference < 0 else f"+{number(s.difference)}"
    may = s.control not in MUST_LOSE
    # The interval of a mean of few differences may leave what a difference can be.
    most = axis.high - axis.low
    tones = {"separates": "good", "does not separate": "bad", "too few": "few"}
    return Against(
        title=title,
        tone="may" if may else tones[s.verdict],
        verdict="may rightly do as well" if may and s.verdict == "does not separate" else VERDICTS[s.verdict],
        own=number(s.own),
        value=number(s.value),
        own_place=axis.place(s.own),
        place=axis.place(s.value),
        difference=difference,
        interval="" if s.low is None or s.high is None else interval_words(max(s.low, -most), min(s.high, most)),
        p=p_value(s.p),
        basis=f"{count(s.n)} random features" if s.control == "random" else plural(s.n, "feature"),
        label=f"{title}: {number(s.value)}, own {number(s.own)}",
    )
