"""What a scorer is given and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from autointerp.clock import now
from autointerp.config import ScoreSettings
from autointerp.lmm.calls import Failure
from autointerp.lmm.door import Door
from autointerp.schema import Control, Explanation, Feature, Scored, Unscored, Usage, Verdict
from autointerp.scoring.judge import Judge, Verdicts
from autointerp.scoring.sampling import Sample
from autointerp.scoring.statistics import Interval

Outcome = Scored | Unscored | Failure

SHARED = ("detection", "accuracy")
"""Scorers that read the same judgements; the first of them in a run carries their usage."""


@dataclass
class Case:
    """One explanation on trial; the judgements that several scorers read are asked for once."""

    feature: Feature
    explanation: Explanation
    sample: Sample
    judge: Judge
    door: Door
    base_rate: float | None
    """Share of the population that carries the dump's attribute, None if unknown."""
    scorers: tuple[str, ...]
    """Those of the run, in order."""
    _verdicts: list[Verdicts | Failure] = field(default_factory=list)

    @property
    def settings(self) -> ScoreSettings:
        """Of the scoring stage."""
        return self.judge.settings

    async def verdicts(self) -> Verdicts | Failure:
        """The judge's word on the sample."""
        if not self._verdicts:
            self._verdicts.append(await self.judge.verdicts(self.explanation.text, self.sample, self.door))
        return self._verdicts[0]

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
        judged: Verdicts | None = None,
        verdicts: tuple[Verdict, ...] = (),
    ) -> Scored:
        """A verdict on the explanation."""
        carries = next((s for s in self.scorers if s in SHARED), None) == scorer
        return Scored(
            feature=self.feature.id,
            scorer=scorer,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            n=n,
            details=dict(details),
            controls=dict(controls),
            verdicts=verdicts,
            judge=judged.model if judged else "",
            prompt=self.judge.digest if judged else "",
            usage=judged.usage if judged and carries else Usage(),
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
