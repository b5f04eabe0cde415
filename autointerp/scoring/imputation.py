"""Fills in what stands for a judgement that decides nothing: the mean of those of its kind that do."""

from collections.abc import Sequence

import numpy as np

from autointerp.replies import BELIEF
from autointerp.schema import Verdict
from autointerp.scoring.sampling import Item
from autointerp.statistics.rates import Bools

UNSURE = BELIEF["unsure"]
"""The belief of a judge who cannot tell."""


def decided(beliefs: Sequence[float | None]) -> Bools:
    """Whether each belief is a yes or a no; an unsure answer decides as little as a missing one."""
    return np.array([belief not in (None, UNSURE) for belief in beliefs], bool)


def imputed(images: Sequence[Item | Verdict], beliefs: Sequence[float | None]) -> list[float]:
    """Fills gaps in beliefs with the mean of the image's cell, else of its side, else one half.

    A half for each would not do: a silent image may stand for thousands, and half a false yes among them would drown
    an explanation that is right throughout.

    Args:
        images: which images were judged.
        beliefs: what was said of each, under any explanation; None where no usable answer came. That and an unsure
            answer are gaps.
    """
    known: dict[tuple[object, ...], list[float]] = {}
    gaps = (~decided(beliefs)).tolist()
    for image, belief in zip(images, beliefs, strict=True):
        if belief is not None and belief != UNSURE:
            known.setdefault(image.cell, []).append(belief)
            known.setdefault((image.active,), []).append(belief)
    out: list[float] = []
    for image, belief, gap in zip(images, beliefs, gaps, strict=True):
        if belief is None or gap:
            like = known.get(image.cell) or known.get((image.active,)) or [UNSURE]
            belief = sum(like) / len(like)
        out.append(belief)
    return out
