"""The control of random weights: a dump of an untrained network, explained and scored as the run itself was."""

from collections.abc import Iterable
from pathlib import Path

from autointerp.config import EngineSettings, ScoreSettings
from autointerp.errors import SettingsError
from autointerp.jobs.adopting import is_adopted
from autointerp.jobs.common import JobResult, Progress
from autointerp.jobs.explaining import explain
from autointerp.lmm.batch_client import Outbox
from autointerp.remote.path import Location
from autointerp.runs.folder import Run, open_run
from autointerp.schema import Score
from autointerp.scoring.control_tests import Separation, separations

FOLDER = "random"
"""Inside the run's own."""


def explain_random(
    run: Run,
    dump: Location,
    settings: ScoreSettings,
    *,
    engine: EngineSettings | None,
    prompts: Path | None,
    cache: Path | None,
    prices: Path | None,
    allow_outside: bool,
    progress: Progress | None,
    outbox: Outbox | None,
) -> JobResult:
    """Explains as many features of the random dump as the run has controlled ones, with the run's own explainer.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    made = run.info.explain
    if is_adopted(run.info):
        raise SettingsError(
            "--random-dump: the run's explanations were adopted from a file; there is no explainer for the random dump"
        )
    return explain(
        dump,
        run.path / FOLDER,
        model=made.model,
        sample=sample_size(settings),
        seed=settings.seed,
        settings=made.settings.model_copy(update={"domain": None}),
        # The further addresses are the judge's.
        engine=engine.model_copy(update={"more_base_urls": ()}) if engine else None,
        prompts=prompts,
        cache=cache,
        prices=prices,
        allow_outside=allow_outside,
        progress=progress,
        outbox=outbox,
    )


def sample_size(settings: ScoreSettings) -> int:
    """Features of the random dump that are looked at."""
    return settings.n_controls or ScoreSettings().n_controls


def settings_of_random(settings: ScoreSettings) -> ScoreSettings:
    """How the random dump is scored: as the run, by detection alone and without controls of its own."""
    return settings.model_copy(update={"scorers": ("detection",), "n_controls": 0})


def separations_of(run: Run, *, seed: int) -> tuple[Separation, ...]:
    """The controls of a run against its own scores, with those of the random dump if it has been scored.

    Raises:
        RunError: a broken line in the run.
    """
    return separations(run.scores(), random_scores(run), seed=seed)


def random_scores(run: Run) -> Iterable[Score]:
    """The scores of the random dump; none if it has not been scored."""
    inside = run.path / FOLDER
    return open_run(inside).scores() if (inside / "run.json").exists() else ()
