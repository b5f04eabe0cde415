"""`autointerp score`: every scorer's verdict on every explanation of a run."""

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TypedDict

import numpy as np

from autointerp.config import EngineSettings, ModelSettings, ScoreSettings
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.jobs.admitting import named_scorers, refuse_screener, refuse_too_few, screeners
from autointerp.jobs.bench import Bench, controlled, make_judge
from autointerp.jobs.calibrated import Known, calibrated
from autointerp.jobs.common import JobResult, Progress, Recorder, Silent, choose, dump_of, only
from autointerp.jobs.embedding import embedder_of, embedder_on
from autointerp.jobs.endpoints import admit_random, announce, asking, given_here, judge_at, note_address, scorers_at
from autointerp.jobs.randomised import explain_random, separations_of, settings_of_random
from autointerp.jobs.sharding import Shard, desk
from autointerp.jobs.shares import after
from autointerp.jobs.spreading import Crew, Spread, absolute, features_text, gather, here_or_spread
from autointerp.lmm.address import check_urls
from autointerp.lmm.batch_client import Outbox
from autointerp.lmm.cache import cache_folder
from autointerp.lmm.calls import Failure, failed
from autointerp.lmm.door import Door
from autointerp.pipeline import Stop, drive
from autointerp.remote.path import Location, local_paths
from autointerp.runs.folder import Run, RunWriter, ScoreStage, open_run
from autointerp.runs.index import holds
from autointerp.schema import Feature
from autointerp.scoring.protocol import Case, Outcome
from autointerp.scoring.scorers import SCORERS
from autointerp.scoring.separation import headline
from autointerp.session import open_door, resolve_model


class _Same(TypedDict):
    """What explaining and scoring a random dump have in common with scoring the run."""

    engine: EngineSettings
    prompts: Path | None
    cache: Path | None
    prices: Path | None
    allow_outside: bool
    progress: Progress | None
    outbox: Outbox | None


def score(
    run: str | Path,
    *,
    judge: str | ModelSettings,
    features: str | Iterable[int] = "all",
    settings: ScoreSettings | None = None,
    engine: EngineSettings | None = None,
    dump: Location | None = None,
    calibration: str | Path | None = None,
    random_dump: Location | None = None,
    prompts: str | Path | None = None,
    cache: str | Path | None = None,
    prices: str | Path | None = None,
    allow_outside: bool = False,
    progress: Progress | None = None,
    outbox: Outbox | None = None,
    idle: bool = False,
    trust: Iterable[str] = (),
    shard: Shard | None = None,
    crew: Crew | None = None,
    stop: Stop | None = None,
) -> JobResult:
    """Scores the explanations of a run; run again with the same arguments, it goes on where it stopped.

    Args:
        run: folder that `explain` made.
        judge: name of the judge, or all its settings. Without a server among them, those of AUTOINTERP_JUDGE_BASE_URL
            or AUTOINTERP_BASE_URL are asked, else the run's own, else OpenAI.
        features: only these of the explained ones.
        settings: which scorers, and what the judge is shown.
        engine: how the endpoint is used.
        dump: where the run's dump is now, if it was moved.
        calibration: of this judge, made by `calibrate`: its known errors are taken out in figures of their own.
        random_dump: of a network with random weights: explained and scored likewise, as a control.
        prompts: folder of your own templates.
        cache: folder of the answers.
        prices: your own price file.
        allow_outside: as for `explain`.
        progress: shows how far it is.
        outbox: where questions go that a batch job is to answer; see docs/batch.md.
        idle: only checks the settings and opens the run folder.
        trust: addresses that the run folder names and that may be asked, though they were never given on this machine.
        shard: works on this piece of the features alone, into a part of the run that `merge` merges.
        crew: several processes that work on pieces, which are merged at the end.
        stop: asked from outside to end when what is in flight is done.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    started = time.monotonic()
    features = features_text(features)
    prompts, cache, prices, calibration = local_paths(prompts, cache, prices, calibration)
    _refuse_random(shard, random_dump)
    progress, stop = progress or Silent(), stop or Stop()
    asked = resolve_model(ModelSettings(model=judge) if isinstance(judge, str) else judge)
    settings, engine = settings or ScoreSettings(), engine or EngineSettings()
    check_urls((asked.base_url, *engine.more_base_urls))
    check_urls((settings.embedder.base_url,), "--embedder-base-url")
    gather(Path(run), crew, progress)
    there = open_run(run)
    given = given_here(shard, outbox)
    asked, engine = judge_at(asked, engine, there, trust=trust, given=given)
    admit_random(there, random_dump, trust=trust)
    opened = dump_of(there, dump, allow_outside=allow_outside)
    result = JobResult(run=Path(run), selected=0, before=0)
    scorers = _scorers(settings, there, opened, result)
    refuse_screener(settings, asked)
    settings = scorers_at(settings, scorers, asked, given=given)
    embedder = embedder_of(settings, scorers)
    trial = make_judge(asked, settings, scorers, prompts)
    known = calibrated(calibration, trial, there.info, result)
    stage = ScoreStage(
        judge=asked,
        settings=settings,
        prompts={p.name: p.digest[:12] for p in trial.prompts},
        calibration=known.digest if known else None,
    )
    index = there.index()
    chosen = np.intersect1d(choose(opened, features, width=None, sample=None, seed=0), index.features)
    info = there.info.model_copy(update={"score": stage})
    with desk(Path(run), "score", info, chosen, opened, shard, result) as place:
        writer = place.writer
        _keep(known, writer.run.path)
        done = {name: place.scored(name) for name in scorers}
        left = place.ids[~np.all([np.isin(place.ids, ids) for ids in done.values()], axis=0)]
        result.selected, result.before = len(place.ids), len(place.ids) - len(left)
        if idle:
            return result
        if not len(chosen):
            result.notes.append("none of the chosen features is explained yet; `autointerp explain` does that")
        recorder = Recorder(writer, result, progress, stop, outbox)
        bench: Bench | None = None

        async def one(feature: Feature, door: Door) -> None:
            assert bench is not None
            case = bench.case(feature, door)
            pending = [name for name in scorers if not holds(done[name], feature.id)]
            outcomes = [(name, await SCORERS[name](case)) for name in pending]
            _record(case, outcomes, writer, recorder)

        async def main() -> None:
            nonlocal bench
            if not len(left):
                return
            rates = known.rates if known else None
            bench = Bench(opened, index, trial, scorers, controlled(chosen, settings), rates)
            async with (
                open_door(
                    asked,
                    engine,
                    opened,
                    cache=cache,
                    prices=prices,
                    outbox=outbox,
                    others=screeners(settings),
                    say=progress.note,
                ) as door,
                embedder_on(bench, embedder, engine, opened, cache=cache, say=progress.note),
            ):
                result.tally = door.tally
                # A feature asks several sheets at once, so fewer features keep the endpoint busy.
                window = engine.concurrency // 2 + 2
                with progress.show("score", door, len(place.ids), result.before), stop.on_interrupt(progress.note):
                    announce(progress, asked, engine, embedder, outbox=outbox)
                    await drive(opened.features(only(left)), lambda f: one(f, door), window=window, stop=stop)
                result.spent = door.spent

        call = partial(
            score,
            absolute(run),
            judge=asked,
            features=features,
            settings=settings,
            dump=opened.path.absolute(),
            calibration=calibration and absolute(calibration),
            prompts=prompts and absolute(prompts),
            cache=absolute(cache_folder(cache)),
            prices=prices and absolute(prices),
            allow_outside=allow_outside,
        )
        asks_of = tuple(asking(asked, engine, embedder))
        what = Spread("score", place.run, opened, len(place.ids), engine, progress, stop, asks_of)
        here_or_spread(main, crew, call, [left], what, result)
        note_address(writer, "score", asked, cache, outbox=outbox)
        result.stopped = result.stopped or stop.reason
    same = _Same(
        engine=engine,
        prompts=prompts,
        cache=cache,
        prices=prices,
        allow_outside=allow_outside,
        progress=progress,
        outbox=outbox,
    )
    if random_dump is not None and not result.stopped:
        _score_random(there, random_dump, asked, settings, same, result)
    if shard is None:
        result.headline = headline(separations_of(there, seed=settings.seed))
    result.seconds = time.monotonic() - started
    return result


def _refuse_random(shard: Shard | None, random_dump: Location | None) -> None:
    if shard is not None and random_dump is not None:
        raise SettingsError("--shard with --random-dump: give --random-dump once, after merging, without --shard")


def _keep(known: Known | None, run: Path) -> None:
    if known is not None:
        known.keep(run)


def _score_random(
    run: Run, dump: Location, judge: ModelSettings, settings: ScoreSettings, same: _Same, result: JobResult
) -> None:
    """Explains and scores the random dump; what went wrong there is the whole command's."""
    engine = same["engine"]
    same["engine"] = after(engine, result.spent)
    nested = explain_random(run, dump, settings, **same)
    both = [nested]
    assert isinstance(nested.run, Path)
    if nested.stopped is None and not nested.deferred:
        same["engine"] = after(engine, result.spent + nested.spent)
        both.append(score(nested.run, judge=judge, settings=settings_of_random(settings), dump=dump, **same))
    for part in both:
        result.stopped = result.stopped or part.stopped
        result.spent += part.spent
        result.failed += part.failed
        result.deferred += part.deferred
        result.failures += part.failures
        if part.failed:
            result.notes.append(f"{part.failed:,} features of the random dump failed and stay pending in {part.run}")


def _scorers(settings: ScoreSettings, run: Run, dump: Dump, result: JobResult) -> tuple[str, ...]:
    names = named_scorers(settings)
    if dump.info.population_note is not None:
        result.notes.append(dump.info.population_note)
    if "relevance" in names and run.info.explain.settings.domain is None and dump.info.attribute is None:
        missing = "the run has no second pass (--domain) and the dump no attribute"
        names = tuple(name for name in names if name != "relevance")
        if not names:
            raise SettingsError(f"--scorers relevance: {missing}")
        # Not a verdict on any feature, so not worth a line for each.
        result.notes.append(f"relevance left out: {missing}")
    refuse_too_few(names, settings)
    return names


def _record(case: Case, outcomes: list[tuple[str, Outcome]], writer: RunWriter, recorder: Recorder) -> None:
    if recorder.postponed([outcome for _, outcome in outcomes if isinstance(outcome, Failure)]):
        return
    for name, outcome in outcomes:
        if isinstance(outcome, Failure):
            recorder.failure(failed(case.feature.id, f"score:{name}", outcome))
        else:
            writer.score(outcome)
    for gap in case.gaps:
        recorder.gap(failed(case.feature.id, f"score:{outcomes[0][0]}", gap))
    recorder.through(failed=any(isinstance(outcome, Failure) for _, outcome in outcomes))
