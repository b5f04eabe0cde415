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
    "choice": ScorerWords(
        "Forced choice of two",
        "Choice",
        "How often the judge picks the active image of a pair, one active and one silent, weighted back to all images."
        " Guessing scores 0.5, and a judge that likes to say yes gains nothing.",
        chance=0.5,
    ),
    "naming": ScorerWords(
        "Name that feature",
        "Naming",
        "How often the judge, shown the feature's images, picks its own explanation among those of its neighbours. A"
        " label that fits many features scores what guessing does: one over the number of options.",
    ),
    "relevance": ScorerWords(
        "Relevance",
        "Relevance",
        "Share of the images firing a feature that carry the dump's attribute. It speaks of the feature and its images"
        " and says nothing on whether the explanation is right; compare it with the share in all images, its base"
        " rate.",
    ),
    "accuracy": ScorerWords(
        "Accuracy as published",
        "Accuracy",
        "Share of held-out active images on which the judge finds the explanation. This is recall on images that fire"
        " the feature: no silent image is asked about, so “an image” scores 1.0. For comparison with published"
        " figures, never as a verdict by itself.",
    ),
    "localisation": ScorerWords(
        "Localisation, IoU",
        "IoU",
        "How far the box in which the judge sees what the explanation names overlaps the region that fired, over"
        " held-out active images. Its control is the same boxes against other images' regions: a judge that always"
        " points at the middle scores no more than that.",
    ),
    "intruder": ScorerWords(
        "Intruder",
        "Intruder",
        "How often the judge finds the one silent image among active ones, without any explanation. It measures the"
        " feature, not the text; guessing scores one over the number of images.",
    ),
    "embedding": ScorerWords(
        "Embedding, monosemanticity",
        "Mono.",
        "How alike the images are that fire the feature: their mean cosine in an embedding, the strong ones counting"
        " more. No judge and no explanation takes part, and it says nothing on the text. In most embeddings any two"
        " images have a cosine above 0, so read it beside the same figure of silent images.",
        bounds=(-1.0, 1.0),
    ),
}

NAMES: Mapping[str, str] = {
    "always_yes": "always yes",
    "constant": "“an image”",
    "other": "another's text",
    "neighbour": "neighbour's text",
    "permuted": "dealt at random",
    "random": "random weights",
    "chance": "guessing",
    "moved": "regions exchanged",
    "silent": "silent images",
    "base_rate": "base rate",
    "shuffled": "shuffled image set",
    "auprc": "AUPRC",
    "pearson": "Pearson's r",
    "corrected": "corrected F1",
    "union_f1": "any part fits, F1",
    "overlap": "claimed by several parts",
    "likeness": "likeness to the text, AUROC",
    "label_share": "attribute among active images",
    "lift": "lift over the base rate",
}
"""Controls and details whose own name says too little."""

MAX_SHORT = 14
"""Letters that a table column's head has room for."""
HEADLINES = ("detection", "choice", "naming")
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


def words_of(name: str) -> str:
    """A control or a detail as the report names it."""
    return NAMES.get(name, name.replace("_", " "))


def number(value: float) -> str:
    """A score or activation to read: two decimals from 0.01 to 100, three significant digits elsewhere."""
    text = f"{value:.2f}" if value == 0 or 0.01 <= abs(value) < 100 else f"{value:.3g}"
    return text.replace("-", "−")


def interval_words(low: float, high: float) -> str:
    """The bounds of an interval, the same everywhere: with two decimals where that tells them apart."""
    rounded = ["0.00" if abs(bound) < 0.005 else number(round(bound, 2)) for bound in (low, high)]
    if low < high and rounded[0] == rounded[1]:
        rounded = [number(low), number(high)]
    return " to ".join(rounded)


def p_words(p: float) -> str:
    """A p-value with its letter: `p = .003`, `p < .001`."""
    value = p_value(p)
    return f"p {value}" if value[0] in "<>" else f"p = {value}"


def p_value(p: float) -> str:
    """A p-value to three decimals, two from .1 on; `< .001` and `> .99` for all beyond."""
    if p < 0.001:
        return "< .001"
    if p > 0.99:
        return "> .99"
    return f"{p:.{3 if p < 0.0995 else 2}f}".removeprefix("0")


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
