"""What the options of `score` mean for a run: whose texts are scored, who judges, and by which scorers."""

from autointerp.commands.score import Score
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.job import JobResult, Progress
from autointerp.jobs.adopt import adopt
from autointerp.jobs.endpoints import admit_random, judge_at, judge_name, scorers_at
from autointerp.lmm.address import checked_url
from autointerp.runs.folder import Run, RunInfo, open_run
from autointerp.scoring.settings_checks import named_scorers, refuse_too_few, screeners
from autointerp.session.gateway import resolve_model
from autointerp.settings import ModelSettings, RegionSettings, ScoreSettings


def adopted(settings: Score, progress: Progress | None) -> Score:
    """The settings of scoring a run that is made of descriptions from elsewhere, where there are any."""
    if settings.explanations is None:
        if settings.new_run is not None or settings.layer is not None:
            raise SettingsError("--run and --layer go with --explanations; the run to score is named without an option")
        return settings
    if settings.new_run is None:
        raise SettingsError("--explanations: name a folder for the run with --run")
    result = adopt(
        settings.explanations,
        settings.run,
        settings.new_run,
        layer=settings.layer,
        allow_outside=settings.allow_outside,
    )
    n = f"{result.done:,} of {result.selected:,}"
    said = f"adopted {n} explanations from {settings.explanations} -> {settings.new_run}"
    for note in (said, *result.notes):
        if progress is not None:
            progress.note(note)
    return settings.model_copy(
        update={"run": str(settings.new_run), "explanations": None, "new_run": None, "layer": None}
    )


def resolved(settings: Score, made: RunInfo) -> Score:
    """The settings with the judge named, and with the regions that the explainer was shown."""
    given = settings.settings.region
    regions = made.explain.settings.region.model_dump() | {n: getattr(given, n) for n in given.model_fields_set}
    scoring = settings.settings.model_copy(update={"region": RegionSettings.model_validate(regions)})
    judge = settings.judge.of(judge_name(made, settings.judge.model))
    return settings.model_copy(update={"judge": judge, "settings": scoring})


def refuse_local_explainer(settings: Score, made: RunInfo) -> None:
    """Refuses a batch job with a random dump that the embedded model would explain.

    Raises:
        SettingsError: that is what was asked for.
    """
    if settings.random_dump is not None and made.explain.model.model.is_local:
        raise SettingsError(
            "--batch with --random-dump: the run was explained by the embedded model, which a batch job does not "
            "reach; leave --batch or --random-dump out"
        )


def models(settings: Score) -> list[ModelSettings]:
    """The models that are asked: the judge, the one that screens, and the explainer of a random dump.

    Raises:
        RunError: the run cannot be read.
    """
    judge = ModelSettings.model_validate(settings.judge)
    random = [open_run(settings.run).info.explain.model] if settings.random_dump is not None else []
    return [judge, *(judge.of(name) for name in screeners(settings.settings)), *random]


def placed(settings: Score, there: Run, *, given: bool) -> Score:
    """The settings with the servers of the models that are asked."""
    checked_url(settings.settings.embedder.base_url, "--embedder-base-url")
    named, trust = ModelSettings.model_validate(settings.judge), settings.trust_address
    judge, engine = judge_at(resolve_model(named), settings.engine, there, trust=trust, given=given)
    admit_random(there, settings.random_dump, trust=trust)
    scoring = scorers_at(settings.settings, settings.settings.scorers, judge, given=given)
    return settings.model_copy(update={"judge": judge, "engine": engine, "settings": scoring})


def scorers_of(settings: ScoreSettings, run: Run, dump: Dump, result: JobResult) -> tuple[str, ...]:
    """Names the scorers that the run has what they need; the result is told what is left out.

    Raises:
        SettingsError: none is left, or one cannot work with so few images.
    """
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
