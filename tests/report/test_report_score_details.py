from report_world import scored

from autointerp.reports.score_details import CORRECTED, particulars_of
from autointerp.reports.scorelines import axis_of, score_line
from autointerp.schema import Control


def rows(found: tuple) -> list[tuple[str, str, str, str]]:
    return [(r.title, r.text, r.interval, r.p) for r in found]


def test_a_detail_with_both_bounds_is_a_figure_and_the_others_stay_details():
    details = {"precision": 0.25, "precision_low": 0.1, "precision_high": 0.5, "pearson": 0.4, "unsure": 3}

    found = particulars_of(scored(1, 0.5, details=details, controls={}))

    assert rows(found.figures) == [("precision", "0.25", "0.10 to 0.50", "")]
    assert found.rest == (("Pearson's r", "0.40"), ("unsure", "3"))


def test_a_p_value_stands_beside_the_control_that_it_tests():
    controls = {"constant": Control(value=0.1, low=0.0, high=0.2), "always_yes": Control(value=0.04)}

    found = particulars_of(scored(1, 0.5, details={"p_constant": 0.003, "p_other": 0.2}, controls=controls))

    assert rows(found.controls) == [
        ("“an image”", "0.10", "0.00 to 0.20", "p = .003"),
        ("always yes", "0.04", "", ""),
    ]
    assert found.rest == (("p other", ".20"),)


def test_the_bare_p_of_a_choice_is_that_of_guessing():
    found = particulars_of(scored(1, 0.8, "choice", details={"p": 0.0004}, controls={"chance": Control(value=0.5)}))

    assert rows(found.controls) == [("guessing", "0.50", "", "p < .001")]
    assert found.rest == ()


def test_fishers_p_stands_beside_the_lift_and_the_label_form_does_not_say_its_value_twice():
    details = {
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

    found = particulars_of(scored(1, 0.3, "relevance", details=details, controls={"base_rate": Control(value=0.1)}))

    assert rows(found.figures) == [("lift over the base rate", "3.00", "1.50 to 5.00", "p = .020")]
    assert rows(found.controls) == [("base rate", "0.10", "", "")]
    assert found.rest == (("form", "label"),)


def test_the_models_yes_keeps_the_label_share_and_says_no_of_the_shuffled_set():
    details = {"form": "lmm", "label_share": 0.3, "label_low": 0.2, "label_high": 0.4}
    score = scored(1, 1.0, "relevance", details=details, controls={"shuffled": Control(value=0.0, n=1)})

    line = score_line(score, axis_of("relevance"))

    assert (line.text, line.interval, line.label) == ("yes", "", "")
    assert [(m.title, m.text) for m in line.controls] == [("shuffled image set", "no")]
    assert rows(line.figures) == [("attribute among active images", "0.30", "0.20 to 0.40", "")]


def test_unanswered_judgements_are_told_with_the_worst_and_the_best_they_could_make():
    details = {"unanswered": 3, "f1_worst": 0.4, "f1_best": 0.55}

    found = particulars_of(scored(1, 0.5, details=details, controls={}, n=60))

    assert found.remarks == (
        "3 of 60 judgements stayed unanswered: the interval holds the doubt; answers at their worst would give 0.40,"
        " at their best 0.55.",
    )
    assert found.rest == ()


def test_screening_and_correction_are_told_in_words():
    details = {"n_screened": 240, "corrected": 0.6, "corrected_low": 0.4, "corrected_high": 0.7}

    found = particulars_of(scored(1, 0.5, details=details, controls={}, n=60))

    assert found.remarks == ("240 images screened on sheets, 60 of them judged with care.", CORRECTED)
    assert rows(found.figures) == [("corrected F1", "0.60", "0.40 to 0.70", "")]


def test_what_guessing_scores_is_a_line_where_the_score_itself_says_it_is():
    score = scored(1, 0.8, "naming", details={"options": 4}, controls={"chance": Control(value=0.25)})

    line = score_line(score, axis_of("naming"))

    assert line.axis.chance_place == 25.0
    assert [m.drawn for m in line.controls] == [False]
