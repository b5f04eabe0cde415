"""Puts explanations on trial: the held-out images, distractors and controls of each."""

import asyncio
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from random import Random

import numpy as np

from autointerp.dump.near_copies import NearCopies
from autointerp.dump.reader import Dump
from autointerp.evidence import lowest_hashed
from autointerp.job import images_of
from autointerp.lmm.gateway import Gateway
from autointerp.prompts import load_prompt
from autointerp.runs.index import ExplanationIndex, Ints, holds
from autointerp.runs.info import ControlTexts
from autointerp.schema import Feature
from autointerp.scoring.case import Case, Population
from autointerp.scoring.distractors import DistractorFinder, Distractors
from autointerp.scoring.embedder import Embedder
from autointerp.scoring.encoder import Donor, PictureEncoder
from autointerp.scoring.gallery import TEMPLATE, Gallery, Painter
from autointerp.scoring.judge import JUDGE, Judge
from autointerp.scoring.population import population_of
from autointerp.scoring.sampling import make_pool
from autointerp.scoring.scorer_list import SCORERS
from autointerp.scoring.text_guide import TextGuide
from autointerp.settings import ModelSettings, ScoreSettings
from autointerp.statistics.rates import Floats, JudgeRates

DONORS = 8
"""Features that are tried, one after the other, until one has regions to show."""


def make_judge(model: ModelSettings, settings: ScoreSettings, scorers: tuple[str, ...], prompts: Path | None) -> Judge:
    """The judge with the templates that these scorers need.

    Raises:
        PromptError: a template is missing or broken.
    """
    tasks = [task for name in scorers if (task := SCORERS[name].task) and task is not JUDGE]
    further = [name for scorer in scorers if (name := SCORERS[scorer].template) is not None]
    others = {name: load_prompt(name, prompts) for name in (*(task.name for task in tasks), *further)}
    return Judge(model, settings, load_prompt(JUDGE.name, prompts), others)


@dataclass
class Cases:
    """All that the trials of a run share."""

    dump: Dump
    index: ExplanationIndex
    judge: Judge
    scorers: tuple[str, ...]
    controlled: Ints
    """Features that carry the costlier controls, ascending."""
    judge_rates: JudgeRates | None = None
    embedder: Embedder | None = None
    encoder: PictureEncoder | None = None
    painter: Painter | None = None
    control_texts: ControlTexts | None = None
    near_copies: NearCopies | None = None
    """Groups near-duplicates of a dump that states none; None for as the dump states them."""
    population: Population = field(init=False)
    _distractors: DistractorFinder = field(init=False)

    def __post_init__(self) -> None:
        """Looks at the dump once."""
        info = self.dump.info
        uncounted_from = info.top_only.k if info.top_only is not None and not info.top_only.counted else None
        self.population = replace(population_of(self.dump), counted=info.population, uncounted_from=uncounted_from)
        self._distractors = DistractorFinder(self.dump, self.index, seed=self.judge.settings.seed)

    async def case(self, feature: Feature, gateway: Gateway) -> Case:
        """The trial of one feature's explanation."""
        explanation = self.index[feature.id]
        rows = partial(images_of, self.dump, feature, explanation.seen, near_copies=self.near_copies)
        # Of a dump that states no near-duplicates, each image may have to be looked at, while others go on.
        looks = self.near_copies is not None and self.near_copies.needed
        images = await asyncio.to_thread(rows) if looks else rows()
        grid, settings = self.dump.info.patch_grid, self.judge.settings
        pool = make_pool(feature, explanation.seen, images, settings, grid=grid, n_images=self.dump.info.n_images)
        checked = holds(self.controlled, feature.id)
        scorers = tuple(SCORERS[name] for name in self.scorers)
        wanted = checked or any(s.needs_distractors for s in scorers)
        return Case(
            feature=feature,
            explanation=explanation,
            pool=pool,
            judge=self.judge,
            gateway=gateway,
            population=self.population,
            scorers=scorers,
            distractors=self._distractors.of(feature, explanation) if wanted else Distractors(),
            controlled=checked,
            judge_rates=self.judge_rates,
            embedder=self.embedder,
            encoder=self.encoder,
            donor=self._donor(feature) if self.encoder is not None else None,
            gallery=self._gallery,
            control_texts=self.control_texts,
            largest=self._largest if self._gallery is not None else np.zeros(0),
            guide=self._guide,
        )

    def _donor(self, feature: Feature) -> Donor | None:
        """Another feature with images that do not fire this one, drawn by the seed among those of the dump."""
        own = {e.image for e in feature.active}
        others = self.dump.feature_ids[self.dump.feature_ids != feature.id]
        # The order of a hash, so that the same one is drawn whichever features share a run.
        drawn = lowest_hashed(others, DONORS, self.judge.settings.seed + feature.id)
        for number in Random(f"donor:{feature.id}").sample(drawn.tolist(), len(drawn)):
            donor = self.dump.feature(number)
            exemplars = tuple(e for e in donor.active if e.image not in own)
            if exemplars:
                return Donor(donor, exemplars, images_of(self.dump, donor))
        return None

    @cached_property
    def _largest(self) -> Floats:
        """The largest activation of each latent that the dump has."""
        out = np.zeros(self.dump.info.n_latents)
        for row in self.dump.feature_rows(self.dump.feature_ids):
            out[row.feature] = row.max_activation
        return out

    @cached_property
    def _gallery(self) -> Gallery | None:
        """Made once an image model is there, which all features share."""
        settings = self.judge.settings
        if self.painter is None or settings.pictures is None:
            return None
        assert self.encoder is not None, "a run that has pictures made opens an encoder"
        return Gallery(self.painter, self.encoder, self.judge.others[TEMPLATE], settings.pictures, settings.seed)

    @cached_property
    def _guide(self) -> TextGuide | None:
        """Made once the embedder is open, which all features share."""
        if self.judge.settings.guide != "text":
            return None
        assert self.embedder is not None, "a run that is guided by texts opens an embedder"
        settings = self.judge.settings
        return TextGuide(self.dump, self.embedder, settings.region, settings.silent_below, self.near_copies)


def controlled(explained: Ints, settings: ScoreSettings) -> Ints:
    """The features that carry the costlier controls, ascending."""
    return lowest_hashed(explained, settings.n_controls, settings.seed)
