"""`autointerp explain`: an explanation for each chosen feature of a dump, into a run folder."""

import asyncio
import time
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

import numpy as np

from autointerp.clock import now
from autointerp.config import EngineSettings, ExplainSettings, ModelSettings
from autointerp.dump.reader import open_dump
from autointerp.jobs.ancestry import ancestry_of
from autointerp.jobs.common import JobResult, Progress, Recorder, Silent, choose, images_of, only, reference
from autointerp.jobs.planning import forecast, make_explainer
from autointerp.jobs.shuffling import Shuffler
from autointerp.lmm.batch_client import Outbox
from autointerp.lmm.door import Door
from autointerp.pipeline import Stop, drive, run_async
from autointerp.runs.folder import ExplainStage, RunInfo, RunWriter
from autointerp.schema import Feature
from autointerp.session import open_door, resolve_model
from autointerp.version import __version__


def explain(
    dump: str | Path,
    run: str | Path,
    *,
    model: str | ModelSettings,
    features: str | Iterable[int] = "all",
    width: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    settings: ExplainSettings | None = None,
    engine: EngineSettings | None = None,
    prompts: Path | None = None,
    cache: Path | None = None,
    prices: Path | None = None,
    allow_outside: bool = False,
    progress: Progress | None = None,
    outbox: Outbox | None = None,
    idle: bool = False,
) -> JobResult:
    """Explains features; run again with the same arguments, it goes on where it stopped.

    Args:
        dump: folder of the feature dump.
        run: folder of the run, made if missing.
        model: name of the explainer, or all its settings.
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

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    started = time.monotonic()
    opened = open_dump(dump, allow_outside=allow_outside)
    asked = resolve_model(ModelSettings(model=model, seed=seed) if isinstance(model, str) else model)
    explainer = make_explainer(opened, asked, settings or ExplainSettings(seed=seed), prompts)
    chosen = choose(opened, features, width=width, sample=sample, seed=seed)
    stage = ExplainStage(
        model=asked, settings=explainer.settings, prompts={p.name: p.digest[:12] for p in explainer.prompts}
    )
    info = RunInfo(version=__version__, created=now(), dump=reference(opened), explain=stage)
    engine = engine or EngineSettings()
    with RunWriter(Path(run), info) as writer:
        left = np.setdiff1d(chosen, writer.run.index().features)
        result = JobResult(run=Path(run), selected=len(chosen), before=len(chosen) - len(left))
        if idle:
            return result
        shuffler = Shuffler(opened, chosen, explainer.settings)
        ancestry = ancestry_of(opened, writer.run, explainer.settings)
        progress, stop = progress or Silent(), Stop()
        recorder = Recorder(writer, result, progress, stop, outbox)
        if engine.budget is not None and len(left):
            progress.note(forecast(opened, explainer, left, engine.budget, prices, engine.more_base_urls))

        async def one(feature: Feature, door: Door) -> None:
            if feature.row.n_active == 0 and not feature.active:
                recorder.dead()
                return
            # Reads row groups of other features; meanwhile the others go on.
            shuffled = await asyncio.to_thread(shuffler.draw, feature) if shuffler.wants(feature.id) else ()
            images = images_of(opened, feature, [e.image for e in shuffled])
            outcome = await explainer.explain(feature, images, door, shuffled, ancestry.texts(feature))
            recorder.explained(outcome)

        async def main() -> None:
            if not len(left):
                return
            async with open_door(asked, engine, opened, cache=cache, prices=prices, outbox=outbox) as door:
                result.tally = door.tally
                with progress.show("explain", door, len(chosen), result.before), stop.on_interrupt(progress.note):
                    # Half as many again as are in flight: their pictures are made while others wait for answers.
                    window = engine.concurrency + engine.concurrency // 2 + 1
                    # What a batch job has not answered yet is told to narrower features.
                    for wave in takewhile(lambda _: not result.deferred, ancestry.waves(left)):
                        await drive(opened.features(only(wave)), lambda f: one(f, door), window=window, stop=stop)

        run_async(main)
    result.stopped = stop.reason
    result.seconds = time.monotonic() - started
    return result
