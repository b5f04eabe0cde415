"""The control of random weights: a dump of an untrained network, explained and scored as the run itself was."""

from collections.abc import Iterable

from autointerp.runs.folder import Run, open_run
from autointerp.runs.info import ScoreStage
from autointerp.runs.score_lines import FIGURES
from autointerp.schema import Score
from autointerp.scoring.control_tests import Separation, separations
from autointerp.settings import ScoreSettings

FOLDER = "random"
"""Inside the run's own."""


def sample_size(settings: ScoreSettings) -> int:
    """Features of the random dump that are looked at."""
    return settings.n_controls or ScoreSettings().n_controls


def settings_of_random(settings: ScoreSettings) -> ScoreSettings:
    """How the random dump is scored: as the run, by detection alone and without controls of its own."""
    return settings.model_copy(update={"scorers": ("detection",), "n_controls": 0, "pictures": None})


def separations_of(run: Run, *, seed: int) -> tuple[Separation, ...]:
    """The controls of a run against its own scores, with those of the random dump if it has been scored.

    Raises:
        RunError: a broken line in the run.
    """
    return separations(run.scores(FIGURES), random_scores(run), seed=seed)


def random_scores(run: Run) -> Iterable[Score]:
    """The scores of the random dump by the judging that the run is read with; none if it has not scored it."""
    inside = run.path / FOLDER
    if not (inside / "run.json").exists():
        return ()
    random = open_run(inside)
    if len(run.info.judgings) < 2 and not random.info.more_scores:
        return random.scores()
    wanted = None if run.stage is None else _of_random(run.stage)
    found = (name for name, stage in random.info.judgings.items() if wanted is not None and not wanted.differs(stage))
    judging = next(found, None)
    return () if judging is None else random.of_judging(judging).scores()


def _of_random(stage: ScoreStage) -> ScoreStage:
    """The judging of a random dump that goes with one of the run."""
    changed = {"settings": settings_of_random(stage.settings), "calibration": None}
    return stage.model_copy(update=changed)
