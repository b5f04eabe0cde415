"""The scorers that ask questions of their own, through the command line, before an endpoint that sees."""

import json
import shutil
from pathlib import Path

import pytest
from standin.commands import Command, Done, run
from standin.mind import Question, as_text
from standin.planted import FEATURES, plant
from standin.records import scores
from standin.server import StandIn

from autointerp.schema import Scored

NAMES = ("intruder", "choice", "naming", "localisation")
ALL = ",".join(NAMES)


@pytest.fixture
def asked(seer: StandIn, done: Done, tmp_path: Path) -> Command:
    """`autointerp score` of a copy of the finished run without its scores, by the seer."""
    shutil.copytree(done.run, tmp_path / "run")
    (tmp_path / "run" / "scores.jsonl").unlink()

    def command(*options: str | Path, of: str = "run"):
        return run("score", tmp_path / of, "--judge-base-url", seer.url, "--concurrency", "8", *options)

    return command


def mean(found: dict[int, Scored]) -> float:
    """Over the features."""
    return sum(s.value for s in found.values()) / len(found)


def say(run: Path, texts: dict[int, str]) -> None:
    """Puts other words in the explainer's mouth."""
    file = run / "explanations.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    changed = [line | {"text": texts[line["feature"]]} for line in lines]
    file.write_text("".join(json.dumps(line) + "\n" for line in changed))


def of(run: Path, name: str) -> dict[int, Scored]:
    """A scorer's verdicts; every feature must have one."""
    found = scores(run, name)
    assert all(isinstance(s, Scored) for s in found.values()), found
    return {f: s for f, s in found.items() if isinstance(s, Scored)}


def test_true_explanations_of_planted_features_pass_every_question(asked: Command, tmp_path: Path):
    said = asked("--scorers", ALL, "--features", "0-5")

    assert said.code == 0
    found = {name: of(tmp_path / "run", name) for name in NAMES}
    assert {name: len(own) for name, own in found.items()} == dict.fromkeys(NAMES, 6)
    assert mean(found["intruder"]) > 0.9
    assert {s.value for s in found["choice"].values()} == {s.value for s in found["naming"].values()} == {1.0}
    assert {s.details["pointing"] for s in found["localisation"].values()} == {1.0}
    for score in found["localisation"].values():
        # Heat fills whole cells, so the region is larger than the object.
        assert score.value > 0.3 > score.controls["moved"].value
        assert isinstance(p := score.details["p_moved"], float)
        assert p < 0.01
    assert all(s.usage.calls and s.prompt for own in found.values() for s in own.values())


def test_separate_pictures_and_the_objects_own_boxes_do_as_well(
    explain: Command, score: Command, seer: StandIn, tmp_path: Path
):
    boxed = plant(tmp_path / "boxed", marks="box").folder
    explain("--features", "0,1,3", dump=boxed)
    seer.forget()

    score("--scorers", ALL, "--layout", "separate")

    found = {name: of(tmp_path / "run", name) for name in NAMES}
    assert mean(found["localisation"]) > 0.85
    assert (mean(found["choice"]), mean(found["naming"])) == (1.0, 1.0)
    assert mean(found["intruder"]) > 0.9
    asked = {task: len(seer.questions(task)) for task in NAMES}
    assert asked == {"intruder": 60, "choice": 72, "naming": 12, "localisation": 36}


def test_other_features_explanations_are_found_out(asked: Command, tmp_path: Path):
    names = [f.name for f in FEATURES]
    say(tmp_path / "run", {i: names[(i + 1) % 3] if i < 3 else names[i] for i in range(12)})

    asked("--scorers", ALL, "--features", "0-2")

    found = {name: of(tmp_path / "run", name) for name in NAMES}
    assert mean(found["choice"]) < 0.65
    assert mean(found["naming"]) <= 0.2
    assert mean(found["localisation"]) < 0.1
    assert mean(found["intruder"]) > 0.9  # which never read the explanation


def test_a_label_that_all_features_share_earns_what_guessing_does(asked: Command, tmp_path: Path):
    say(tmp_path / "run", dict.fromkeys(range(12), "an object"))

    asked("--scorers", "choice,naming", "--features", "0-3")

    naming, choice = of(tmp_path / "run", "naming"), of(tmp_path / "run", "choice")
    assert [s.value for s in naming.values()] == pytest.approx([0.2] * 4)
    assert {(s.details["options"], s.details["same_text"], s.details["p"]) for s in naming.values()} == {(5, 4, 1.0)}
    assert [s.value for s in choice.values()] == pytest.approx([0.5] * 4)
    assert {(s.details["first"], s.details["consistent"]) for s in choice.values()} == {(1.0, 0.0)}


def test_answers_that_never_come_are_failures_and_some_that_do_not_are_doubt(
    asked: Command, seer: StandIn, tmp_path: Path
):
    def speechless(question: Question, answer: dict[str, object]) -> str:
        return "no idea" if question.task == "intruder" or answer == {"better": 2} else as_text(answer)

    seer.text_of = speechless
    said = asked("--scorers", "intruder,choice", "--features", "0-1")

    assert said.code == 1
    assert scores(tmp_path / "run", "intruder") == {}
    for score in of(tmp_path / "run", "choice").values():
        assert (score.value, score.details["unanswered"]) == (pytest.approx(0.75), 12)
        assert score.low < 0.5
        assert score.high == 1.0
