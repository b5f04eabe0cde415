"""What a scorer is given and what it gives back."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from autointerp.clock import now
from autointerp.config import ScoreSettings
from autointerp.dump.format import Population as Counted
from autointerp.lmm.calls import Answer, Failure
from autointerp.lmm.door import Door
from autointerp.lmm.request import Request
from autointerp.replies import Reply
from autointerp.schema import Control, Explanation, Feature, PartScore, Scored, Unscored, Usage, Verdict
from autointerp.scoring.embedder import Embedder
from autointerp.scoring.judge import SETTLED, Judge, Verdicts
from autointerp.scoring.rivals import RivalTexts
from autointerp.scoring.rounds import judge_sample
from autointerp.scoring.sampling import Pool, Sample
from autointerp.scoring.statistics import Interval, JudgeRates

Outcome = Scored | Unscored | Failure
R = TypeVar("R", bound=Reply)

SHARED = ("detection", "accuracy")
"""Scorers that read the same judgements; the first of them in a run carries their usage."""
OVER_THE_POPULATION = ("detection", "choice", "embedding", "relevance")
"""Scorers whose figures count each image as many as it stands for."""


@dataclass(frozen=True, slots=True)
class Population:
    """What scoring knows of the images that the dump was made from."""

    n_images: int
    base_rate: float | None = None
    """Share that carries the dump's attribute; None if unknown."""
    exact: bool = False
    """Whether the base rate is a count over all images, or an estimate from those drawn."""
    known_from: int | None = None
    """Where it is an estimate: images that a uniform draw would need to know the rate as well."""
    counted: Counted = "complete"
    """Whether `n_images` and the counts speak of all images that were run."""


@dataclass(frozen=True, slots=True)
class Answers(Generic[R]):
    """Replies to several questions, in order."""

    all: tuple[R | None, ...]
    """None for a question that settled in a failure."""
    usage: Usage
    model: str


@dataclass
class Case:
    """One explanation on trial; the judgements that several scorers read are asked for once."""

    feature: Feature
    explanation: Explanation
    pool: Pool
    judge: Judge
    door: Door
    population: Population
    scorers: tuple[str, ...]
    """Those of the run, in order."""
    rivals: RivalTexts
    """Explanations of other features, for controls and naming."""
    controlled: bool = False
    """Whether this feature is one of those that carry the costlier controls."""
    judge_rates: JudgeRates | None = None
    """How often this judge is right, if it was calibrated."""
    embedder: Embedder | None = None
    """Where the run has the scorer `embedding`."""
    gaps: list[Failure] = field(default_factory=list)
    """Failures that left judgements unanswered though the feature was scored."""
    _verdicts: list[Verdicts | Failure] = field(default_factory=list)

    @property
    def settings(self) -> ScoreSettings:
        """Of the scoring stage."""
        return self.judge.settings

    @property
    def sample(self) -> Sample:
        """The images judged in the first round."""
        return self.pool.sample(self.pool.spread(self.settings.n_active, self.settings.n_silent))

    async def verdicts(self) -> Verdicts | Failure:
        """The judge's word on the held-out images; a failure where no image of a side got an answer."""
        if not self._verdicts:
            judged = await judge_sample(self.explanation.text, self.pool, self.judge, self.door)
            if isinstance(judged, Verdicts):
                self.gaps += judged.gaps
                for active in (True, False):
                    own = [v for v in judged.all if v.active == active]
                    if own and all(v.belief is None for v in own):
                        judged = judged.gaps[0]
                        break
            self._verdicts.append(judged)
        return self._verdicts[0]

    async def ask(self, requests: Sequence[Request], reply: type[R]) -> Answers[R] | Failure:
        """Asks several questions at once; None stands for one that settled in a failure.

        Returns:
            The answers in order; a failure that may pass instead, or where no question was answered at all.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.door.ask(request, reply)) for request in requests]
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
        """No verdict, and why."""
        return Unscored(
            feature=self.feature.id, scorer=scorer, reason=reason, judge=self.judge.model.model, created=now()
        )

    def scored(
        self,
        scorer: str,
        interval: Interval,
        n: int,
        details: Mapping[str, float | int | str | bool | None],
        controls: Mapping[str, Control],
        *,
        judged: Verdicts | Answers[R] | None = None,
        verdicts: tuple[Verdict, ...] = (),
        parts: tuple[PartScore, ...] = (),
        more: Usage | None = None,
    ) -> Scored:
        """A verdict on the explanation.

        Args:
            scorer: its name.
            interval: the value with its 95 % bounds.
            n: judgements behind it.
            details: further figures.
            controls: the same measure under hypotheses that should lose.
            judged: the answers behind it; None for a score without any.
            verdicts: to be kept with the score.
            parts: each explanation of several by itself.
            more: what parts and controls cost beyond `judged`.
        """
        carries = scorer not in SHARED or next((s for s in self.scorers if s in SHARED), None) == scorer
        used = judged.usage if judged and carries else Usage()
        prompt = "" if judged is None else self.judge.digest if scorer in SHARED else self.judge.digest_of(scorer)
        return Scored(
            feature=self.feature.id,
            scorer=scorer,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            n=n,
            details=dict(details) | self._spoken_of(scorer),
            controls=dict(controls),
            verdicts=verdicts,
            parts=parts,
            judge=judged.model if judged else "",
            prompt=prompt,
            usage=used + more if more else used,
            created=now(),
        )


class Scorer(Protocol):
    """Gives one verdict on one explanation.

    Raises:
        EndpointError: no request of this run can succeed.
    """

    async def __call__(self, case: Case) -> Outcome:
        """Scored, Unscored with a reason, or the failure of a call."""
        ...
