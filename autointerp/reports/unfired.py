"""Why the crops that are shown of a feature do not fire it: they lost its size, or its cause."""

from typing import NamedTuple

from autointerp.schema import Score, Scored

CAUSAL = "causal"


class Unfired(NamedTuple):
    """Says that crops do not fire a feature, and why."""

    text: str
    title: str
    """The same at length."""


_ALONE = "The regions that are shown do not fire it by themselves on most of its images"
SIZE_LOST = Unfired(
    "crops do not fire it: size lost",
    f"{_ALONE}, but do in most silent images that they are put into at their own size: a crop fills the picture with "
    "them. Show whole images with the region outlined (--rendering auto).",
)
CAUSE_LOST = Unfired(
    "crops do not fire it: needs more than the region",
    f"{_ALONE}, nor in most silent images that they are put into at their own size: what stands around them is needed, "
    "or the cause is elsewhere.",
)
UNKNOWN = Unfired("crops do not fire it", f"{_ALONE}.")


def unfired(score: Score | None) -> Unfired | None:
    """Says why the regions that are shown leave the feature silent on most of its images; None where they do not.

    Args:
        score: of the scorer `causal`; None where there is none.
    """
    if not isinstance(score, Scored) or score.scorer != CAUSAL or score.undetermined or score.value >= 0.5:
        return None
    put = score.number("pasted")
    if put is None:
        return UNKNOWN
    return SIZE_LOST if put >= 0.5 else CAUSE_LOST
