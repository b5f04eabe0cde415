"""Localisation: the judge points at what the explanation speaks of on the whole image; does the feature fire there?

IoU as for object detection (Everingham et al. 2010); the share of hits is the pointing game's (Zhang et al. 2016).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from autointerp.evidence import kin_of, spread
from autointerp.images.region import region_of
from autointerp.lmm.calls import Failure
from autointerp.lmm.request import Request
from autointerp.prompts import plain
from autointerp.replies import PointReply
from autointerp.schema import Control, Exemplar
from autointerp.scoring.protocol import Case, Outcome
from autointerp.scoring.resampling import upper_p
from autointerp.scoring.sampling import ACTIVE_STRATA
from autointerp.scoring.statistics import Floats, Interval
from autointerp.scoring.trials import MORE_ACTIVE, Details, board, together, weighted_mean
from autointerp.tiles import WHOLE

NAME = "localisation"
ENLARGED = 2
"""Whole images are shown so many times larger than crops, since what fired is a part of them."""

Region = tuple[float, float, float, float]
"""x0, y0, x1, y1 as shares of the image's width and height."""
NOWHERE: Region = (0.0, 0.0, 0.0, 0.0)


async def localisation(case: Case) -> Outcome:
    """Mean IoU of the judge's box with the region that fired, over held-out active images, with a bootstrap interval.

    Each image counts the same. Not found counts 0. An image without an answer counts what the same boxes earn on
    other images' regions, and 0 and 1 in the interval.
    """
    if case.explanation.none:
        return case.unscored(NAME, "the explainer found no common property")
    chosen = _chosen(case)
    least = max(2, case.settings.min_active)
    if len(chosen) < least:
        found = f"{len(chosen)} held-out active images have a region smaller than the image"
        return case.unscored(NAME, f"{found}, {least} are needed; {MORE_ACTIVE}")
    said = await case.ask([_question(case, e) for e, _ in chosen], PointReply)
    if isinstance(said, Failure):
        return said
    answered = np.array([reply is not None for reply in said.all])
    boxes = [box_of(reply) for reply in said.all if reply is not None]
    regions = [region for (_, region), known in zip(chosen, answered, strict=True) if known]
    overlap = overlaps(boxes, regions)
    moved = off_diagonal(overlap)
    credit = np.full(len(chosen), moved)
    credit[answered] = np.diagonal(overlap)
    interval = _interval(case, [e for e, _ in chosen], credit, answered)
    controls = {"moved": Control(value=moved, n=len(boxes))}
    details = _details(case, boxes, regions, overlap)
    if not answered.all():
        details["unanswered"] = int(np.sum(~answered))
    return case.scored(NAME, interval, len(chosen), details, controls, judged=said)


def _interval(case: Case, chosen: Sequence[Exemplar], credit: Floats, answered: npt.NDArray[np.bool_]) -> Interval:
    return weighted_mean(
        credit,
        np.ones(len(credit)),
        together([sorted(kin_of(case.pool.images[e.image])) for e in chosen]),
        answered.tolist(),
        replicates=case.settings.bootstrap,
        seed=case.settings.seed + case.feature.id,
    )


def _details(case: Case, boxes: Sequence[Region], regions: Sequence[Region], overlap: Floats) -> Details:
    hits = [_centre_inside(box, region) for box, region in zip(boxes, regions, strict=True)]
    seed = case.settings.seed + case.feature.id
    return {
        "pointing": sum(hits) / len(hits),
        "not_found": sum(box == NOWHERE for box in boxes),
        "p_moved": moved_p(overlap, replicates=case.settings.bootstrap, seed=seed),
    }


def _chosen(case: Case) -> list[tuple[Exemplar, Region]]:
    """The images asked about, spread over the strata, and where the feature fired in each."""
    there = {
        s: [(e, region) for e in case.pool.ordered.get(s, ()) if (region := _region(case, e)) is not None]
        for s in ACTIVE_STRATA
    }
    shares = spread(case.settings.n_localisation, [len(own) for own in there.values()])
    return [pair for own, n in zip(there.values(), shares, strict=True) for pair in own[:n]]


def _region(case: Case, exemplar: Exemplar) -> Region | None:
    """Without the context that crops have; None where it is all of the image, or as good as."""
    image = case.pool.images[exemplar.image]
    w, h = image.width, image.height
    box = region_of(exemplar, case.pool.grid, (w, h), mass=case.settings.region.mass, margin=0.0)
    if box is None or box.width * box.height > WHOLE * w * h:
        return None
    return box.x0 / w, box.y0 / h, box.x1 / w, box.y1 / h


def _question(case: Case, exemplar: Exemplar) -> Request:
    judge, text = case.judge, plain(case.explanation.text)
    look = replace(judge.look, side=ENLARGED * judge.look.side)
    shown = board([case.pool.tile(exemplar, "full")], look, judge.settings.region.quality, "judged")
    variables = {"explanation": text, "images": shown.variables["images"]}
    return judge.question("localisation", text, judge.others[NAME], variables, shown.pictures, PointReply)


def box_of(reply: PointReply) -> Region:
    """The judge's box in shares of the image; NOWHERE where it found nothing."""
    if not reply.found:
        return NOWHERE
    return reply.x0 / 1000, reply.y0 / 1000, reply.x1 / 1000, reply.y1 / 1000


def overlaps(boxes: Sequence[Region], regions: Sequence[Region]) -> Floats:
    """IoU of each box with each region, [boxes, regions]; shares of an image's sides serve as well as its pixels."""
    b, r = np.array(boxes)[:, None], np.array(regions)[None]
    sides = np.minimum(b[..., 2:], r[..., 2:]) - np.maximum(b[..., :2], r[..., :2])
    both = np.maximum(sides, 0).prod(axis=-1)
    areas = (b[..., 2:] - b[..., :2]).prod(axis=-1) + (r[..., 2:] - r[..., :2]).prod(axis=-1)
    return both / (areas - both)


def off_diagonal(overlap: Floats) -> float:
    """Mean IoU with each region moved to another's place: the mean over all derangements of the images.

    In a random derangement each image meets each other one equally often. 0 for a single image.
    """
    n = len(overlap)
    return float((overlap.sum() - np.trace(overlap)) / (n * (n - 1))) if n > 1 else 0.0


def moved_p(overlap: Floats, *, replicates: int, seed: int) -> float:
    """One-sided p-value of the boxes knowing their image no better than any other, by permuting the regions."""
    n = len(overlap)
    dealt = np.random.default_rng(seed).permuted(np.tile(np.arange(n), (replicates, 1)), axis=1)
    return upper_p(overlap[np.arange(n), dealt].mean(axis=1), float(np.trace(overlap)) / n)


def _centre_inside(box: Region, region: Region) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return box != NOWHERE and region[0] <= x < region[2] and region[1] <= y < region[3]
