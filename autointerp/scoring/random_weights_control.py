"""The control of random weights: a dump of an untrained network, explained and scored as the run itself was."""

from collections.abc import Iterable

from autointerp.runs.folder import Run, open_run
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
