"""What a scorer is, what it is given and what it gives back."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np

from autointerp.clock import now
from autointerp.dump.format import Population as Counted
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import DEFERRED, Answer, Failure
from autointerp.lmm.request import Request
from autointerp.lmm.task import Task
from autointerp.replies import Reply
from autointerp.runs.info import ControlTexts
from autointerp.schema import (
    Control,
    Details,
    Explanation,
    Feature,
    Generated,
    PartScore,
    Reencoded,
    Scored,
    Unscored,
    Usage,
    Verdict,
)
from autointerp.scoring.adaptive_sampling import judge_sample
from autointerp.scoring.distractors import Distractors
from autointerp.scoring.embedder import Embedder
from autointerp.scoring.encoder import Donor, PictureEncoder
from autointerp.scoring.gallery import Gallery
from autointerp.scoring.judge import JUDGE, SETTLED, Judge, Judgements
from autointerp.scoring.sampling import Item, Pool, Sample
from autointerp.scoring.text_guide import TextGuide
from autointerp.settings import ScoreSettings
from autointerp.statistics.rates import Floats, Interval, JudgeRates
from autointerp.statistics.resampling import Draws

Outcome = Scored | Unscored | Failure
R = TypeVar("R", bound=Reply)


OVER_THE_POPULATION = ("detection", "choice", "embedding", "relevance", "causal", "generation")
"""Scorers whose figures count each image as many as it stands for."""
MORE_ACTIVE = "show fewer (explain --no-refill with a lower --top) or harvest more (harvest --top, --per-band)"
MORE_SILENT = (
    "harvest some (harvest --silent) or draw some (import folder --silent-from-others, other imports --assume-silent)"
)


@dataclass(frozen=True, slots=True)
class Population:
    """What scoring knows of the images that the dump was made from."""

    n_images: int
    base_rate: float | None = None
    """The share that carries the dump's attribute; None if it is unknown."""
    exact: bool = False
    """Whether the base rate is a count over all images, or an estimate from those drawn."""
    known_from: int | None = None
    """Where it is an estimate: the number of images that a uniform draw would need to know the rate as well."""
    counted: Counted = "complete"
    """Whether `n_images` and the counts speak of all images that were run."""
    uncounted_from: int | None = None
    """Of features with so many active images others may fire them too, and nobody knows how many; None where the dump
    counts all."""


class Kept(NamedTuple):
    """What is kept with a score, image by image."""

    verdicts: tuple[Verdict, ...] = ()
    margin: tuple[Verdict, ...] = ()
    """Verdicts on images near the threshold, which are no part of the value."""
    reencoded: tuple[Reencoded, ...] = ()
    """What the feature did on pictures made from its images."""
    generated: tuple[Generated, ...] = ()
    """What the feature did on pictures made of the explanation."""


NOTHING_KEPT = Kept()


class Made(NamedTuple):
    """Pictures behind a score, by a model that is no judge."""

    prompt: str
    """The digest of the template."""
    usage: Usage


@dataclass(frozen=True, slots=True)
class Answers(Generic[R]):
    """Replies to several questions, in order."""

    all: tuple[R | None, ...]
    """An entry is None where the question settled in a failure."""
    usage: Usage
    model: str


@dataclass(frozen=True, slots=True)
class Addition:
    """What further texts, judged on the same images, add to a score."""

    details: Details = field(default_factory=dict)
    controls: Mapping[str, Control] = field(default_factory=dict)
    parts: tuple[PartScore, ...] = ()
    """The score of each explanation of several by itself."""
    usage: Usage = field(default_factory=Usage)


@dataclass
class Case:
    """One explanation that is scored; the judgements that several scorers read are asked for once."""

    feature: Feature
    explanation: Explanation
    pool: Pool
    judge: Judge
    gateway: Gateway
    population: Population
    scorers: tuple["Scorer", ...]
    """The scorers of the run, in order."""
    distractors: Distractors
    """Explanations of other features, for controls and naming."""
    controlled: bool = False
    """Whether this feature is one of those that carry the costlier controls."""
    judge_rates: JudgeRates | None = None
    """How often this judge is right, if it was calibrated."""
    embedder: Embedder | None = None
    """Who embeds crops and texts, where a scorer of the run needs that."""
    encoder: PictureEncoder | None = None
    """Who encodes pictures as the dump's images were, where a scorer of the run needs that."""
    donor: Donor | None = None
    """Another feature, whose regions serve as a control there."""
    gallery: Gallery | None = None
    """Who has pictures of texts made and encoded, where a scorer of the run needs that."""
    control_texts: ControlTexts | None = None
    """The texts whose pictures serve as controls there."""
    largest: Floats = field(default_factory=lambda: np.zeros(0))
    """There the largest activation of each latent in the dump, raw units, 0 for one that the dump does not have."""
    guide: TextGuide | None = None
    """Who puts silent images in classes by likeness to the text, where that is asked for."""
    judged_pool: Pool = field(init=False)
    """The pool from which detection's images are drawn: `pool`, or what the guide made of it."""
    gaps: list[Failure] = field(default_factory=list)
    """Failures that left judgements unanswered though the feature was scored."""
    _judged: list[Judgements | Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Takes the pool as it is until it is guided."""
        self.judged_pool = self.pool

    @property
    def settings(self) -> ScoreSettings:
        """The settings of the scoring stage."""
        return self.judge.settings

    @property
    def draws(self) -> Draws:
        """How the intervals and p-values of this case are drawn."""
        return Draws(self.settings.bootstrap, self.settings.seed + self.feature.id)

    @property
    def sample(self) -> Sample:
        """The images that are judged in the first round."""
        return self.judged_pool.first_sample

    async def judgements(self) -> Judgements | Failure:
        """The judge's word on the held-out images; a failure where no image of a side got an answer.

        Images near the threshold, which count neither as active nor as silent, are left out.
        """
        said = await self.judgements_with_margin()
        return said.without_margin if isinstance(said, Judgements) else said

    async def judgements_with_margin(self) -> Judgements | Failure:
        """The same with the images near the threshold."""
        if not self._judged:
            said = await self._judge()
            if isinstance(said, Judgements):
                self.gaps += said.gaps
                said = said.without_margin.mute or said
            self._judged.append(said)
        return self._judged[0]

    async def _judge(self) -> Judgements | Failure:
        text = self.explanation.text
        if self.guide is not None:
            # The vector of a disjunction lies between its parts, near none of them.
            told = await self.guide.guided(self.pool, self.explanation.seen, self.explanation.parts or [text])
            if isinstance(told, Failure):
                return told
            self.judged_pool = told
        return await judge_sample(text, self.judged_pool, self.judge, self.gateway)

    async def judge_again(
        self, texts: Iterable[str], items: Sequence[Item], said: Judgements
    ) -> list[Judgements] | Failure:
        """Judges further texts on images that were judged already, shown as they were.

        Images that got no answer before are not asked about again: each would be refused, or broken, under every text.

        Args:
            texts: each is judged by itself.
            items: the images.
            said: what was said of them before.

        Returns:
            The judgements in the order of the texts, or a failure that may pass. Where a batch job is to answer, it is
            given all texts before that failure is returned.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        out: list[Judgements] = []
        waiting: Failure | None = None
        look, refused = self.judge.look_again(said), said.refused
        for text in texts:
            told = await self.judge.judgements(text, items, self.gateway, look, refused=refused)
            if isinstance(told, Judgements):
                out.append(told if said.screened else replace(told, looked=said.looked))
            elif told.kind == DEFERRED:
                waiting = told
            else:
                return told
        return waiting or out

    async def ask(self, requests: Sequence[Request], reply: type[R]) -> Answers[R] | Failure:
        """Asks several questions at once.

        Returns:
            The answers in order, None for a question that settled in a failure; instead a failure that may pass, or
            the first failure where no question was answered at all.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.gateway.ask(request, reply)) for request in requests]
        values: list[R | None] = []
        usage, model, settled = Usage(), self.judge.model.model, []
        for outcome in (task.result() for task in tasks):
            if isinstance(outcome, Answer):
                values.append(outcome.value)
                usage, model = usage + outcome.usage, outcome.model
            elif outcome.kind in SETTLED:
                values.append(None)
                settled.append(outcome)
            else:
                return outcome
        if settled and len(settled) == len(requests):
            return settled[0]
        self.gaps += settled
        return Answers(tuple(values), usage, model)

    def _spoken_of(self, scorer: str) -> dict[str, str]:
        """What a figure over the population speaks of, where that is not all images that were run."""
        counted = self.population.counted
        return {} if counted == "complete" or scorer not in OVER_THE_POPULATION else {"population": counted}

    def unscored(self, scorer: str, reason: str) -> Unscored:
        """The record that there is no score, and why."""
        return Unscored(
            feature=self.feature.id, scorer=scorer, reason=reason, judge=self.judge.model.model, created=now()
        )

    def scored(
        self,
        scorer: str,
        interval: Interval,
        n: int,
        details: Details,
        controls: Mapping[str, Control],
        *,
        said: Judgements | Answers[R] | Made | None = None,
        kept: Kept = NOTHING_KEPT,
        additions: Sequence[Addition] = (),
    ) -> Scored:
        """The record of a score.

        Args:
            scorer: the scorer's name.
            interval: the value with its 95 % bounds.
            n: the number of judgements behind it.
            details: further figures.
            controls: the same measure under hypotheses that should lose.
            said: the answers or the pictures behind it; None for a score without any. Of the scorers that read the
                judgements of the case, the first one carries their usage.
            kept: what is kept with it, image by image.
            additions: what further texts add.
        """
        asked, used = self._asked(scorer, said)
        details, controls = dict(details), dict(controls)
        for addition in additions:
            details |= addition.details
            controls |= addition.controls
        return Scored(
            feature=self.feature.id,
            scorer=scorer,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            n=n,
            details=details | self._spoken_of(scorer),
            controls=controls,
            **kept._asdict(),
            parts=tuple(part for addition in additions for part in addition.parts),
            judge="" if said is None or isinstance(said, Made) else said.model,
            prompt=asked,
            usage=used + sum((addition.usage for addition in additions), Usage()),
            created=now(),
        )

    def _asked(self, scorer: str, said: Judgements | Answers[R] | Made | None) -> tuple[str, Usage]:
        """The digest of the prompt behind a score, and what the scorer's own questions took."""
        if isinstance(said, Made):
            return said.prompt, said.usage
        if isinstance(said, Judgements):
            carrier = next((s for s in self.scorers if s.task is JUDGE), None)
            return self.judge.digest, said.usage if carrier and carrier.name == scorer else Usage()
        return (self.judge.others[scorer].digest[:12], said.usage) if said is not None else ("", Usage())


@dataclass(frozen=True, slots=True)
class Scorer:
    """A way to score an explanation, or the feature itself."""

    name: str
    score: Callable[[Case], Awaitable[Outcome]]
    """Scores a case that has what the fields below ask for."""
    task: Task | None = None
    """The questions that it asks the judge, whose template has the task's name; `JUDGE` where it reads the judgements
    of the case; None where it asks nothing."""
    reads_text: bool = True
    """Whether an explanation that found no common property leaves it without a score."""
    sides: Literal["none", "active", "both"] = "both"
    """The sides of which it needs held-out images: as many as `min_active` and `min_silent`."""
    needs_distractors: bool = False
    """Whether it needs explanations of other features for every feature."""
    needs_embedder: bool = False
    """Whether it needs an embedder of crops and texts."""
    needs_encoder: bool = False
    """Whether it needs the coder and the backbone that made the dump."""
    needs_pictures: bool = False
    """Whether it needs an image model."""
    template: str | None = None
    """The name of a template that it fills for others than the judge."""
    value_of: Callable[[Sequence[Verdict], Floats], float] | None = None
    """Computes its value from verdicts and their weights, shape [n]; None where verdicts alone do not tell it."""
    verdicts_with: str | None = None
    """The scorer whose line in scores.jsonl holds the verdicts that this one reads; None where its own line does."""

    async def __call__(self, case: Case) -> Outcome:
        """Gives the score, the reason why there is none, or the failure of a call.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        if self.reads_text and case.explanation.none:
            return case.unscored(self.name, "the explainer found no common property")
        if (reason := self._lacking(case)) is not None:
            return case.unscored(self.name, reason)
        return await self.score(case)

    def _lacking(self, case: Case) -> str | None:
        """Why a feature has too few held-out images to be scored; None where it has enough."""
        settings, pool = case.settings, case.pool
        if self.sides != "none" and (n := len(pool.active)) < settings.min_active:
            return f"{n} held-out active images, {settings.min_active} are needed; {MORE_ACTIVE}"
        if self.sides == "both" and (n := len(pool.silent)) < settings.min_silent:
            near = ", or count those near the threshold (--silent-below 1)" if pool.margin_share else ""
            return f"{n} held-out silent images, {settings.min_silent} are needed; {MORE_SILENT}{near}"
        return None
