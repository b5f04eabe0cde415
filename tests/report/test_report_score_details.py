import pytest
from report_world import scored, unscored

from autointerp.reports.score_details import (
    CORRECTED,
    Details,
    Row,
    axis_of,
    details_of,
    interval_text,
    rank_text,
    value_text,
)
from autointerp.schema import Control, Score, Scored


def details(score: Scored) -> Details:
    return details_of(score, axis_of(score.scorer))


def test_a_detail_with_both_bounds_is_a_figure_and_the_others_stay_details():
    said = {"precision": 0.25, "precision_low": 0.1, "precision_high": 0.5, "pearson": 0.4, "unsure": 3}

    found = details(scored(1, 0.5, details=said, controls={}))

    assert found.figures == (Row("precision", 0.25, 0.1, 0.5),)
    assert found.rest == (("Pearson's r", "0.40"), ("unsure", "3"))


def test_a_p_value_stands_beside_the_control_that_it_tests():
    controls = {"constant": Control(value=0.1, low=0.0, high=0.2), "always_yes": Control(value=0.04)}

    found = details(scored(1, 0.5, details={"p_constant": 0.003, "p_other": 0.2}, controls=controls))

    assert found.controls == (
        Row("text “an image”", 0.1, 0.0, 0.2, 0.003),
        Row("always yes", 0.04),
    )
    assert found.rest == (("p other", ".20"),)


def test_the_bare_p_of_a_choice_is_that_of_guessing():
    found = details(scored(1, 0.8, "choice", details={"p": 0.0004}, controls={"chance": Control(value=0.5)}))

    assert found.controls == (Row("guessing", 0.5, p=0.0004, line=True),)
    assert found.rest == ()


def test_fishers_p_stands_beside_the_lift_and_the_label_form_does_not_say_its_value_twice():
    said = {
        "form": "label",
        "label_share": 0.3,
        "label_low": 0.2,
        "label_high": 0.4,
        "label_base_rate": 0.1,
        "p_fisher": 0.02,
        "lift": 3.0,
        "lift_low": 1.5,
        "lift_high": 5.0,
    }

    found = details(scored(1, 0.3, "relevance", details=said, controls={"base_rate": Control(value=0.1)}))

    assert found.figures == (Row("lift over the base rate", 3.0, 1.5, 5.0, 0.02),)
    assert found.controls == (Row("base rate", 0.1),)
    assert found.rest == (("form", "label"),)


def test_the_models_yes_keeps_the_label_share_and_says_no_of_the_shuffled_set():
    said = {"form": "lmm", "label_share": 0.3, "label_low": 0.2, "label_high": 0.4}
    score = scored(1, 1.0, "relevance", details=said, controls={"shuffled": Control(value=0.0, n=1)})

    found = details(score)

    assert (value_text(score), interval_text(score)) == ("yes", "")
    assert found.controls == (Row("shuffled image set", 0.0),)
    assert found.figures == (Row("attribute among active images", 0.3, 0.2, 0.4),)


def test_unanswered_judgements_are_told_with_the_worst_and_the_best_they_could_make():
    said = {"unanswered": 3, "f1_worst": 0.4, "f1_best": 0.55}

    found = details(scored(1, 0.5, details=said, controls={}, n=60))

    assert found.remarks == (
        "3 of 60 judgements got no usable answer; the interval covers their worst case, 0.40, and their best case,"
        " 0.55.",
    )
    assert found.rest == ()


def test_screening_and_correction_are_told_in_words():
    said = {"n_screened": 240, "corrected": 0.6, "corrected_low": 0.4, "corrected_high": 0.7}

    found = details(scored(1, 0.5, details=said, controls={}, n=60))

    assert found.remarks == ("240 images were screened on sheets; 60 were then judged singly.", CORRECTED)
    assert found.figures == (Row("corrected F1", 0.6, 0.4, 0.7),)


def test_what_guessing_scores_is_a_line_where_the_score_itself_says_it_is():
    score = scored(1, 0.8, "naming", details={"options": 4}, controls={"chance": Control(value=0.25)})

    found = details(score)

    assert found.axis.chance == 0.25
    assert [c.line for c in found.controls] == [True]


@pytest.mark.parametrize("score", [None, unscored(1)])
def test_no_verdict_has_no_value_to_read(score: Score | None):
    assert (value_text(score), interval_text(score)) == ("", "")


def test_a_margin_is_told_in_a_sentence_and_its_two_values_are_figures():
    said = {"silent_below": 0.5, "margin_share": 0.05, "n_margin": 6}
    said |= {f"f1_without_margin{end}": value for end, value in (("", 0.9), ("_low", 0.8), ("_high", 1.0))}
    said |= {f"f1_with_margin{end}": value for end, value in (("", 0.6), ("_low", 0.5), ("_high", 0.7))}

    found = details(scored(1, 0.9, details=said, controls={}))

    assert found.figures == (
        Row("F1 without images near the threshold", 0.9, 0.8, 1.0),
        Row("F1 with them as silent", 0.6, 0.5, 0.7),
    )
    assert found.remarks == (
        "Images on which the feature reaches more than 50.0 % of its threshold without firing (5.0 % of all) are no"
        " part of the value; 6 of them were judged besides.",
    )
    assert found.rest == ()


def test_unsure_images_are_named_with_what_they_stand_for_and_what_they_leave_open():
    said = {"unsure": 2, "unsure_images": "7 (×30), 9 (×2)", "f1_worst": 0.4, "f1_best": 0.55}

    found = details(scored(1, 0.5, details=said, controls={}))

    assert found.remarks == (
        "2 of 20 judgements were unsure; the interval covers their worst case, 0.40, and their best case, 0.55.",
        "Unsure images, with the number of images that each stands for: 7 (×30), 9 (×2).",
    )
    assert found.rest == ()


def test_an_unknown_margin_is_told():
    found = details(scored(1, 0.9, details={"margin": "unknown"}, controls={}))

    assert found.remarks == (
        "What the feature reached on silent images is not known: some of them may nearly fire it.",
    )
    assert found.rest == ()


def test_an_interval_wider_than_a_half_is_undetermined_and_has_no_rank():
    wide, narrow = scored(1, 1.0, low=0.45, high=1.0), scored(2, 0.75, low=0.5, high=1.0)

    assert (wide.undetermined, narrow.undetermined) == (True, False)
    assert details(wide).remarks[0].startswith("Undetermined: the interval is wider than 0.5.")
    assert (rank_text(wide), rank_text(narrow)) == ("", "0.5")
    # A model's yes or no has no interval.
    assert not scored(1, 1.0, "relevance", low=0.0, high=1.0, details={"form": "lmm"}).undetermined


def test_a_guide_by_text_is_told_in_a_sentence():
    found = details(scored(1, 0.5, details={"guided_from": 2048}, controls={}))

    assert found.remarks == (
        "Silent images were drawn from 2,048 images in classes of likeness, to the images that fire the feature and to "
        "the words of the explanation.",
    )
    assert found.rest == ()
