"""Scores each of several explanations by itself, on the images on which all of them together were judged."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autointerp.lmm.outcomes import Failure
from autointerp.schema import Details, PartScore, Usage
from autointerp.scoring.case import Addition, Case
from autointerp.scoring.imputation import decided, imputed
from autointerp.scoring.judge import Judgements
from autointerp.statistics.rates import Floats, f1_samples, weighted_rates
from autointerp.statistics.resampling import Columns, Replicates, interval_of

Beliefs = Sequence[float | None]
"""The beliefs in all images of the whole; None where no usable answer came."""


async def judged_disjuncts(case: Case, said: Judgements, judged: Columns, drawn: Replicates) -> Addition | Failure:
    """Judges each part of a disjunction; nothing is asked of an explanation that is none.

    A part of the whole holds for no image for which the whole does not: silent images that a screening by the whole
    cleared count as not fitting, and are not asked about again. (Where a kept explanation is wider than the whole, this
    flatters its precision, after a screening only.) The other images are put before the judge as they were for the
    whole, and after a screening one by one.

    Args:
        case: the feature's case.
        said: the judge's word on the whole.
        judged: the same as columns.
        drawn: replicates of them, from which each part's interval is made too.

    Returns:
        The scores of the parts, `union_f1` with its bounds, `overlap`, and `parts_unanswered` where an answer is
        missing; instead a failure that may pass, or the failure by which a part got no answer on all images of a side.

    Raises:
        EndpointError: no request of this run can succeed.
    """
    parts = case.explanation.parts
    if not parts:
        return Addition()
    open_places = np.flatnonzero(~judged.cleared).tolist()
    told = await case.judge_again(parts, [said.items[i] for i in open_places], said)
    if isinstance(told, Failure):
        return told
    columns: list[Beliefs] = []
    for answer in told:
        known = dict(zip(open_places, answer.beliefs, strict=True))
        columns.append([known.get(place, 0.0) for place in range(len(said.items))])
    # Images that the screening cleared are answers too, so that the whole column tells whether a side has any.
    whole = [replace(t, items=said.items, beliefs=tuple(c)) for t, c in zip(told, columns, strict=True)]
    if mute := next((t.mute for t in whole if t.mute), None):
        return mute
    case.gaps += [gap for t in told for gap in t.gaps]
    return _scores(case, said, judged, drawn, columns, sum((t.usage for t in told), Usage()))


def _scores(
    case: Case, said: Judgements, judged: Columns, drawn: Replicates, columns: Sequence[Beliefs], usage: Usage
) -> Addition:
    def answering(beliefs: Beliefs) -> Columns:
        belief = np.array(imputed(said.items, beliefs), float)
        return replace(judged, belief=belief, answered=decided(beliefs))

    parts = [answering(column) for column in columns]
    union = interval_of(f1_samples, answering([_any(beliefs) for beliefs in zip(*columns, strict=True)]), drawn)
    details: Details = {
        "union_f1": union.value,
        "union_f1_low": union.low,
        "union_f1_high": union.high,
        "overlap": overlap(judged, np.stack([p.belief for p in parts])),
    }
    if missing := sum(belief is None for column in columns for belief in column):
        details["parts_unanswered"] = missing
    scores = tuple(_score(text, part, drawn) for text, part in zip(case.explanation.parts, parts, strict=True))
    return Addition(details, parts=scores, usage=usage)


def _any(beliefs: Beliefs) -> float | None:
    """The belief that any of several texts fits: the largest; None where a missing answer could still raise it."""
    known = [b for b in beliefs if b is not None]
    largest = max(known, default=0.0)
    return largest if largest == 1 or len(known) == len(beliefs) else None


def overlap(judged: Columns, beliefs: Floats) -> float:
    """The share of the images that fire the feature which more than one part claims: Σwyc₂ / Σwy.

    Args:
        judged: the images.
        beliefs: the beliefs in each part, [parts, n], at least two parts; c₂ is the second largest of an image.
    """
    second = np.sort(beliefs, axis=0)[-2]
    return weighted_rates(judged.active, second, judged.weight).recall


def _score(text: str, part: Columns, drawn: Replicates) -> PartScore:
    found = interval_of(f1_samples, part, drawn)
    rates = weighted_rates(part.active, part.belief, part.weight)
    return PartScore(
        text=text,
        value=found.value,
        low=found.low,
        high=found.high,
        precision=rates.precision,
        recall=rates.recall,
    )
