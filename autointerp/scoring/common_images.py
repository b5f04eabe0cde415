"""Two judgements of one feature brought onto the images that both judged, so that only the explanations differ."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from autointerp.schema import Verdict
from autointerp.scoring.imputation import filled
from autointerp.scoring.statistics import Floats, weighted_rates

UNSURE = 0.5
Measure = Callable[[Sequence[Verdict], Floats], float]


class Matched(NamedTuple):
    """Two values on the same images."""

    a: float
    b: float
    images: int


def matched(scorer: str, a: Sequence[Verdict], b: Sequence[Verdict]) -> Matched | None:
    """The scorer's value in A and in B on the images that both judged.

    Weights are raised so that each stratum stands for as many images as before. None, where the values as scored must
    do: for a scorer that is not a mean over judged images, where a stratum of either has no image in common, and after
    a screening, since each explanation then chose its own images.

    Args:
        scorer: its name.
        a: the judgements of one feature in run A; each image once.
        b: those of the same feature of the same dump in run B.
    """
    if scorer not in MEASURES or any(v.screened is not None for v in (*a, *b)):
        return None
    if scorer == "accuracy":
        a, b = [v for v in a if v.active], [v for v in b if v.active]
    a, b = _answered(a), _answered(b)
    both = {v.image for v in a} & {v.image for v in b}
    if not both or {v.stratum for v in (*a, *b)} - {v.stratum for v in a if v.image in both}:
        return None
    left, right = (sorted((v for v in own if v.image in both), key=lambda v: v.image) for own in (a, b))
    measure = MEASURES[scorer]
    return Matched(measure(left, raised(left, a)), measure(right, raised(right, b)), len(both))


def _answered(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts with what stands for a missing answer, taken from all of the run's."""
    beliefs = filled(verdicts, [v.belief for v in verdicts])
    return [v.model_copy(update={"belief": belief}) for v, belief in zip(verdicts, beliefs, strict=True)]


def raised(kept: Sequence[Verdict], whole: Sequence[Verdict]) -> Floats:
    """Weights of the images kept, shape [len(kept)], with which each stratum weighs as much as all its images did."""
    totals, left = _totals(whole), _totals(kept)
    return np.array([v.weight * totals[v.stratum] / left[v.stratum] for v in kept])


def _totals(verdicts: Sequence[Verdict]) -> dict[str, float]:
    out: dict[str, float] = {}
    for v in verdicts:
        out[v.stratum] = out.get(v.stratum, 0.0) + v.weight
    return out


def _f1(verdicts: Sequence[Verdict], weight: Floats) -> float:
    active = np.array([v.active for v in verdicts], float)
    belief = np.array([v.belief for v in verdicts], float)
    return weighted_rates(active, belief, weight).f1


def _share_of_yes(verdicts: Sequence[Verdict], weight: Floats) -> float:
    """As the scorer has it: every image counts the same, and unsure is no yes; a guess counts as the share it is."""
    return float(np.mean([0.0 if v.belief is None or v.belief == UNSURE else v.belief for v in verdicts]))


MEASURES: Mapping[str, Measure] = {"detection": _f1, "accuracy": _share_of_yes}
"""Scorers whose value can be had from the judgements alone."""
KEEPER: Mapping[str, str] = {"accuracy": "detection"}
"""Scorers that read the same judgements as another one, whose line in scores.jsonl holds them for both."""
