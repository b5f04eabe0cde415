"""Computes a judge's error rates, and what else its answers depend on, from answers whose truth is known."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import erfc, exp, gamma, sqrt
from typing import Literal

from autointerp.images.picture import JudgeRendering
from autointerp.schema import Usage
from autointerp.scoring.calibration import (
    Agreement,
    ErrorRates,
    Findings,
    FormatCalibration,
    KindCalibration,
    PositionEffect,
    Share,
    form_text,
)
from autointerp.statistics.rates import wilson

Origin = Literal["true", "near", "random"]
"""`true`: the thing is there; `near`: it is absent from an image that comes near; `random`: it is absent from an image
drawn at random."""


@dataclass(frozen=True, slots=True)
class Form:
    """A way of showing images."""

    layout: str
    per_call: int
    backwards: bool = False
    """Whether the same images are shown in the reversed order."""
    rendering: JudgeRendering = "full"
    """Whether images are shown whole, or how else."""

    @property
    def text(self) -> str:
        """Returns the form in words."""
        return form_text(self.layout, self.per_call, self.rendering) + (" reversed" if self.backwards else "")


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """One answer, or none, on an image whose truth is known."""

    concept: int
    kinds: tuple[str, ...]
    """The kinds of attributes that the concept speaks of."""
    image: int
    origin: Origin
    form: Form
    place: int
    """The place among the images of its call, from 0."""
    belief: float | None
    """0 no, 0.5 unsure, 1 yes; None where no usable answer came."""


def findings_of(answers: Sequence[CheckedAnswer], forms: Sequence[Form], used: Mapping[Form, Usage]) -> Findings | None:
    """Computes all figures of a calibration; None where the first form has no answer on one side of the truth.

    Args:
        answers: every answer.
        forms: the run's own form first, then the others, the reversed one included.
        used: the usage by form.
    """
    own = [a for a in answers if a.form == forms[0]]
    rates = rates_of(own)
    if rates is None:
        return None
    kinds = sorted({kind for a in own for kind in a.kinds})
    by_kind = {kind: rates_of(a for a in own if kind in a.kinds) for kind in kinds}
    forward = [form for form in forms if not form.backwards]
    by_form = {form: rates_of(a for a in answers if a.form == form) for form in forward}
    turned = next((form for form in forms if form.backwards), None)
    straight = replace(turned, backwards=False) if turned else None
    return Findings(
        **dict(rates),
        kinds=tuple(KindCalibration(kind=kind, **dict(found)) for kind, found in by_kind.items() if found),
        formats=tuple(_format(form, found, used.get(form, Usage())) for form, found in by_form.items() if found),
        order=agreement(answers, straight, turned) if straight and turned else None,
        agreements=tuple(both for form in forward[1:] if (both := agreement(answers, forms[0], form))),
        near_yes=share_of_yes(a for a in own if a.origin == "near"),
        random_yes=share_of_yes(a for a in own if a.origin == "random"),
        position=position_effect([a for a in answers if a.form == straight]) if straight else None,
        unanswered=sum(a.belief is None for a in answers),
    )


def rates_of(answers: Iterable[CheckedAnswer]) -> ErrorRates | None:
    """Computes sensitivity and specificity; None where one side of the truth has no answer."""
    there: list[float] = []
    absent: list[float] = []
    for answer in answers:
        if answer.belief is not None:
            (there if answer.origin == "true" else absent).append(answer.belief)
    if not there or not absent:
        return None
    se, sp = wilson(sum(there), len(there)), wilson(len(absent) - sum(absent), len(absent))
    return ErrorRates(
        n_true=len(there),
        n_false=len(absent),
        sensitivity=se.value,
        sensitivity_low=se.low,
        sensitivity_high=se.high,
        specificity=sp.value,
        specificity_low=sp.low,
        specificity_high=sp.high,
    )


def _format(form: Form, rates: ErrorRates, usage: Usage) -> FormatCalibration:
    return FormatCalibration(
        **dict(rates),
        layout=form.layout,
        per_call=form.per_call,
        rendering=form.rendering,
        calls=usage.calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        dollars=usage.dollars,
    )


def share_of_yes(answers: Iterable[CheckedAnswer]) -> Share | None:
    """Computes the share of yes, an unsure answer counting half; None where nothing was answered."""
    beliefs = [a.belief for a in answers if a.belief is not None]
    if not beliefs:
        return None
    share = wilson(sum(beliefs), len(beliefs))
    return Share(value=share.value, low=share.low, high=share.high, n=len(beliefs))


def agreement(answers: Iterable[CheckedAnswer], first: Form, second: Form) -> Agreement | None:
    """Computes how far two forms agree on the images that both answered; None where there are none."""
    by_form: dict[Form, dict[tuple[int, int], float]] = {first: {}, second: {}}
    for answer in answers:
        if answer.form in by_form and answer.belief is not None:
            by_form[answer.form][answer.concept, answer.image] = answer.belief
    pairs = [(a, by_form[second][key]) for key, a in by_form[first].items() if key in by_form[second]]
    if not pairs:
        return None
    equal = sum(a == b for a, b in pairs) / len(pairs)
    return Agreement(first=first.text, second=second.text, n=len(pairs), equal=equal, kappa=kappa(pairs))


def kappa(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Computes Cohen's kappa (1960), (p_o - p_e) / (1 - p_e); None where p_e is 1, as when both always say yes."""
    n = len(pairs)
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    expected = sum(left[answer] * right[answer] for answer in left) / n**2
    observed = sum(a == b for a, b in pairs) / n
    return None if expected == 1 else (observed - expected) / (1 - expected)


def position_effect(answers: Sequence[CheckedAnswer]) -> PositionEffect | None:
    """Tests whether yes depends on the place; None where fewer than two places were answered.

    The test is Pearson's chi-square with (places - 1) degrees of freedom; it is 0 where every answer is the same.
    """
    answered, yes = Counter[int](), Counter[int]()
    for a in answers:
        if a.belief is not None:
            answered[a.place] += 1
            yes[a.place] += a.belief == 1
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
    """Computes the chance that chi-square with `df` degrees of freedom is at least `value`; exact for whole `df` >= 1.

    The formulas are Abramowitz & Stegun 26.4.4 (odd) and 26.4.5 (even).
    """
    half = value / 2
    if df % 2 == 0:
        return min(1.0, exp(-half) * sum(half**i / gamma(i + 1) for i in range(df // 2)))
    return min(
        1.0, erfc(sqrt(half)) + exp(-half) * sum(half ** (i - 0.5) / gamma(i + 0.5) for i in range(1, (df + 1) // 2))
    )
