"""How well a candidate does on held-out images that are kept for choosing, and for nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from autointerp.evidence import Images, duplicate_keys
from autointerp.explanation.choice import Fits
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Failure
from autointerp.schema import Exemplar, Feature, Usage
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import Sample, make_pool
from autointerp.settings import CandidateSettings, ScoreSettings


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
    pool = make_pool(feature, shown, images, settings, grid=grid, n_images=n_images).without_margin
    # Halved before they are dealt, so that a stratum with many makes up for one with few.
    taken: set[str] = set()
    ordered = {name: _half(own, images, taken) for name, own in pool.ordered.items()}
    halves = replace(pool, ordered={name: half for name, half in ordered.items() if half})
    return halves.draw(settings.n_active, settings.n_silent)


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


async def tried(text: str, sample: Sample, judge: Judge, gateway: Gateway) -> Tried | Failure:
    """Asks the judge about one text; a failure that may pass is returned instead.

    Raises:
        EndpointError: no request of this run can succeed.
    """
    said = await judge.judgements(text, sample.items, gateway)
    if isinstance(said, Failure):
        return said
    belief = np.array([np.nan if b is None else b for b in said.beliefs], float)
    active = np.array([i.active for i in said.items], bool)
    weight = np.array([i.weight for i in said.items], float)
    return Tried(Fits(belief == 1, belief, active, weight), said.usage, said.gaps)
