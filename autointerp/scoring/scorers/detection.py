"""Detection: which of the held-out images, active and silent mixed, fit the explanation? The value is weighted F1."""

import asyncio
from collections.abc import Sequence

import numpy as np

from autointerp.lmm.outcomes import DEFERRED, Failure
from autointerp.schema import Control, Details, Exemplar, Verdict
from autointerp.scoring.adaptive_sampling import CLEARED, columns, confidence
from autointerp.scoring.case import Addition, Case, Kept, Outcome, Scorer
from autointerp.scoring.control_tests import CAREFUL
from autointerp.scoring.controls import ask_ahead, judged_controls
from autointerp.scoring.disjuncts import judged_disjuncts
from autointerp.scoring.imputation import UNSURE, imputed
from autointerp.scoring.judge import JUDGE, Judgements
from autointerp.scoring.margin import margin_details
from autointerp.statistics.rates import (
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
from autointerp.statistics.resampling import Columns, Replicates, interval_of, percentiles, permuted_f1, resample

NAME = "detection"
MOST_NAMED = 12
"""So many unsure images are named in the details; the verdicts of the record have them all."""
_FURTHER = {
    "precision": precision_samples,
    "recall": recall_samples,
    "specificity": specificity_samples,
    "auprc": auprc_samples,
    "pearson": pearson_samples,
}


async def detection(case: Case) -> Outcome:
    """Computes F1 over the population, each judgement weighted by 1/probability, with a stratified bootstrap."""
    whole = await case.judgements_with_margin()
    if isinstance(whole, Failure):
        await ask_ahead(case, whole)
        return whole
    said = whole.without_margin
    judged = columns(said)
    drawn = await asyncio.to_thread(resample, judged, case.draws)
    # What controls are held against: after a screening the careful look alone, as they themselves were not screened.
    plain = columns(said, both_looks=False) if said.screened else judged
    additions = await _additions(case, said, judged, drawn, plain)
    if isinstance(additions, Failure):
        return additions
    return await asyncio.to_thread(_outcome, case, whole, said, judged, drawn, plain, additions)


def _outcome(
    case: Case,
    whole: Judgements,
    said: Judgements,
    judged: Columns,
    drawn: Replicates,
    plain: Columns,
    additions: tuple[Addition, Addition],
) -> Outcome:
    """The record of judgements and of what was judged besides."""
    n = len(said.items)
    f1 = interval_of(f1_samples, judged, drawn, confidence(len(whole.items), case.judged_pool))
    dealt, p = permuted_f1(plain, case.draws)
    controls = {
        # What "an image" would score, and what these answers would if dealt to the images at random.
        "always_yes": Control(value=_always_yes(judged), n=n),
        "permuted": Control(value=dealt.value, low=dealt.low, high=dealt.high, n=n),
    }
    details: Details = {"p_permuted": p} | _further(judged, drawn) | _counts(case, judged)
    if case.settings.interval is not None:
        details["interval_met"] = f1.high - f1.low <= case.settings.interval
    if said.screened:
        details |= _screening(said, plain)
    if case.judged_pool.classes:
        details["guided_from"] = len(case.judged_pool.classes)
    details |= _undecided(said, judged)
    details |= margin_details(case.judged_pool, whole, f1, case.draws)
    # A calibration knows the errors of one look. Of those that pass two, it would take out too much.
    if case.judge_rates is not None and not said.screened:
        details |= _corrected(case.judge_rates, judged, drawn, case.draws.seed)
    near = tuple(v for i, v in zip(whole.items, whole.verdicts, strict=True) if i.margin)
    return case.scored(NAME, f1, n, details, controls, said=said, kept=Kept(said.verdicts, near), additions=additions)


async def _additions(
    case: Case, said: Judgements, judged: Columns, drawn: Replicates, plain: Columns
) -> tuple[Addition, Addition] | Failure:
    """Judges the explanation's parts on the same images, and the controls where the feature carries them."""
    disjuncts = await judged_disjuncts(case, said, judged, drawn)
    if isinstance(disjuncts, Failure) and disjuncts.kind != DEFERRED:
        return disjuncts
    # A batch job that is still to answer for the parts takes the controls as well.
    others = await judged_controls(case, said, plain) if case.controlled else Addition()
    if isinstance(others, Failure):
        return others
    return disjuncts if isinstance(disjuncts, Failure) else (disjuncts, others)


def _always_yes(judged: Columns) -> float:
    """The headline's own function of endless yes, so that a judge who says that scores exactly this."""
    yes = np.ones_like(judged.belief)
    return float(f1_samples(judged.active, yes, yes, judged.weight[None])[0])


def _further(judged: Columns, drawn: Replicates) -> Details:
    out: Details = {}
    for name, statistic in _FURTHER.items():
        found = interval_of(statistic, judged, drawn)
        # A correlation with a belief or an activation that never varies is no number.
        if np.isfinite(found.value):
            out |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return out


def _counts(case: Case, judged: Columns) -> Details:
    y, c, feature = judged.active, judged.belief, case.judged_pool.feature
    n_active, full = feature.row.n_active, case.population.uncounted_from
    # Of a full list, n_active is its length: the share that it covers is not known, and not 1.
    uncounted = full is not None and n_active >= full
    return {
        "n_active": int(y.sum()),
        "n_silent": int(len(y) - y.sum()),
        # Below 1 the score speaks only for a part of the images that fire it, e.g. where the dump has the top alone.
        "active_covered": None if uncounted else covered(feature.active, n_active),
        # The same of the silent ones, e.g. where the dump has look-alikes alone.
        "silent_covered": None if uncounted else covered(feature.negatives, case.population.n_images - n_active),
        "false_positives": int(np.sum((y == 0) & (c == 1) & judged.answered)),
        "false_negatives": int(np.sum((y == 1) & (c == 0) & judged.answered)),
    }


def covered(exemplars: Sequence[Exemplar], n: int) -> float:
    """The share of `n` images for which the exemplars drawn from them stand, 0 to 1; 1 where there are none."""
    return min(1.0, sum(1 / e.probability for e in exemplars) / n) if n > 0 else 1.0


def _undecided(said: Judgements, judged: Columns) -> Details:
    """What unanswered and unsure judgements leave open: F1 as badly and as well as they could be, and which they are.

    The unsure images are named with the images that each stands for, the heaviest first: a person who looks at them
    settles more of the interval than any further call.
    """
    unsure = [
        i
        for i, belief, known in zip(said.items, said.beliefs, judged.answered, strict=True)
        if belief == UNSURE and not known
    ]
    out: Details = {"unsure": len(unsure)}
    if judged.answered.all():
        return out
    worst, best = judged.bounds()
    if missing := int(np.sum(~judged.answered)) - len(unsure):
        out["unanswered"] = missing
    out["f1_worst"] = weighted_rates(worst.active, worst.belief, worst.weight).f1
    out["f1_best"] = weighted_rates(best.active, best.belief, best.weight).f1
    if unsure:
        heaviest = sorted(unsure, key=lambda i: (-i.weight, i.exemplar.image))
        named = [f"{i.exemplar.image} (×{i.weight:.3g})" for i in heaviest[:MOST_NAMED]]
        more = [f"and {len(unsure) - MOST_NAMED} more"] if len(unsure) > MOST_NAMED else []
        out["unsure_active_weight"] = sum(i.weight for i in unsure if i.active)
        out["unsure_silent_weight"] = sum(i.weight for i in unsure if not i.active)
        out["unsure_images"] = ", ".join(named + more)
    return out


def _screening(said: Judgements, plain: Columns) -> Details:
    """F1 by the careful look alone, against which controls are held, and how the two looks differ."""
    looks = [(i, b) for i, b in zip(said.items, said.beliefs, strict=True) if b is not None]
    found = [i for i, b in looks if i.active and b == 1 and i.screened is not None]
    cleared = [b for i, b in looks if not i.active and i.screened == CLEARED]
    return {
        "n_screened": sum(said.looked.values()),
        CAREFUL: weighted_rates(plain.active, plain.belief, plain.weight).f1,
        "screening_missed": sum(i.screened == CLEARED for i in found),
        "screening_missed_of": len(found),
        "cleared_yes": sum(b == 1 for b in cleared),
        "cleared_of": len(cleared),
    }


def _corrected(rates: JudgeRates, judged: Columns, drawn: Replicates, seed: int) -> Details:
    """F1 with the judge's known errors taken out; its interval also holds the doubt about those errors."""
    y = drawn.extended(judged.active)
    odds = float(np.sum(judged.weight * (1 - judged.active)) / np.sum(judged.weight * judged.active))
    chance = np.random.default_rng(seed)
    # Jeffreys' posterior of each rate.
    se, sp = (
        chance.beta(rate * n + 0.5, (1 - rate) * n + 0.5, len(drawn.weights))
        for rate, n in ((rates.sensitivity, rates.n_true), (rates.specificity, rates.n_false))
    )
    known = np.array([rates.sensitivity]), np.array([rates.specificity])
    shares = _shares(judged.active, judged.belief, judged.weight[None])
    point = float(corrected_f1(*shares, odds, *known)[0])
    if not np.isfinite(point):
        return {}
    worst, best = (corrected_f1(*_shares(y, belief, drawn.weights), odds, se, sp) for belief in drawn.beliefs(judged))
    found = percentiles(point, worst, best)
    return {"corrected": point, "corrected_low": found.low, "corrected_high": found.high}


def _shares(y: Floats, c: Floats, w: Floats) -> tuple[Floats, Floats]:
    """The share of yes among active and among silent images, for each row of weights."""
    return recall_samples(y, c, c, w), 1 - specificity_samples(y, c, c, w)


def _f1(verdicts: Sequence[Verdict], weight: Floats) -> float:
    active = np.array([v.active for v in verdicts], float)
    belief = np.array(imputed(verdicts, [v.belief for v in verdicts]), float)
    return weighted_rates(active, belief, weight).f1


DETECTION = Scorer(NAME, detection, task=JUDGE, value_of=_f1)
