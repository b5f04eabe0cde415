"""Judges of one run compared on the same questions, with answers that one can count by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from builders import explanation

from autointerp.errors import RunError, SettingsError
from autointerp.jobs.agreement import JudgePair, compare_judges
from autointerp.runs.folder import RunWriter
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo, ScoreStage
from autointerp.schema import Scored, Unscored, Verdict
from autointerp.scoring.calibration import Calibration, load_calibration, warnings_for
from autointerp.settings import ExplainSettings, ModelSettings, ScoreSettings
from autointerp.statistics.agreement import Agreed
from autointerp.statistics.resampling import Draws

WHEN = "2026-01-31T12:00:00Z"
Y, N, U = 1.0, 0.0, 0.5
Beliefs = Sequence[float | None]
DRAWS = Draws(200, 0)


def stage(judge: str, settings: ScoreSettings | None = None) -> ScoreStage:
    return ScoreStage(judge=ModelSettings(model=judge), settings=settings or ScoreSettings(), prompts={"judge": "p"})


def answers(feature: int, beliefs: Beliefs, *, first_image: int = 0) -> Scored:
    """About images of which the first two are of the top, the next two silent and the last one guided."""
    strata = ("top", "top", "silent", "silent", "guided")
    verdicts = tuple(
        Verdict(image=first_image + i, active=s == "top", stratum=s, belief=belief, weight=1.0)
        for i, (s, belief) in enumerate(zip(strata, beliefs, strict=True))
    )
    about = {"feature": feature, "scorer": "detection", "value": 0.5, "low": 0, "high": 1, "n": 5, "judge": "j"}
    more = {"details": {}, "controls": {}, "verdicts": verdicts, "prompt": "p", "created": WHEN}
    return Scored.model_validate(about | more)


def judged(path: Path, by: Mapping[str, Sequence[Scored | Unscored]], settings: ScoreSettings | None = None) -> Path:
    """A run with these score lines of each judge, the last of whom was asked with other settings if there are any."""
    dump = DumpReference(name="dump", path="/gone", digest="d" * 64, n_latents=100)
    explain = ExplainStage(model=ModelSettings(model="m"), settings=ExplainSettings(), prompts={})
    info = RunInfo(version="1", created=WHEN, dump=dump, explain=explain)
    for number, (judge, lines) in enumerate(by.items()):
        name = f"judging{number}" if number else ""
        info = info.with_judging(name, stage(judge, settings if number == len(by) - 1 else None))
        with RunWriter(path, info, name) as writer:
            if not number:
                writer.explanation(explanation(0))
            for line in lines:
                writer.score(line)
    return path


def two(path: Path, model: Sequence[Beliefs], person: Sequence[Beliefs]) -> JudgePair:
    by = {"gpt": model, "human:anna": person}
    lines = {judge: [answers(f, beliefs) for f, beliefs in enumerate(told)] for judge, told in by.items()}
    [pair] = compare_judges(judged(path, lines), draws=DRAWS).pairs
    return pair


def figures(found: Agreed) -> tuple[int, float | None, int, float | None, int, float | None]:
    equal, true, false = (e and e.value for e in (found.equal, found.sensitivity, found.specificity))
    return found.n, equal, found.n_true, true, found.n_false, false


def test_a_model_is_held_against_a_person_overall_and_by_stratum(tmp_path: Path):
    # The person says yes to 3 images, of which the model says yes to 2; and no to 7, of which it says no to 6.
    pair = two(tmp_path, [(Y, N, N, N, Y), (Y, N, N, N, N)], [(Y, Y, N, N, N), (Y, N, N, N, N)])

    assert (pair.first, pair.second, pair.reference) == ("gpt", "human:anna", "human:anna")
    assert figures(pair.overall) == (10, 0.8, 3, pytest.approx(2 / 3), 7, pytest.approx(6 / 7))
    assert list(pair.strata) == ["top", "silent", "guided"]
    assert figures(pair.strata["top"]) == (4, 0.75, 3, pytest.approx(2 / 3), 1, 1.0)
    assert figures(pair.strata["silent"]) == (4, 1.0, 0, None, 4, 1.0)
    assert figures(pair.strata["guided"]) == (2, 0.5, 0, None, 2, 0.5)


def test_unsure_and_missing_answers_are_counted_and_agree_with_nothing(tmp_path: Path):
    pair = two(tmp_path, [(Y, U, None, N, N)], [(Y, Y, N, U, None)])

    assert (pair.questions, pair.unsure_first, pair.unsure_second) == (5, 1, 1)
    assert (pair.unanswered_first, pair.unanswered_second) == (1, 1)
    assert figures(pair.overall) == (1, 1.0, 2, 0.75, 0, None)


def test_images_that_one_judge_alone_was_asked_about_are_left_out(tmp_path: Path):
    lines = {
        "a": [answers(0, (Y, Y, N, N, N)), answers(1, (Y, Y, N, N, N))],
        "b": [answers(0, (Y, Y, N, N, N), first_image=3)],
    }

    [pair] = compare_judges(judged(tmp_path, lines), draws=DRAWS).pairs

    assert (pair.questions, pair.only_first, pair.only_second, pair.reference) == (2, 3, 3, None)


def test_judges_without_a_question_in_common_are_one_clear_line(tmp_path: Path):
    lines = {"a": [answers(0, (Y, Y, N, N, N))], "b": [answers(0, (Y, Y, N, N, N), first_image=9)]}
    with pytest.raises(RunError, match="a and b were asked about no image in common; score with the same --active"):
        compare_judges(judged(tmp_path / "run", lines), draws=DRAWS)
    with pytest.raises(RunError, match="was scored by a alone; add another judge's scores"):
        compare_judges(judged(tmp_path / "one", {"a": lines["a"]}), draws=DRAWS)
    # The command of the second judge was killed before its first line.
    with pytest.raises(RunError, match="was scored by a alone; add another judge's scores"):
        compare_judges(judged(tmp_path / "killed", {"a": lines["a"], "b": []}), draws=DRAWS)


def test_a_judge_who_was_asked_something_else_is_told_of(tmp_path: Path):
    named = Unscored(feature=0, scorer="naming", reason="too few", judge="b", created=WHEN)
    run = judged(tmp_path, {"a": [answers(0, (Y, Y, N, N, N))], "b": [named]})

    with pytest.raises(RunError, match="no feature has a score by detection of a and of b; score the same features"):
        compare_judges(run, draws=DRAWS)


def test_an_unscored_feature_has_no_answers(tmp_path: Path):
    gone = Unscored(feature=1, scorer="detection", reason="too few", judge="j", created=WHEN)
    lines = {judge: [answers(0, (Y, Y, N, N, N)), gone] for judge in ("a", "b")}

    [pair] = compare_judges(judged(tmp_path, lines), draws=DRAWS).pairs

    assert (pair.questions, pair.overall.features) == (5, 1)


def test_of_several_people_each_two_are_compared_and_none_is_the_reference(tmp_path: Path):
    told = {"human:anna": (Y, Y, N, N, N), "human:bo": (Y, N, N, N, N), "human:cy": (N, N, N, N, N)}
    run = judged(tmp_path, {judge: [answers(0, beliefs)] for judge, beliefs in told.items()})

    found = compare_judges(run, draws=DRAWS)

    pairs = {(p.first[6:], p.second[6:]): p.overall.equal and p.overall.equal.value for p in found.pairs}
    assert pairs == {("anna", "bo"): 0.8, ("anna", "cy"): 0.6, ("bo", "cy"): 0.8}
    assert {p.reference for p in found.pairs} == {None}
    held = compare_judges(run, reference="human:bo", draws=DRAWS)
    assert [(p.first, p.reference) for p in held.pairs] == [
        ("human:anna", "human:bo"),
        ("human:anna", None),
        ("human:cy", "human:bo"),
    ]


def test_judges_who_were_not_asked_alike_are_told_of(tmp_path: Path):
    lines = {judge: [answers(0, (Y, Y, N, N, N))] for judge in ("a", "b")}

    found = compare_judges(judged(tmp_path, lines, ScoreSettings(per_call=5)), draws=DRAWS)

    assert "a and b were not asked alike: --per-call is 12, not 5" in found.notes


def test_the_rates_against_a_person_are_a_calibration(tmp_path: Path):
    told: dict[str, Sequence[Beliefs]] = {
        "gpt": [(Y, N, N, N, Y), (Y, Y, N, Y, N)],
        "human:anna": [(Y, Y, N, N, N), (Y, Y, N, N, N)],
    }
    run = judged(tmp_path / "run", {j: [answers(f, b) for f, b in enumerate(own)] for j, own in told.items()})

    for name in ("one.json", "two.json"):
        compare_judges(run, out=tmp_path / name, draws=DRAWS)

    found = load_calibration(tmp_path / "one.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert (found.model, found.reference, found.prompt) == ("gpt", "human:anna", "p")
    assert (found.n_true, found.sensitivity, found.n_false, found.specificity) == (4, 0.75, 6, pytest.approx(2 / 3))
    assert found.random_yes is not None
    assert (found.random_yes.value, found.random_yes.n) == (0.25, 4)
    assert found.near_yes is not None
    assert (found.near_yes.value, found.near_yes.n) == (0.5, 2)
    assert doubts(found)[0] == (
        "the error rates are those against human:anna, whose 4 yes and 6 no are taken for right"
    )
    assert not any("planted" in line or "corrects nothing" in line for line in doubts(found))


def doubts(found: Calibration) -> tuple[str, ...]:
    return warnings_for(found, "gpt", "m", "p", ScoreSettings())


def test_a_calibration_needs_one_pair_with_a_reference(tmp_path: Path):
    lines = {judge: [answers(0, (Y, Y, N, N, N))] for judge in ("a", "b")}

    with pytest.raises(SettingsError, match="out: a calibration is of one judge against one reference"):
        compare_judges(judged(tmp_path / "run", lines), out=tmp_path / "c.json", draws=DRAWS)

    assert not (tmp_path / "c.json").exists()
