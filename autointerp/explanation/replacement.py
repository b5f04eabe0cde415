"""Explains a feature although some of its images cannot be read: the next ones stand in for them."""

from collections.abc import Awaitable, Callable

from autointerp.evidence import Images, draw_shown
from autointerp.explanation.explainer import Explained
from autointerp.job import REPLACED
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Failure, failed
from autointerp.schema import Exemplar, FailureRecord, Feature
from autointerp.settings import ExplainSettings
from autointerp.unexplainable import UNEXPLAINABLE

BROKEN = "image"
"""Kind of a failure for want of a picture."""

Ask = Callable[[Images, tuple[Exemplar, ...]], Awaitable[Explained]]
"""Asks with the rows of the images that may be shown, and with a shuffled set."""


async def with_readable_images(
    ask: Ask,
    feature: Feature,
    images: Images,
    shuffled: tuple[Exemplar, ...],
    settings: ExplainSettings,
    gateway: Gateway,
) -> Explained:
    """Asks, and where a picture cannot be made asks again without the images that cannot be read.

    What is drawn instead follows from the dump alone: each time, all images drawn are looked at, and all of them that
    are broken go. A broken image of the shuffled set is left out of the set.

    Args:
        ask: asks and makes the record.
        feature: with its evidence.
        images: rows of its images, and of those of `shuffled`.
        shuffled: images of other features.
        settings: what is shown.
        gateway: the way to the images.

    Returns:
        What became of the feature. Where others stood in, its gaps name each image that cannot be read; where too few
        are left, it is the failure of a picture, which mending the file mends.

    Raises:
        EndpointError: no request of this run can succeed.
    """
    gaps: list[FailureRecord] = []
    outcome = await ask(images, shuffled)
    while _wants_a_picture(record := outcome.record):
        shown = draw_shown(feature, images, settings)
        drawn = {e.image for e in (*shown.active, *shown.contrast, *shuffled)}
        broken = await gateway.unreadable([images[i] for i in sorted(drawn)])
        if not broken:
            break
        gaps += [
            failed(feature.id, REPLACED, Failure(BROKEN, f"{why}; another one is shown", 0)) for why in broken.values()
        ]
        images = {i: row for i, row in images.items() if i not in broken}
        shuffled = tuple(e for e in shuffled if e.image not in broken)
        again = await ask(images, shuffled)
        if isinstance(again.record, FailureRecord) and again.record.kind == UNEXPLAINABLE:
            return Explained(record)
        outcome = again
    return outcome._replace(gaps=(*gaps, *outcome.gaps))


def _wants_a_picture(record: object) -> bool:
    return isinstance(record, FailureRecord) and record.kind == BROKEN
