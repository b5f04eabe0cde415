"""Whether the explanations beat their negative controls: the line at the top of the page, and a row for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autointerp.reports.arithmetic import Axis
from autointerp.reports.labels import capital, interval, number, p_text, plural
from autointerp.scoring.control_tests import CONTROLS, HARDER, LEAST, MUST_LOSE, Separation

Tone = Literal["bad", "good", "few", "none"]

TONES = {"separates": "good", "does not separate": "bad", "too few": "few"}
VERDICTS = {"good": "scores lower", "bad": "does not score lower", "few": "too few features to tell"}


@dataclass(frozen=True, slots=True)
class Banner:
    """Is the first thing on the page."""

    tone: Tone
    title: str
    text: str


def banner_of(found: Sequence[Separation], *, all_unscored: bool = False) -> Banner:
    """Says whether the controls score lower, as they should; one that does not outweighs all that do.

    Args:
        found: the tests of the controls.
        all_unscored: whether the scorer that adds controls was asked, and left every feature unscored.
    """
    telling = [s for s in found if s.control in MUST_LOSE]
    if not telling:
        detection = "left every feature unscored" if all_unscored else "adds controls"
        return Banner(
            "none",
            "These scores have no negative controls.",
            "Nothing tells what explanations that should fail would have scored on the same images, so the scores may"
            f" say little. The scorer “detection” {detection}.",
        )
    if lost := [s for s in telling if s.verdict == "does not separate"]:
        return Banner(
            "bad",
            "The explanations do not beat every negative control.",
            "Something that should fail scores about as high, so these scores are weak evidence. Their mean F1 is"
            f" {'; '.join(map(_beside, lost))}.",
        )
    enough = [s for s in telling if s.verdict == "separates"]
    if not {s.control for s in enough} & set(HARDER):
        most = max((s.n for s in telling if s.control in HARDER), default=0)
        who = plural(most, "feature") if most else "no feature"
        chance = f" Only chance is beaten: mean F1 is {'; '.join(map(_beside, enough))}." if enough else ""
        said = f"Controls by other explanations exist for {who}; a test needs {LEAST}.{chance}"
        return Banner("few", "Too few features have negative controls.", said)
    by_own: dict[str, list[str]] = {}
    for s in enough:
        by_own.setdefault(number(s.own), []).append(f"{number(s.value)} for {CONTROLS[s.control]}")
    said = "; ".join(f"{own} against {_listed(others)}" for own, others in by_own.items())
    worst = p_text(max(s.p for s in enough)).replace("=", "≤")
    each = "each " if len(enough) > 1 else ""
    return Banner("good", "The explanations beat their negative controls.", f"Their mean F1 is {said} ({each}{worst}).")


def control_title(s: Separation) -> str:
    """Says what a control is."""
    return capital(CONTROLS[s.control])


def tone_of(s: Separation) -> str:
    """Returns `good`, `bad` or `few`; `may` for a control that may rightly score as high."""
    return TONES[s.verdict] if s.control in MUST_LOSE else "may"


def verdict_of(s: Separation) -> str:
    """Says what came of a control."""
    if s.control not in MUST_LOSE and s.verdict == "does not separate":
        return "may rightly score as high"
    return VERDICTS[TONES[s.verdict]]


def difference_interval(s: Separation, axis: Axis) -> str:
    """Returns the interval of the difference, cut to what a difference can be: that of few differences may be wider."""
    if s.low is None or s.high is None:
        return ""
    most = axis.high - axis.low
    return interval(max(s.low, -most), min(s.high, most))


def _listed(parts: Sequence[str]) -> str:
    """Joins parts as a sentence does: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _beside(s: Separation) -> str:
    return f"{number(s.own)} against {number(s.value)} for {CONTROLS[s.control]} ({p_text(s.p)})"
