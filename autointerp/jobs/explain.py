"""`autointerp explain`: an explanation for each chosen feature of a dump, into a run folder."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autointerp.clock import now
from autointerp.commands.explain import Explain
from autointerp.dump.near_copies import NearCopies
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.estimation.forecast import forecast, make_explainer
from autointerp.explanation.explainer import Explainer
from autointerp.explanation.hierarchy_order import Ancestry, NoAncestry, ancestry_of
from autointerp.explanation.replays import Outcome, Replays
from autointerp.explanation.shuffled_sets import Shuffler
from autointerp.job import (
    JobResult,
    Progress,
    Recorder,
    Silent,
    choose,
    images_of,
    line_of,
    named_dump,
    only,
    reference,
    refuse_overlap,
)
from autointerp.jobs.endpoints import announce, asking, candidates_at, explainer_at, given_here, note_address
from autointerp.lmm.exchanges import hearing
from autointerp.lmm.gateway import Gateway
from autointerp.pipeline import Stop, drive
from autointerp.places import cache_folder
from autointerp.runs.folder import ExplainStage, RunInfo, open_run
from autointerp.runs.index import Ints
from autointerp.schema import Explanation, Feature
from autointerp.session.candidate_judges import asker, embedder_of_candidates, explained, judges, with_embedder
from autointerp.session.gateway import open_embedder, open_gateway, resolve_model
from autointerp.settings import EngineSettings, ExplainSettings, ModelSettings
from autointerp.shards.crew import crew_of
from autointerp.shards.dealing import Attempt, Spread, gather, here_or_spread, shard_of
from autointerp.shards.remote_runs import url_of, work_at
from autointerp.shards.shards import Shard, ShardWriter, shard_writer
from autointerp.version import __version__

if TYPE_CHECKING:
    from autointerp.batch.client import Outbox
    from autointerp.explanation.sampler import Sampler

_AT_ONCE = 32
"""Kept outcomes that are recorded before other work has its turn."""


@dataclass
class _Explaining:
    """The features of a run, or of a piece of it, that are left to explain, and all that explaining them takes."""

    o: Explain
    dump: Dump
    asks: "Explainer | Sampler"
    embedder: ModelSettings | None
    place: ShardWriter
    left: Ints
    ancestry: Ancestry | NoAncestry
    near_copies: NearCopies
    shuffler: Shuffler
    replays: Replays | None
    recorder: Recorder
    result: JobResult
    attempt: Attempt

    async def one(self, feature: Feature, gateway: Gateway) -> None:
        """Explains one feature and records what came of it."""
        # Reads row groups of other features; meanwhile the others go on.
        wanted = self.shuffler.wants(feature.id)
        shuffled = await asyncio.to_thread(self.shuffler.draw, feature) if wanted else ()
        # Looks at images of a dump that states no near-duplicates.
        more = [e.image for e in shuffled]
        images = await asyncio.to_thread(images_of, self.dump, feature, more, near_copies=self.near_copies)
        with hearing(wanted=self.o.execution.exchanges) as heard:
            outcome = await explained(self.asks, feature, images, gateway, shuffled, self.ancestry.texts(feature))
        line = line_of(feature.id, "explain", heard)
        self.recorder.explained(outcome.record, outcome.gaps, line)
        # Of these, another look at the dump or at its images may make something else.
        passing = wanted or outcome.gaps or self.near_copies.blind
        if self.replays is not None and isinstance(outcome.record, Explanation) and not passing:
            await self.replays.keep(outcome.record, line, heard, gateway.cache)

    async def replayed(self, wave: Ints, gateway: Gateway) -> Ints:
        """Records the features whose outcomes are kept; gives the others."""
        if self.replays is None:
            return wave
        left: list[int] = []
        known = np.isin(wave, self.replays.features(gateway.cache))
        for n, (feature, is_known) in enumerate(zip(wave.tolist(), known.tolist(), strict=True)):
            if n % _AT_ONCE == 0:
                await asyncio.sleep(0)  # for Ctrl-C and the progress line
            if self.attempt.stop.reason is not None:
                break
            kept = self._kept(feature, gateway) if is_known else None
            if kept is None:
                left.append(feature)
            else:
                gateway.tally.cached += kept.n_answers
                self.recorder.explained(kept.explanation, line=kept.exchanges)
        return np.array(left, np.int64)

    def _kept(self, feature: int, gateway: Gateway) -> Outcome | None:
        if self.replays is None or self.shuffler.wants(feature):
            return None
        return self.replays.find(feature, gateway.cache)

    async def all(self) -> None:
        """Explains what is left, broad features before narrow ones."""
        if not len(self.left):
            return
        o, attempt, n = self.o, self.attempt, len(self.place.ids)
        say = attempt.progress.note
        opening = partial(open_gateway, o.model, o.engine, self.dump, cache=o.cache, prices=o.prices, say=say)
        async with (
            opening(outbox=attempt.outbox, others=judges(self.asks)) as gateway,
            open_embedder(self.embedder, o.engine, self.dump, cache=o.cache, say=say) as embedder,
        ):
            self.asks = with_embedder(self.asks, embedder)
            self.result.tally = gateway.tally
            with attempt.progress.show("explain", gateway, n, n - len(self.left)), attempt.stop.on_interrupt(say):
                announce(attempt.progress, o.model, o.engine, self.embedder, outbox=attempt.outbox)
                # What a batch job has not answered yet is told to narrower features.
                for wave in takewhile(lambda _: not self.result.deferred, self.ancestry.waves(self.left)):
                    await self._wave(wave, gateway)
            self.result.spent = gateway.spent

    async def _wave(self, wave: Ints, gateway: Gateway) -> None:
        # Half as many again as are in flight: their pictures are made while others wait for answers.
        window = self.o.engine.concurrency + self.o.engine.concurrency // 2 + 1
        left = await self.replayed(wave, gateway)
        features, stop = self.dump.features(only(left)), self.attempt.stop
        await drive(features, lambda f: self.one(f, gateway), window=window, stop=stop)
        if self.replays is not None:
            await self.replays.write(gateway.cache)

    def here_or_spread(self) -> None:
        """Does the work in this process, or deals it to the crew."""
        o, place = self.o, self.place
        call = partial(_piece, o.model_copy(update={"cache": cache_folder(o.cache)}).absolute())
        asks_of = tuple(asking(o.model, o.engine, self.embedder))
        what = Spread("explain", place.run, self.dump, len(place.ids), o.engine, self.attempt, asks_of)
        here_or_spread(self.all, call, self.ancestry.waves(self.left), what, self.result)
        note_address(place.writer, "explain", o.model, o.cache, outbox=self.attempt.outbox)
        self.result.stopped = self.result.stopped or self.attempt.stop.reason


def explain_features(o: Explain, run: Path, attempt: Attempt) -> JobResult:
    """Explains features into a folder, which is made if missing; the explainer of the settings has its servers."""
    started = time.monotonic()
    o = o.model_copy(update={"settings": _as_begun(o.settings, run)})
    if attempt.shard is not None and not attempt.is_dealt and o.settings.hierarchy:
        raise SettingsError("--shard with --hierarchy: shards cannot wait for each other's parents; use --engine ray")
    dump = named_dump(o.dump, allow_outside=o.allow_outside)
    explainer = make_explainer(dump, o.model, o.settings, o.prompts)
    asks = asker(explainer, dump, o.prompts)
    chosen = choose(dump, o.features, width=o.width, sample=o.sample, seed=o.seed)
    stage = ExplainStage(model=o.model, settings=o.settings, prompts={p.name: p.digest[:12] for p in asks.prompts})
    info = RunInfo(version=__version__, created=now(), dump=reference(dump), explain=stage)
    result = JobResult(run=run, selected=0, before=0)
    gather(run, attempt.crew, attempt.progress)
    with shard_writer(run, "explain", info, chosen, dump, attempt.shard, result) as place:
        left = _left(place, result)
        if o.execution.batch and attempt.outbox is None:
            return result
        if o.engine.budget is not None and len(left):
            # Of a shard that is dealt it goes unheard.
            attempt.progress.note(forecast(dump, asks, left, o.engine.budget, o.prices, o.engine.more_base_urls))
        near_copies = NearCopies(dump, cache_folder(o.cache))
        _Explaining(
            o=o,
            dump=dump,
            asks=asks,
            embedder=embedder_of_candidates(o.settings),
            place=place,
            left=left,
            ancestry=ancestry_of(dump, place.run, explainer.settings),
            near_copies=near_copies,
            shuffler=Shuffler(dump, chosen, explainer.settings, near_copies),
            replays=_replays(dump, asks, o),
            recorder=Recorder(place.writer, result, attempt.progress, attempt.stop, attempt.outbox),
            result=result,
            attempt=attempt,
        ).here_or_spread()
    result.seconds = time.monotonic() - started
    return result


def _replays(dump: Dump, asks: "Explainer | Sampler", o: Explain) -> Replays | None:
    """Outcomes that are kept; None where they hang on more than the feature and its own answers."""
    if not isinstance(asks, Explainer) or o.settings.hierarchy:
        return None
    return Replays.of(dump, asks, exchanges=o.execution.exchanges)


def _left(place: ShardWriter, result: JobResult) -> Ints:
    """The features that are neither explained nor known to be unexplainable; the result counts all three."""
    settled = place.unexplainable()
    left = np.setdiff1d(np.setdiff1d(place.ids, place.explained()), np.array(list(settled), np.int64))
    result.unexplainable.update(settled.values())
    result.selected, result.before = len(place.ids), len(place.ids) - len(left) - len(settled)
    return left


def _piece(o: Explain, *, shard: Shard, engine: EngineSettings, progress: Progress, stop: Stop) -> JobResult:
    o = o.model_copy(update={"engine": engine})
    return explain_features(o, Path(o.run), Attempt(progress, shard=shard, stop=stop))


def _as_begun(settings: ExplainSettings, run: Path) -> ExplainSettings:
    """The settings, with the margin of a run that is gone on with unless one was asked for: older runs have none."""
    if "silent_below" in settings.model_fields_set or not (run / "run.json").exists():
        return settings
    there = open_run(run)
    if not len(there.explained()):
        return settings
    return settings.model_copy(update={"silent_below": there.info.explain.settings.silent_below})


def run(settings: Explain, *, progress: Progress | None = None, outbox: "Outbox | None" = None) -> JobResult:
    """Explains; run again with the same settings, it goes on where it stopped."""
    refuse_overlap(settings.dump, settings.run)
    shard, crew = shard_of(settings.execution), crew_of(settings.execution)
    if settings.execution.batch:
        from autointerp.jobs.batch.plan import check_models

        check_models(models(settings), settings.engine)
    settings = _placed(settings, given=given_here(shard, outbox))
    with work_at("explain", settings.run, settings.execution, settings.cache, shard) as folder:
        result = explain_features(settings, folder, Attempt(progress or Silent(), outbox, shard, crew))
        if settings.execution.batch:
            from autointerp.jobs.batch.plan import record

            record(folder, "explain", settings)
        result.run = url_of(result.run, folder, settings.run)
    return result


def _placed(settings: Explain, *, given: bool) -> Explain:
    model, engine = explainer_at(resolve_model(settings.model), settings.engine, given=given)
    asked = candidates_at(settings.settings, model, given=given)
    return settings.model_copy(update={"model": model, "engine": engine, "settings": asked})


def models(settings: Explain) -> list[ModelSettings]:
    """The models that are asked."""
    return [settings.model]
