"""What the options of `score` mean for a run: whose texts are scored, who judges, and by which scorers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from autointerp.commands.score import Score
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.job import JobResult, Progress
from autointerp.jobs.adopt import adopt
from autointerp.jobs.endpoints import admit_random, judge_at, judge_name, scorers_at
from autointerp.lmm.address import checked_url
from autointerp.reports.labels import plural
from autointerp.runs.folder import Run, open_run
from autointerp.runs.info import ControlTexts, RunInfo, ScoreStage
from autointerp.runs.judgings import added, judging_for
from autointerp.scoring.budget import in_words, most_asked
from autointerp.scoring.cases import make_judge
from autointerp.scoring.judge import Judge
from autointerp.scoring.judge_calibration import Known, calibrated
from autointerp.scoring.settings_checks import (
    asks_judge,
    named_scorers,
    refuse_pictures,
    refuse_screener,
    refuse_too_few,
    screeners,
)
from autointerp.session.gateway import resolve_model
from autointerp.settings import ModelName, ModelSettings, RegionSettings, ScoreSettings
from autointerp.shards.dealing import Crew


def adopted(settings: Score, progress: Progress | None) -> tuple[Score, list[str]]:
    """The settings of scoring a run that is made of descriptions from elsewhere, where there are any.

    Returns:
        The settings, and what is to be said of the descriptions that nobody was there to be shown.
    """
    if settings.explanations is None:
        if settings.new_run is not None or settings.layer is not None:
            raise SettingsError("--run and --layer go with --explanations; the run to score is named without an option")
        return settings, []
    if settings.new_run is None:
        raise SettingsError("--explanations: name a folder for the run with --run")
    result = adopt(
        settings.explanations,
        _dump_named(settings),
        settings.new_run,
        layer=settings.layer,
        allow_outside=settings.allow_outside,
    )
    n = f"{result.done:,} of {result.selected:,}"
    said = f"adopted {n} explanations from {settings.explanations} -> {settings.new_run}"
    notes = [said, *result.notes]
    changed = {"run": str(settings.new_run), "explanations": None, "new_run": None, "layer": None}
    settings = settings.model_copy(update=changed)
    if progress is None:
        return settings, notes
    for note in notes:
        progress.note(note)
    return settings, []


def _dump_named(settings: Score) -> str:
    """The dump that descriptions are of: the one that is named, or that of the run that is named in its place."""
    if not (Path(settings.run) / "run.json").exists():
        return settings.run
    return settings.dump or open_run(Path(settings.run)).info.dump.path


def resolved(settings: Score, made: RunInfo) -> Score:
    """The settings with the judge named, and with the regions that the explainer was shown."""
    given = settings.settings.region
    regions = made.explain.settings.region.model_dump() | {n: getattr(given, n) for n in given.model_fields_set}
    scoring = settings.settings.model_copy(update={"region": RegionSettings.model_validate(regions)})
    named = settings.judge.model
    if named is None and not asks_judge(settings.settings.scorers):
        # Nobody is asked: the scores stand beside those of the first judge, and adopted explanations need none.
        named = (made.explain.model if made.score is None else made.score.judge).model
    judge = settings.judge.of(judge_name(made, named))
    return settings.model_copy(update={"judge": judge, "settings": scoring})


def how_much(
    settings: ScoreSettings, person: ModelName, scorers: Sequence[str], n_features: int, n_controlled: int
) -> str:
    """Tells a person how much will be asked, before the first question.

    Args:
        settings: of the scoring.
        person: who is asked.
        scorers: what is asked.
        n_features: how many features are left.
        n_controlled: how many features carry controls.
    """
    # Accuracy reads detection's answers.
    asking = [n for n in scorers if most_asked(settings, n) and not (n == "accuracy" and "detection" in scorers)]
    each = ", ".join(f"{in_words(settings, name)} by {name}" for name in asking) or "a few questions"
    said = f"{person} is asked about {plural(n_features, 'feature')}, of each: {each}"
    if not n_controlled:
        return said
    carry = f"{plural(n_controlled, 'feature')} {'carries' if n_controlled == 1 else 'carry'} controls too"
    return f"{said}; {carry}, several times as many questions, which --controls 0 leaves out"


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


def refuse_crew(judge: ModelSettings, crew: Crew | None) -> None:
    """Refuses several processes that would ask one person.

    Raises:
        SettingsError: that is what was asked for.
    """
    if judge.model.is_human and crew is not None:
        raise SettingsError("--engine ray with --judge-model human: a person answers on one page; leave --engine out")


def models(settings: Score) -> list[ModelSettings]:
    """The models that are asked: the judge, the one that screens, and the explainer of a random dump.

    Scorers that ask the network alone have none.

    Raises:
        RunError: the run cannot be read.
    """
    judge = ModelSettings.model_validate(settings.judge)
    random = [open_run(settings.run).info.explain.model] if settings.random_dump is not None else []
    if not asks_judge(settings.settings.scorers) and not random:
        return []
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
    result.notes += dump.info.notes
    if "relevance" in names and run.info.explain.settings.domain is None and dump.info.attribute is None:
        missing = "the run has no second pass (--domain) and the dump no attribute"
        names = tuple(name for name in names if name != "relevance")
        if not names:
            raise SettingsError(f"--scorers relevance: {missing}")
        # Not a verdict on any feature, so not worth a line for each.
        result.notes.append(f"relevance left out: {missing}")
    refuse_too_few(names, settings)
    refuse_pictures(names, settings)
    return names


class Trial(NamedTuple):
    """Who judges a run, and as which of its judgings."""

    judge: Judge
    known: Known | None
    """The calibration of the judge."""
    info: RunInfo
    """What run.json says with the judging."""
    controls: ControlTexts | None
    """The texts whose pictures are controls; None where no pictures are made."""
    said: str | None
    """What there is to say of the scores that are there; None for nothing."""


def trial_of(
    o: Score,
    judge: ModelSettings,
    scorers: tuple[str, ...],
    run: Run,
    result: JobResult,
    fixed: Callable[[ControlTexts | None], ControlTexts],
) -> Trial:
    """Finds the judging of a run that the options go on with, or begins one; the result is told its name.

    Args:
        o: the settings of the command.
        judge: who judges.
        scorers: which run.
        run: that is scored.
        result: of the command.
        fixed: completes the control texts that the judging has, where pictures are made.

    Raises:
        SettingsError: the calibration cannot be read, or the judge cannot screen as the options say.
    """
    refuse_screener(o.settings, judge)
    made = make_judge(judge, o.settings, scorers, o.prompts)
    asks = asks_judge(scorers) or o.calibration is not None
    known = calibrated(o.calibration, made, run.info, result) if asks else None
    stage = ScoreStage(
        judge=judge,
        settings=o.settings,
        prompts={p.name: p.digest[:12] for p in made.prompts},
        calibration=known.digest if known else None,
    )
    name = result.judging = judging_for(run, stage)
    if o.settings.pictures is not None:
        before = run.binding.judgings.get(name)
        stage = stage.model_copy(update={"controls": fixed(None if before is None else before.controls)})
    return Trial(made, known, run.binding.with_judging(name, stage), stage.controls, added(run, name, stage))
