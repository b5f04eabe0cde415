"""What a score says beyond its value: further figures and controls with intervals and p-values, doubts, the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from autointerp.reports.arithmetic import Axis
from autointerp.reports.labels import count, interval, label_of, number, p_value, plural, scorer_labels, share
from autointerp.reports.unfired import unfired
from autointerp.schema import UNDETERMINED, Score, Scored

Plain = float | int | str | bool | None

CHANCE = "chance"
"""The control that is what guessing scores: a line across the axis and not a point on it."""
BOUNDS: Mapping[str, tuple[str, str]] = {"label_share": ("label_low", "label_high")}
"""Details whose bounds do not go by `<name>_low` and `<name>_high`."""
TESTED: Mapping[str, str] = {"p": CHANCE, "p_fisher": "lift"}
"""Which control or figure a p-value belongs to, where it is not called `p_<name>`."""
CORRECTED = (
    "The corrected F1 takes the judge's known rates of false yes and false no out of both shares of yes (Rogan and"
    " Gladen 1978)."
)


_AGAINST = {"silent": "any silent images", "guided": "look-alikes"}


class Row(NamedTuple):
    """Is a figure or a control beside a score."""

    title: str
    value: float
    low: float | None = None
    high: float | None = None
    """`low` and `high` bound a 95 % interval; None where the record has none."""
    p: float | None = None
    """None where nothing was tested."""
    line: bool = False
    """Whether it is what guessing scores, which is drawn as a line and not as a point."""


@dataclass(frozen=True, slots=True)
class Details:
    """Holds all of a score's details and controls, each in one place."""

    axis: Axis
    controls: tuple[Row, ...]
    figures: tuple[Row, ...]
    """Details that have an interval."""
    remarks: tuple[str, ...]
    """What is open or uncertain about the score, in sentences."""
    rest: tuple[tuple[str, str], ...]
    """The other details, by name."""


def axis_of(scorer: str, largest: float = 1.0, smallest: float = 0.0, chance: float | None = None) -> Axis:
    """Makes the axis of a scorer: its own bounds, wider where values stand outside; `chance` where it is known."""
    known = scorer_labels(scorer)
    guessing = known.chance if chance is None else chance
    return Axis(min(known.bounds[0], smallest), max(known.bounds[1], largest), guessing)


def details_of(score: Scored, axis: Axis) -> Details:
    """Sorts a score's details and controls; what guessing scores on this very feature moves the axis's line."""
    rest = dict(score.details)
    if rest.get("form") == "label":
        # Here they are the value itself.
        for name in ("label_share", *BOUNDS["label_share"], "label_base_rate"):
            rest.pop(name, None)
    if CHANCE in score.controls:
        axis = replace(axis, chance=score.controls[CHANCE].value)
    p = _p_values(score, rest)
    figures = tuple(_figures(rest, p))
    controls = tuple(
        Row(label_of(name), c.value, c.low, c.high, p.get(name), name == CHANCE) for name, c in score.controls.items()
    )
    remarks = tuple(_remarks(score, rest))
    left = tuple((label_of(name), _text(name, value)) for name, value in rest.items() if value is not None)
    return Details(axis, controls, figures, remarks, left)


def yes_or_no(score: Score | None) -> bool:
    """Says whether the value is a model's yes or no, which has no interval to draw."""
    return isinstance(score, Scored) and score.details.get("form") == "lmm"


def value_text(score: Score | None) -> str:
    """Writes the value; it is empty where there is no verdict."""
    if not isinstance(score, Scored):
        return ""
    return ("yes" if score.value else "no") if yes_or_no(score) else number(score.value)


def interval_text(score: Score | None) -> str:
    """Writes the interval; it is empty where there is none."""
    return interval(score.low, score.high) if isinstance(score, Scored) and not yes_or_no(score) else ""


def undetermined(score: Score | None) -> bool:
    """Says whether the interval is too wide to say anything."""
    return isinstance(score, Scored) and score.undetermined


def rank_text(score: Score | None) -> str:
    """Writes what a feature is sorted by: the lower bound; it is empty where there is no verdict that says anything."""
    if not isinstance(score, Scored) or score.undetermined:
        return ""
    return f"{score.value if yes_or_no(score) else score.low}"


def _p_values(score: Scored, rest: dict[str, Plain]) -> dict[str, float]:
    """Takes p-values out of `rest`, by what they belong to; one that belongs to nothing stays there."""
    out: dict[str, float] = {}
    for name in [n for n in rest if n == "p" or n.startswith("p_")]:
        p, subject = rest[name], TESTED.get(name, name.removeprefix("p_"))
        if isinstance(p, float | int) and (subject in score.controls or f"{subject}_low" in rest):
            out[subject] = p
            del rest[name]
    return out


def _figures(rest: dict[str, Plain], p: Mapping[str, float]) -> list[Row]:
    """Takes figures with both bounds out of `rest`."""
    out: list[Row] = []
    for name in list(rest):
        below, above = BOUNDS.get(name, (f"{name}_low", f"{name}_high"))
        value, low, high = rest.get(name), rest.get(below), rest.get(above)
        if isinstance(value, float | int) and isinstance(low, float | int) and isinstance(high, float | int):
            out.append(Row(label_of(name), value, low, high, p.get(name)))
            for taken in (name, below, above):
                del rest[taken]
    return out


def _remarks(score: Scored, rest: dict[str, Plain]) -> list[str]:
    """Writes sentences on what is open or uncertain; what they say is taken out of `rest`."""
    out: list[str] = []
    if score.undetermined:
        more = "judged images (--interval, --active, --silent) or a screening (--screen) narrow"
        more = "images (--n-causal) narrow" if score.scorer == "causal" else more
        more = "pictures (--n-pictures) narrow" if score.scorer == "generation" else more
        out.append(f"Undetermined: the interval is wider than {UNDETERMINED:g}. More {more} it.")
    out += _open_judgements(score, rest)
    screened = rest.pop("n_screened", None)
    if isinstance(screened, int):
        out.append(f"{plural(screened, 'image')} were screened on sheets; {count(score.n)} were then judged singly.")
    guided = rest.pop("guided_from", None)
    if isinstance(guided, int):
        out.append(
            f"Silent images were drawn from {plural(guided, 'image')} in classes of likeness, to the images that fire "
            "the feature and to the words of the explanation."
        )
    out += _of_margin(score, rest)
    out += _of_undecided(score, rest)
    if (why := unfired(score)) is not None:
        out.append(why.title)
    if "corrected" in score.details:
        out.append(CORRECTED)
    return out


def _of_undecided(score: Scored, rest: dict[str, Plain]) -> list[str]:
    """Says how many questions the judge could only guess at, by its own word."""
    undecided, hard, n_hard = (rest.pop(name, None) for name in ("undecided", "hard_undecided", "hard_n"))
    out: list[str] = []
    if isinstance(undecided, int):
        out.append(f"{count(undecided)} of {plural(score.n, 'question')} were undecided: a guess, or no answer.")
    if isinstance(hard, int) and isinstance(n_hard, int):
        out.append(f"With look-alikes {count(hard)} of {plural(n_hard, 'question')} were undecided.")
    pairs = [(rest.pop(f"{s}_undecided", None), s) for s in ("silent", "guided")]
    told = [f"{count(n)} against {_AGAINST[name]}" for n, name in pairs if isinstance(n, int)]
    return [*out, f"Of these: {', '.join(told)}."] if told else out


def _of_margin(score: Scored, rest: dict[str, Plain]) -> list[str]:
    """Says what became of images near the threshold."""
    if rest.pop("margin", None) == "unknown":
        return ["What the feature reached on silent images is not known: some of them may nearly fire it."]
    below, near = rest.pop("silent_below", None), rest.pop("margin_share", None)
    judged, unknown = rest.pop("n_margin", None), rest.pop("margin_unknown", None)
    if not isinstance(below, float) or not isinstance(near, float):
        return []
    text = (
        f"Images on which the feature reaches more than {share(below)} of its threshold without firing"
        f" ({share(near)} of all) are no part of the value; {count(int(judged or 0))} of them were judged besides."
    )
    if isinstance(unknown, float):
        text += f" Of {share(unknown)} of the silent images it is not known what it reaches."
    return [text]


def _open_judgements(score: Scored, rest: dict[str, Plain]) -> list[str]:
    """Tells of judgements that decide nothing, unanswered or unsure, and of what they leave open."""
    unanswered, images = rest.get("unanswered"), rest.pop("unsure_images", None)
    said: list[str] = []
    if isinstance(unanswered, int) and unanswered:
        del rest["unanswered"]
        said.append(f"{count(unanswered)} of {plural(score.n, 'judgement')} got no usable answer")
    # In older runs an unsure answer counted half, and left nothing open.
    if isinstance(images, str):
        said.append(f"{count(int(rest.pop('unsure') or 0))} of {plural(score.n, 'judgement')} were unsure")
    if not said:
        return []
    text = f"{'; '.join(said)}; the interval covers"
    worst, best = rest.pop("f1_worst", None), rest.pop("f1_best", None)
    cases = "their worst and their best case."
    if isinstance(worst, float | int) and isinstance(best, float | int):
        cases = f"their worst case, {number(worst)}, and their best case, {number(best)}."
    named = [f"Unsure images, with the number of images that each stands for: {images}."] if images else []
    return [f"{text} {cases}", *named]


def _text(name: str, value: float | int | str | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return p_value(value) if name == "p" or name.startswith("p_") else number(value)
    return count(value) if isinstance(value, int) else str(value)
