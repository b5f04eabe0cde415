"""How well a candidate does on held-out images that are kept for choosing, and for nothing else."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple

import numpy as np

from autointerp.evidence import Images, Shown, duplicate_keys
from autointerp.explanation.choice import Fits
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Failure
from autointerp.schema import Exemplar, Feature, Usage
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import Item, Pool, Sample, make_pool
from autointerp.settings import CandidateSettings, ScoreSettings

SHOWN = "shown"
"""The place in a pool of images that the explainer saw."""


class Tried(NamedTuple):
    """Holds one text and what judging it gave."""

    fits: Fits
    usage: Usage
    gaps: tuple[Failure, ...]
    """Why answers are missing."""


def judging_settings(settings: CandidateSettings, *, seed: int, silent_below: float) -> ScoreSettings:
    """How the judge looks at the images of the choice: as it does when it scores, only at fewer."""
    n_active, n_silent = settings.n_active, settings.n_silent
    return ScoreSettings(n_active=n_active, n_silent=n_silent, seed=seed, silent_below=silent_below)


def choosing_sample(
    feature: Feature,
    shown: Sequence[int],
    images: Images,
    settings: ScoreSettings,
    *,
    grid: tuple[int, int] | None,
    n_images: int,
) -> Sample:
    """The images on which candidates are compared: at most half of each held-out stratum, so that scoring has its own.

    Args:
        feature: with all its exemplars.
        shown: image ids that the explainer sees in any view.
        images: rows of every image of the feature.
        settings: how many, as `judging_settings` says.
        grid: rows and columns of the dump's heat maps.
        n_images: size of the population.
    """
    pool = _kept_for_choosing(make_pool(feature, shown, images, settings, grid=grid, n_images=n_images))
    return pool.draw(settings.n_active, settings.n_silent)


def further_images(
    feature: Feature,
    shown: Shown,
    images: Images,
    settings: ScoreSettings,
    first: Sample,
    *,
    grid: tuple[int, int] | None,
    n_images: int,
) -> tuple[Item, ...]:
    """The images that tell texts apart which did well on the first ones: further ones that are kept for choosing.

    They are as many active ones again, half as many silent ones, and active ones that were shown, so that there are
    twice as many active ones as at first. What was shown costs scoring nothing; that two texts hold for different ones
    of these images is nothing that the explainer was asked for.

    Args:
        feature: with all its exemplars.
        shown: what the explainer sees in any view.
        images: rows of every image of the feature.
        settings: how many, as `judging_settings` says.
        first: what `choosing_sample` gives.
        grid: rows and columns of the dump's heat maps.
        n_images: size of the population.
    """
    seen = [e.image for e in (*shown.active, *shown.contrast)]
    pool = make_pool(feature, seen, images, settings, grid=grid, n_images=n_images)
    known = {i.exemplar.image for i in first.items}
    more = _kept_for_choosing(pool).draw(2 * settings.n_active, settings.n_silent + settings.n_active // 2)
    new = [i for i in more.items if i.exemplar.image not in known]
    fill = replace(pool, ordered={SHOWN: shown.active}).sample(
        {SHOWN: 2 * settings.n_active - sum(i.active for i in new)}
    )
    items = [*new, *fill.items]
    Random(f"further:{settings.seed}:{feature.id}").shuffle(items)
    return tuple(items)


def _kept_for_choosing(pool: Pool) -> Pool:
    pool = pool.without_margin
    # Halved before they are dealt, so that a stratum with many makes up for one with few.
    taken: set[str] = set()
    ordered = {name: _half(own, pool.images, taken) for name, own in pool.ordered.items()}
    return replace(pool, ordered={name: half for name, half in ordered.items() if half})


def _half(own: Sequence[Exemplar], images: Images, taken: set[str]) -> tuple[Exemplar, ...]:
    """Images of a stratum, one of each group of near-duplicates, that together with those cost at most half of it.

    Near-duplicates of an image of the choice are no more scored on than the image itself.
    """
    keys = {e.image: duplicate_keys(images[e.image]) for e in own}
    out: list[Exemplar] = []
    lost = 0
    for exemplar in own:
        mine = keys[exemplar.image]
        cost = sum(bool(mine & theirs) for theirs in keys.values())
        if mine & taken or lost + cost > len(own) // 2:
            continue
        taken |= mine
        lost += cost
        out.append(exemplar)
    return tuple(out)


async def tried(
    text: str,
    items: Sequence[Item],
    judge: Judge,
    gateway: Gateway,
    before: Tried | None = None,
    shown: Collection[int] = (),
) -> Tried | Failure:
    """Asks the judge about one text; a failure that may pass is returned instead.

    Args:
        text: the explanation.
        items: the images.
        judge: who is asked, and
        gateway: how.
        before: what was said of the text on other images, to which this is added. Only those stand for the population.
        shown: ids of images that the explainer saw.

    Raises:
        EndpointError: no request of this run can succeed.
    """
    said = await judge.judgements(text, items, gateway)
    if isinstance(said, Failure):
        return said
    belief = np.array([np.nan if b is None else b for b in said.beliefs], float)
    active = np.array([i.active for i in said.items], bool)
    weight = np.array([0.0 if before else i.weight for i in said.items], float)
    seen = np.array([i.exemplar.image in shown for i in said.items], bool)
    fits = Fits(belief == 1, belief, active, weight, seen)
    if before is None:
        return Tried(fits, said.usage, said.gaps)
    return Tried(before.fits.joined(fits), before.usage + said.usage, (*before.gaps, *said.gaps))
