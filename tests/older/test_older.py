"""What version 0.1.0 wrote stays readable: the command line opens it, goes on with it, and finds its cached answers."""

import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import PIL
import pytest
from standin.commands import run
from standin.server import StandIn

from autointerp.runs.score_lines import SCORE as SCORES

OLD = Path(__file__).parent / "v0_1"
ONE_JUDGE = Path(__file__).parent / "one_judge"
PLACE = "@PLACE@"
"""Stands in the old files where the folder's path was."""
UNREACHABLE = "http://127.0.0.1:9/v1"
"""Of an endpoint that must not be asked."""
PILLOW = "13.0.0"
"""The old calibration's pictures were drawn and encoded by this version; their digests are in the questions' keys."""

PROMPTS = ("--prompts", "prompts")
"""The templates of that time, so that better ones may be shipped."""
THEN = ("--enlarge", "0")
"""Pictures were not enlarged then."""
SHOWN_THEN = (*THEN, "--no-refill")
"""Places that the bands left were not filled then."""
SHOWN = ("--top", "6", "--bands", "3", "--contrast", "2", "--rendering", "crop", "--side", "112", *SHOWN_THEN)
EXPLAIN = (*SHOWN, "--domain", "physical-plausibility", "--n-shuffled", "2", *PROMPTS)
CHOOSE = ("--subset", "3", "--choose-active", "6", "--choose-silent", "12")
DIVERSE = ("--candidates", "3", "--diverse", *CHOOSE, "--embedder", "vectors")
SCORERS = "detection,accuracy,relevance,intruder,choice,naming,localisation,embedding"
AS_THEN = ("--judge-rendering", "crop", "--no-framing", "--n-intruder-hard", "0", *THEN)
"""What was the default then."""
IMAGES = ("--active", "6", "--silent", "10", "--side", "112", "--controls", "2", *AS_THEN)
QUESTIONS = ("--n-intruder", "2", "--n-choice", "2", "--n-naming", "1", "--n-localisation", "5")
SCORE = ("--scorers", SCORERS, *IMAGES, *QUESTIONS, *PROMPTS)
CALIBRATION = ("--calls", "12", *PROMPTS)
TINY = ("--rendering", "crop", "--side", "48", *THEN, *PROMPTS)
SMALL = ("--features", "0", "--top", "2", "--bands", "1", "--contrast", "1", "--no-refill", *TINY)
FEW = ("--active", "5", "--silent", "5", "--controls", "0")
SMALL_SCORE = ("--scorers", "detection", *FEW, *TINY)
"""With these options the old files were made; of the diverse run only features 0 to 2 are explained."""

SEER = ("--model", "seer", "--base-url", UNREACHABLE, "--attempts", "1")
KINDS = ("--embedder", "kinds", "--embedder-base-url", UNREACHABLE)
VECTORS = (*DIVERSE, "--embedder-base-url", UNREACHABLE)
TWO = ("--scorers", "detection,accuracy")
Line = dict
"""A JSON object."""
BOUND = re.compile(r"(^|_)(low|high)$|^p_(constant|other|neighbour)$")
RECORDS = ("explanations.jsonl", "scores.jsonl", "failures.jsonl")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the old files, as the working folder and with the old cache."""
    here = tmp_path / "old"
    shutil.copytree(OLD, here)
    for file in here.rglob("*.json*"):
        file.write_text(file.read_text().replace(PLACE, str(here)))
    monkeypatch.chdir(here)
    monkeypatch.setenv("AUTOINTERP_CACHE", str(here / "cache"))
    return here


def told(*args: str) -> Line:
    """What a command that succeeds prints with --json."""
    trusted = ("--trust-address", UNREACHABLE) if args[0] == "batch" else ()
    result = run(*args, *trusted, "--json")
    assert result.code == 0, result.out + result.err
    return json.loads(result.out)


def records(run: str, name: str) -> list[Line]:
    """A file's lines, by feature and scorer."""
    lines = [json.loads(line) for line in (Path(run) / name).read_text().splitlines()]
    return sorted(lines, key=lambda line: (line["feature"], line.get("scorer", "")))


def whole(run: str, name: str) -> list[Line]:
    """The same with each score as the record has it, defaults and all."""
    lines = records(run, name)
    scores = [SCORES.validate_python(line).model_dump(mode="json") for line in lines if "scorer" in line]
    return scores or lines


def holds(new: object, old: object) -> bool:
    """Whether the same is said, however exactly, and perhaps more; and perhaps at another time, by another version.

    Bounds of intervals and p-values of controls are left out: they are found in another way than by version 0.1.0.
    """
    if isinstance(new, dict) and isinstance(old, dict):
        fields = {name for name in old.keys() - {"created", "version"} if not BOUND.search(name)}
        return all(name in new and holds(new[name], old[name]) for name in fields)
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(map(holds, new, old))
    return new == (pytest.approx(old) if isinstance(old, float) else old)


def counts(*args: str) -> tuple[object, ...]:
    """Features that were done before, are done now, and failed; requests."""
    said = told(*args)
    return said["before"], said["done"], said["failed"], said["requests"]


def explain(to: str, *options: str) -> tuple[object, ...]:
    return counts("explain", "dump", "--run", to, *SEER, *EXPLAIN, *options)


def score(of: str, *options: str) -> tuple[object, ...]:
    return counts("score", of, *SCORE, "--attempts", "1", *options)


@pytest.mark.parametrize(("name", "images", "features"), [("dump", 104, 4), ("imported", 8, 2)])
def test_dumps_open_and_are_whole(old: Path, name: str, images: int, features: int) -> None:
    found = told("inspect", name, "--check")

    assert (found["n_images"], found["n_features"]) == (images, features)
    assert [p for p in found["problems"] if p["severity"] == "error"] == []


def test_status_tells_of_old_runs(old: Path) -> None:
    """A failure of the first was mended by a later start, that of the second was not."""
    whole, diverse = told("status", "run"), told("status", "diverse")

    assert (whole["explained"], whole["pending"]) == (4, {})
    assert (diverse["explained"], diverse["pending"]) == (3, {"explain: refused": 1})
    assert {s["scorer"]: s["n"] for s in whole["scorers"]} == dict.fromkeys(SCORERS.split(","), 4)
    assert told("status", "scored-parts")["unmerged"] == 2


def test_old_runs_become_reports(old: Path) -> None:
    for name, text in (("run", "green triangle on a plain ground"), ("diverse", "red square; or blue circle")):
        page = Path(str(told("report", name)["report"]))
        assert text in page.read_text()


def test_old_runs_are_compared(old: Path) -> None:
    found = told("compare", "run", "diverse")

    assert (found["paired"], found["features"]) == (True, 3)
    assert {s["scorer"] for s in found["scorers"]} == {"detection", "accuracy"}


def test_old_runs_are_finished(old: Path) -> None:
    """The same commands over the old folders find nothing to do, and change no record."""
    before = {name: [(old / name / file).read_bytes() for file in RECORDS] for name in ("run", "diverse")}

    assert explain("run") == score("run", *KINDS) == (4, 0, 0, 0)
    assert explain("diverse", *VECTORS, "--features", "0-2") == score("diverse", *TWO) == (3, 0, 0, 0)

    assert before == {name: [(old / name / file).read_bytes() for file in RECORDS] for name in before}


def test_a_run_of_one_judge_goes_on_and_takes_a_second(old: Path) -> None:
    """It was scored when a run had one judge alone: its own lines are found, and another judge's come after them."""
    shutil.copytree(ONE_JUDGE, old / "one")
    info = (old / "one" / "run.json").read_text().replace(PLACE, str(old))
    (old / "one" / "run.json").write_text(info)
    options = ("--scorers", "detection,accuracy", "--active", "6", "--silent", "10", "--controls", "2")
    before, status = (old / "one" / "scores.jsonl").read_bytes(), told("status", "one")

    assert counts("score", "one", *options, "--attempts", "1") == (4, 0, 0, 0)
    assert (old / "one" / "run.json").read_text() == info
    with StandIn() as second:
        where = ("--judge-model", "second", "--judge-base-url", second.url)
        assert counts("score", "one", *options, *where)[:3] == (0, 4, 0)

    after = (old / "one" / "scores.jsonl").read_bytes()
    assert (after.startswith(before), after.count(b"\n")) == (True, 16)
    assert told("status", "one")["scorers"] == status["scorers"]
    assert told("status", "one", "--judge", "second")["judge"] == "second"


def test_the_old_cache_answers_a_new_run(old: Path) -> None:
    """Every question has the key it had: no endpoint can be reached, and the records are the old ones.

    Candidates were chosen by a judge that saw crops, and are by one that sees whole images: that is asked anew.
    """
    assert explain("new") == score("new", *KINDS) == (0, 4, 0, 0)

    for file in ("explanations.jsonl", "scores.jsonl"):
        assert holds(whole("new", file), records("run", file))


def test_old_shards_are_merged(old: Path) -> None:
    """Parts of explaining, and parts of scoring beside merged explanations, come to what one process wrote."""
    explained, scored = told("merge", "explained-parts"), told("merge", "scored-parts")

    assert (explained["explanations"], scored["scores"]) == (4, 8)
    both = [s for s in records("run", "scores.jsonl") if s["scorer"] in ("detection", "choice")]
    assert holds(records("explained-parts", "explanations.jsonl"), records("run", "explanations.jsonl"))
    assert holds(whole("scored-parts", "scores.jsonl"), both)


def test_old_plans_of_batch_jobs_are_read(old: Path) -> None:
    planned, judged = told("batch", "status", "planned"), told("batch", "status", "judged")

    assert planned["stages"] == {"explain": False, "score": False}
    assert judged["stages"] == {"calibrate judge.json": False}


def test_an_old_plan_ends_from_the_old_cache(old: Path) -> None:
    ended = told("batch", "run", "planned", "--poll", "0.01")

    assert (ended["rounds"], ended["stopped"]) == (0, None)
    assert told("batch", "status", "planned")["stages"] == {"explain": True, "score": True}
    for file in ("explanations.jsonl", "scores.jsonl"):
        assert holds(whole("planned", file), records("run", file))


@pytest.mark.skipif(PIL.__version__ != PILLOW, reason="another version may encode the drawn pictures otherwise")
def test_an_old_plan_of_a_calibration_ends_from_the_old_cache(old: Path) -> None:
    ended = told("batch", "run", "judged", "--poll", "0.01")

    assert (ended["rounds"], ended["stopped"]) == (0, None)
    new, before = (json.loads(Path(name).read_text()) for name in ("judged/judge.json", "calibration.json"))
    assert holds(new, before)


def test_what_was_sent_and_written_for_a_batch_job_goes_on(old: Path) -> None:
    """One request was explained by a Batch API; one was written for scoring, and its result lies beside."""
    waiting = told("batch", "status", "sent")
    collected = told("batch", "collect", "sent", "answers.jsonl")
    told("batch", "submit", "sent", "--files-only")

    assert [(f["state"], f["lines"], f["open"]) for f in waiting["files"]] == [("completed", 1, 0), ("written", 1, 1)]
    assert (collected["answers"], collected["unknown"], collected["missing"]) == (1, 0, 0)
    assert told("batch", "status", "sent")["stages"] == {"explain": True, "score": True}
    assert [(s["feature"], s["status"]) for s in records("sent", "scores.jsonl")] == [(0, "scored")]


def test_an_old_calibration_is_read_and_kept_and_corrects_nothing(old: Path) -> None:
    """It was made on whole scenes of one size, which say nothing of what is judged."""
    explain("corrected")

    said = told("score", "corrected", *SCORE, *KINDS, "--attempts", "1", "--calibration", "calibration.json")

    assert (said["done"], said["requests"]) == (4, 0)
    assert any("calibrated on whole scenes of 256 pixels by an earlier version" in note for note in said["notes"])
    assert json.loads(Path("corrected/calibration.json").read_text())["n_true"] > 0
    assert not any("corrected" in s["details"] for s in records("corrected", "scores.jsonl"))


@pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra `train`")
def test_an_old_coder_is_measured_on_old_activations(old: Path) -> None:
    """Of 16 images of 8 tokens, four were held out; the coder's own figure of them is found again."""
    (found,) = told("train", "evaluate", "activations", "--coder", "coder")["coders"]

    stated = json.loads(Path("coder/coder.json").read_text())["training"]["held_out"]
    assert (found["held_out"]["tokens"], found["widths"]) == (32, [4, 12])
    assert found["held_out"]["fvu"] == pytest.approx(stated["fvu"], rel=1e-4)
