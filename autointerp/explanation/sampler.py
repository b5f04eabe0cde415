"""Feature → Explanation, by way of several: sampled, told apart by meaning, judged, and the best of each meaning kept.

A sampler that takes what scores best falls onto the explainer's favourite phrase, since that one is tried most often.
Here each meaning counts once, however often it came up.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from autointerp.candidates import Candidate, Cluster, Sampled, disjunction
from autointerp.evidence import Images, Shown
from autointerp.explanation.candidate_scores import Tried, choosing_sample, further_images, tried
from autointerp.explanation.choice import LEVEL, Choice, choose, contenders
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
from autointerp.scoring.sampling import Item, Sample
from autointerp.settings import CandidateSettings, ExplainSettings, ModelSettings
from autointerp.unexplainable import UNEXPLAINABLE

MOST_CONCEPTS = 4
"""Properties of one reply that become candidates, the first ones."""
TYPICAL = "a typical explanation of some twelve words that names one visual property"
"""Stands for explanations that are not written yet, where questions are only counted."""
TYPICAL_MEANINGS, TYPICAL_CONTENDERS = 4, 2
"""Of the candidates of a feature, likewise."""


class _Said(NamedTuple):
    """One candidate as it was said."""

    text: str
    concepts: tuple[str, ...]
    reply: ExplainReply
    view: Shown
    model: str


class _Evidence(NamedTuple):
    """The images of a feature by what they are used for."""

    feature: Feature
    images: Images
    shown: Shown
    first: Sample
    """Held-out images on which every meaning is judged."""


class _Judged(NamedTuple):
    """What judging the candidates came to."""

    texts: tuple[str, ...]
    """What makes up the explanation."""
    trials: Mapping[str, Tried]
    """By wording."""
    beats_chance: bool
    images: tuple[int, ...]
    """Held-out images that were judged."""
    told: Told = Told(())
    """Empty where meanings were not told apart."""
    clusters: tuple[Cluster, ...] = ()


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
        shown = self.explainer.draw(feature, images)
        if not shown.active:
            return ()
        views, sample = self._views(feature, shown), self.choosing(feature, shown, images)
        first = [explainer.first(view, images) for explainer, view in views]
        judged = self.judge.requests(TYPICAL, sample.items)
        if self.plan.diverse:
            further = self.judge.requests(TYPICAL, self._further(_Evidence(feature, images, shown, sample)))
            judged = judged * min(TYPICAL_MEANINGS, len(views)) + further * TYPICAL_CONTENDERS
        else:
            judged *= len(views)
        return (*first, *judged, *self.explainer.passes(shown, images))

    def choosing(self, feature: Feature, shown: Shown, images: Images) -> Sample:
        """The images on which candidates are compared; the judge is asked about them for each meaning."""
        ids = [e.image for e in (*shown.active, *shown.contrast)]
        grid, settings = self.explainer.grid, self.judge.settings
        return choosing_sample(feature, ids, images, settings, grid=grid, n_images=self.n_images)

    def _further(self, about: _Evidence) -> tuple[Item, ...]:
        """The images on which contenders are judged besides."""
        grid, settings = self.explainer.grid, self.judge.settings
        feature, images, shown, first = about
        return further_images(feature, shown, images, settings, first, grid=grid, n_images=self.n_images)

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
        shown = self.explainer.draw(feature, images)
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
        chosen = await self._chosen(_Evidence(feature, images, shown, sample), replies, gateway)
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
        self,
        about: _Evidence,
        replies: Sequence[tuple[Shown, Answer[ExplainReply]]],
        gateway: Gateway,
    ) -> tuple[Answer[ExplainReply], Sampled, tuple[Failure, ...]] | Failure:
        """The reply that stands for all, what was sampled, and what stayed unanswered; a failure that may pass."""
        usage = sum((a.usage for _, a in replies), Usage())
        said = [s for view, answer in replies for s in self._said(view, answer)]
        none = sum(a.value.verdict == "none" for _, a in replies)
        if not said:
            return replace(replies[0][1], usage=usage), Sampled(asked=0, none=none), ()
        texts = [s.text for s in said]
        if self.plan.diverse:
            judged = await self._by_meaning(texts, about, gateway)
        else:
            judged = await self._by_score(texts, about.first, gateway)
        if isinstance(judged, Failure):
            return judged
        sampled = Sampled(
            asked=0,
            none=none,
            candidates=tuple(_candidate(s, judged.trials.get(normal(s.text))) for s in said),
            clusters=judged.clusters,
            collapse=_collapse(judged.told.labels),
            beats_chance=judged.beats_chance,
            judged_on=judged.images,
        )
        usage += sum((t.usage for t in judged.trials.values()), judged.told.usage)
        gaps = (*judged.told.gaps, *(gap for t in judged.trials.values() for gap in t.gaps))
        parts = [said[texts.index(text)] for text in judged.texts]
        return Answer(_joined(parts), usage, parts[0].model, cached=False), sampled, gaps

    async def _by_score(self, texts: Sequence[str], sample: Sample, gateway: Gateway) -> _Judged | Failure:
        """The text of the highest F1, of equals the first; each wording is judged."""
        distinct = list({normal(text): text for text in reversed(texts)}.values())[::-1]
        trials = await self._tried(distinct, sample.items, gateway)
        if isinstance(trials, Failure):
            return trials
        fits = [t.fits for t in trials]
        best = max(range(len(fits)), key=lambda i: fits[i].f1 or 0.0)
        # Bonferroni's correction for the wordings.
        beats = fits[best].score is not None and fits[best].p() * len(fits) <= LEVEL
        by_wording = dict(zip(map(normal, distinct), trials, strict=True))
        return _Judged((distinct[best],), by_wording, beats, _images([i.exemplar for i in sample.items]))

    async def _by_meaning(self, texts: Sequence[str], about: _Evidence, gateway: Gateway) -> _Judged | Failure:
        """The meanings that are told apart, each by its most frequent wording, which alone is judged."""
        told = await self.meanings.clusters(texts, gateway)
        if isinstance(told, Failure):
            return told
        usual = _usual_wordings(texts, told.labels)
        trials = await self._tried(usual, about.first.items, gateway)
        if isinstance(trials, Failure):
            return trials
        contending = contenders([t.fits for t in trials])
        further = self._further(about) if contending else ()
        shown = _images(about.shown.active)
        before = [trials[i] for i in contending]
        more = await self._tried([usual[i] for i in contending], further, gateway, before=before, shown=shown)
        if isinstance(more, Failure):
            return more
        trials = [dict(zip(contending, more, strict=True)).get(i, trial) for i, trial in enumerate(trials)]
        choice = choose([t.fits for t in trials], contending)
        clusters = _clusters(texts, told.labels, usual, trials, choice)
        held_out = [e for e in _images([i.exemplar for i in (*about.first.items, *further)]) if e not in shown]
        return _Judged(
            # In the order of the clusters, as the parts of the explanation stand everywhere.
            tuple(texts[c.best] for c in clusters if c.adds),
            dict(zip(map(normal, usual), trials, strict=True)),
            bool(choice.kept),
            tuple(held_out),
            told,
            clusters,
        )

    def _said(self, view: Shown, answer: Answer[ExplainReply]) -> list[_Said]:
        """The candidates of a reply: of one that saw several unrelated properties each, where meanings count."""
        reply = answer.value
        if reply.verdict == "none":
            return []
        concepts = tuple(plain(c) for c in reply.concepts if c.strip())
        if self.plan.diverse and reply.verdict == "mixed" and len(concepts) > 1:
            return [_Said(c, (c,), reply, view, answer.model) for c in concepts[:MOST_CONCEPTS]]
        return [_Said(plain(reply.explanation), concepts, reply, view, answer.model)]

    async def _tried(
        self,
        texts: Sequence[str],
        items: Sequence[Item],
        gateway: Gateway,
        *,
        before: Sequence[Tried] | None = None,
        shown: Collection[int] = (),
    ) -> list[Tried] | Failure:
        """Each text on trial; arguments as for `tried`."""
        earlier = before or [None] * len(texts)
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(tried(t, items, self.judge, gateway, b, shown))
                for t, b in zip(texts, earlier, strict=True)
            ]
        out = [task.result() for task in asked]
        return _first([o for o in out if isinstance(o, Failure)]) or [o for o in out if isinstance(o, Tried)]


def _images(of: Sequence[Exemplar]) -> tuple[int, ...]:
    return tuple(e.image for e in of)


def _usual_wordings(texts: Sequence[str], labels: Sequence[int]) -> list[str]:
    """Of each cluster the wording that came most often, of equals the first said, as it was first spelled."""
    out: list[str] = []
    for label in dict.fromkeys(labels):
        own = [text for text, of in zip(texts, labels, strict=True) if of == label]
        often = Counter(map(normal, own)).most_common(1)[0][0]
        out.append(next(text for text in own if normal(text) == often))
    return out


def _clusters(
    texts: Sequence[str], labels: Sequence[int], usual: Sequence[str], trials: Sequence[Tried], choice: Choice
) -> tuple[Cluster, ...]:
    """The clusters as records: those that make up the explanation first, then by score."""
    out = [
        Cluster(
            members=tuple(i for i, own in enumerate(labels) if own == label),
            best=texts.index(usual[at]),
            score=trials[at].fits.score or 0.0,
            p=choice.p[at],
            kept=at in choice.kept,
            adds=at in choice.chosen,
        )
        for at, label in enumerate(dict.fromkeys(labels))
    ]
    return tuple(sorted(out, key=lambda c: (not c.adds, -c.score, c.members)))


def _first(failures: Sequence[Failure]) -> Failure | None:
    """Of failures that may pass the one that counts: what waits for a batch job, as the feature then waits as well."""
    return min(failures, key=lambda f: f.kind != DEFERRED, default=None)


def _passing(answers: Sequence[tuple[Shown, Answer[ExplainReply] | Failure]]) -> Failure | None:
    """A failure that may pass: then nothing is chosen yet."""
    return _first([a for _, a in answers if isinstance(a, Failure) and a.kind not in SETTLED])


def _candidate(said: _Said, trial: Tried | None) -> Candidate:
    """The record; a wording that was not judged has no score."""
    score = None if trial is None else trial.fits.score
    return Candidate(
        text=said.text,
        concepts=said.concepts,
        images=tuple(e.image for e in said.view.active),
        score=score,
        f1=None if trial is None else trial.fits.f1,
        p=None if trial is None or score is None else trial.fits.p(),
    )


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
