"""Several judges of one run: each adds its scores beside those that are there, and none touches another's."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from standin.commands import Command, run, says
from standin.mind import Question, as_text
from standin.offline import answer_files
from standin.planted import Population
from standin.records import f1, timeless, whole_lines
from standin.server import StandIn

from autointerp.runs.exchanges import Exchanges
from autointerp.runs.folder import Run, open_run
from autointerp.schema import Scored

FEW = ("--features", "0-3")
DETECTION = ("--scorers", "detection", "--controls", "2")
SECOND = (*DETECTION, "--judge-model", "second")


@pytest.fixture
def judged(explain: Command, score: Command, here: Path) -> Path:
    """Features 0 to 3, scored by their explainer `seer`."""
    explain(*FEW)
    assert score(*DETECTION).code == 0
    return here / "run"


def second_of(run: Path) -> Run:
    """The run as its second judge scored it."""
    there = open_run(run)
    return there.of_judging(next(iter(there.info.more_scores)))


def test_a_second_judge_adds_its_scores_and_leaves_those_of_the_first(judged: Path, score: Command, seer: StandIn):
    before, info = (judged / "scores.jsonl").read_bytes(), json.loads((judged / "run.json").read_text())
    seer.forget()

    said = score(*SECOND)

    after = json.loads((judged / "run.json").read_text())
    assert said.code == 0
    assert seer.calls
    assert "the scores of seer stay: those of second are added beside them" in said.err
    assert said.out.splitlines()[-1] == f"next: autointerp report {judged} --judge second"
    assert "these are the scores of second; the run has those of seer as well, which --judge shows" in said.out
    assert (judged / "scores.jsonl").read_bytes().startswith(before)
    assert {name: value for name, value in after.items() if name != "more_scores"} == info
    [(name, stage)] = after["more_scores"].items()
    assert (len(name), stage["judge"]["model"]) == (8, "second")
    own = [line.get("judging") for line in whole_lines(judged / "scores.jsonl")]
    assert own == [None] * 4 + [name] * 4
    assert sorted(s.feature for s in second_of(judged).scores()) == [0, 1, 2, 3]


def test_each_judging_is_resumed_by_itself(judged: Path, score: Command, seer: StandIn):
    score(*SECOND, "--features", "0-1")
    whole = (judged / "scores.jsonl").read_bytes()
    (judged / "scores.jsonl").write_bytes(whole[:-30])

    again = score(*SECOND)
    seer.forget()
    first, second = score(*DETECTION), score(*SECOND)

    assert (again.code, first.code, second.code, seer.calls) == (0, 0, 0, [])
    assert sorted(s.feature for s in second_of(judged).scores()) == [0, 1, 2, 3]
    assert len(whole_lines(judged / "scores.jsonl")) == 8
    assert list(open_run(judged).info.judgings) == ["", next(iter(open_run(judged).info.more_scores))]


def test_the_same_judge_with_other_settings_is_named_by_its_digest(judged: Path, score: Command):
    said = score(*DETECTION, "--per-call", "5")

    name = next(iter(open_run(judged).info.more_scores))
    assert "whose --per-call is 12, not 5: new ones are added beside them" in said.err
    assert run("status", judged, "--judge", f"seer@{name}").code == 0
    assert run("status", judged, "--judge", "seer@first").code == 0
    line = f"--judge seer: judged {judged} in 2 ways; give seer@first or seer@{name}"
    says(run("report", judged, "--judge", "seer"), line)


def test_a_misspelt_judge_leaves_no_trace(judged: Path, score: Command, seer: StandIn):
    before = (judged / "run.json").read_bytes()
    seer.status = (404, "no such model")

    said = score(*DETECTION, "--judge-model", "sekond")

    assert said.code == 2
    assert (judged / "run.json").read_bytes() == before


def test_a_judge_of_a_first_attempt_that_scored_nothing_binds_nobody(
    explain: Command, score: Command, seer: StandIn, here: Path
):
    explain(*FEW)
    seer.status = (404, "no such model")
    score(*DETECTION, "--judge-model", "sekond")
    seer.status = None

    score(*SECOND)

    assert [stage.judge.model for stage in open_run(here / "run").info.judgings.values()] == ["second"]
    assert len(f1(here / "run")) == 4


def test_two_judges_of_one_run_score_as_each_alone_would(judged: Path, explain: Command, score: Command, here: Path):
    score(*SECOND)
    explain(*FEW, to="alone")
    score(*SECOND, of="alone")

    both = [s.model_copy(update={"judging": "", "created": ""}) for s in second_of(judged).scores()]

    alone = [s.model_copy(update={"created": ""}) for s in open_run(here / "alone").scores()]
    assert sorted(both, key=lambda s: s.feature) == sorted(alone, key=lambda s: s.feature)


def test_shards_of_a_second_judge_are_merged_beside_the_first(judged: Path, score: Command, here: Path):
    first = timeless(judged)
    for i in range(2):
        assert score(*SECOND, "--shard", f"{i}/2").code == 0

    merged = run("merge", judged)

    assert merged.code == 0
    assert timeless(judged) == first
    assert sorted(s.feature for s in second_of(judged).scores()) == [0, 1, 2, 3]


def test_shards_of_two_judges_are_not_mixed(judged: Path, score: Command):
    score(*SECOND, "--shard", "0/2")

    said = score(*DETECTION, "--judge-model", "third", "--shard", "1/2")

    says(
        said,
        f"{judged}: its score parts are shards of another choice of features or by another judge; choose the same, or "
        f"merge them and remove {judged / 'parts'}",
    )


def test_failures_of_one_judge_are_not_those_of_another(judged: Path, score: Command, seer: StandIn):
    seer.status = (500, "busy")
    score(*SECOND, "--attempts", "1")
    seer.status = None

    first, second = (json.loads(run("status", judged, "--judge", j, "--json").out) for j in ("seer", "second"))

    assert first["pending"] == {}
    assert sum(second["pending"].values()) == 4
    assert score(*SECOND).code == 0
    assert json.loads(run("status", judged, "--judge", "second", "--json").out)["pending"] == {}


def test_readers_show_the_first_judge_and_name_the_others(judged: Path, score: Command, here: Path):
    score(*SECOND)
    told = "these are the scores of seer; the run has those of second as well, which --judge shows"

    status = run("status", judged)
    run("report", judged, "--out", here / "first.html")
    run("report", judged, "--out", here / "second.html", "--judge", "second")

    assert "judged by seer" in status.out
    assert told in status.out
    assert told.capitalize() in (here / "first.html").read_text("utf-8")
    other = "These are the scores of second; the run has those of seer as well, which --judge shows"
    assert other in (here / "second.html").read_text("utf-8")
    assert told.capitalize() not in (here / "second.html").read_text("utf-8")
    assert other.replace("These", "these") not in open_run(judged)._repr_html_()


def test_each_judge_has_its_own_control_of_random_weights(judged: Path, score: Command, planted: Population):
    def separated(judge: str) -> list[str]:
        told = json.loads(run("status", judged, "--judge", judge, "--json").out)
        return [c["control"] for c in told["controls"]]

    score(*SECOND, "--random-dump", planted.folder)

    assert "random" in " ".join(separated("second"))
    assert "random" not in " ".join(separated("seer"))
    score(*DETECTION, "--random-dump", planted.folder)
    assert "random" in " ".join(separated("seer"))


def hasty(question: Question, answer: Mapping[str, object]) -> str:
    """Says yes to the first image of each question, whatever it shows."""
    return as_text(answer | {"image_1": "yes"} if question.task == "judge" else answer)


def test_a_model_is_compared_with_a_reference_and_calibrated_by_it(
    judged: Path, score: Command, seer: StandIn, here: Path
):
    # The referee is right of every image; the hasty judge says too often yes.
    score(*DETECTION, "--judge-model", "referee")
    seer.text_of = hasty
    score(*DETECTION, "--judge-model", "hasty")
    seer.text_of = None
    reference = ("--reference", "referee")

    said = run("compare", judged, *reference, "--judge", "referee", "--judge", "hasty", "--out", here / "hasty.json")
    told = json.loads(run("compare", judged, *reference, "--json").out)

    assert said.code == 0, said.err
    assert "held against referee, hasty has sensitivity 1.000" in said.out
    assert "the answers of referee are the reference" in said.out
    assert [(p["first"], p["second"], p["reference"]) for p in told["pairs"]] == [
        ("seer", "referee", "referee"),
        ("seer", "hasty", None),
        ("hasty", "referee", "referee"),
    ]
    rates = told["pairs"][2]["overall"]
    assert rates["specificity"]["high"] < 1
    assert told["pairs"][0]["overall"]["kappa"]["value"] == 1
    assert {"top", "silent"} <= set(told["pairs"][2]["strata"])

    calibrated = score(*DETECTION, "--judge-model", "hasty", "--calibration", here / "hasty.json")

    [name] = [n for n, s in open_run(judged).info.judgings.items() if s.calibration]
    corrected = [s for s in open_run(judged).of_judging(name).scores() if isinstance(s, Scored)]
    assert calibrated.code == 0, calibrated.err
    assert "the error rates are those against referee" in calibrated.out
    # A judge that says yes too often is better than its F1 says.
    assert all(float(str(s.details["corrected"])) >= s.value for s in corrected)
    assert len(corrected) == 4
    page = run("report", judged, "--judge", f"hasty@{name}", "--out", here / "page.html")
    assert page.code == 0, page.err
    assert "judgements that referee made too" in (here / "page.html").read_text("utf-8")


def test_the_scores_of_two_judges_of_one_run_are_compared_feature_by_feature(judged: Path, score: Command):
    score(*SECOND)

    said = run("compare", judged, judged, "--judge", "seer", "--judge", "second")
    wrong = run("compare", judged, judged, "--judge", "seer")

    assert said.code == 0, said.err
    assert "judged by second" in said.out
    assert "detection: the same in A and B throughout." in said.out
    says(wrong, f"{judged}: the same run twice; name two runs, or two judges of it with --judge")


def test_a_run_of_one_judge_has_nothing_to_compare(judged: Path):
    says(
        run("compare", judged),
        f"{judged}: was scored by seer alone; add another judge's scores with autointerp score {judged} "
        "--judge-model J, or name two runs",
    )


def test_a_batch_job_scores_by_a_second_judge(judged: Path, score: Command, here: Path):
    nowhere = ("--judge-base-url", "http://127.0.0.1:9/v1")
    planning = run("score", judged, *SECOND, *nowhere, "--batch")
    assert planning.code == 0, planning.err

    for _ in range(4):
        run("batch", "submit", judged, "--files-only")
        if not (files := sorted((judged / "batch").glob("requests-*.jsonl"))):
            break
        assert run("batch", "collect", judged, answer_files(here / "out.jsonl", *files)).code == 0

    assert sorted(s.feature for s in second_of(judged).scores()) == [0, 1, 2, 3]
    name = next(iter(open_run(judged).info.more_scores))
    assert json.loads(run("batch", "status", judged, "--json").out)["stages"] == {f"score@{name}": True}
    assert len(f1(judged)) == 4


def test_the_questions_of_each_judge_are_kept_apart(judged: Path, score: Command):
    score(*SECOND)
    name = next(iter(open_run(judged).info.more_scores))

    asked = {judging: {e.model for e in Exchanges(judged, judging).of(0)} for judging in ("", name)}

    assert asked == {"": {"seer"}, name: {"seer", "second"}}  # the explainer is seer
