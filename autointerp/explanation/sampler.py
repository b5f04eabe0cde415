"""Feature → Explanation, by way of several: sampled, told apart by meaning, judged, and the best of each meaning kept.

A sampler that takes what scores best falls onto the explainer's favourite phrase, since that one is tried most often.
Here each meaning counts once, however often it came up.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from autointerp.candidates import Candidate, Cluster, Sampled, disjunction
from autointerp.evidence import Images, Shown, draw_shown
from autointerp.explanation.candidate_scores import Tried, choosing_sample, tried
from autointerp.explanation.choice import LEVEL, adding, clustered
from autointerp.explanation.explainer import Explained, Explainer, nothing_to_show
from autointerp.explanation.meanings import Meanings, Told
from autointerp.explanation.views import draw_views
from autointerp.ips.weights import collapse_index
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import DEFERRED, Answer, Failure, failed
from autointerp.lmm.request import Request
from autointerp.prompts import Prompt, plain
from autointerp.replies import ExplainReply
from autointerp.schema import Exemplar, FailureRecord, Feature, Usage
from autointerp.scoring.distractors import normal
from autointerp.scoring.judge import SETTLED, Judge
from autointerp.scoring.sampling import Sample
from autointerp.settings import CandidateSettings, ExplainSettings, ModelSettings
from autointerp.unexplainable import UNEXPLAINABLE

MOST_CONCEPTS = 4
"""Properties of one reply that become candidates, the first ones."""
TYPICAL = "a typical explanation of some twelve words that names one visual property"
"""Stands for explanations that are not written yet, where questions are only counted."""


class _Said(NamedTuple):
    """One candidate as it was said."""

    text: str
    concepts: tuple[str, ...]
    reply: ExplainReply
    view: Shown
    model: str


@dataclass(frozen=True)
class Sampler:
    """Explains by several candidates; stands where an `Explainer` would."""

    explainer: Explainer
    plan: CandidateSettings
    judge: Judge
    """Of candidates; its model is at the explainer's server."""
    meanings: Meanings
    n_images: int
    """Size of the dump's population."""

    @property
    def model(self) -> ModelSettings:
        """Returns the explainer's model."""
        return self.explainer.model

    @property
    def settings(self) -> ExplainSettings:
        """Returns the explainer's settings."""
        return self.explainer.settings

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Returns the templates that are used."""
        same = (self.meanings.prompt,) if self.plan.diverse else ()
        return (*self.explainer.prompts, self.judge.prompt, *same)

    def requests(self, feature: Feature, images: Images) -> tuple[Request, ...]:
        """The questions for one feature, with typical texts in the place of explanations not written yet.

        Pairs of meanings are left out, since their number depends on the texts.
        """
        shown = draw_shown(feature, images, self.explainer.settings)
        if not shown.active:
            return ()
        views = self._views(feature, shown)
        first = [explainer.first(view, images) for explainer, view in views]
        judged = self.judge.requests(TYPICAL, self.choosing(feature, shown, images).items) * len(views)
        return (*first, *judged, *self.explainer.passes(shown, images))

    def choosing(self, feature: Feature, shown: Shown, images: Images) -> Sample:
        """The images on which candidates are compared; the judge's questions about them are asked of each wording."""
        ids = [e.image for e in (*shown.active, *shown.contrast)]
        grid, settings = self.explainer.grid, self.judge.settings
        return choosing_sample(feature, ids, images, settings, grid=grid, n_images=self.n_images)

    async def explain(
        self,
        feature: Feature,
        images: Images,
        gateway: Gateway,
        shuffled: tuple[Exemplar, ...] = (),
        parents: Mapping[int, str] = MappingProxyType({}),
    ) -> Explained:
        """Asks, chooses and makes the record; arguments as for `Explainer.explain`.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        shown = draw_shown(feature, images, self.explainer.settings)
        if not shown.active:
            return Explained(failed(feature.id, "explain", Failure(UNEXPLAINABLE, nothing_to_show(feature), 0)))
        sample = self.choosing(feature, shown, images)
        if not sample.active or not sample.silent:
            return Explained(failed(feature.id, "explain", Failure(UNEXPLAINABLE, _nothing_to_choose_by(sample), 0)))
        answers = await self._ask(feature, shown, images, gateway, tuple(parents.values()))
        if (waits := _passing(answers)) is not None:
            if waits.kind == DEFERRED:
                await self.explainer.ask_ahead(shown, images, gateway, shuffled)
            return Explained(failed(feature.id, "explain", waits))
        settled = [a for _, a in answers if isinstance(a, Failure)]
        replies = [(view, a) for view, a in answers if isinstance(a, Answer)]
        if not replies:
            return Explained(failed(feature.id, "explain", settled[0]))
        chosen = await self._chosen(replies, sample, gateway)
        if isinstance(chosen, Failure):
            return Explained(failed(feature.id, "explain:choosing", chosen))
        answer, sampled, gaps = chosen
        sampled = sampled.model_copy(update={"asked": len(answers), "failed": len(settled)})
        record = await self.explainer.complete(feature, shown, images, gateway, answer, shuffled, tuple(parents))
        if isinstance(record, FailureRecord):
            return Explained(record)
        gap_records = [failed(feature.id, "explain", f) for f in settled]
        gap_records += [failed(feature.id, "explain:choosing", f) for f in gaps]
        return Explained(record.model_copy(update={"sampled": sampled}), tuple(gap_records))

    def _views(self, feature: Feature, shown: Shown) -> list[tuple[Explainer, Shown]]:
        """What each candidate is made from, with an explainer that samples at a seed of its own."""
        explainer, model = self.explainer, self.explainer.model
        views = draw_views(shown, self.plan, feature=feature.id, seed=explainer.settings.seed)
        seeds = [{"temperature": self.plan.temperature, "seed": model.seed + i} for i in range(len(views))]
        own = [replace(explainer, model=model.model_copy(update=seed)) for seed in seeds]
        return list(zip(own, views, strict=True))

    async def _ask(
        self, feature: Feature, shown: Shown, images: Images, gateway: Gateway, parents: Sequence[str]
    ) -> list[tuple[Shown, Answer[ExplainReply] | Failure]]:
        views = self._views(feature, shown)
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(gateway.ask(own.first(view, images, parents), ExplainReply)) for own, view in views
            ]
        return [(view, task.result()) for (_, view), task in zip(views, asked, strict=True)]

    async def _chosen(
        self, replies: Sequence[tuple[Shown, Answer[ExplainReply]]], sample: Sample, gateway: Gateway
    ) -> tuple[Answer[ExplainReply], Sampled, tuple[Failure, ...]] | Failure:
        """The reply that stands for all, what was sampled, and what stayed unanswered; a failure that may pass."""
        usage = sum((a.usage for _, a in replies), Usage())
        said = [s for view, answer in replies for s in self._said(view, answer)]
        none = sum(a.value.verdict == "none" for _, a in replies)
        if not said:
            return replace(replies[0][1], usage=usage), Sampled(asked=0, none=none), ()
        texts = [s.text for s in said]
        async with asyncio.TaskGroup() as group:
            judging = group.create_task(self._tried(texts, sample, gateway))
            telling = group.create_task(self._told(texts, gateway))
        trials, told = judging.result(), telling.result()
        if isinstance(trials, Failure) or isinstance(told, Failure):
            # What waits for a batch job comes first: then the feature waits as well.
            found = [o for o in (trials, told) if isinstance(o, Failure)]
            return min(found, key=lambda f: f.kind != DEFERRED)
        candidates = [_candidate(s, trials[normal(s.text)]) for s in said]
        clusters = clustered(candidates, told.labels, self.plan) if self.plan.diverse else []
        best = _best(candidates, clusters)
        texts, clusters = self._kept(candidates, clusters, trials, best)
        sampled = Sampled(
            asked=0,
            none=none,
            candidates=tuple(candidates),
            clusters=tuple(clusters),
            collapse=_collapse(told.labels) if self.plan.diverse else None,
            beats_chance=any(c.kept for c in clusters) if clusters else _beats(candidates, best),
            judged_on=tuple(i.exemplar.image for i in sample.items),
        )
        usage += sum((t.usage for t in trials.values()), told.usage)
        gaps = (*told.gaps, *(gap for t in trials.values() for gap in t.gaps))
        value = _joined([said[_first_said(said, t)] for t in texts])
        return Answer(value, usage, said[best].model, cached=False), sampled, gaps

    def _said(self, view: Shown, answer: Answer[ExplainReply]) -> list[_Said]:
        """The candidates of a reply: of one that saw several unrelated properties each, where meanings count."""
        reply = answer.value
        if reply.verdict == "none":
            return []
        concepts = tuple(plain(c) for c in reply.concepts if c.strip())
        if self.plan.diverse and reply.verdict == "mixed" and len(concepts) > 1:
            return [_Said(c, (c,), reply, view, answer.model) for c in concepts[:MOST_CONCEPTS]]
        return [_Said(plain(reply.explanation), concepts, reply, view, answer.model)]

    async def _tried(self, texts: Sequence[str], sample: Sample, gateway: Gateway) -> dict[str, Tried] | Failure:
        """Each wording on trial, once."""
        distinct = {normal(text): text for text in reversed(texts)}
        async with asyncio.TaskGroup() as group:
            asked = {n: group.create_task(tried(t, sample, self.judge, gateway)) for n, t in distinct.items()}
        out: dict[str, Tried] = {}
        for name, task in asked.items():
            outcome = task.result()
            if isinstance(outcome, Failure):
                return outcome
            out[name] = outcome
        return out

    async def _told(self, texts: Sequence[str], gateway: Gateway) -> Told | Failure:
        if not self.plan.diverse:
            return Told(tuple(range(len(texts))))
        return await self.meanings.clusters(texts, gateway)

    def _kept(
        self, candidates: Sequence[Candidate], clusters: Sequence[Cluster], trials: Mapping[str, Tried], best: int
    ) -> tuple[list[str], list[Cluster]]:
        """The texts that make up the explanation, and the clusters with a note of those that add to the others."""
        kept = {c.best: candidates[c.best].text for c in clusters if c.kept}
        if not kept:
            return [candidates[best].text], list(clusters)
        texts = adding([(text, trials[normal(text)].fits) for text in kept.values()])
        marked = [c.model_copy(update={"adds": c.kept and candidates[c.best].text in texts}) for c in clusters]
        # In the order of the clusters, as the parts of the explanation stand everywhere.
        return [text for text in kept.values() if text in texts], marked


def _first_said(said: Sequence[_Said], text: str) -> int:
    """Where a text was first said."""
    return next(i for i, s in enumerate(said) if s.text == text)


def _passing(answers: Sequence[tuple[Shown, Answer[ExplainReply] | Failure]]) -> Failure | None:
    """A failure that may pass: then nothing is chosen yet. What waits for a batch job comes before others."""
    found = [a for _, a in answers if isinstance(a, Failure) and a.kind not in SETTLED]
    return min(found, key=lambda f: f.kind != DEFERRED, default=None)


def _candidate(said: _Said, trial: Tried) -> Candidate:
    score = trial.fits.score
    return Candidate(
        text=said.text,
        concepts=said.concepts,
        images=tuple(e.image for e in said.view.active),
        score=score,
        f1=trial.fits.f1,
        p=None if score is None else trial.fits.p(),
    )


def _best(candidates: Sequence[Candidate], clusters: Sequence[Cluster]) -> int:
    """Index of the one with the highest F1; among equals that of the largest share, then the first said."""
    order = [c.best for c in clusters] or range(len(candidates))
    return max(order, key=lambda i: candidates[i].f1 or 0.0)


def _beats(candidates: Sequence[Candidate], best: int) -> bool:
    """Whether the best of several candidates beats chance: Bonferroni's correction for their wordings."""
    p, n = candidates[best].p, len({normal(c.text) for c in candidates})
    return p is not None and p * n <= LEVEL


def _collapse(labels: Sequence[int]) -> float | None:
    return float(collapse_index(labels, group_size=len(labels))[0]) if len(labels) > 1 else None


def _joined(parts: Sequence[_Said]) -> ExplainReply:
    """One reply that says what all the parts say; misfits are left out, as no part speaks for all images."""
    first = parts[0].reply
    if len(parts) == 1 and parts[0].text == plain(first.explanation):
        return first.model_copy(update={"misfits": []})
    return first.model_copy(
        update={
            "verdict": "mixed" if len(parts) > 1 else "one",
            "explanation": disjunction([p.text for p in parts]),
            "concepts": list(dict.fromkeys(c for p in parts for c in p.concepts)),
            "misfits": [],
        }
    )


def _nothing_to_choose_by(sample: Sample) -> str:
    side = "silent" if sample.active else "active"
    return (
        f"no held-out {side} images to choose candidates by; harvest more, show fewer, or explain without --candidates"
    )
