"""How well a candidate does on held-out images that are kept for choosing, and for nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from autointerp.config import CandidateSettings, ScoreSettings
from autointerp.diverse.choosing import Fits
from autointerp.evidence import Images
from autointerp.lmm.calls import Failure
from autointerp.lmm.door import Door
from autointerp.schema import Feature, Usage
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import Sample, pool_of


class Tried(NamedTuple):
    """One text on trial."""

    fits: Fits
    usage: Usage
    gaps: tuple[Failure, ...]
    """Why answers are missing."""


def judging_settings(settings: CandidateSettings, *, seed: int) -> ScoreSettings:
    """How the judge looks at the images of the choice: as it does when it scores, only at fewer."""
    return ScoreSettings(n_active=settings.n_active, n_silent=settings.n_silent, seed=seed)


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
    pool = pool_of(feature, shown, images, settings, grid=grid, n_images=n_images)
    # Halved before they are dealt, so that a stratum with many makes up for one with few.
    halves = replace(pool, ordered={name: own[: len(own) // 2] for name, own in pool.ordered.items() if len(own) > 1})
    return halves.sample(halves.spread(settings.n_active, settings.n_silent))


async def tried(text: str, sample: Sample, judge: Judge, door: Door) -> Tried | Failure:
    """Asks the judge about one text; a failure that may pass is returned instead.

    Raises:
        EndpointError: no request of this run can succeed.
    """
    said = await judge.verdicts(text, sample, door)
    if isinstance(said, Failure):
        return said
    belief = np.array([np.nan if v.belief is None else v.belief for v in said.all], float)
    active = np.array([v.active for v in said.all], bool)
    weight = np.array([v.weight for v in said.all], float)
    return Tried(Fits(belief == 1, belief, active, weight), said.usage, said.gaps)
