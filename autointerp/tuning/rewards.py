"""What replies of an explainer in training are worth: chance-corrected scores on held-out images, and meanings."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autointerp.explanation.candidate_scores import Tried, tried
from autointerp.explanation.meanings import Meanings, Told
from autointerp.ips.rewards import Halted, Judged
from autointerp.job import OVER_BUDGET
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Failure, failed
from autointerp.lmm.parse import ReplyError, parse_reply
from autointerp.prompts import plain
from autointerp.replies import ExplainReply
from autointerp.schema import FailureRecord
from autointerp.scoring.judge import Judge
from autointerp.tuning.training_prompts import Scenes


@dataclass(frozen=True)
class Rewarder:
    """All that judging replies needs."""

    scenes: Scenes
    judge: Judge
    meanings: Meanings
    gateway: Gateway
    failed: Callable[[FailureRecord], None]
    """Told of questions that settled in a failure."""

    async def judged(self, features: Sequence[int], replies: Sequence[str], *, group: int) -> list[Judged]:
        """Judges groups of replies that stand one after the other.

        A reply that is no usable explanation, or says that there is no common property, earns 0 and has no outcome.
        The reward of an explanation is Youden's J on images that its prompt does not show, 0 to 1; its outcome is its
        meaning among those of its group. Where the judge's word is settled to be missing, neither is known.

        Raises:
            Halted: a failure that may pass.
            EndpointError: no request of this run can succeed.
        """
        starts = range(0, len(replies), group)
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self._group(features[s], replies[s : s + group])) for s in starts]
        done = [task.result() for task in asked]
        for own in done:
            if isinstance(own, Failure):
                raise Halted(OVER_BUDGET if own.kind == "over_budget" else f"{own.kind}: {own.message}")
        return [j for own in done if not isinstance(own, Failure) for j in own]

    async def _group(self, feature: int, replies: Sequence[str]) -> list[Judged] | Failure:
        texts = [explanation(reply) for reply in replies]
        different = [t for t in dict.fromkeys(texts) if t is not None]
        if not different:
            return [Judged(0.0, None)] * len(replies)
        sample = self.scenes[feature].sample
        async with asyncio.TaskGroup() as tasks:
            trials = [tasks.create_task(tried(t, sample.items, self.judge, self.gateway)) for t in different]
            grouping = tasks.create_task(self.meanings.clusters(different, self.gateway))
        told = grouping.result()
        if isinstance(told, Failure):
            return told
        return self._together(feature, texts, different, [t.result() for t in trials], told)

    def _together(
        self,
        feature: int,
        texts: Sequence[str | None],
        different: Sequence[str],
        trials: Sequence[Tried | Failure],
        told: Told,
    ) -> list[Judged] | Failure:
        worth: dict[str | None, Judged] = {None: Judged(0.0, None)}
        for text, trial, label in zip(different, trials, told.labels, strict=True):
            if isinstance(trial, Failure):
                return trial
            score = trial.fits.score
            worth[text] = Judged(None, None) if score is None else Judged(score, label)
            self._note(feature, "tune:judge", trial.gaps)
        self._note(feature, "tune:same", told.gaps)
        return [worth[text] for text in texts]

    def _note(self, feature: int, stage: str, gaps: Sequence[Failure]) -> None:
        for gap in gaps:
            self.failed(failed(feature, stage, gap))


def explanation(reply: str) -> str | None:
    """The explanation that a reply holds; None where it cannot be used or finds no common property."""
    try:
        value = parse_reply(reply, ExplainReply)
    except ReplyError:
        return None
    return None if value.verdict == "none" else plain(value.explanation)
