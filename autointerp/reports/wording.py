"""Numbers and scorers in plain words: what each figure is, and what it is not."""

from collections.abc import Mapping
from dataclasses import dataclass

from autointerp.schema import Usage


@dataclass(frozen=True, slots=True)
class ScorerWords:
    """How the report speaks of one scorer."""

    title: str
    short: str
    """Head of a table column."""
    meaning: str
    """What the number is and what it is not."""
    bounds: tuple[float, float] = (0.0, 1.0)
    """Smallest and largest value."""
    chance: float | None = None
    """What guessing scores, where that is one number."""


SCORERS: Mapping[str, ScorerWords] = {
    "detection": ScorerWords(
        "Detection, weighted F1",
        "F1",
        "How well the explanation alone tells held-out images that fire the feature from images that do not, each"
        " judged image standing for as many as the draw left out. The explanation “an image” scores close to twice the"
        " feature's density, so a rare feature cannot be flattered by a vague text.",
    ),
    "accuracy": ScorerWords(
        "Accuracy as published",
        "Accuracy",
        "Share of held-out active images on which the judge finds the explanation. This is recall on images that fire"
        " the feature: no silent image is asked about, so “an image” scores 1.0. For comparison with published"
        " figures, never as a verdict by itself.",
    ),
    "relevance": ScorerWords(
        "Relevance",
        "Relevance",
        "Share of the images firing a feature that carry the dump's attribute. It speaks of the feature and its images"
        " and says nothing on whether the explanation is right; compare it with the share in all images, its base"
        " rate.",
    ),
    "auprc": ScorerWords(
        "Weighted AUPRC",
        "AUPRC",
        "Area under precision and recall as the judge's threshold moves, weighted back to all images. It asks for the"
        " right order of the images only; guessing scores the feature's density.",
    ),
    "correlation": ScorerWords(
        "Weighted correlation",
        "Corr.",
        "Pearson correlation between the judge's belief and the activation, weighted back to all images. 0 is what an"
        " explanation unrelated to the feature scores.",
        bounds=(-1.0, 1.0),
        chance=0.0,
    ),
    "forced_choice": ScorerWords(
        "Forced choice of two",
        "2AFC",
        "How often the judge picks the active image of a pair, one active and one silent. Guessing scores 0.5, and a"
        " judge that likes to say yes gains nothing.",
        chance=0.5,
    ),
    "naming": ScorerWords(
        "Name that feature",
        "Naming",
        "How often the judge picks this feature's explanation among those of its neighbours. A label that fits many"
        " features scores what guessing does.",
    ),
    "intruder": ScorerWords(
        "Intruder",
        "Intruder",
        "How often the judge finds the one silent image among active ones, without any explanation. It measures the"
        " feature, not the text.",
    ),
}

MAX_SHORT = 14
"""Letters that a table column's head has room for."""
HEADLINES = ("detection", "auprc", "forced_choice")
"""Scorers that can stand for a feature by themselves, best first."""


def scorer_words(scorer: str) -> ScorerWords:
    """The words for `scorer`; for one not known here its own name, and that nothing more can be said of it."""
    if scorer in SCORERS:
        return SCORERS[scorer]
    name = scorer.replace("_", " ")
    short = name if len(name) <= MAX_SHORT else f"{name[: MAX_SHORT - 1]}…"
    return ScorerWords(name.capitalize(), short, f"The value that the scorer “{scorer}” gave; see its documentation.")


def scorer_order(scorers: set[str]) -> list[str]:
    """`scorers` as the report lists them: the known ones first, then the rest by name."""
    known = [s for s in SCORERS if s in scorers]
    return known + sorted(scorers.difference(SCORERS))


def headline_of(scorers: list[str]) -> str | None:
    """The scorer that cards are chosen by: the first of HEADLINES that ran, else the first that ran."""
    return next((s for s in HEADLINES if s in scorers), scorers[0] if scorers else None)


def number(value: float) -> str:
    """A score or activation to read: two decimals from 0.01 to 100, three significant digits elsewhere."""
    text = f"{value:.2f}" if value == 0 or 0.01 <= abs(value) < 100 else f"{value:.3g}"
    return text.replace("-", "−")


def share(value: float) -> str:
    """A share in percent, with a digit more where it is small."""
    if value == 0:
        return "0 %"
    return f"{100 * value:.{1 if value >= 0.01 else 2}f} %" if value >= 0.0001 else f"{100 * value:.1g} %"


def count(n: int) -> str:
    """A whole number in groups of three."""
    return f"{n:,}"


def plural(n: int, noun: str) -> str:
    """`1 feature`, `2 features`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def usage_words(usage: Usage) -> str:
    """Tokens, calls and dollars in one line; says so where the price is not known."""
    cached = f" ({usage.cached_tokens:,} from the endpoint's cache)" if usage.cached_tokens else ""
    price = "price not known" if usage.dollars is None else dollars(usage.dollars)
    return (
        f"{plural(usage.calls, 'call')}, {usage.input_tokens:,} tokens in{cached}, {usage.output_tokens:,} out, {price}"
    )


def dollars(value: float) -> str:
    """Dollars with cents, or with enough digits to show what a single feature costs."""
    return f"${value:,.2f}" if value >= 0.1 or value == 0 else f"${value:.2g}"
