"""What the judge and the network come to together: detection sees what generation cannot, and the other way round."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from autointerp.schema import Score, Scored

DETECTION, GENERATION = "detection", "generation"
MATCHES = 0.5
"""From this F1 on the images of a feature match its explanation."""
PRECISE = 0.75
"""Below this precision, where recall is above it, a text whose pictures do not fire the feature is too broad; chosen on
half of the populations of `benchmarks.truth.generation`."""
FIRE = 0.75
"""From this AUROC on pictures fire the feature: of a rare feature, half of them; none is .5 and all are 1."""
HOLDS = (
    "Its images match the explanation, and pictures of the explanation fire it: the explanation holds on both sides."
)
NARROW = "Pictures of the explanation fire it, yet most of its images do not match it: it is right and too narrow."
LOOSE = (
    "Pictures of the explanation fire it, yet most images that match the explanation do not: it is right and too broad."
)
BROAD = "Its images match the explanation, and so do many others; pictures of it do not fire it: it is too broad."
LACKS = (
    "Its images match the explanation, yet pictures of it do not fire it: it lacks what makes it fire, or the pictures"
    " look unlike the dump's images."
)
WRONG = "Neither do its images match the explanation, nor do pictures of it fire it: the explanation is wrong."
OPEN = "What detection and generation come to together is open: an interval is too wide."


def both_sides(scores: Mapping[str, Score]) -> str | None:
    """Says in one sentence what detection and generation come to together; None where one of them has no score.

    Args:
        scores: of one feature, by scorer.
    """
    judged, made = scores.get(DETECTION), scores.get(GENERATION)
    if not isinstance(judged, Scored) or not isinstance(made, Scored):
        return None
    if judged.undetermined or made.undetermined:
        return OPEN
    recall, precision = judged.number("recall") or 0.0, judged.number("precision") or 0.0
    matches = judged.value >= MATCHES
    if fires(made):
        # With an F1 above .5 it may still hold of fewer than half of the images.
        if recall < precision and (recall < MATCHES or not matches):
            return NARROW
        return HOLDS if matches else LOOSE
    if not matches and recall < MATCHES:
        return WRONG
    return BROAD if precision < min(recall, PRECISE) else LACKS


def fires(made: Scored) -> bool:
    """Whether pictures of the explanation fire the feature, above the population and above pictures of other texts."""
    above = made.number("selectivity_other")
    return made.value >= FIRE and (above is None or above >= FIRE)


class Other(NamedTuple):
    """Another latent, and where it is shown."""

    feature: int
    href: str | None
    """None where it is not shown."""


def stronger(scores: Mapping[str, Score], place: Callable[[int], str | None]) -> tuple[Other, ...]:
    """The other latents that fire more strongly on the pictures of an explanation, as far as the score names them.

    Args:
        scores: of one feature, by scorer.
        place: says where a feature is shown.
    """
    score = scores.get(GENERATION)
    named = score.details.get("stronger") if isinstance(score, Scored) else None
    parts = named.split(", ") if isinstance(named, str) else []
    return tuple(Other(int(part), place(int(part))) for part in parts if part.isdecimal())
