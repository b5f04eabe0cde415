"""Localisation: the judge points at what the explanation speaks of on the whole image; does the feature fire there?

The value is an IoU as for object detection (Everingham et al. 2010); the share of hits is the pointing game's (Zhang et
al. 2016).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from autointerp.evidence import duplicate_keys, spread
from autointerp.images.region import region_of
from autointerp.lmm.local.model import LocalAnswerer, LocalModel
from autointerp.lmm.outcomes import Failure
from autointerp.lmm.request import Request
from autointerp.lmm.task import Task
from autointerp.prompts import plain
from autointerp.replies import Reply
from autointerp.schema import Control, Details, Exemplar
from autointerp.scoring.case import MORE_ACTIVE, Case, Outcome, Scorer
from autointerp.scoring.judge import Board, board
from autointerp.scoring.question_helpers import joined_labels, weighted_mean
from autointerp.scoring.sampling import ACTIVE_STRATA
from autointerp.statistics.rates import Floats
from autointerp.statistics.resampling import Draws, upper_p
from autointerp.tiles import WHOLE

NAME = "localisation"
ENLARGED, ENOUGH = 2, 448
"""Images are shown this many times larger than to the judge of detection, since what fired is a part of them, but not
for that above so many pixels."""

Region = tuple[float, float, float, float]
"""x0, y0, x1 and y1 as shares of the image's width and height."""
NOWHERE: Region = (0.0, 0.0, 0.0, 0.0)


_SIDES = ("x0", "y0", "x1", "y1")


class PointReply(Reply):
    """The answer to the localisation prompt: a box in thousandths of the image's width (x) and height (y)."""

    found: bool
    """Whether what is described is there; where it is not, the box means nothing."""
    x0: int = Field(default=0)
    y0: int = Field(default=0)
    x1: int = Field(default=0)
    y1: int = Field(default=0)

    @model_validator(mode="before")
    @classmethod
    def _thousandths(cls, said: object) -> object:
        """Whole thousandths, also of a box in fractions; one that mixes the two stays as it is, to be refused."""
        if not isinstance(said, dict):
            return said
        box = {name: _number(said[name]) for name in _SIDES if name in said}
        sides = [side for side in box.values() if isinstance(side, int | float) and isfinite(side)]
        if not sides or len(sides) < len(box):
            return said | box
        fractions = max(sides) <= 1 and any(isinstance(side, float) for side in sides)
        if not fractions and any(0 < side < 1 for side in sides):
            return said
        factor = 1000 if fractions else 1
        return said | {name: round(factor * side) for name, side in zip(box, sides, strict=True)}

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.found and not (0 <= self.x0 < self.x1 <= 1000 and 0 <= self.y0 < self.y1 <= 1000):
            box = f"({self.x0}, {self.y0}, {self.x1}, {self.y1})"
            raise ValueError(f"box {box} is not 0 <= x0 < x1 <= 1000 and 0 <= y0 < y1 <= 1000")
        if self.found and max(self.x1, self.y1) == 1:
            raise ValueError("box is one thousandth of the image: its numbers are thousandths, not shares")
        return self

    @property
    def region(self) -> Region:
        """The box in shares of the image; NOWHERE where nothing was found."""
        return (self.x0 / 1000, self.y0 / 1000, self.x1 / 1000, self.y1 / 1000) if self.found else NOWHERE


def _number(said: object) -> object:
    """A number that is written as a text."""
    if isinstance(said, str) and re.fullmatch(r"\s*\d{1,9}(?:\.\d{1,30})?\s*", said, re.ASCII):
        return float(said) if "." in said else int(said)
    return None if isinstance(said, bool) else said


def _locally(request: Request, model: LocalModel) -> Mapping[str, object]:
    """The embedded model points at the window for which the text holds best, where it holds at least by half."""
    windows = model.windows()
    beliefs = model.beliefs(request.subject, [view for _, view in windows])
    best = max(beliefs)
    box, _ = windows[beliefs.index(best)]
    return {"found": True, "x0": box.x0, "y0": box.y0, "x1": box.x1, "y1": box.y1} if best >= 0.5 else {"found": False}


TASK = Task(NAME, PointReply, tokens=40, local=LocalAnswerer(_locally, searches=True))


async def localisation(case: Case) -> Outcome:
    """Computes the mean IoU of the judge's box with the region that fired, with a bootstrap interval.

    Each held-out active image counts the same. Not found counts 0. An image without an answer counts what the same
    boxes earn on other images' regions, and 0 and 1 in the interval.
    """
    chosen = _chosen(case)
    least = max(2, case.settings.min_active)
    if len(chosen) < least:
        found = f"{len(chosen)} held-out active images have a region smaller than the image"
        return case.unscored(NAME, f"{found}, {least} are needed; {MORE_ACTIVE}")
    said = await case.ask([_question(case, e) for e, _ in chosen], PointReply)
    if isinstance(said, Failure):
        return said
    answered = np.array([reply is not None for reply in said.all])
    boxes = [reply.region for reply in said.all if reply is not None]
    regions = [region for (_, region), known in zip(chosen, answered, strict=True) if known]
    overlap = overlaps(boxes, regions)
    moved = off_diagonal(overlap)
    credit = np.full(len(chosen), moved)
    credit[answered] = np.diagonal(overlap)
    groups = joined_labels([sorted(duplicate_keys(case.pool.images[e.image])) for e, _ in chosen])
    interval = weighted_mean(credit, np.ones(len(credit)), groups, answered.tolist(), case.draws)
    controls = {"moved": Control(value=moved, n=len(boxes))}
    details = _details(case, boxes, regions, overlap)
    if not answered.all():
        details["unanswered"] = int(np.sum(~answered))
    return case.scored(NAME, interval, len(chosen), details, controls, said=said)


def _details(case: Case, boxes: Sequence[Region], regions: Sequence[Region], overlap: Floats) -> Details:
    hits = [_centre_inside(box, region) for box, region in zip(boxes, regions, strict=True)]
    return {
        "pointing": sum(hits) / len(hits),
        "not_found": sum(box == NOWHERE for box in boxes),
        "p_moved": moved_p(overlap, case.draws),
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
    """The region without the context that crops have; None where it is all of the image, or as good as all."""
    image = case.pool.images[exemplar.image]
    w, h = image.width, image.height
    box = region_of(exemplar, case.pool.grid, (w, h), mass=case.settings.region.mass, margin=0.0)
    if box is None or box.width * box.height > WHOLE * w * h:
        return None
    return box.x0 / w, box.y0 / h, box.x1 / w, box.y1 / h


def _question(case: Case, exemplar: Exemplar) -> Request:
    judge, text = case.judge, plain(case.explanation.text)
    side = max(judge.look.side, min(ENLARGED * judge.look.side, ENOUGH))
    look = replace(judge.look, side=side)
    shown = board([case.pool.tile(exemplar, "full")], look, judge.settings.region.quality, "judged")
    # The template of a single image knows no layout.
    alone = Board(shown.pictures, {"images": shown.variables["images"]})
    return judge.question(TASK, text, alone, PointReply, {"explanation": text})


def overlaps(boxes: Sequence[Region], regions: Sequence[Region]) -> Floats:
    """Computes the IoU of each box with each region, [boxes, regions], both in shares of an image's sides."""
    b, r = np.array(boxes)[:, None], np.array(regions)[None]
    sides = np.minimum(b[..., 2:], r[..., 2:]) - np.maximum(b[..., :2], r[..., :2])
    both = np.maximum(sides, 0).prod(axis=-1)
    areas = (b[..., 2:] - b[..., :2]).prod(axis=-1) + (r[..., 2:] - r[..., :2]).prod(axis=-1)
    return both / (areas - both)


def off_diagonal(overlap: Floats) -> float:
    """Computes the mean IoU with each region moved to another's place: the mean over all derangements of the images.

    In a random derangement each image meets each other one equally often. The mean of a single image is 0.
    """
    n = len(overlap)
    return float((overlap.sum() - np.trace(overlap)) / (n * (n - 1))) if n > 1 else 0.0


def moved_p(overlap: Floats, draws: Draws) -> float:
    """Gives the one-sided p-value of the boxes knowing their image no better than any other, by permuted regions."""
    n = len(overlap)
    dealt = np.random.default_rng(draws.seed).permuted(np.tile(np.arange(n), (draws.replicates, 1)), axis=1)
    return upper_p(overlap[np.arange(n), dealt].mean(axis=1), float(np.trace(overlap)) / n)


def _centre_inside(box: Region, region: Region) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return box != NOWHERE and region[0] <= x < region[2] and region[1] <= y < region[3]


LOCALISATION = Scorer(NAME, localisation, task=TASK, sides="none")
