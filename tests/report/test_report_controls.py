import pytest
from report_world import scored, separation

from autointerp.reports.controls import against_of, banner_of
from autointerp.reports.scorelines import Axis
from autointerp.schema import Control
from autointerp.scoring.control_tests import headline, separations

LOST = separation("other", "does not separate", value=0.55, difference=0.05, low=-0.05, high=0.15, p=0.3)


def test_one_control_that_does_not_separate_outweighs_all_that_do():
    banner = banner_of((separation("constant"), LOST, separation("permuted")))

    assert (banner.tone, banner.title) == ("bad", "The controls do not separate.")
    assert (
        "should lose: another feature's explanation scores 0.55 where the explanations score 0.60 (p = .30)."
        in banner.text
    )
    assert "an image" not in banner.text


def test_controls_that_separate_are_named_with_their_scores():
    banner = banner_of((separation("constant"), separation("permuted", value=0.2, p=0.003)))

    assert (banner.tone, banner.title) == ("good", "The controls separate.")
    assert banner.text == (
        "“an image” scores 0.10 where the explanations score 0.60 (p < .001); the same answers dealt at random score"
        " 0.20 where the explanations score 0.60 (p = .003)."
    )


def test_three_features_are_too_few_to_tell():
    banner = banner_of((separation("constant", "too few", n=3),))

    assert (banner.tone, banner.text) == ("few", "3 features with controls; at least 8 are needed.")


def test_a_run_without_controls_says_so():
    assert banner_of(()).title == "This run has no controls."


def test_a_neighbours_text_that_does_as_well_is_no_alarm():
    alike = separation("neighbour", "does not separate", value=0.6, difference=0.0, low=-0.05, high=0.05, p=0.9)

    banner = banner_of((separation("constant"), alike))
    row = against_of((alike,), Axis(0.0, 1.0, None))[0]

    assert banner.tone == "good"
    assert banner_of((alike,)).tone == "none"
    assert (row.tone, row.verdict) == ("may", "may rightly do as well")


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


def test_a_row_has_both_means_on_the_axis_and_the_difference_with_its_sign():
    worse = separation("other", "does not separate", own=0.4, value=0.5, difference=-0.1, low=None, high=None, p=0.2)

    first, second = against_of((separation(), worse), Axis(0.0, 1.0, None))

    assert (first.own_place, first.place) == (60.0, 10.0)
    assert (first.difference, first.interval, first.p) == ("+0.50", "0.40 to 0.62", "< .001")
    assert (second.difference, second.interval, second.p) == ("−0.10", "", ".20")
    assert (first.tone, second.tone) == ("good", "bad")
    assert first.basis == "20 features"


def test_the_interval_of_a_difference_does_not_leave_what_it_can_be():
    wide = separation("constant", "too few", n=3, low=-0.41, high=1.27)

    assert against_of((wide,), Axis(0.0, 1.0, None))[0].interval == "−0.41 to 1.00"
