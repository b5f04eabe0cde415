"""`explain --batch`, `score --batch`, `calibrate --batch`: check the command, record it, ask nothing."""

from collections.abc import Iterable
from pathlib import Path

from autointerp.config import EngineSettings, ExplainSettings, ModelSettings, ScoreSettings
from autointerp.errors import SettingsError
from autointerp.jobs.batch_plans import (
    CalibratePlan,
    ExplainPlan,
    ScorePlan,
    absolute,
    absolute_features,
    check_model,
    record,
)
from autointerp.jobs.calibrating import CALLS, CalibrationResult, calibrate
from autointerp.jobs.common import JobResult, Progress
from autointerp.jobs.endpoints import candidates_at, explainer_at, judge_at, scorers_at
from autointerp.jobs.explaining import explain
from autointerp.jobs.scoring import score
from autointerp.lmm.address import check_urls
from autointerp.lmm.cache import cache_folder
from autointerp.remote.path import Location, as_path, local_paths
from autointerp.runs.folder import open_run
from autointerp.session import is_local


def batch_explain(
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
) -> JobResult:
    """Records an explaining for a batch job; `batch_submit` or `batch_run` goes on. Arguments as of `explain`.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    prompts, cache, prices = local_paths(prompts, cache, prices)
    asked = ModelSettings(model=model, seed=seed) if isinstance(model, str) else model
    asked, engine = explainer_at(asked, engine or EngineSettings())
    check_model(asked, engine)
    settings = candidates_at(settings or ExplainSettings(seed=seed), asked)
    text = features if isinstance(features, str) else ",".join(str(f) for f in features)
    result = explain(
        dump,
        run,
        model=asked,
        features=text,
        width=width,
        sample=sample,
        seed=seed,
        settings=settings,
        engine=engine,
        prompts=prompts,
        cache=cache,
        prices=prices,
        allow_outside=allow_outside,
        progress=progress,
        idle=True,
    )
    plan = ExplainPlan(
        dump=str(as_path(dump).resolve()),
        features=absolute_features(text),
        width=width,
        sample=sample,
        seed=seed,
        model=asked,
        settings=settings,
        engine=engine,
        prompts=absolute(prompts),
        cache=str(cache_folder(cache).resolve()),
        prices=absolute(prices),
        allow_outside=allow_outside,
    )
    record(run, plan)
    return result


def batch_score(
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
    trust: Iterable[str] = (),
    progress: Progress | None = None,
) -> JobResult:
    """Records a scoring for a batch job, also of explanations that are still to come. Arguments as of `score`.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    prompts, cache, prices, calibration = local_paths(prompts, cache, prices, calibration)
    asked = ModelSettings(model=judge) if isinstance(judge, str) else judge
    check_urls((asked.base_url, *(engine.more_base_urls if engine else ())))
    there = open_run(run)
    asked, engine = judge_at(asked, engine or EngineSettings(), there, trust=trust)
    check_model(asked, engine)
    settings = settings or ScoreSettings()
    settings = scorers_at(settings, settings.scorers, asked)
    if random_dump is not None and is_local(there.info.explain.model.model):
        raise SettingsError(
            "--batch with --random-dump: the run was explained by the embedded model, which a batch job does not "
            "reach; leave --batch or --random-dump out"
        )
    text = features if isinstance(features, str) else ",".join(str(f) for f in features)
    result = score(
        run,
        judge=asked,
        features=text,
        settings=settings,
        engine=engine,
        dump=dump,
        calibration=calibration,
        random_dump=random_dump,
        prompts=prompts,
        cache=cache,
        prices=prices,
        allow_outside=allow_outside,
        progress=progress,
        idle=True,
        trust=trust,
    )
    plan = ScorePlan(
        features=absolute_features(text),
        judge=asked,
        settings=settings,
        engine=engine,
        dump=absolute(dump),
        calibration=absolute(calibration),
        random_dump=absolute(random_dump),
        prompts=absolute(prompts),
        cache=str(cache_folder(cache).resolve()),
        prices=absolute(prices),
        allow_outside=allow_outside,
    )
    record(run, plan)
    return result


def batch_calibrate(
    model: str | ModelSettings,
    *,
    out: str | Path | None = None,
    calls: int = CALLS,
    seed: int = 0,
    settings: ScoreSettings | None = None,
    engine: EngineSettings | None = None,
    prompts: str | Path | None = None,
    cache: str | Path | None = None,
    prices: str | Path | None = None,
    keep_images: str | Path | None = None,
    progress: Progress | None = None,
) -> CalibrationResult:
    """Records a calibration for a batch job, in the folder of the file that it will write. Arguments as of `calibrate`.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    prompts, cache, prices, out, keep_images = local_paths(prompts, cache, prices, out, keep_images)
    asked = ModelSettings(model=model) if isinstance(model, str) else model
    asked, engine = judge_at(asked, engine or EngineSettings())
    check_model(asked, engine)
    settings = settings or ScoreSettings()
    result = calibrate(
        asked,
        out=out,
        calls=calls,
        seed=seed,
        settings=settings,
        engine=engine,
        prompts=prompts,
        cache=cache,
        prices=prices,
        keep_images=keep_images,
        progress=progress,
        idle=True,
    )
    plan = CalibratePlan(
        model=asked,
        out=str(result.out.resolve()),
        calls=calls,
        seed=seed,
        settings=settings,
        engine=engine,
        prompts=absolute(prompts),
        cache=str(cache_folder(cache).resolve()),
        prices=absolute(prices),
        keep_images=absolute(keep_images),
    )
    record(result.out.parent, plan)
    return result
