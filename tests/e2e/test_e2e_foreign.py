"""Other methods' descriptions, adopted as a run and scored as our own explanations are."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from standin.commands import Done, run
from standin.planted import FEATURES, Planted, Population, plant
from standin.records import explanations, f1, scores
from standin.server import StandIn

from autointerp.commands.score import score
from autointerp.errors import RunError, SettingsError
from autointerp.jobs.adopt import adopt
from autointerp.runs.folder import open_run
from autointerp.schema import Scored
from autointerp.settings import EngineSettings, ModelSettings


def dissected(folder: Path, rows: Iterable[tuple[int, str]], layer: str = "eye") -> Path:
    """A file as CLIP-Dissect writes it."""
    file = folder / "vit.csv"
    lines = [f"{layer},{unit},{text},0.25\n" for unit, text in rows]
    file.write_text("layer,unit,description,similarity\n" + "".join(lines), "utf-8")
    return file


def test_right_descriptions_score_one_and_wrong_ones_do_not(planted: Population, seer: StandIn, tmp_path: Path):
    said = [(0, "red circle"), (1, "blue square"), (2, "blue square")]  # feature 2 is a green triangle

    adopted = adopt(dissected(tmp_path, said), planted.folder, tmp_path / "run")
    judge = ModelSettings(model="seer", base_url=seer.url)
    result = score(tmp_path / "run", judge=judge, engine=EngineSettings(concurrency=8))

    assert (adopted.selected, adopted.done, adopted.before, adopted.complete) == (3, 3, 0, True)
    assert (result.selected, result.complete) == (3, True)
    found = f1(tmp_path / "run")
    assert (found[0], found[1]) == (1.0, 1.0)
    assert found[2] < 0.2


def test_a_run_of_descriptions_says_where_they_are_from(planted: Population, tmp_path: Path):
    file = dissected(tmp_path, [(0, "red circle"), (4, "")])
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]

    result = adopt(file, planted.folder, tmp_path / "run")

    info = open_run(tmp_path / "run").info
    record = explanations(tmp_path / "run")[0]
    assert info.explain.model.model == record.model == "clip-dissect eye (vit.csv)"
    assert info.explain.prompts == {"foreign": digest}
    assert info.is_adopted
    assert (record.text, record.none, record.images, record.prompt) == ("red circle", False, (), digest)
    assert result.notes == [
        "which images clip-dissect looked at is not known, so none could be held out: its scores may be too high",
        "passed over: 1 without a description in the file",
    ]


def test_adopting_again_adds_nothing_and_after_a_stop_only_what_is_missing(planted: Population, tmp_path: Path):
    file = dissected(tmp_path, [(0, "red circle"), (1, "blue square"), (2, "green triangle")])
    adopt(file, planted.folder, tmp_path / "run")
    lines = (tmp_path / "run" / "explanations.jsonl").read_bytes()

    again = adopt(file, planted.folder, tmp_path / "run")
    (tmp_path / "run" / "explanations.jsonl").write_bytes(lines[: lines.index(b"\n") + 20])
    rest = adopt(file, planted.folder, tmp_path / "run")

    assert (again.done, again.before) == (0, 3)
    assert (rest.done, rest.before) == (2, 1)
    assert {f: e.text for f, e in explanations(tmp_path / "run").items()} == {
        0: "red circle",
        1: "blue square",
        2: "green triangle",
    }


def test_a_file_that_changed_is_refused_by_one_line(planted: Population, tmp_path: Path):
    adopt(dissected(tmp_path, [(0, "red circle")]), planted.folder, tmp_path / "run")
    before = (tmp_path / "run" / "explanations.jsonl").read_bytes()

    with pytest.raises(RunError, match=r"this run's explain setting prompts\.foreign is '.{12}', not '.{12}'; use the"):
        adopt(dissected(tmp_path, [(0, "red circle"), (1, "square")]), planted.folder, tmp_path / "run")

    assert (tmp_path / "run" / "explanations.jsonl").read_bytes() == before


def test_another_layer_of_the_file_is_another_run(planted: Population, tmp_path: Path):
    file = dissected(tmp_path, [(0, "red circle")])
    file.write_text(file.read_text() + "ear,0,square,0.25\n")
    adopt(file, planted.folder, tmp_path / "run", layer="eye")

    with pytest.raises(RunError, match=r"--model is 'clip-dissect eye \(vit\.csv\)', not 'clip-dissect ear"):
        adopt(file, planted.folder, tmp_path / "run", layer="ear")


def test_descriptions_are_not_mixed_into_a_run_of_explanations(planted: Population, done_run: Path, tmp_path: Path):
    file = dissected(tmp_path, [(0, "red circle")])

    with pytest.raises(RunError, match=r"this run's explain setting --model is 'seer', not 'clip-dissect eye"):
        adopt(file, planted.folder, done_run)


def test_features_that_the_dump_does_not_hold_are_counted(planted: Population, tmp_path: Path):
    # The planted dump holds 12 of 16 latents.
    result = adopt(dissected(tmp_path, [(11, "circle"), (12, "dog"), (15, "cat")]), planted.folder, tmp_path / "run")

    assert (result.selected, list(explanations(tmp_path / "run"))) == (1, [11])
    assert result.notes[-1] == "passed over: 2 described but not in the dump"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([(13, "dog")], "none of its 1 features is in"),
        ([(16, "dog")], "vit.csv:2: unit 16 does not exist: this dump has 0 to 15"),
        ([(1, "dog"), (1, "cat")], "vit.csv:3: unit 1 is described in line 2 already"),
    ],
)
def test_a_file_that_does_not_fit_leaves_no_run(
    planted: Population, tmp_path: Path, rows: list[tuple[int, str]], problem: str
):
    file = dissected(tmp_path, rows)

    with pytest.raises(SettingsError, match=problem.replace(".", r"\.")):
        adopt(file, planted.folder, tmp_path / "run")

    assert not (tmp_path / "run").exists()


def test_a_description_cannot_smuggle_marks_into_a_prompt(tmp_path: Path):
    plant(tmp_path / "dump", features=[Planted("red", FEATURES[3].pairs)])
    file = tmp_path / "said.csv"
    file.write_text('feature,text\n0,"red\n\x02circle\x03"\n', "utf-8")

    adopt(file, tmp_path / "dump", tmp_path / "run")

    assert explanations(tmp_path / "run")[0].text == "red circle"


def test_all_active_images_may_be_judged_since_none_is_known_to_be_shown(
    planted: Population, seer: StandIn, tmp_path: Path
):
    adopt(dissected(tmp_path, [(0, "red circle")]), planted.folder, tmp_path / "run")

    score(tmp_path / "run", judge=ModelSettings(model="seer", base_url=seer.url))

    found = scores(tmp_path / "run")[0]
    assert isinstance(found, Scored)
    assert sum(v.active for v in found.verdicts) == 24


def test_the_command_adopts_and_scores_in_one_go_and_again_does_neither(planted: Population, seer: StandIn, here: Path):
    file = dissected(here, [(0, "red circle"), (1, "blue square")])
    command = ("score", "--explanations", file.name, planted.folder, "--run", "run")
    judge = ("--judge-model", "seer", "--judge-base-url", seer.url)

    first = run(*command, *judge)
    asked = len(seer.calls)
    again = run(*command, *judge)

    assert (first.code, again.code) == (0, 0)
    assert "which images clip-dissect looked at is not known" in first.err
    assert f1(here / "run") == {0: 1.0, 1: 1.0}
    assert len(seer.calls) == asked > 0


@pytest.fixture
def done_run(done: Done, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(done.run, tmp_path / "done"))


def test_the_file_of_another_tool_is_scored_as_its_texts_are(planted: Population, seer: StandIn, tmp_path: Path):
    said = [(0, "red circle"), (1, "blue square"), (2, "blue square"), (13, "dog")]
    lines = [{"feature_num": str(n), "explanation": f"Commonality: {text}", "num_samples": 8} for n, text in said]
    file = tmp_path / "transcoders_feature_analysis.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    judge = ModelSettings(model="seer", base_url=seer.url)
    result = score(planted.folder, explanations=file, new_run=tmp_path / "run", judge=judge)

    found = f1(tmp_path / "run")
    assert (found[0], found[1]) == (1.0, 1.0)
    assert found[2] < 0.2
    assert explanations(tmp_path / "run")[0].text == "red circle"
    assert result.notes[1:3] == [
        "which images matryoshka-transcoders looked at is not known, so none could be held out: its scores may be too "
        "high",
        "passed over: 1 described but not in the dump",
    ]
