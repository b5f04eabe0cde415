import numpy as np
import pytest

from autointerp.scoring.budget import first_round, in_words, most_asked, silent_for
from autointerp.settings import ScoreSettings
from autointerp.statistics.rates import f1_samples
from autointerp.statistics.resampling import Draws, interval_of, one_look, resample


def test_without_a_budget_all_features_are_judged_alike():
    assert first_round(ScoreSettings(), 10, 100_000) == (24, 36)


def test_the_rarer_a_feature_fires_the_more_silent_images_are_judged_up_to_the_budget():
    settings = ScoreSettings(budget_per_feature=100)

    # Of 100,000 images it fires on 10 %: nine silent ones for each, and 1.15 * 2.5 * 9 * .8 / .4 = 51.75.
    assert first_round(settings, 10_000, 100_000) == (24, 52)
    # On 1 %: 1.15 * 2.5 * 99 * 2 = 569.25.
    assert first_round(settings, 1_000, 100_000) == (24, 569)
    # On .1 %: 100 sheets of twelve hold 1,200 images.
    assert first_round(settings, 100, 100_000) == (24, 1176)
    # On half of them the usual number is enough already, and a feature that never fires takes what there is.
    assert first_round(settings, 50_000, 100_000) == (24, 36)
    assert first_round(settings, 0, 100_000) == (24, 1176)


def test_a_wider_interval_takes_fewer_images():
    assert first_round(ScoreSettings(budget_per_feature=30, interval=0.5), 1_000, 100_000) == (24, 142)


@pytest.mark.parametrize(("rate", "width"), [(0.1, 0.2), (0.01, 0.2), (0.01, 0.4)])
def test_so_many_silent_images_make_the_interval_of_a_right_explanation_as_narrow_as_said(rate: float, width: float):
    n = silent_for((1 - rate) / rate, width)
    y = np.repeat([1.0, 0.0], [24, n])
    w = np.repeat([rate / 24, (1 - rate) / n], [24, n])
    judged = one_look(y, y, w, y.astype(np.int64))

    found = interval_of(f1_samples, judged, resample(judged, Draws(2000, 0)))

    assert found.high - found.low == pytest.approx(width, abs=0.02)


def test_a_width_of_next_to_nothing_asks_for_a_number_of_images():
    assert silent_for(9.0, 1e-310) == 2**53


def test_what_a_scorer_asks_of_a_feature_is_known_before():
    usual, budget = ScoreSettings(), ScoreSettings(budget_per_feature=12)

    # 24 active and 36 silent images; 12 calls of 12 images; 12 pairs in both orders.
    assert (most_asked(usual, "detection"), most_asked(budget, "detection")) == (60, 144)
    assert in_words(usual, "choice") == "up to 24 questions"
    assert most_asked(usual, "embedding") == 0
