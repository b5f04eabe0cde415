"""Scores with their controls, intervals as asked, screenings and calibrations, through the command line."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from standin.commands import Command, run, says
from standin.mind import Question, as_text
from standin.planted import FEATURES, Population
from standin.records import scores
from standin.server import StandIn

from autointerp.runs.folder import open_run
from autointerp.schema import Scored, Usage
from autointerp.scoring.calibration import Calibration, Share, save_calibration


def detections(run: Path) -> dict[int, Scored]:
    return {f: s for f, s in scores(run, "detection").items() if isinstance(s, Scored)}


def test_every_run_carries_controls_and_says_first_that_they_separate(explain: Command, score: Command, tmp_path: Path):
    explain()

    said = score()

    assert said.code == 0
    assert said.out.splitlines()[0].startswith("controls separate: own explanations 1.00")
    for found in detections(tmp_path / "run").values():
        assert {"constant", "other", "neighbour", "permuted"} <= set(found.controls)
        assert found.controls["other"].value < 1
        assert found.controls["constant"].value < 0.9


def test_a_judge_that_says_yes_to_everything_is_found_out_in_the_first_line(
    explain: Command, score: Command, seer: StandIn
):
    explain()

    def agreeable(question: Question, answer: Mapping[str, object]) -> str:
        return as_text(dict.fromkeys(answer, "yes") if question.task == "judge" else answer)

    seer.text_of = agreeable
    said = score()

    assert said.out.splitlines()[0].startswith("CONTROLS DO NOT SEPARATE: “an image” scores")


def test_controls_are_left_out_on_demand(explain: Command, score: Command, seer: StandIn, tmp_path: Path):
    explain("--features", "0-5")
    seer.forget()

    score("--controls", "0", "--scorers", "detection")

    assert all(set(s.controls) == {"always_yes", "permuted"} for s in detections(tmp_path / "run").values())


def test_features_of_random_weights_that_score_as_well_are_told_first(
    explain: Command, score: Command, planted: Population, tmp_path: Path
):
    explain()

    said = score("--random-dump", planted.folder)

    assert said.code == 0
    assert "CONTROLS DO NOT SEPARATE: features of random weights score 1.00, own 1.00" in said.out.splitlines()[0]
    assert len(detections(tmp_path / "run" / "random")) == 12


def test_the_interval_is_made_as_narrow_as_asked_for_more_calls(
    explain: Command, score: Command, seer: StandIn, tmp_path: Path
):
    explain("--features", "3")
    seer.forget()
    score("--scorers", "detection", "--controls", "0", "--active", "5", "--silent", "5", "--interval", "0.15")

    found = detections(tmp_path / "run")[3]

    assert found.n > 10
    assert len(seer.calls) > 1


def test_screening_then_care_judges_as_one_look_does(explain: Command, score: Command, seer: StandIn, tmp_path: Path):
    explain("--features", "0-3")
    seer.forget()

    said = score("--scorers", "detection", "--controls", "0", "--screen", "20", "--screen-per-call", "9")

    assert said.code == 0
    assert {f: s.value for f, s in detections(tmp_path / "run").items()} == dict.fromkeys(range(4), 1.0)
    judged = [c.question for c in seer.calls if c.question is not None]
    # Sheets of nine first, then one image a call.
    assert {len(q.judged) for q in judged} <= {1, 7, 8, 9}
    assert all(s.details["n_screened"] for s in detections(tmp_path / "run").values())


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--interval", "2"), "--interval 2.0: input should be less than 1"),
        (
            ("--run", "elsewhere"),
            "--run and --layer go with --explanations; the run to score is named without an option",
        ),
        (
            ("--calibration", "none.json"),
            "none.json: no such file; `autointerp calibrate --model M --out none.json` makes it",
        ),
        (("--scorers", "intruder,guess"), "--scorers guess: no such scorer; there is "),
    ],
)
def test_bad_options_get_one_line(explain: Command, score: Command, here: Path, options: tuple[str, ...], line: str):
    explain("--features", "0")

    said = score(*options)

    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"autointerp: {line}")
    assert said.err.count("\n") == 1


def test_a_foreign_file_is_scored_as_our_own(
    planted: Population, score: Command, seer: StandIn, tmp_path: Path, here: Path
):
    rows = [f"{i},{f.name}" for i, f in enumerate(FEATURES)]
    (tmp_path / "theirs.csv").write_text("feature,text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    judged_by = ("--judge-model", "seer", "--judge-base-url", seer.url)
    said = run(
        "score", planted.folder, "--explanations", "theirs.csv", "--run", "run", *judged_by, "--scorers", "detection"
    )

    assert said.code == 0
    assert "none could be held out" in said.err
    assert {f: s.value for f, s in detections(tmp_path / "run").items()} == dict.fromkeys(range(12), 1.0)


def test_a_foreign_run_needs_a_judge(planted: Population, tmp_path: Path, here: Path):
    (tmp_path / "theirs.csv").write_text("feature,text\n0,red circle\n", encoding="utf-8")
    said = run("score", planted.folder, "--explanations", "theirs.csv", "--run", "run")

    assert said.code == 2
    assert "--judge-model: name a judge" in said.err
    says(
        run("score", planted.folder, "--explanations", "theirs.csv"),
        "--explanations: name a folder for the run with --run",
    )


def test_the_status_gives_every_control_its_interval(explain: Command, score: Command, tmp_path: Path):
    explain()
    score("--scorers", "detection")

    told = json.loads(run("status", tmp_path / "run", "--json").out)

    assert told["headline"].startswith("controls separate")
    other = next(c for c in told["controls"] if c["control"] == "other")
    assert (other["n"], other["verdict"], other["own"]) == (12, "separates", 1.0)
    assert other["low"] <= other["difference"] <= other["high"]


def known_judge(path: Path, *, sensitivity: float, specificity: float, rendering: str = "full") -> None:
    """A calibration of the seer, as `autointerp calibrate` would have written it."""
    share = Share(value=1 - specificity, low=0.0, high=1.0, n=200)
    known = Calibration(
        n_true=200,
        n_false=400,
        sensitivity=sensitivity,
        sensitivity_low=0.0,
        sensitivity_high=1.0,
        specificity=specificity,
        specificity_low=0.0,
        specificity_high=1.0,
        kinds=(),
        formats=(),
        order=None,
        agreements=(),
        near_yes=None,
        random_yes=share,
        position=None,
        unanswered=0,
        model="seer",
        prompt="another",
        layout="sheet",
        per_call=12,
        rendering=rendering,
        side=224,
        planted=(128, 256),
        seed=0,
        usage=Usage(),
        created="2026-01-31T12:00:00+00:00",
        version="0.1.0",
    )
    save_calibration(known, path)


def test_a_calibrated_judges_errors_are_taken_out_and_warned_of(explain: Command, score: Command, tmp_path: Path):
    known_judge(tmp_path / "seer.json", sensitivity=0.9, specificity=0.98)
    explain("--features", "0-2")

    said = score("--calibration", tmp_path / "seer.json", "--scorers", "detection")

    assert "the judge is the explainer, seer" in said.out
    assert "calibrated with another judging prompt" in said.out
    assert (tmp_path / "run" / "calibration.json").exists()
    for found in detections(tmp_path / "run").values():
        # This judge never errs, so its shares of 1 and 0 lie beyond what an erring one could give, and are cut there.
        assert found.details["corrected"] == found.value == 1.0
        assert float(str(found.details["corrected_low"])) < 1.0


def test_a_calibration_on_fragments_corrects_no_score_of_whole_images(explain: Command, score: Command, tmp_path: Path):
    known_judge(tmp_path / "seer.json", sensitivity=0.9, specificity=0.98, rendering="crop")
    explain("--features", "0-2")

    said = score("--calibration", tmp_path / "seer.json", "--scorers", "detection")

    assert "calibrated on images shown as crop, judging full" in said.out
    assert not any("corrected" in found.details for found in detections(tmp_path / "run").values())


def test_scores_with_another_calibration_stand_beside_those_with_the_first(
    explain: Command, score: Command, tmp_path: Path, here: Path
):
    known_judge(tmp_path / "one.json", sensitivity=0.9, specificity=0.98)
    known_judge(tmp_path / "two.json", sensitivity=0.8, specificity=0.98)
    explain("--features", "0-2")
    score("--calibration", "one.json", "--scorers", "detection", "--features", "0")

    said = score("--calibration", "two.json", "--scorers", "detection")

    assert said.code == 0
    name = next(iter(open_run(here / "run").info.more_scores))
    kept = [json.loads((here / "run" / f"calibration{of}.json").read_text()) for of in ("", f"-{name}")]
    assert [calibration["sensitivity"] for calibration in kept] == [0.9, 0.8]
    run("report", here / "run", "--judge", f"seer@{name}")
    assert "0.80, 95 % interval" in (here / "run" / "report.html").read_text("utf-8")


def test_a_cheaper_model_may_screen_at_the_judge_s_server(explain: Command, score: Command, tmp_path: Path):
    explain("--features", "0-1")

    said = score("--scorers", "detection", "--controls", "0", "--screen", "20", "--screen-model", "cheap")

    assert said.code == 0
    assert all(s.details["n_screened"] for s in detections(tmp_path / "run").values())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--screen-model", "cheap"), "--screen-model without --screen"),
        (("--screen-model", "local", "--screen", "20"), "so neither is local"),
    ],
)
def test_a_screening_model_that_cannot_screen_is_refused(
    explain: Command, score: Command, options: tuple[str, ...], problem: str
):
    explain("--features", "0")

    refused = score(*options)

    assert refused.code == 2
    assert problem in refused.err


def test_the_random_dump_gets_what_is_left_of_the_budget(
    explain: Command, score: Command, planted: Population, seer: StandIn, tmp_path: Path
):
    explain("--features", "3")
    seer.forget()
    seer.input_tokens = 40_000
    usual = ("--scorers", "detection", "--controls", "2", "--concurrency", "1", "--random-dump", planted.folder)

    said = score(*usual, "--budget", "400000 tokens")

    assert "stopped: over budget" in said.out
    # Each call takes 40,000 tokens and more.
    assert len(seer.calls) <= 10
