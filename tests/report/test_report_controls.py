import pytest
from report_world import scored, separation

from autointerp.reports.arithmetic import Axis
from autointerp.reports.controls import banner_of, difference_interval, tone_of, verdict_of
from autointerp.schema import Control
from autointerp.scoring.control_tests import headline, separations

LOST = separation("other", "does not separate", value=0.55, difference=0.05, low=-0.05, high=0.15, p=0.3)


def test_one_control_that_does_not_separate_outweighs_all_that_do():
    banner = banner_of((separation("constant"), LOST, separation("permuted")))

    assert (banner.tone, banner.title) == ("bad", "The explanations do not beat every negative control.")
    assert banner.text.endswith("Their mean F1 is 0.60 against 0.55 for another feature's explanation (p = .30).")
    assert "an image" not in banner.text


def test_controls_that_separate_are_named_with_their_scores():
    banner = banner_of((separation("constant"), separation("permuted", value=0.2, p=0.003)))

    assert (banner.tone, banner.title) == ("good", "The explanations beat their negative controls.")
    assert banner.text == (
        "Their mean F1 is 0.60 against 0.10 for “an image” and 0.20 for the same answers dealt at random"
        " (each p ≤ .003)."
    )


def test_three_controls_that_separate_stand_in_one_list():
    banner = banner_of((separation("constant"), separation("middle", value=0.0), separation("permuted", value=0.2)))

    assert banner.text.startswith(
        "Their mean F1 is 0.60 against 0.10 for “an image”, 0.00 for “an object in the middle” and 0.20 for the same"
    )


def test_means_over_other_features_are_told_apart():
    banner = banner_of((separation("constant"), separation("permuted", own=0.5, value=0.2)))

    assert banner.text == (
        "Their mean F1 is 0.60 against 0.10 for “an image”; 0.50 against 0.20 for the same answers dealt at random"
        " (each p < .001)."
    )


def test_beating_answers_dealt_at_random_alone_is_not_enough():
    banner = banner_of((separation("permuted", value=0.2),))

    assert (banner.tone, banner.text) == (
        "few",
        "Controls by other explanations exist for no feature; a test needs 8. Only chance is beaten: mean F1 is 0.60"
        " against 0.20 for the same answers dealt at random (p < .001).",
    )


def test_three_features_are_too_few_to_tell():
    banner = banner_of((separation("constant", "too few", n=3),))

    assert (banner.tone, banner.text) == ("few", "Controls by other explanations exist for 3 features; a test needs 8.")


def test_a_run_without_controls_says_so():
    assert banner_of(()).title == "These scores have no negative controls."
    assert banner_of(()).text.endswith("The scorer “detection” adds controls.")


def test_a_run_whose_detection_left_all_unscored_is_not_told_to_run_detection():
    assert banner_of((), all_unscored=True).text.endswith("The scorer “detection” left every feature unscored.")


def test_a_neighbours_text_that_does_as_well_is_no_alarm():
    alike = separation("neighbour", "does not separate", value=0.6, difference=0.0, low=-0.05, high=0.05, p=0.9)

    banner = banner_of((separation("constant"), alike))

    assert banner.tone == "good"
    assert banner_of((alike,)).tone == "none"
    assert (tone_of(alike), verdict_of(alike)) == ("may", "may rightly score as high")


@pytest.mark.parametrize(
    ("control", "n", "tone", "beginning"),
    [
        (0.1, 8, "good", "controls separate"),
        (0.6, 8, "bad", "CONTROLS DO NOT SEPARATE"),
        (0.1, 3, "few", "controls: 3"),
    ],
)
def test_the_page_and_the_command_line_come_to_the_same_verdict(control: float, n: int, tone: str, beginning: str):
    # Own scores .51, .52 … against the same control everywhere.
    scores = [scored(i, 0.5 + i / 100, controls={"constant": Control(value=control)}) for i in range(1, n + 1)]

    found = separations(scores)

    assert banner_of(found).tone == tone
    assert (headline(found) or "").startswith(beginning)


def test_a_row_says_in_colour_and_words_what_came_of_its_control():
    rows = [separation(), LOST, separation("constant", "too few", n=3)]

    assert [tone_of(s) for s in rows] == ["good", "bad", "few"]
    assert [verdict_of(s) for s in rows] == ["scores lower", "does not score lower", "too few features to tell"]
    assert difference_interval(separation(low=None, high=None), Axis(0.0, 1.0)) == ""


def test_the_interval_of_a_difference_does_not_leave_what_it_can_be():
    wide = separation("constant", "too few", n=3, low=-0.41, high=1.27)

    assert difference_interval(wide, Axis(0.0, 1.0)) == "−0.41 to 1.00"
