"""What a score says beyond its value: further figures and controls with intervals and p-values, doubts, the rest."""

from collections.abc import Mapping
from dataclasses import dataclass

from autointerp.reports.labels import count, interval_words, number, p_value, p_words, plural, words_of
from autointerp.schema import Control, Scored

Plain = float | int | str | bool | None

BOUNDS: Mapping[str, tuple[str, str]] = {"label_share": ("label_low", "label_high")}
"""Details whose bounds do not go by `<name>_low` and `<name>_high`."""
TESTED: Mapping[str, str] = {"p": "chance", "p_fisher": "lift"}
"""Which control or figure a p-value belongs to, where it is not called `p_<name>`."""
CORRECTED = (
    "Corrected F1: with the judge's known rates of false yes and false no taken out of both shares of yes (Rogan and"
    " Gladen 1978)."
)


@dataclass(frozen=True, slots=True)
class Row:
    """A figure or a control beside a score."""

    name: str
    """In the record."""
    title: str
    text: str
    interval: str
    """Empty where the record has none."""
    p: str
    """Empty where nothing was tested."""
    value: float


@dataclass(frozen=True, slots=True)
class Particulars:
    """All of a score's details and controls, each in one place."""

    controls: tuple[Row, ...]
    figures: tuple[Row, ...]
    """Details that have an interval."""
    remarks: tuple[str, ...]
    """What is open or uncertain about the score, in sentences."""
    rest: tuple[tuple[str, str], ...]
    """The other details, by name."""


def particulars_of(score: Scored) -> Particulars:
    """Sorts a score's details and controls."""
    rest, lmm = dict(score.details), yes_or_no(score)
    if not lmm and rest.get("form") == "label":
        # Here they are the value itself.
        for name in ("label_share", *BOUNDS["label_share"], "label_base_rate"):
            rest.pop(name, None)
    p_values = _p_values(score, rest)
    figures = tuple(_figures(rest, p_values))
    controls = tuple(_control(name, c, p_values.get(name, ""), lmm=lmm) for name, c in score.controls.items())
    remarks = _remarks(score, rest)
    return Particulars(controls, figures, remarks, _pairs(rest))


def yes_or_no(score: Scored) -> bool:
    """Relevance in the form of a model's word: one answer, with no interval to draw."""
    return score.details.get("form") == "lmm"


def unanswered(score: Scored) -> int:
    """Judgements of the score that got no usable answer."""
    n = score.details.get("unanswered")
    return n if isinstance(n, int) else 0


def _p_values(score: Scored, rest: dict[str, Plain]) -> dict[str, str]:
    """P-values in words by what they belong to, taken out of `rest`; one that belongs to nothing stays there."""
    out: dict[str, str] = {}
    for name in [n for n in rest if n == "p" or n.startswith("p_")]:
        p, subject = rest[name], TESTED.get(name, name.removeprefix("p_"))
        if isinstance(p, float | int) and (subject in score.controls or f"{subject}_low" in rest):
            out[subject] = p_words(p)
            del rest[name]
    return out


def _figures(rest: dict[str, Plain], p_values: Mapping[str, str]) -> list[Row]:
    """Figures with both bounds, taken out of `rest`."""
    out: list[Row] = []
    for name in list(rest):
        below, above = BOUNDS.get(name, (f"{name}_low", f"{name}_high"))
        value, low, high = rest.get(name), rest.get(below), rest.get(above)
        if isinstance(value, float | int) and isinstance(low, float | int) and isinstance(high, float | int):
            interval = interval_words(low, high)
            out.append(Row(name, words_of(name), number(value), interval, p_values.get(name, ""), value))
            for taken in (name, below, above):
                del rest[taken]
    return out


def _control(name: str, control: Control, p: str, *, lmm: bool) -> Row:
    interval = ""
    if control.low is not None and control.high is not None:
        interval = interval_words(control.low, control.high)
    said = ("yes" if control.value else "no") if lmm else number(control.value)
    return Row(name, words_of(name), said, interval, p, control.value)


def _remarks(score: Scored, rest: dict[str, Plain]) -> tuple[str, ...]:
    """Sentences on what is open or uncertain; what they say is taken out of `rest`."""
    out: list[str] = []
    if n := unanswered(score):
        text = f"{count(n)} of {plural(score.n, 'judgement')} stayed unanswered: the interval holds the doubt"
        worst, best = rest.pop("f1_worst", None), rest.pop("f1_best", None)
        if isinstance(worst, float | int) and isinstance(best, float | int):
            text += f"; answers at their worst would give {number(worst)}, at their best {number(best)}"
        out.append(f"{text}.")
        rest.pop("unanswered")
    screened = rest.pop("n_screened", None)
    if isinstance(screened, int):
        out.append(f"{plural(screened, 'image')} screened on sheets, {count(score.n)} of them judged with care.")
    if "corrected" in score.details:
        out.append(CORRECTED)
    return tuple(out)


def _pairs(rest: Mapping[str, Plain]) -> tuple[tuple[str, str], ...]:
    return tuple((words_of(name), _plain(name, value)) for name, value in rest.items() if value is not None)


def _plain(name: str, value: float | int | str | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        is_p = name == "p" or name.startswith("p_")
        return p_value(value) if is_p else number(value)
    return count(value) if isinstance(value, int) else str(value)
