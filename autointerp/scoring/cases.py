"""Puts explanations on trial: the held-out images, distractors and controls of each."""

import asyncio
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from autointerp.dump.near_copies import NearCopies
from autointerp.dump.reader import Dump
from autointerp.evidence import lowest_hashed
from autointerp.job import images_of
from autointerp.lmm.gateway import Gateway
from autointerp.prompts import load_prompt
from autointerp.runs.index import ExplanationIndex, Ints, holds
from autointerp.schema import Feature
from autointerp.scoring.case import Case, Population
from autointerp.scoring.distractors import DistractorFinder, Distractors
from autointerp.scoring.embedder import Embedder
from autointerp.scoring.judge import JUDGE, Judge
from autointerp.scoring.population import population_of
from autointerp.scoring.sampling import make_pool
from autointerp.scoring.scorer_list import SCORERS
from autointerp.scoring.text_guide import TextGuide
from autointerp.settings import ModelSettings, ScoreSettings
from autointerp.statistics.rates import JudgeRates


def make_judge(model: ModelSettings, settings: ScoreSettings, scorers: tuple[str, ...], prompts: Path | None) -> Judge:
    """The judge with the templates that these scorers need.

    Raises:
        PromptError: a template is missing or broken.
    """
    tasks = [task for name in scorers if (task := SCORERS[name].task) and task is not JUDGE]
    others = {task.name: load_prompt(task.name, prompts) for task in tasks}
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
    near_copies: NearCopies | None = None
    """Groups near-duplicates of a dump that states none; None for as the dump states them."""
    population: Population = field(init=False)
    _distractors: DistractorFinder = field(init=False)

    def __post_init__(self) -> None:
        """Looks at the dump once."""
        self.population = replace(population_of(self.dump), counted=self.dump.info.population)
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
            guide=self._guide,
        )

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
