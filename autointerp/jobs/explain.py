"""`autointerp explain`: an explanation for each chosen feature of a dump, into a run folder."""

import asyncio
import time
from functools import partial
from itertools import takewhile
from pathlib import Path

import numpy as np

from autointerp.batch.client import Outbox
from autointerp.clock import now
from autointerp.commands.explain import Explain
from autointerp.errors import SettingsError
from autointerp.estimation.forecast import forecast, make_explainer
from autointerp.explanation.hierarchy_order import ancestry_of
from autointerp.explanation.shuffled_sets import Shuffler
from autointerp.job import (
    JobResult,
    Progress,
    Recorder,
    Silent,
    choose,
    images_of,
    named_dump,
    only,
    reference,
    refuse_overlap,
)
from autointerp.jobs.batch.plan import check_models, record
from autointerp.jobs.endpoints import announce, asking, candidates_at, explainer_at, given_here, note_address
from autointerp.lmm.cache import cache_folder
from autointerp.lmm.gateway import Gateway
from autointerp.pipeline import Stop, drive
from autointerp.runs.folder import ExplainStage, RunInfo
from autointerp.schema import Feature
from autointerp.session.candidate_judges import asker, embedder_of_candidates, explained, judges, with_embedder
from autointerp.session.embedder import open_embedder
from autointerp.session.gateway import open_gateway, resolve_model
from autointerp.settings import EngineSettings, ExplainSettings, ModelSettings
from autointerp.shards.dealing import Crew, Spread, gather, here_or_spread, shard_of
from autointerp.shards.ray_engine import crew_of
from autointerp.shards.remote_runs import url_of, work_at
from autointerp.shards.shards import Shard, shard_writer
from autointerp.version import __version__


def explain_features(
    o: "Explain",
    run: Path,
    *,
    progress: Progress | None = None,
    outbox: Outbox | None = None,
    shard: Shard | None = None,
    crew: Crew | None = None,
    stop: Stop | None = None,
) -> JobResult:
    """Explains features; run again with the same settings, it goes on where it stopped.

    Args:
        o: the settings of the command, the explainer with its servers.
        run: folder of the run, made if missing.
        progress: shows how far it is.
        outbox: where questions go that a batch job is to answer; see docs/batch.md.
        shard: works on this piece of the features alone, into a part of the run that `merge` merges.
        crew: several processes that work on pieces, which are merged at the end.
        stop: asked from outside to end when what is in flight is done.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    started = time.monotonic()
    asked, settings, engine = o.model, o.settings, o.engine
    _refuse_hierarchy(shard, settings)
    opened = named_dump(o.dump, allow_outside=o.allow_outside)
    explainer = make_explainer(opened, asked, settings, o.prompts)
    asks, embeds = asker(explainer, opened, o.prompts), embedder_of_candidates(settings)
    chosen = choose(opened, o.features, width=o.width, sample=o.sample, seed=o.seed)
    stage = ExplainStage(model=asked, settings=settings, prompts={p.name: p.digest[:12] for p in asks.prompts})
    info = RunInfo(version=__version__, created=now(), dump=reference(opened), explain=stage)
    progress, stop = progress or Silent(), stop or Stop()
    result = JobResult(run=run, selected=0, before=0)
    gather(run, crew, progress)
    with shard_writer(run, "explain", info, chosen, opened, shard, result) as place:
        writer, settled = place.writer, place.unexplainable()
        left = np.setdiff1d(np.setdiff1d(place.ids, place.explained()), np.array(list(settled), np.int64))
        result.unexplainable.update(settled.values())
        result.selected, result.before = len(place.ids), len(place.ids) - len(left) - len(settled)
        if o.execution.batch and outbox is None:
            return result
        shuffler = Shuffler(opened, chosen, explainer.settings)
        ancestry = ancestry_of(opened, place.run, explainer.settings)
        recorder = Recorder(writer, result, progress, stop, outbox)
        if engine.budget is not None and len(left):
            # Of a shard that is dealt it goes unheard.
            progress.note(forecast(opened, asks, left, engine.budget, o.prices, engine.more_base_urls))

        async def one(feature: Feature, gateway: Gateway) -> None:
            # Reads row groups of other features; meanwhile the others go on.
            shuffled = await asyncio.to_thread(shuffler.draw, feature) if shuffler.wants(feature.id) else ()
            images = images_of(opened, feature, [e.image for e in shuffled])
            outcome = await explained(asks, feature, images, gateway, shuffled, ancestry.texts(feature))
            recorder.explained(outcome.record, outcome.gaps)

        async def main() -> None:
            nonlocal asks
            if not len(left):
                return
            async with (
                open_gateway(
                    asked,
                    engine,
                    opened,
                    cache=o.cache,
                    prices=o.prices,
                    outbox=outbox,
                    others=judges(asks),
                    say=progress.note,
                ) as gateway,
                open_embedder(embeds, engine, opened, cache=o.cache, say=progress.note) as embedder,
            ):
                asks = with_embedder(asks, embedder)
                result.tally = gateway.tally
                with (
                    progress.show("explain", gateway, len(place.ids), len(place.ids) - len(left)),
                    stop.on_interrupt(progress.note),
                ):
                    announce(progress, asked, engine, embeds, outbox=outbox)
                    # Half as many again as are in flight: their pictures are made while others wait for answers.
                    window = engine.concurrency + engine.concurrency // 2 + 1
                    # What a batch job has not answered yet is told to narrower features.
                    for wave in takewhile(lambda _: not result.deferred, ancestry.waves(left)):
                        await drive(opened.features(only(wave)), lambda f: one(f, gateway), window=window, stop=stop)
                result.spent = gateway.spent

        call = partial(_piece, o.model_copy(update={"cache": cache_folder(o.cache)}).absolute())
        asks_of = tuple(asking(asked, engine, embeds))
        what = Spread("explain", place.run, opened, len(place.ids), engine, progress, stop, asks_of)
        here_or_spread(main, crew, call, ancestry.waves(left), what, result)
        note_address(writer, "explain", asked, o.cache, outbox=outbox)
        result.stopped = result.stopped or stop.reason
    result.seconds = time.monotonic() - started
    return result


def _piece(o: "Explain", *, shard: Shard, engine: EngineSettings, progress: Progress, stop: Stop) -> JobResult:
    """What one of several processes does."""
    o = o.model_copy(update={"engine": engine})
    return explain_features(o, Path(o.run), progress=progress, shard=shard, stop=stop)


def _refuse_hierarchy(shard: Shard | None, settings: ExplainSettings) -> None:
    if shard is not None and shard.ids is None and settings.hierarchy:
        raise SettingsError("--shard with --hierarchy: shards cannot wait for each other's parents; use --engine ray")


def run(settings: Explain, *, progress: Progress | None = None, outbox: Outbox | None = None) -> JobResult:
    """Explains; run again with the same settings, it goes on where it stopped.

    Args:
        settings: all that was asked for.
        progress: shows how far it is.
        outbox: where questions go that a batch job is to answer; see docs/batch.md.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    refuse_overlap(settings.dump, settings.run)
    shard, crew = shard_of(settings.execution), crew_of(settings.execution)
    if settings.execution.batch:
        check_models(models(settings), settings.engine)
    settings = _placed(settings, given=given_here(shard, outbox))
    with work_at("explain", settings.run, settings.execution, settings.cache, shard) as folder:
        result = explain_features(settings, folder, progress=progress, outbox=outbox, shard=shard, crew=crew)
        if settings.execution.batch:
            record(folder, "explain", settings)
        result.run = url_of(result.run, folder, settings.run)
    return result


def _placed(settings: Explain, *, given: bool) -> Explain:
    """The settings with the servers of the models that are asked."""
    model, engine = explainer_at(resolve_model(settings.model), settings.engine, given=given)
    asked = candidates_at(settings.settings, model, given=given)
    return settings.model_copy(update={"model": model, "engine": engine, "settings": asked})


def models(settings: Explain) -> list[ModelSettings]:
    """The models that are asked."""
    return [settings.model]
