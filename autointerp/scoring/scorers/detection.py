"""Detection: which of the held-out crops, active and silent mixed, fit the explanation? The headline is weighted F1."""

import numpy as np

from autointerp.lmm.calls import DEFERRED, Failure
from autointerp.schema import Control, Feature, Usage
from autointerp.scoring.adaptive_sampling import CLEARED, columns
from autointerp.scoring.case import Case, Outcome
from autointerp.scoring.control_tests import CAREFUL
from autointerp.scoring.controls import Otherwise, ask_ahead, explained_otherwise
from autointerp.scoring.disjuncts import Apart, judged_apart
from autointerp.scoring.judge import Verdicts
from autointerp.scoring.question_helpers import lacking
from autointerp.scoring.resampling import Judged, Replicates, interval_of, percentiles, permuted_f1, resample
from autointerp.scoring.statistics import (
    Floats,
    JudgeRates,
    auprc_samples,
    corrected_f1,
    f1_samples,
    pearson_samples,
    precision_samples,
    recall_samples,
    specificity_samples,
    weighted_rates,
)

NAME = "detection"
Details = dict[str, float | int | str | bool | None]

_FURTHER = {
    "precision": precision_samples,
    "recall": recall_samples,
    "specificity": specificity_samples,
    "auprc": auprc_samples,
    "pearson": pearson_samples,
}


def covered(feature: Feature) -> float:
    """Share of the images that fire a feature for which its active exemplars stand, 0 to 1."""
    stand_for = sum(1 / e.probability for e in feature.active)
    return min(1.0, stand_for / feature.row.n_active) if feature.row.n_active else 1.0


def silent_covered(feature: Feature, n_images: int) -> float:
    """Share of the images on which a feature is silent for which its silent exemplars stand, 0 to 1."""
    silent = n_images - feature.row.n_active
    return min(1.0, sum(1 / e.probability for e in feature.negatives) / silent) if silent > 0 else 1.0


async def detection(case: Case) -> Outcome:
    """F1 over the population, each judgement weighted by 1/probability, with a stratified bootstrap interval."""
    settings = case.settings
    if case.explanation.none:
        return case.unscored(NAME, "the explainer found no common property")
    if (reason := lacking(case, silent=True)) is not None:
        return case.unscored(NAME, reason)
    said = await case.verdicts()
    if isinstance(said, Failure):
        await ask_ahead(case, said)
        return said
    judged, seed = columns(said), settings.seed + case.feature.id
    drawn = resample(judged, replicates=settings.bootstrap, seed=seed)
    # What controls are held against: after a screening the careful look alone, as they themselves were not screened.
    plain = columns(said, both_looks=False) if said.looked else judged
    beside = await _beside(case, said, judged, drawn, plain)
    if isinstance(beside, Failure):
        return beside
    apart, others = beside
    f1 = interval_of(f1_samples, judged, drawn)
    dealt, p = permuted_f1(plain, replicates=settings.bootstrap, seed=seed)
    n = len(said.all)
    controls = {
        # What "an image" would score, and what these answers would if dealt to the images at random.
        "always_yes": Control(value=_always_yes(judged), n=n),
        "permuted": Control(value=dealt.value, low=dealt.low, high=dealt.high, n=n),
    }
    details: Details = (
        {"p_permuted": p}
        | _further(judged, drawn)
        | _counts(case, said, judged, met=f1.high - f1.low <= (settings.interval or 1))
    )
    # A calibration knows the errors of one look. Of those that pass two, it would take out too much.
    if case.judge_rates is not None and not said.looked:
        details |= _corrected(case.judge_rates, judged, drawn, seed)
    return case.scored(
        NAME,
        f1,
        n,
        details | apart.details | others.p_values,
        controls | others.controls,
        judged=said,
        verdicts=said.all,
        parts=apart.scores,
        more=apart.usage + others.usage,
    )


async def _beside(
    case: Case, said: Verdicts, judged: Judged, drawn: Replicates, plain: Judged
) -> tuple[Apart, Otherwise] | Failure:
    """The other texts on the same images: the explanation's parts, and the controls where the feature carries them."""
    apart = await judged_apart(case, said, judged, drawn)
    if isinstance(apart, Failure) and apart.kind != DEFERRED:
        return apart
    # A batch job that is still to answer for the parts takes the controls as well.
    others = Otherwise({}, {}, Usage())
    if case.controlled:
        others = await explained_otherwise(case, said, plain, case.settings.seed + case.feature.id)
    if isinstance(others, Failure):
        return others
    return apart if isinstance(apart, Failure) else (apart, others)


def _always_yes(judged: Judged) -> float:
    """By the headline's own function, so that a judge of endless yes scores exactly this."""
    yes = np.ones_like(judged.belief)
    return float(f1_samples(judged.active, yes, yes, judged.weight[None])[0])


def _further(judged: Judged, drawn: Replicates) -> Details:
    out: Details = {}
    for name, statistic in _FURTHER.items():
        found = interval_of(statistic, judged, drawn)
        # A correlation with a belief or an activation that never varies is no number.
        if np.isfinite(found.value):
            out |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return out


def _counts(case: Case, said: Verdicts, judged: Judged, *, met: bool) -> Details:
    y, c = judged.active, judged.belief
    out: Details = {
        "n_active": int(y.sum()),
        "n_silent": int(len(y) - y.sum()),
        # Below 1 the score speaks only for a part of the images that fire it, e.g. where the dump has the top alone.
        "active_covered": covered(case.feature),
        # The same of the silent ones, e.g. where the dump has look-alikes alone.
        "silent_covered": silent_covered(case.feature, case.population.n_images),
        "false_positives": int(np.sum((y == 0) & (c == 1))),
        "false_negatives": int(np.sum((y == 1) & (c == 0))),
        "unsure": int(np.sum((c == 0.5) & judged.answered)),
    }
    if case.settings.interval is not None:
        out["interval_met"] = met
    if said.looked:
        out |= _screening(said)
    if not judged.answered.all():
        worst, best = judged.bounds()
        out["unanswered"] = int(np.sum(~judged.answered))
        out["f1_worst"] = weighted_rates(worst.active, worst.belief, worst.weight).f1
        out["f1_best"] = weighted_rates(best.active, best.belief, best.weight).f1
    return out


def _screening(said: Verdicts) -> Details:
    """F1 by the careful look alone, which controls are held against, and what the screening missed of what it found."""
    plain = columns(said, both_looks=False)
    found = [v for v in said.all if v.active and v.belief == 1 and v.screened is not None]
    cleared = [v for v in said.all if not v.active and v.screened == CLEARED and v.belief is not None]
    return {
        "n_screened": sum(said.looked.values()),
        CAREFUL: weighted_rates(plain.active, plain.belief, plain.weight).f1,
        "screening_missed": sum(v.screened == CLEARED for v in found),
        "screening_missed_of": len(found),
        "cleared_yes": sum(v.belief == 1 for v in cleared),
        "cleared_of": len(cleared),
    }


def _corrected(rates: JudgeRates, judged: Judged, drawn: Replicates, seed: int) -> Details:
    """F1 with the judge's known errors taken out; its interval also holds the doubt about those errors."""
    y = drawn.extended(judged.active)
    odds = float(np.sum(judged.weight * (1 - judged.active)) / np.sum(judged.weight * judged.active))
    chance = np.random.default_rng(seed)
    r = len(drawn.weights)
    # Jeffreys' posterior of each rate.
    right, wrong = rates.sensitivity * rates.n_true, (1 - rates.sensitivity) * rates.n_true
    se = chance.beta(right + 0.5, wrong + 0.5, r)
    right, wrong = rates.specificity * rates.n_false, (1 - rates.specificity) * rates.n_false
    sp = chance.beta(right + 0.5, wrong + 0.5, r)

    point = corrected_f1(
        *_shares(judged.active, judged.belief, judged.weight[None]),
        odds,
        np.array([rates.sensitivity]),
        np.array([rates.specificity]),
    )[0]
    if not np.isfinite(point):
        return {}
    # The unanswered ones as badly and as well as they could have been answered, as for the headline.
    found = [
        percentiles(float(point), corrected_f1(*_shares(y, drawn.belief(of), drawn.weights), odds, se, sp))
        for of in judged.bounds()
    ]
    return {
        "corrected": float(point),
        "corrected_low": min(f.low for f in found),
        "corrected_high": max(f.high for f in found),
    }


def _shares(y: Floats, c: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Share of yes among active and among silent images, for each row of weights."""
    return recall_samples(y, c, c, w), 1 - specificity_samples(y, c, c, w)
