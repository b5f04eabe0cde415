"""The arithmetic of calibration: from judgements whose truth is known to a judge's error rates and habits."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import erfc, exp, gamma, sqrt
from typing import Literal, TypedDict

from autointerp.schema import Usage
from autointerp.scoring.calibration import (
    Agreement,
    Findings,
    FormatCalibration,
    KindCalibration,
    PositionEffect,
    Share,
)
from autointerp.scoring.statistics import wilson

Origin = Literal["true", "near", "random"]
"""The thing is there; it is absent from an image that comes near; it is absent from one drawn at random."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way of showing images."""

    layout: str
    per_call: int
    backwards: bool = False
    """The same images in the reversed order."""

    @property
    def text(self) -> str:
        """In words."""
        if self.per_call == 1:
            return "single images"
        return f"{self.layout} of {self.per_call}" + (" reversed" if self.backwards else "")


@dataclass(frozen=True, slots=True)
class Judgement:
    """One answer, or none, on one image."""

    concept: int
    kinds: tuple[str, ...]
    """That the concept touches."""
    image: int
    origin: Origin
    form: Form
    place: int
    """Among the images of its call, from 0."""
    belief: float | None
    """0 no, 0.5 unsure, 1 yes; None where no usable answer came."""


def find(judgements: Sequence[Judgement], forms: Sequence[Form], used: Mapping[Form, Usage]) -> Findings | None:
    """All figures of a calibration; None where the first form has no answer on one side of the truth.

    Args:
        judgements: every one.
        forms: the run's own first, then the others, the reversed one included.
        used: by form.
    """
    own = [j for j in judgements if j.form == forms[0]]
    rates = rates_of(own)
    if rates is None:
        return None
    kinds = sorted({kind for j in own for kind in j.kinds})
    by_kind = {kind: rates_of(j for j in own if kind in j.kinds) for kind in kinds}
    forward = [form for form in forms if not form.backwards]
    by_form = {form: rates_of(j for j in judgements if j.form == form) for form in forward}
    turned = next((form for form in forms if form.backwards), None)
    straight = Form(turned.layout, turned.per_call) if turned else None
    return Findings(
        **rates,
        kinds=tuple(KindCalibration(kind=kind, **found) for kind, found in by_kind.items() if found),
        formats=tuple(_format(form, found, used) for form, found in by_form.items() if found),
        order=agreement(judgements, straight, turned) if straight and turned else None,
        agreements=tuple(a for form in forward[1:] if (a := agreement(judgements, forms[0], form))),
        near_yes=share_of_yes(j for j in own if j.origin == "near"),
        random_yes=share_of_yes(j for j in own if j.origin == "random"),
        position=position_effect([j for j in judgements if j.form == straight]) if straight else None,
        unanswered=sum(j.belief is None for j in judgements),
    )


class RateFields(TypedDict):
    """Those of `ErrorRates`."""

    n_true: int
    n_false: int
    sensitivity: float
    sensitivity_low: float
    sensitivity_high: float
    specificity: float
    specificity_low: float
    specificity_high: float


def rates_of(judgements: Iterable[Judgement]) -> RateFields | None:
    """Sensitivity and specificity; None where one side of the truth has no answer."""
    there: list[float] = []
    absent: list[float] = []
    for j in judgements:
        if j.belief is not None:
            (there if j.origin == "true" else absent).append(j.belief)
    if not there or not absent:
        return None
    se, sp = wilson(sum(there), len(there)), wilson(len(absent) - sum(absent), len(absent))
    return RateFields(
        n_true=len(there),
        n_false=len(absent),
        sensitivity=se.value,
        sensitivity_low=se.low,
        sensitivity_high=se.high,
        specificity=sp.value,
        specificity_low=sp.low,
        specificity_high=sp.high,
    )


def _format(form: Form, rates: RateFields, used: Mapping[Form, Usage]) -> FormatCalibration:
    usage = used.get(form, Usage())
    return FormatCalibration(
        **rates,
        layout=form.layout,
        per_call=form.per_call,
        calls=usage.calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        dollars=usage.dollars,
    )


def share_of_yes(judgements: Iterable[Judgement]) -> Share | None:
    """Share of yes, an unsure answer counting half; None where nothing was answered."""
    beliefs = [j.belief for j in judgements if j.belief is not None]
    if not beliefs:
        return None
    share = wilson(sum(beliefs), len(beliefs))
    return Share(value=share.value, low=share.low, high=share.high, n=len(beliefs))


def agreement(judgements: Iterable[Judgement], first: Form, second: Form) -> Agreement | None:
    """Agreement of two forms on the images that both answered; None where there are none."""
    by_form: dict[Form, dict[tuple[int, int], float]] = {first: {}, second: {}}
    for j in judgements:
        if j.form in by_form and j.belief is not None:
            by_form[j.form][j.concept, j.image] = j.belief
    pairs = [(a, by_form[second][key]) for key, a in by_form[first].items() if key in by_form[second]]
    if not pairs:
        return None
    equal = sum(a == b for a, b in pairs) / len(pairs)
    return Agreement(first=first.text, second=second.text, n=len(pairs), equal=equal, kappa=kappa(pairs))


def kappa(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Cohen's kappa (1960): (p_o - p_e) / (1 - p_e); None where p_e is 1, as when both say yes to everything."""
    n = len(pairs)
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    expected = sum(left[answer] * right[answer] for answer in left) / n**2
    observed = sum(a == b for a, b in pairs) / n
    return None if expected == 1 else (observed - expected) / (1 - expected)


def position_effect(judgements: Sequence[Judgement]) -> PositionEffect | None:
    """Yes against anything else by place; None where fewer than two places were answered.

    Pearson's chi-square with (places - 1) degrees of freedom; 0 where every answer is the same.
    """
    answered, yes = Counter[int](), Counter[int]()
    for j in judgements:
        if j.belief is not None:
            answered[j.place] += 1
            yes[j.place] += j.belief == 1
    places = sorted(answered)
    if len(places) < 2:
        return None
    overall = sum(yes.values()) / sum(answered.values())
    rates = [yes[p] / answered[p] for p in places]
    farthest = max(range(len(places)), key=lambda i: abs(rates[i] - overall))
    spread = overall * (1 - overall)
    chi = sum(answered[p] * (r - overall) ** 2 for p, r in zip(places, rates, strict=True)) / spread if spread else 0.0
    return PositionEffect(
        rates=tuple(rates),
        place=places[farthest] + 1,
        deviation=rates[farthest] - overall,
        chi_square=chi,
        p=chi_square_tail(chi, len(places) - 1),
    )


def chi_square_tail(value: float, df: int) -> float:
    """Chance that chi-square with `df` degrees of freedom is at least `value`, exact for whole `df` >= 1.

    Abramowitz & Stegun 26.4.4 (odd) and 26.4.5 (even).
    """
    half = value / 2
    if df % 2 == 0:
        return min(1.0, exp(-half) * sum(half**i / gamma(i + 1) for i in range(df // 2)))
    return min(
        1.0, erfc(sqrt(half)) + exp(-half) * sum(half ** (i - 0.5) / gamma(i + 0.5) for i in range(1, (df + 1) // 2))
    )
