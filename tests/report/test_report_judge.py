import pytest
from report_world import calibration, run_info

from autointerp.reports.judge import LOCAL_NOTE, judge_facts, judge_notes


def test_a_calibrated_judge_has_its_rates_with_bounds_and_the_day_among_the_facts():
    facts = judge_facts(run_info("seer-1", "judge-1", "c" * 12), calibration())

    assert facts == {
        "Judge": "judge-1",
        "Judge calibrated": "2026-11-20, 500 judgements of known truth",
        "Judge's sensitivity": "0.90, 95 % interval 0.85 to 0.93",
        "Judge's specificity": "0.80, 95 % interval 0.75 to 0.84",
    }


def test_a_run_that_is_not_scored_has_no_judge():
    info = run_info("seer-1", None)

    assert judge_facts(info, None) == {}
    assert judge_notes(info, None) == ()


def test_a_calibration_that_speaks_for_these_scores_leaves_nothing_to_note():
    assert judge_notes(run_info("seer-1", "judge-1", "c" * 12), calibration()) == ()


@pytest.mark.parametrize(
    ("more", "beginning"),
    [
        ({"model": "judge-0"}, "The calibration is of judge-0, the judge is judge-1"),
        ({"side": 448}, "Calibrated with sheet of 12, 448 px"),
        ({"prompt": "a" * 12}, "Calibrated with another judging prompt"),
        ({"sensitivity": 0.6}, "The judge is weak: sensitivity 0.60, specificity 0.80"),
    ],
)
def test_each_doubt_about_a_calibration_is_a_note(more: dict[str, object], beginning: str):
    (note,) = judge_notes(run_info("seer-1", "judge-1", "c" * 12), calibration(**more))

    assert note.startswith(beginning)
    assert note.endswith(".")


def test_an_uncalibrated_judge_is_noted_with_the_command_that_calibrates_it():
    (note,) = judge_notes(run_info("seer-1", "judge-1"), None)

    assert note.startswith("The judge is not calibrated")
    assert "“autointerp calibrate --model judge-1”" in note


def test_a_calibration_that_is_gone_from_the_folder_is_not_taken_for_none():
    (note,) = judge_notes(run_info("seer-1", "judge-1", "abcdefabcdef"), None)

    assert "(abcdefabcdef) that is no longer in the run's folder" in note


def test_a_judge_that_wrote_the_explanations_or_is_of_their_family_is_noted():
    same = judge_notes(run_info("seer-1", "seer-1"), None)
    kin = judge_notes(run_info("seer-1", "seer-2"), None)

    assert same[0].startswith("The judge is the explainer, seer-1, and models favour their own words")
    assert kin[0] == "Judge seer-2 and explainer seer-1 are of one family, which judges favour."


@pytest.mark.parametrize(("explainer", "judge"), [("local@a1", "judge-1"), ("seer-1", "local@a1")])
def test_the_embedded_model_is_noted_on_either_side(explainer: str, judge: str):
    notes = judge_notes(run_info(explainer, judge), None)

    assert notes[0] == LOCAL_NOTE
    assert ("--model local”" in notes[-1]) == (judge == "local@a1")
