"""Fills in what stands for a judgement that did not come: the mean of those that did."""

from collections.abc import Sequence

from autointerp.schema import Verdict
from autointerp.scoring.sampling import Item


def imputed(images: Sequence[Item | Verdict], beliefs: Sequence[float | None]) -> list[float]:
    """Fills the gaps in beliefs with the mean of the image's stratum and screening, else of its side, else one half.

    A half for each would not do: a silent image may stand for thousands, and half a false yes among them would drown
    an explanation that is right throughout.

    Args:
        images: which images were judged.
        beliefs: what was said of each, under any explanation; None where no usable answer came.
    """
    known: dict[tuple[object, ...], list[float]] = {}
    for image, belief in zip(images, beliefs, strict=True):
        if belief is not None:
            known.setdefault((image.stratum, image.screened), []).append(belief)
            known.setdefault((image.active,), []).append(belief)
    out: list[float] = []
    for image, belief in zip(images, beliefs, strict=True):
        if belief is None:
            like = known.get((image.stratum, image.screened)) or known.get((image.active,)) or [0.5]
            belief = sum(like) / len(like)
        out.append(belief)
    return out
