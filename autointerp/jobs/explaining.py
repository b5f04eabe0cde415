"""`autointerp explain`: an explanation for each chosen feature of a dump, into a run folder."""

import asyncio
import time
from collections.abc import Iterable
from functools import partial
from itertools import takewhile
from pathlib import Path

import numpy as np

from autointerp.clock import now
from autointerp.config import EngineSettings, ExplainSettings, ModelSettings
from autointerp.dump.reader import open_dump
from autointerp.errors import SettingsError
from autointerp.jobs.ancestry import ancestry_of
from autointerp.jobs.candidates import asker, embedder_of_candidates, explained, judges, with_embedder
from autointerp.jobs.common import JobResult, Progress, Recorder, Silent, choose, images_of, only, reference
from autointerp.jobs.embedding import open_embedder
from autointerp.jobs.endpoints import announce, asking, candidates_at, explainer_at, given_here, note_address
from autointerp.jobs.planning import forecast, make_explainer
from autointerp.jobs.sharding import Shard, desk
from autointerp.jobs.shuffling import Shuffler
from autointerp.jobs.spreading import Crew, Spread, absolute, features_text, gather, here_or_spread
from autointerp.lmm.batch_client import Outbox
from autointerp.lmm.cache import cache_folder
from autointerp.lmm.door import Door
from autointerp.pipeline import Stop, drive
from autointerp.remote.path import Location, as_path, local_paths
from autointerp.runs.folder import ExplainStage, RunInfo
from autointerp.schema import Feature
from autointerp.session import open_door, resolve_model
from autointerp.version import __version__


def explain(
    dump: Location,
    run: str | Path,
    *,
    model: str | ModelSettings,
    features: str | Iterable[int] = "all",
    width: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    settings: ExplainSettings | None = None,
    engine: EngineSettings | None = None,
    prompts: str | Path | None = None,
    cache: str | Path | None = None,
    prices: str | Path | None = None,
    allow_outside: bool = False,
    progress: Progress | None = None,
    outbox: Outbox | None = None,
    idle: bool = False,
    shard: Shard | None = None,
    crew: Crew | None = None,
    stop: Stop | None = None,
) -> JobResult:
    """Explains features; run again with the same arguments, it goes on where it stopped.

    Args:
        dump: folder of the feature dump, or its URL.
        run: folder of the run, made if missing.
        model: name of the explainer, or all its settings. Without a server among them, those of AUTOINTERP_BASE_URL are
            asked, else OpenAI.
        features: `all`, `0-511,600`, `@FILE`, or ids.
        width: only features of this nested prefix.
        sample: only this many of them, drawn by `seed`.
        seed: of the sample, and of the images shown where `settings` is not given.
        settings: what is shown and asked.
        engine: how the endpoint is used.
        prompts: folder of your own templates, which override the shipped ones.
        cache: folder of the answers; `cache/` or AUTOINTERP_CACHE by default.
        prices: your own price file.
        allow_outside: whether the dump's image paths may be absolute or leave its folder.
        progress: shows how far it is.
        outbox: where questions go that a batch job is to answer; see docs/batch.md.
        idle: only checks the settings and opens the run folder.
        shard: works on this piece of the features alone, into a part of the run that `merge` merges.
        crew: several processes that work on pieces, which are merged at the end.
        stop: asked from outside to end when what is in flight is done.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    started = time.monotonic()
    features = features_text(features)
    prompts, cache, prices = local_paths(prompts, cache, prices)
    settings = settings or ExplainSettings(seed=seed)
    _refuse_hierarchy(shard, settings)
    opened = open_dump(dump, allow_outside=allow_outside)
    asked = resolve_model(ModelSettings(model=model, seed=seed) if isinstance(model, str) else model)
    given = given_here(shard, outbox)
    asked, engine = explainer_at(asked, engine or EngineSettings(), given=given)
    settings = candidates_at(settings, asked, given=given)
    explainer = make_explainer(opened, asked, settings, prompts)
    asks, embeds = asker(explainer, opened, prompts), embedder_of_candidates(settings)
    chosen = choose(opened, features, width=width, sample=sample, seed=seed)
    stage = ExplainStage(model=asked, settings=settings, prompts={p.name: p.digest[:12] for p in asks.prompts})
    info = RunInfo(version=__version__, created=now(), dump=reference(opened), explain=stage)
    progress, stop = progress or Silent(), stop or Stop()
    result = JobResult(run=Path(run), selected=0, before=0)
    gather(Path(run), crew, progress)
    with desk(Path(run), "explain", info, chosen, opened, shard, result) as place:
        writer, left = place.writer, np.setdiff1d(place.ids, place.explained())
        result.selected, result.before = len(place.ids), len(place.ids) - len(left)
        if idle:
            return result
        shuffler = Shuffler(opened, chosen, explainer.settings)
        ancestry = ancestry_of(opened, place.run, explainer.settings)
        recorder = Recorder(writer, result, progress, stop, outbox)
        if engine.budget is not None and len(left):
            # Of a shard that is dealt it goes unheard.
            progress.note(forecast(opened, asks, left, engine.budget, prices, engine.more_base_urls))

        async def one(feature: Feature, door: Door) -> None:
            if feature.row.n_active == 0 and not feature.active:
                recorder.dead()
                return
            # Reads row groups of other features; meanwhile the others go on.
            shuffled = await asyncio.to_thread(shuffler.draw, feature) if shuffler.wants(feature.id) else ()
            images = images_of(opened, feature, [e.image for e in shuffled])
            outcome = await explained(asks, feature, images, door, shuffled, ancestry.texts(feature))
            recorder.explained(outcome.record, outcome.gaps)

        async def main() -> None:
            nonlocal asks
            if not len(left):
                return
            async with (
                open_door(
                    asked,
                    engine,
                    opened,
                    cache=cache,
                    prices=prices,
                    outbox=outbox,
                    others=judges(asks),
                    say=progress.note,
                ) as door,
                open_embedder(embeds, engine, opened, cache=cache, say=progress.note) as embedder,
            ):
                asks = with_embedder(asks, embedder)
                result.tally = door.tally
                with progress.show("explain", door, len(place.ids), result.before), stop.on_interrupt(progress.note):
                    announce(progress, asked, engine, embeds, outbox=outbox)
                    # Half as many again as are in flight: their pictures are made while others wait for answers.
                    window = engine.concurrency + engine.concurrency // 2 + 1
                    # What a batch job has not answered yet is told to narrower features.
                    for wave in takewhile(lambda _: not result.deferred, ancestry.waves(left)):
                        await drive(opened.features(only(wave)), lambda f: one(f, door), window=window, stop=stop)
                result.spent = door.spent

        call = partial(
            explain,
            as_path(dump).absolute(),
            absolute(run),
            model=asked,
            features=features,
            width=width,
            sample=sample,
            seed=seed,
            settings=settings,
            prompts=prompts and absolute(prompts),
            cache=absolute(cache_folder(cache)),
            prices=prices and absolute(prices),
            allow_outside=allow_outside,
        )
        asks_of = tuple(asking(asked, engine, embeds))
        what = Spread("explain", place.run, opened, len(place.ids), engine, progress, stop, asks_of)
        here_or_spread(main, crew, call, ancestry.waves(left), what, result)
        note_address(writer, "explain", asked, cache, outbox=outbox)
        result.stopped = result.stopped or stop.reason
    result.seconds = time.monotonic() - started
    return result


def _refuse_hierarchy(shard: Shard | None, settings: ExplainSettings) -> None:
    if shard is not None and shard.ids is None and settings.hierarchy:
        raise SettingsError("--shard with --hierarchy: shards cannot wait for each other's parents; use --workers")
