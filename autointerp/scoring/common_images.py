"""Brings two judgements of one feature onto the images that both judged, so that only the explanations differ."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autointerp.schema import Verdict
from autointerp.scoring.case import Scorer
from autointerp.scoring.imputation import UNSURE, imputed
from autointerp.statistics.rates import Floats


class Matched(NamedTuple):
    """Two values on the same images."""

    a: float
    b: float
    images: int
    """The number of images that both judged."""


def matched(scorer: Scorer, a: Sequence[Verdict], b: Sequence[Verdict]) -> Matched | None:
    """Computes the scorer's value in A and in B on the images that both judged.

    Weights are raised so that each stratum stands for as many images as before.

    Args:
        scorer: the scorer.
        a: the judgements of one feature in run A; each image once.
        b: those of the same feature of the same dump in run B.

    Returns:
        None where the values as scored must do: for a scorer that is not a mean over judged images, where a stratum of
        either run has no image in common, and where each explanation chose its own images: after a screening, and
        where silent images were drawn by likeness to the text.
    """
    if scorer.value_of is None or any((v.screened, v.likeness) != (None, None) for v in (*a, *b)):
        return None
    if scorer.sides == "active":
        a, b = [v for v in a if v.active], [v for v in b if v.active]
    a, b = _answered(a, scorer), _answered(b, scorer)
    both = {v.image for v in a} & {v.image for v in b}
    if not both or {v.stratum for v in (*a, *b)} - {v.stratum for v in a if v.image in both}:
        return None
    left, right = (sorted((v for v in own if v.image in both), key=lambda v: v.image) for own in (a, b))
    return Matched(scorer.value_of(left, raised(left, a)), scorer.value_of(right, raised(right, b)), len(both))


def _answered(verdicts: Sequence[Verdict], scorer: Scorer) -> list[Verdict]:
    """The verdicts with what stands for a missing answer, taken from all of the run's.

    A share of yes among active images takes an unsure answer for no yes; elsewhere it is a gap like a missing one.
    """
    unsure_is_no = scorer.sides == "active"
    beliefs = imputed(verdicts, [0.0 if unsure_is_no and v.belief == UNSURE else v.belief for v in verdicts])
    return [v.model_copy(update={"belief": belief}) for v, belief in zip(verdicts, beliefs, strict=True)]


def raised(kept: Sequence[Verdict], whole: Sequence[Verdict]) -> Floats:
    """Weighs the images kept, shape [len(kept)], so that each stratum weighs as much as all its images did."""
    totals, left = _totals(whole), _totals(kept)
    return np.array([v.weight * totals[v.stratum] / left[v.stratum] for v in kept])


def _totals(verdicts: Sequence[Verdict]) -> dict[str, float]:
    out: dict[str, float] = {}
    for v in verdicts:
        out[v.stratum] = out.get(v.stratum, 0.0) + v.weight
    return out
