import pytest

from autointerp.errors import SettingsError
from autointerp.scoring.random_weights_control import settings_of_random
from autointerp.scoring.settings_checks import refuse_pictures, refuse_too_few
from autointerp.settings import PictureSettings, ScoreSettings


@pytest.mark.parametrize(
    ("settings", "scorer", "line"),
    [
        (ScoreSettings(n_active=4), "detection", "--active 4: too few for a score; give at least 5"),
        (ScoreSettings(n_silent=4), "detection", "--silent 4: too few for detection; give at least 5, or --scorers "),
        (ScoreSettings(n_localisation=4), "localisation", "--n-localisation 4: too few for localisation; give at lea"),
        (
            ScoreSettings(n_embedding=4),
            "embedding",
            "--n-embedding 4: too few for embedding; give at least 5, or --sco",
        ),
        (
            ScoreSettings(n_embedding=1, min_active=1),
            "embedding",
            "--n-embedding 1: too few for embedding; give at lea",
        ),
        (
            ScoreSettings(budget_per_feature=4),
            "detection",
            "--budget-per-feature 4: --active and --silent alone take 5",
        ),
        (
            ScoreSettings(budget_per_feature=40, interval=0.2),
            "detection",
            "--budget-per-feature 40: leaves no call to judge on with --interval; give more by --max-calls",
        ),
        (
            ScoreSettings(budget_per_feature=40, n_screen=400),
            "detection",
            "--budget-per-feature with --screen: a screening has its own numbers; give one of them",
        ),
    ],
)
def test_bounds_under_which_nothing_could_be_scored_are_refused(settings: ScoreSettings, scorer: str, line: str):
    with pytest.raises(SettingsError) as caught:
        refuse_too_few((scorer,), settings)

    assert str(caught.value).startswith(line)


def test_bounds_of_scorers_that_do_not_run_are_not_looked_at():
    refuse_too_few(("accuracy",), ScoreSettings(n_localisation=1, n_embedding=1, n_silent=1))
    refuse_too_few(("localisation", "embedding"), ScoreSettings(n_localisation=5, n_embedding=5))


def test_an_image_model_goes_with_the_scorer_that_asks_it_and_not_to_a_random_dump():
    settings = ScoreSettings(pictures=PictureSettings(model="painter"))

    refuse_pictures(("detection", "generation"), settings)
    refuse_pictures(("detection",), settings_of_random(settings))
    with pytest.raises(SettingsError, match="--image-model: no scorer"):
        refuse_pictures(("detection",), settings)
    with pytest.raises(SettingsError, match="--scorers generation: name who makes pictures"):
        refuse_pictures(("generation",), ScoreSettings())
