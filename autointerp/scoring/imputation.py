"""What stands for a judgement that did not come: the mean of those that did."""

from collections.abc import Sequence

from autointerp.schema import Verdict


def filled(verdicts: Sequence[Verdict], beliefs: Sequence[float | None]) -> list[float]:
    """Beliefs without gaps: the mean of the image's class (stratum and screening), else of its side, else one half.

    A half for each would not do: a silent image may stand for thousands, and half a false yes among them would drown
    an explanation that is right throughout.

    Args:
        verdicts: which images were judged.
        beliefs: what was said of each, under any explanation; None where no usable answer came.
    """
    known: dict[tuple[object, ...], list[float]] = {}
    for v, belief in zip(verdicts, beliefs, strict=True):
        if belief is not None:
            known.setdefault((v.stratum, v.screened), []).append(belief)
            known.setdefault((v.active,), []).append(belief)
    out: list[float] = []
    for v, belief in zip(verdicts, beliefs, strict=True):
        if belief is None:
            like = known.get((v.stratum, v.screened)) or known.get((v.active,)) or [0.5]
            belief = sum(like) / len(like)
        out.append(belief)
    return out
