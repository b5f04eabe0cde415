"""The judgings of a run: which one a command goes on with, how they are named, and whose lines are read."""

import tempfile
from pathlib import Path

import pytest
from builders import explanation
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from autointerp.errors import SettingsError
from autointerp.runs.by_feature import ByFeature, Verdicts
from autointerp.runs.folder import Run, RunWriter, open_run
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo, ScoreStage
from autointerp.runs.judgings import added, beside, judged_by, judging_for, label_of, labels
from autointerp.schema import FailureRecord, Unscored
from autointerp.settings import ExplainSettings, ModelSettings, ScoreSettings

WHEN = "2026-01-31T12:00:00Z"


def stage(judge: str = "a", calibration: str | None = None, prompt: str = "p", **settings: object) -> ScoreStage:
    asked = ScoreSettings.model_validate(settings)
    judging = ModelSettings(model=judge)
    return ScoreStage(judge=judging, settings=asked, prompts={"judge": prompt}, calibration=calibration)


def info(*more: ScoreStage, first: ScoreStage | None = None) -> RunInfo:
    return RunInfo(
        version="1",
        created=WHEN,
        dump=DumpReference(name="d", path="/gone", digest="d" * 64, n_latents=8),
        explain=ExplainStage(model=ModelSettings(model="m"), settings=ExplainSettings(), prompts={}),
        score=first or stage(),
        more_scores={f"j{n}": one for n, one in enumerate(more)},
    )


def line(feature: int, reason: str = "few") -> Unscored:
    return Unscored(feature=feature, scorer="detection", reason=reason, judge="x", created=WHEN)


def failure(feature: int) -> FailureRecord:
    return FailureRecord(feature=feature, stage="score:detection", kind="timeout", message="", attempts=1, created=WHEN)


def scored(path: Path, *more: ScoreStage) -> Run:
    """Feature 1 scored by the first judging, feature 2 by the others, of which `j0` failed at feature 1."""
    made = info(*more)
    with RunWriter(path, made) as writer:
        writer.explanation(explanation(1))
        writer.score(line(1))
        writer.failure(failure(2))
    with RunWriter(path, made, "j0") as writer:
        writer.score(line(2, "of the second"))
        writer.failure(failure(1))
    for n in range(1, len(more)):
        with RunWriter(path, made, f"j{n}") as writer:
            writer.score(line(2))
    return open_run(path)


@pytest.mark.parametrize(
    "other",
    [stage("b"), stage(per_call=5), stage(calibration="c" * 12), stage(prompt="q"), stage(seed=1)],
)
def test_whatever_changes_an_answer_makes_another_judging(tmp_path: Path, other: ScoreStage):
    run = scored(tmp_path, stage("b", seed=9))

    assert judging_for(run, other) == other.digest
    assert other.digest != stage().digest


def test_a_server_and_the_scorers_make_no_other_judging(tmp_path: Path):
    run = scored(tmp_path, stage("b"))
    elsewhere = ModelSettings(model="b", base_url="http://elsewhere/v1")
    moved = stage("b", scorers=("naming",)).model_copy(update={"judge": elsewhere})
    more = moved.model_copy(update={"prompts": {"judge": "p", "naming": "n"}})

    assert [judging_for(run, one) for one in (stage(), stage("b"), moved, more)] == ["", "j0", "j0", "j0"]
    assert moved.digest == more.digest == stage("b").digest


def test_judgings_that_differ_in_a_scorers_template_alone_have_names_of_their_own(tmp_path: Path):
    one, two = (stage("b").model_copy(update={"prompts": {"judge": "p", "naming": n}}) for n in "xy")
    made = info().with_judging(one.digest, one)
    with RunWriter(tmp_path, made) as writer:
        writer.explanation(explanation(1))
        writer.score(line(1))

    assert judging_for(open_run(tmp_path), two) == f"{one.digest}.2"


def test_of_a_run_without_scores_any_judging_is_the_first(tmp_path: Path):
    with RunWriter(tmp_path, info(stage("b"))) as writer:
        writer.explanation(explanation(1))

    assert judging_for(open_run(tmp_path), stage("c")) == ""


def test_run_json_of_one_judging_says_nothing_of_others():
    assert "more_scores" not in info().model_dump_json()
    assert RunInfo.model_validate_json(info(stage("b")).model_dump_json()) == info(stage("b"))


def test_the_name_of_a_judging_is_no_path():
    told = info().model_dump() | {"more_scores": {"../x": stage().model_dump()}}

    with pytest.raises(ValidationError, match="String should match pattern"):
        RunInfo.model_validate(told)


def test_a_judge_is_named_by_its_digests_only_where_it_has_several():
    assert labels(info(stage("b"))) == {"": "a", "j0": "b"}
    assert labels(info(stage("b"), stage(seed=1))) == {"": "a@first", "j0": "b", "j1": "a@j1"}


def test_a_reader_gets_the_judging_that_it_names(tmp_path: Path):
    run = scored(tmp_path, stage("b"), stage(seed=1))

    named = [judged_by(run, name).judging for name in (None, "b", "b@j0", "a@first", "a@j1")]

    assert named == ["", "j0", "j0", "", "j1"]
    with pytest.raises(SettingsError, match=r"judge a: judged .* in 2 ways; give a@first or a@j1"):
        judged_by(run, "a")
    with pytest.raises(SettingsError, match=r"judge z: did not score .*; it was scored by a@first, b, a@j1"):
        judged_by(run, "z")
    assert judged_by(scored(tmp_path / "2", stage("local@0123")), "local").judging == "j0"
    assert beside(judged_by(run, "b")) == (
        "these are the scores of b; the run has those of a@first and a@j1 as well, which --judge shows"
    )


def test_a_judging_that_asks_anew_says_how_to_go_on_with_the_scores_that_are_there(tmp_path: Path):
    run = scored(tmp_path, stage("b"))
    anew = "and all that the cache does not hold is asked anew; to go on with"
    options = "instead, give the judge and the options that they were made with"

    assert added(run, "j1", stage("c")) == (
        f"the scores of a stay: those of c are added beside them, {anew} those of a {options}"
    )
    # Of the judge's own scores, not of the first judge's.
    assert added(run, "j1", stage("b", per_call=5)) == (
        "the scores that are there stay, whose --per-call is 12, not 5: new ones are added beside them, "
        f"{anew} those that are there {options}"
    )
    assert [added(run, name, stage("b")) for name in ("", "j0")] == [None, None]


def test_each_judging_has_its_own_lines_and_failures(tmp_path: Path):
    run = scored(tmp_path, stage("b"))
    other = run.of_judging("j0")

    assert [[s.feature for s in one.scores()] for one in (run, other)] == [[1], [2]]
    assert [one.scored("detection").tolist() for one in (run, other)] == [[1], [2]]
    assert [[f.feature for f in one.pending()] for one in (run, other)] == [[2], [1]]
    assert [s.judging for s in run.all_scores()] == ["", "j0"]
    assert other.seen.score == stage("b")


def test_records_by_feature_are_kept_apart_by_judging(tmp_path: Path):
    records = ByFeature(scored(tmp_path, stage("b")))

    found = {key: lines.features.tolist() for key, lines in records.scores.items()}
    failed = {stage: lines.features.tolist() for stage, lines in records.failures.items()}
    assert found == {Verdicts("detection", ""): [1], Verdicts("detection", "j0"): [2]}
    assert failed == {"score:detection": [2], "score:detection@j0": [1]}


def test_a_judging_that_was_added_for_nothing_goes(tmp_path: Path):
    scored(tmp_path, stage("b"))
    before = (tmp_path / "run.json").read_bytes()

    writer = RunWriter(tmp_path, info().with_judging("j1", stage("c")), "j1")
    writer.__exit__(KeyError, KeyError(), None)
    unchanged = (tmp_path / "run.json").read_bytes()
    with RunWriter(tmp_path, info().with_judging("j1", stage("c")), "j1") as writer:
        writer.score(line(1))

    assert unchanged == before
    assert list(open_run(tmp_path).info.judgings) == ["", "j0", "j1"]


def test_a_judging_whose_command_ended_before_its_first_line_is_none_of_the_run_s(tmp_path: Path):
    scored(tmp_path, stage("b"))
    with RunWriter(tmp_path, info().with_judging("j1", stage(seed=1)), "j1"):
        pass
    run = open_run(tmp_path)

    assert list(run.info.judgings) == ["", "j0", "j1"]
    assert judging_for(run, stage(seed=1)) == "j1"
    assert (judged_by(run, "a").judging, label_of(run)) == ("", "a")
    assert beside(run) == "these are the scores of a; the run has those of b as well, which --judge shows"
    with pytest.raises(SettingsError, match=r"judge a@j1: did not score .*; it was scored by a, b$"):
        judged_by(run, "a@j1")

    with RunWriter(tmp_path, info().with_judging("j1", stage(seed=1)), "j1") as writer:
        writer.failure(failure(1))

    assert judged_by(open_run(tmp_path), "a@j1").judging == "j1"


def test_a_judging_whose_lines_were_merged_from_parts_stays_when_its_command_fails(tmp_path: Path):
    scored(tmp_path, stage("b"))

    writer = RunWriter(tmp_path, info().with_judging("j1", stage("c")), "j1")
    with (tmp_path / "scores.jsonl").open("a") as file:
        file.write(line(1).model_copy(update={"judging": "j1"}).model_dump_json() + "\n")
    writer.__exit__(KeyError, KeyError(), None)

    assert list(open_run(tmp_path).info.judgings) == ["", "j0", "j1"]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "j0", "j1"])), max_size=12))
def test_every_line_is_of_one_judging_in_whatever_order_they_came(lines: list[tuple[int, str]]):
    with tempfile.TemporaryDirectory() as folder:
        path, made = Path(folder) / "run", info(stage("b"), stage("c"))
        with RunWriter(path, made) as writer:
            writer.explanation(explanation(0))
            writer.score(line(9))
        for feature, judging in lines:
            with RunWriter(path, made, judging) as writer:
                writer.score(line(feature))
        run = open_run(path)

        for judging in ("", "j0", "j1"):
            own = [9] * (not judging) + [feature for feature, of in lines if of == judging]
            assert [s.feature for s in run.of_judging(judging).scores()] == own
            assert run.of_judging(judging).scored("detection").tolist() == sorted(set(own))
