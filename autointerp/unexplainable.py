"""Features that can never be explained: why, and how that is told."""

from collections.abc import Mapping

from autointerp.errors import one_line

UNEXPLAINABLE = "unexplainable"
"""Kind of a failure that is settled: it is recorded once, and no run asks about the feature again."""
NEVER_FIRED = "never fired"
NO_IMAGES = "no images in the dump"
TOO_FEW = "too few images to show one and hold one out; the top, or a band of activations that is shown, must have two"


def in_words(reasons: Mapping[str, int]) -> str:
    """`3 features cannot be explained: 2 never fired, 1 has no images in the dump`; arguments as for `why_in_words`."""
    n = sum(reasons.values())
    return f"{n:,} {'feature' if n == 1 else 'features'} cannot be explained: {why_in_words(reasons)}"


def why_in_words(reasons: Mapping[str, int]) -> str:
    """`2 never fired, 1 has no images in the dump`.

    Args:
        reasons: how many features there are for each; of a reason, what follows a semicolon is left out. Not empty.
    """
    return ", ".join(_clause(reason, reasons[reason]) for reason in sorted(reasons, key=lambda r: (-reasons[r], r)))


def _clause(reason: str, n: int) -> str:
    short = one_line(reason.partition(";")[0])
    if short.startswith(("no ", "too few ")):
        short = f"{'has' if n == 1 else 'have'} {short}"
    return f"{n:,} {short}"
