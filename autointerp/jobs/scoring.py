"""`autointerp score`: every scorer's verdict on every explanation of a run."""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from autointerp.clock import now
from autointerp.config import EngineSettings, ModelSettings, ScoreSettings
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.jobs.common import JobResult, Progress, Recorder, Silent, choose, dump_of, images_of, only
from autointerp.lmm.calls import Failure
from autointerp.lmm.door import Door
from autointerp.pipeline import Stop, drive, run_async
from autointerp.prompts import load_prompt
from autointerp.runs.folder import Run, RunWriter, ScoreStage, open_run
from autointerp.runs.index import holds
from autointerp.schema import Explanation, FailureRecord, Feature
from autointerp.scoring.judge import Judge
from autointerp.scoring.protocol import Case
from autointerp.scoring.sampling import draw_sample
from autointerp.scoring.scorers import SCORERS
from autointerp.session import open_door, resolve_model


def score(
    run: str | Path,
    *,
    judge: str | ModelSettings,
    features: str | Iterable[int] = "all",
    settings: ScoreSettings | None = None,
    engine: EngineSettings | None = None,
    dump: Path | None = None,
    prompts: Path | None = None,
    cache: Path | None = None,
    prices: Path | None = None,
    allow_outside: bool = False,
    progress: Progress | None = None,
) -> JobResult:
    """Scores the explanations of a run; run again with the same arguments, it goes on where it stopped.

    Args:
        run: folder that `explain` made.
        judge: name of the judge, or all its settings.
        features: only these of the explained ones.
        settings: which scorers, and what the judge is shown.
        engine: how the endpoint is used.
        dump: where the run's dump is now, if it was moved.
        prompts: folder of your own templates.
        cache: folder of the answers.
        prices: your own price file.
        allow_outside: as for `explain`.
        progress: shows how far it is.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    started = time.monotonic()
    there = open_run(run)
    opened = dump_of(there, dump, allow_outside=allow_outside)
    asked = resolve_model(ModelSettings(model=judge) if isinstance(judge, str) else judge)
    settings, engine = settings or ScoreSettings(), engine or EngineSettings()
    result = JobResult(run=Path(run), selected=0, before=0)
    scorers = _scorers(settings, there, opened, result)
    rate = attribute_rate(opened)
    trial = Judge(asked, settings, load_prompt("judge", prompts))
    stage = ScoreStage(judge=asked, settings=settings, prompts={"judge": trial.digest})
    with RunWriter(Path(run), there.info.model_copy(update={"score": stage})) as writer:
        index = writer.run.index()
        chosen = np.intersect1d(choose(opened, features, width=None, sample=None, seed=0), index.features)
        done = {name: writer.run.scored(name) for name in scorers}
        left = chosen[~np.all([np.isin(chosen, ids) for ids in done.values()], axis=0)]
        result.selected, result.before = len(chosen), len(chosen) - len(left)
        if not len(chosen):
            result.notes.append("none of the chosen features is explained yet; `autointerp explain` does that")
        progress, stop = progress or Silent(), Stop()
        recorder = Recorder(writer, result, progress, stop)

        async def one(feature: Feature, door: Door) -> None:
            pending = [name for name in scorers if not holds(done[name], feature.id)]
            case = make_case(feature, index[feature.id], opened, trial, door, scorers, rate)
            outcomes = [(name, await SCORERS[name](case)) for name in pending]
            for name, outcome in outcomes:
                if isinstance(outcome, Failure):
                    recorder.failure(_failed(feature, name, outcome))
                else:
                    writer.score(outcome)
            recorder.through(failed=any(isinstance(outcome, Failure) for _, outcome in outcomes))

        async def main() -> None:
            if not len(left):
                return
            async with open_door(asked, engine, opened, cache=cache, prices=prices) as door:
                result.tally = door.tally
                # A feature asks several sheets at once, so fewer features keep the endpoint busy.
                window = engine.concurrency // 2 + 2
                with progress.show("score", door, len(chosen), result.before), stop.on_interrupt(progress.note):
                    await drive(opened.features(only(left)), lambda f: one(f, door), window=window, stop=stop)

        run_async(main)
    result.stopped = stop.reason
    result.seconds = time.monotonic() - started
    return result


def make_case(
    feature: Feature,
    explanation: Explanation,
    dump: Dump,
    judge: Judge,
    door: Door,
    scorers: tuple[str, ...],
    base_rate: float | None,
) -> Case:
    """Puts one explanation on trial: draws its held-out images."""
    images = images_of(dump, feature, (*explanation.images, *explanation.contrast))
    sample = draw_sample(
        feature, explanation, images, judge.settings, grid=dump.info.patch_grid, n_images=dump.info.n_images
    )
    return Case(feature, explanation, sample, judge, door, base_rate, scorers)


def attribute_rate(dump: Dump) -> float | None:
    """Share of the stored images that carry the dump's attribute; None where there is none."""
    if dump.info.attribute is None:
        return None
    known = dump.images_table()["attribute"].drop_null()
    return float(np.mean(known.to_numpy(zero_copy_only=False))) if len(known) else None


def _scorers(settings: ScoreSettings, run: Run, dump: Dump, result: JobResult) -> tuple[str, ...]:
    unknown = [name for name in settings.scorers if name not in SCORERS]
    if unknown:
        raise SettingsError(f"--scorers {unknown[0]}: no such scorer; there is {', '.join(SCORERS)}")
    names = tuple(dict.fromkeys(settings.scorers))
    if not names:
        raise SettingsError(f"--scorers: no scorer is named; there is {', '.join(SCORERS)}")
    if "relevance" in names and run.info.explain.settings.domain is None and dump.info.attribute is None:
        missing = "the run has no second pass (--domain) and the dump no attribute"
        names = tuple(name for name in names if name != "relevance")
        if not names:
            raise SettingsError(f"--scorers relevance: {missing}")
        # Not a verdict on any feature, so not worth a line for each.
        result.notes.append(f"relevance left out: {missing}")
    _refuse_too_few(names, settings)
    return names


def _refuse_too_few(scorers: tuple[str, ...], settings: ScoreSettings) -> None:
    """Else every feature would be unscored, and its evidence blamed for it."""
    n, least = settings.n_active, settings.min_active
    if n < least and {"detection", "accuracy"} & set(scorers):
        raise SettingsError(f"--active {n}: too few for a score; give at least {least}")
    n, least = settings.n_silent, settings.min_silent
    if n < least and "detection" in scorers:
        raise SettingsError(f"--silent {n}: too few for detection; give at least {least}, or --scorers without it")


def _failed(feature: Feature, scorer: str, failure: Failure) -> FailureRecord:
    return FailureRecord(
        feature=feature.id,
        stage=f"score:{scorer}",
        kind=failure.kind,
        message=failure.message,
        attempts=failure.attempts,
        created=now(),
    )
