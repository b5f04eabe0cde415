"""Numbers, scorers, controls and details in plain words: what each figure is, and what it is not."""

from collections.abc import Mapping
from dataclasses import dataclass

from autointerp.schema import Usage


@dataclass(frozen=True, slots=True)
class ScorerLabels:
    """Says how the report speaks of one scorer."""

    title: str
    short: str
    """Head of a table column."""
    meaning: str
    """What the number is and what it is not."""
    bounds: tuple[float, float] = (0.0, 1.0)
    """Smallest and largest value."""
    chance: float | None = None
    """What guessing scores, where that is one number."""


SCORERS: Mapping[str, ScorerLabels] = {
    "detection": ScorerLabels(
        "Detection, weighted F1",
        "F1",
        "The judge reads the explanation and says of held-out images whether it fits them; F1 compares its answers with"
        " whether the feature fires. The images are a sample: each is weighted by the inverse of its sampling"
        " probability, so that the value estimates F1 over all images. The text “an image” gets about twice the share"
        " of images that fire the feature, so a vague explanation of a rare feature scores low.",
    ),
    "choice": ScorerLabels(
        "Forced choice of two",
        "Choice",
        "The judge sees one active and one silent image and picks the one that the explanation fits; the value is the"
        " weighted share of right picks and estimates the area under the ROC curve. Guessing scores 0.5. A judge that"
        " likes to say yes gains nothing.",
        chance=0.5,
    ),
    "naming": ScorerLabels(
        "Name that feature",
        "Naming",
        "The judge sees the feature's images and picks its explanation among those of similar features; the value is"
        " the share of right picks. Guessing scores one over the number of options, and so does a text that fits them"
        " all.",
    ),
    "relevance": ScorerLabels(
        "Relevance",
        "Relevance",
        "The share of the images firing a feature that carry the dump's attribute. It describes the feature and its"
        " images, not whether the explanation is right. Compare it with the base rate, the share among all images.",
    ),
    "accuracy": ScorerLabels(
        "Accuracy as published",
        "Accuracy",
        "The share of held-out active images that the explanation fits in the judge's eyes. This is recall: no silent"
        " image is asked about, so “an image” scores 1.0. Use it to compare with published figures, never by itself.",
    ),
    "localisation": ScorerLabels(
        "Localisation, IoU",
        "IoU",
        "The judge draws a box around what the explanation names; the value is the mean overlap (intersection over"
        " union) with the region that fired, over held-out active images. The control compares the same boxes with"
        " other images' regions: a judge that always points at the middle scores no more than that.",
    ),
    "intruder": ScorerLabels(
        "Intruder",
        "Intruder",
        "The judge looks for the one silent image among active ones and reads no explanation; the value is the share"
        " of right picks. It measures the feature, not the text. Guessing scores one over the number of images. Where"
        " the silent image is a look-alike, the question is harder and counts by itself.",
    ),
    "embedding": ScorerLabels(
        "Embedding, monosemanticity",
        "Mono.",
        "The mean cosine between the embeddings of images that fire the feature, weighted by activation: how alike"
        " they are. No judge and no explanation takes part. In most embeddings any two images have a cosine above 0,"
        " so compare it with the same figure of silent images.",
        bounds=(-1.0, 1.0),
    ),
    "causal": ScorerLabels(
        "Causal, sufficiency",
        "Cause",
        "The network that made the dump is asked again. The value is the share of images that fire the feature on which"
        " the region alone, as the explainer may be shown it, fires it too; necessity is the share on which the image"
        " without the region is silent. No judge and no explanation takes part. Beside it stands the same with a region"
        " of the same size elsewhere in the image, and with regions of another feature.",
    ),
    "generation": ScorerLabels(
        "Generation, AUROC",
        "Made",
        "An image model makes pictures of the explanation, in several styles, and the network that made the dump is"
        " shown them. The value is the chance that such a picture fires the feature more than an image of the"
        " population; never firing scores 0.5 at most. It does not see an explanation that is too narrow. Selectivity"
        " compares with pictures of other texts in the same style.",
        chance=0.5,
    ),
}

NAMES: Mapping[str, str] = {
    "elsewhere": "regions elsewhere in the image",
    "erased_elsewhere": "regions elsewhere taken away: falls silent",
    "pasted_elsewhere": "regions elsewhere put into silent images",
    "other_region": "regions of another feature",
    "necessity": "necessity: silent without the region",
    "necessity_spread": "how far the ways to take it away differ",
    "kept": "activation kept by the region alone",
    "kept_without": "activation kept without the region",
    "pasted": "fires once put into a silent image",
    "whole": "images whose region is all of them",
    "fires": "pictures that fire it",
    "photograph": "pictures of “a photograph”",
    "selectivity_other": "above pictures of other explanations",
    "selectivity_neighbour": "above pictures of the neighbour's",
    "selectivity_photograph": "above pictures of “a photograph”",
    "cosy_auc": "CoSy's AUC, images alike",
    "cosy_mad": "CoSy's MAD",
    "stronger": "others that fire more strongly",
    "n_stronger": "number of these",
    "always_yes": "always yes",
    "constant": "text “an image”",
    "close_up": "text “a close-up of a thing”",
    "middle": "text “an object in the middle”",
    "other": "another's text",
    "neighbour": "neighbour's text",
    "permuted": "shuffled answers",
    "random": "features of random weights",
    "chance": "guessing",
    "moved": "regions of other images",
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
    "f1_without_margin": "F1 without images near the threshold",
    "f1_with_margin": "F1 with them as silent",
    "easy": "any silent images",
    "hard": "look-alikes",
}
"""Controls and details whose own name says too little."""

MAX_SHORT = 14
"""Letters that a table column's head has room for."""
HEADLINES = ("detection", "choice", "naming")
"""Scorers that can stand for a feature by themselves, best first."""


def scorer_labels(scorer: str) -> ScorerLabels:
    """Returns the words for `scorer`; a scorer that is not known here goes by its own name."""
    if scorer in SCORERS:
        return SCORERS[scorer]
    name = scorer.replace("_", " ")
    short = name if len(name) <= MAX_SHORT else f"{name[: MAX_SHORT - 1]}…"
    return ScorerLabels(name.capitalize(), short, f"The value that the scorer “{scorer}” gave; see its documentation.")


def scorer_order(scorers: set[str]) -> list[str]:
    """Orders `scorers` as the report lists them: the known ones first, then the rest by name."""
    return [s for s in SCORERS if s in scorers] + sorted(scorers.difference(SCORERS))


def headline_of(scorers: list[str]) -> str | None:
    """Returns the scorer that cards are chosen by: the first of HEADLINES that ran, else the first that ran."""
    return next((s for s in HEADLINES if s in scorers), scorers[0] if scorers else None)


def label_of(name: str) -> str:
    """Returns a control's or a detail's name as the report writes it."""
    return NAMES.get(name, name.replace("_", " "))


def number(value: float) -> str:
    """Writes a score or activation: two decimals from 0.01 to 100, three significant digits elsewhere."""
    text = f"{value:.2f}" if value == 0 or 0.01 <= abs(value) < 100 else f"{value:.3g}"
    return text.replace("-", "−")


def signed(value: float) -> str:
    """Writes a difference with its sign."""
    return number(value) if value < 0 else f"+{number(value)}"


def interval(low: float, high: float) -> str:
    """Writes the bounds of an interval, with two decimals where these tell them apart."""
    rounded = ["0.00" if abs(bound) < 0.005 else number(round(bound, 2)) for bound in (low, high)]
    if low < high and rounded[0] == rounded[1]:
        rounded = [number(low), number(high)]
    return " to ".join(rounded)


def p_text(p: float) -> str:
    """Writes a p-value with its letter: `p = .003`, `p < .001`."""
    value = p_value(p)
    return f"p {value}" if value[0] in "<>" else f"p = {value}"


def p_value(p: float) -> str:
    """Writes a p-value to three decimals, two from .1 on; `< .001` and `> .99` for all beyond."""
    if p < 0.001:
        return "< .001"
    if p > 0.99:
        return "> .99"
    return f"{p:.{3 if p < 0.0995 else 2}f}".removeprefix("0")


def share(value: float) -> str:
    """Writes a share in percent, with a digit more where it is small."""
    if value == 0:
        return "0 %"
    return f"{100 * value:.{1 if value >= 0.01 else 2}f} %" if value >= 0.0001 else f"{100 * value:.1g} %"


def share_interval(low: float, high: float) -> str:
    """Writes the bounds of an interval of a share, in percent."""
    return f"{share(low)} to {share(high)}"


def count(n: int) -> str:
    """Writes a whole number in groups of three."""
    return f"{n:,}"


def plural(n: int, noun: str) -> str:
    """Writes a number with its noun: `1 feature`, `2 features`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def capital(text: str) -> str:
    """Writes a text with a capital first letter."""
    return text[:1].upper() + text[1:]


NOTHING_ASKED = "nothing was asked"


def usage_text(usage: Usage) -> str:
    """Writes calls, tokens and dollars in one line; it says so where the price is not known, or nothing was asked."""
    if not usage.calls:
        return NOTHING_ASKED
    cached = f" ({usage.cached_tokens:,} from the endpoint's cache)" if usage.cached_tokens else ""
    return (
        f"{plural(usage.calls, 'call')}, {usage.input_tokens:,} tokens in{cached}, {usage.output_tokens:,} out,"
        f" {dollars(usage.dollars)}"
    )


def price(usage: Usage) -> str:
    """Writes the dollars of some calls."""
    return dollars(usage.dollars) if usage.calls else NOTHING_ASKED


def dollars(value: float | None) -> str:
    """Writes dollars with cents, or with enough digits to show what a single feature costs; None is unknown."""
    if value is None:
        return "price not known"
    return f"${value:,.2f}" if value >= 0.1 or value == 0 else f"${value:.2g}"
