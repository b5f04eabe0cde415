"""Of several explanations each by itself, judged on the very images on which all of them together were judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.lmm.calls import DEFERRED, Failure
from autointerp.schema import PartScore, Usage
from autointerp.scoring.case import Case
from autointerp.scoring.imputation import filled
from autointerp.scoring.judge import Beliefs, Verdicts
from autointerp.scoring.resampling import Judged, Replicates, interval_of
from autointerp.scoring.sampling import Item
from autointerp.scoring.statistics import Floats, f1_samples, weighted_rates

Details = dict[str, float | int | str | bool | None]


@dataclass(frozen=True, slots=True)
class Apart:
    """How the explanations of one feature fare one by one."""

    scores: tuple[PartScore, ...]
    """In their order; empty where there is only one."""
    details: Details
    """`union_f1` with its bounds, `overlap`, and `parts_unanswered` where an answer is missing."""
    usage: Usage


async def judged_apart(case: Case, said: Verdicts, judged: Judged, drawn: Replicates) -> Apart | Failure:
    """Asks about each part of a disjunction; nothing is asked of an explanation that is none.

    A part of the whole holds for no image for which the whole does not: silent images that a screening by the whole
    cleared count as not fitting, and are not asked about again. (Of a kept explanation that is wider than the whole
    this flatters the precision, after a screening only.) The others are put before the judge as the whole was, after a
    screening one by one.

    Args:
        case: the trial.
        said: the judge's word on the whole.
        judged: the same as columns.
        drawn: replicates of them, of which each part's interval is made too.

    Returns:
        The parts' figures; a failure that may pass instead, or where a part got no answer on all images of a side.

    Raises:
        EndpointError: no request of this run can succeed.
    """
    open_ones = np.flatnonzero(~judged.cleared).tolist()
    items = [said.items[i] for i in open_ones]
    told: list[Beliefs] = []
    waiting: Failure | None = None
    for text in case.explanation.parts:
        answer = await case.judge.beliefs(text, items, case.door, case.judge.look_again(said))
        if isinstance(answer, Failure):
            if answer.kind != DEFERRED:
                return answer
            waiting = answer  # a batch job takes the other parts as well
            continue
        if silenced := _silenced(answer, items):
            return silenced
        told.append(answer)
    if waiting or not told:
        return waiting or Apart((), {}, Usage())
    case.gaps += [gap for answer in told for gap in answer.gaps]
    columns = [_placed(answer, open_ones, len(said.items)) for answer in told]
    return _figures(case, said, judged, drawn, columns, sum((t.usage for t in told), Usage()))


def _silenced(told: Beliefs, items: Sequence[Item]) -> Failure | None:
    """Why a side got no answer at all; None where both have some."""
    for active in (True, False):
        own = [belief for belief, item in zip(told.all, items, strict=True) if item.active == active]
        if own and all(belief is None for belief in own):
            return told.gaps[0]
    return None


def _placed(told: Beliefs, places: Sequence[int], n: int) -> list[float | None]:
    """Beliefs on all `n` images: 0 on those that were not asked about."""
    out: list[float | None] = [0.0] * n
    for place, belief in zip(places, told.all, strict=True):
        out[place] = belief
    return out


def _figures(
    case: Case,
    said: Verdicts,
    judged: Judged,
    drawn: Replicates,
    columns: Sequence[Sequence[float | None]],
    usage: Usage,
) -> Apart:
    parts = [_answering(judged, said, column) for column in columns]
    adds = case.explanation.adds
    adding = [column for column, own in zip(columns, adds, strict=True) if own]
    both = _answering(judged, said, [_any(beliefs) for beliefs in zip(*adding, strict=True)])
    union = interval_of(f1_samples, both, drawn)
    details: Details = {
        "union_f1": union.value,
        "union_f1_low": union.low,
        "union_f1_high": union.high,
        "overlap": overlap(judged, np.stack([p.belief for p in parts])),
    }
    if missing := sum(belief is None for column in columns for belief in column):
        details["parts_unanswered"] = missing
    each = zip(case.explanation.parts, adds, parts, strict=True)
    scores = [_score(text, part, drawn).model_copy(update={"adds": own}) for text, own, part in each]
    return Apart(tuple(scores), details, usage)


def _answering(judged: Judged, said: Verdicts, beliefs: Sequence[float | None]) -> Judged:
    return judged.answering(np.array(filled(said.all, beliefs), float), np.array([b is not None for b in beliefs]))


def _any(beliefs: Sequence[float | None]) -> float | None:
    """What "any of them fits" comes to: the largest belief; None where a missing answer could still raise it."""
    known = [b for b in beliefs if b is not None]
    largest = max(known, default=0.0)
    return largest if largest == 1 or len(known) == len(beliefs) else None


def overlap(judged: Judged, beliefs: Floats) -> float:
    """Of the images that fire the feature, the share that more than one part claims: Σwyc₂ / Σwy.

    Args:
        judged: the images.
        beliefs: of each part, [parts, n], at least two parts; c₂ is the second largest of an image.
    """
    second = np.sort(beliefs, axis=0)[-2]
    return weighted_rates(judged.active, second, judged.weight).recall


def _score(text: str, part: Judged, drawn: Replicates) -> PartScore:
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
