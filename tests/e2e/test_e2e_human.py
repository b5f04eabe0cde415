"""A person judges in a run: over the page's interface, in a real browser, with kills and under bad options."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from standin.browser import Tab, chromium
from standin.commands import Done, run
from standin.person import PATIENCE, Heard, Visitor, answer_all, working
from standin.records import scores, whole_lines
from standin.server import StandIn

import autointerp
from autointerp.job import JobResult
from autointerp.lmm.cache import Cache
from autointerp.lmm.human import client
from autointerp.lmm.human.questions import Question
from autointerp.lmm.request import Request
from autointerp.runs.folder import open_run
from autointerp.runs.votes import cast, vote
from autointerp.schema import Scored

EVERY = "detection,accuracy,intruder,choice,naming,localisation"


@pytest.fixture
def unscored(done: Done, tmp_path: Path) -> Path:
    """A copy of the finished run without its scores."""
    shutil.copytree(done.run, tmp_path / "run")
    (tmp_path / "run" / "scores.jsonl").unlink()
    return tmp_path / "run"


def by_ann(run: Path, heard: Heard, **options: object) -> JobResult:
    """Has Ann judge a run by detection and without controls, or as the options say."""
    usual = {"scorers": ["detection"], "controls": 0}
    return autointerp.score(run, judge_model="human:ann", port=0, progress=heard, **(usual | options))


def without_who(run: Path) -> list[dict[str, object]]:
    lines = whole_lines(run / "scores.jsonl")
    told = [{k: v for k, v in line.items() if k not in ("judge", "usage", "created")} for line in lines]
    return sorted(told, key=lambda line: (line["feature"], line["scorer"]))


def test_a_person_who_repeats_a_model_s_answers_gives_its_scores_to_the_digit(
    unscored: Path, seer: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    by_model = tmp_path / "by-model"
    shutil.copytree(unscored, by_model)
    usual = ("--scorers", EVERY, "--features", "0-2", "--controls", "1")
    assert run("score", by_model, "--judge-base-url", seer.url, *usual).code == 0
    asked: dict[str, Request] = {}

    class Noted(Question):
        def __init__(self, request: Request) -> None:
            super().__init__(request)
            asked[request.key] = request

    monkeypatch.setattr(client, "Question", Noted)
    heard = Heard()

    def judge() -> None:
        by_ann(unscored, heard, scorers=EVERY.split(","), features="0-2", controls=1)

    with Cache(tmp_path / "cache") as cache, working(judge):

        def says(question: dict) -> dict[str, object]:
            # But for who answers, it is the very request that the model got.
            stored = cache.get(replace(asked[question["key"]], model="seer").key)
            assert stored is not None
            values = json.loads(str(stored["text"]))
            # What the model leaves out counts so.
            said = {"sure": True} | dict.fromkeys(("x0", "y0", "x1", "y1"), 0) | values
            return {field["name"]: said[field["name"]] for field in question["fields"]}

        n = answer_all(heard.wait(), says)

    assert n == len(asked) > 100
    assert without_who(unscored) == without_who(by_model)
    (how_much,) = (note for note in heard.notes if "is asked about 3 features" in note)
    assert how_much.endswith(
        "; 1 feature carries controls too, several times as many questions, which --controls 0 leaves out"
    )
    judges = {line["judge"] for line in whole_lines(unscored / "scores.jsonl")}
    assert judges == {"human:ann"}


def test_the_page_tells_nothing_that_a_model_is_not_told(unscored: Path, seer: StandIn):
    heard = Heard()

    with working(lambda: by_ann(unscored, heard, features="3")):
        visitor = heard.wait()
        state = visitor.next()
        shown = json.dumps(state).lower()
        sheet = visitor.picture(state["question"]["images"][0]["tiles"][0]["src"])
        key, fields = state["question"]["key"], state["question"]["fields"]
        late, now = visitor.act("give", step=state["step"] + 1, question=key, values={fields[0]["name"]: "yes"})
        bad, _ = visitor.act("give", step=state["step"], question=key, values={fields[0]["name"]: "maybe"})
        status, _ = visitor.act("leave")

    for word in ("activation", "active", "silent", "stratum", "feature", "score", "verdict", "sha256", "guided"):
        assert word not in shown.replace('"phase"', ""), word
    assert (sheet[:2], status) == (b"\xff\xd8", 200)
    assert (late, now["question"]["given"], bad) == (409, {}, 422)
    question = next(c.question for c in seer.calls if c.question) if seer.calls else None
    assert question is None  # no model was asked


def test_what_was_answered_counts_when_the_person_stops(unscored: Path, tmp_path: Path):
    heard = Heard()
    results: list[object] = []

    with working(lambda: results.append(by_ann(unscored, heard, features="3,4"))):
        visitor = heard.wait()
        state = visitor.next()
        key = state["question"]["key"]
        state = visitor.give(state, {field["name"]: "no" for field in state["question"]["fields"]})
        visitor.act("leave")

    (result,) = results
    assert isinstance(result, JobResult)
    assert result.stopped == "ended on the page"
    assert "human:ann is asked about 2 features, of each: up to 60 images by detection" in heard.notes
    with Cache(tmp_path / "cache") as cache:
        stored = cache.get(key)
    assert stored is not None
    assert (stored["model"], json.loads(str(stored["text"]))["image_1"]) == ("human:ann", "no")
    assert whole_lines(unscored / "failures.jsonl") == []
    assert not (unscored / "scores.jsonl").exists() or whole_lines(unscored / "scores.jsonl") == []


@contextmanager
def judging(run: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`autointerp score RUN --judge-model human:ann` in a process of its own, and the address of its page."""
    command = (
        sys.executable,
        "-m",
        "autointerp",
        "score",
        str(run),
        "--judge-model",
        "human:ann",
        "--port",
        "0",
        *options,
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stderr is not None
        lines: list[str] = []
        try:
            for line in process.stderr:
                lines.append(line)
                if found := re.search(r" judges at (http://\S+)", line):
                    yield process, found[1]
                    break
            else:
                pytest.fail("".join(lines))
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()


def test_a_whole_session_by_keyboard_with_a_kill_in_its_middle(unscored: Path):
    options = ("--features", "0-1", "--scorers", "detection", "--controls", "0", "--active", "6", "--silent", "6")

    with chromium() as browser, Tab(browser) as tab:
        page, complaints = tab.page, tab.complaints
        with judging(unscored, *options) as (process, address):
            page.goto(address)
            page.wait_for_selector("#question:not([hidden])")
            for place in range(12):
                page.wait_for_selector(f".image.now[data-number='{place + 1}']")
                page.keyboard.press("y")
            page.wait_for_selector("#progress:has-text('1 of 2 questions answered, 12 images to go')")
            page.keyboard.press("n")
            page.wait_for_selector(".image.now[data-number='2']")
            page.keyboard.press("u")
            page.wait_for_selector(".image.now[data-number='3']")
            page.keyboard.press("Backspace")
            page.wait_for_selector(".image.now[data-number='2']:not(:has([aria-pressed=true]))")
            process.send_signal(signal.SIGKILL)
            page.wait_for_selector("#rest:not([hidden])")
            assert page.inner_text("#rest-heading") == "The session is over"
        # That the server is gone is nothing that the page could keep the browser from saying.
        complaints[:] = [one for one in complaints if "ERR_CONNECTION" not in one and "ERR_" not in one]

        with judging(unscored, *options) as (process, address):
            page.goto(address)
            page.wait_for_selector(".image.now[data-number='2']")
            assert page.inner_text("#progress").startswith("1 of 2 questions answered")
            assert page.get_attribute(".image[data-number='1'] [aria-pressed=true]", "data-value") == '"no"'
            for place in range(1, 12):
                page.wait_for_selector(f".image.now[data-number='{place + 1}']")
                page.keyboard.press("y")
            page.wait_for_selector("#hand-in:not([hidden])")
            page.keyboard.press("z")
            page.wait_for_selector(".image.now[data-number='12']")
            page.keyboard.press("u")
            page.wait_for_selector("#hand-in:not([hidden])")
            page.keyboard.press("Enter")
            page.wait_for_selector("#rest-heading:text-matches('Done|The session is over')")
        assert process.returncode == 0

    assert [one for one in complaints if "ERR_" not in one] == []
    found = {f: s for f, s in scores(unscored).items() if isinstance(s, Scored)}
    beliefs = {f: sorted(v.belief for v in s.verdicts if v.belief is not None) for f, s in found.items()}
    assert sorted(beliefs.values()) == [[0.0, 0.5] + [1.0] * 10, [1.0] * 12]
    assert {s.judge for s in found.values()} == {"human:ann"}


def test_an_interrupt_ends_the_command_at_once_and_keeps_what_was_answered(unscored: Path):
    options = ("--features", "0-1", "--scorers", "detection", "--controls", "0", "--active", "6", "--silent", "6")

    with judging(unscored, *options) as (process, address):
        visitor = Visitor(address)
        state = visitor.next()
        visitor.give(state, {field["name"]: "yes" for field in state["question"]["fields"]})
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()

    assert process.returncode == 3
    assert "ending the session; what was answered is kept" in said
    assert "in flight is done" not in said
    (line,) = whole_lines(unscored / "scores.jsonl")
    assert (line["judge"], line["scorer"]) == ("human:ann", "detection")
    assert whole_lines(unscored / "failures.jsonl") == []


HOSTILE = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>\u202e javascript:alert(3)"


def test_a_hostile_description_is_a_text(unscored: Path):
    file = unscored / "explanations.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(line | {"text": HOSTILE}) + "\n" for line in lines))
    heard = Heard()

    with working(lambda: by_ann(unscored, heard, features="0", scorers=["detection", "naming"])):
        visitor = heard.wait()
        with chromium() as browser, Tab(browser, visitor.address, width=390) as tab:
            page, complaints = tab.page, tab.complaints
            page.goto(visitor.address)
            page.wait_for_selector("#question:not([hidden])")
            shown = page.text_content("#description")
            width = page.evaluate("document.documentElement.scrollWidth")
            page.click("#leave")
            page.wait_for_selector("#rest:not([hidden])")

    assert shown == HOSTILE
    assert width == 390
    assert [one for one in complaints if "ERR_" not in one] == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--judge-model", "human:a b"), "a person's name has 1 to 40 letters"),
        (("--judge-model", "human:"), "a person's name has 1 to 40 letters"),
        (("--judge-model", "human:../x"), "a person's name has 1 to 40 letters"),
        (("--judge-model", "human:ann", "--batch"), "--batch with --judge-model human"),
        (("--judge-model", "human:ann", "--budget", "3M tokens"), "--budget with --judge-model human"),
        (("--judge-model", "human:ann", "--scorers", "embedding", "--embedder", "human"), "a person does not embed"),
        (("--judge-model", "human:ann", "--screen", "20", "--screen-model", "seer"), "neither is local or a person"),
        (("--judge-model", "human:ann", "--host", "nowhere.invalid"), "--host nowhere.invalid"),
    ],
)
def test_what_a_person_cannot_do_is_refused_in_one_line(unscored: Path, options: tuple[str, ...], problem: str):
    refused = run("score", unscored, *options)

    assert (refused.code, refused.out) == (2, "")
    assert problem in refused.err
    assert len(refused.err.strip().splitlines()) == 1


def test_a_person_explains_nothing(done: Done, tmp_path: Path):
    dump = json.loads((done.run / "run.json").read_text())["dump"]["path"]

    refused = run("explain", dump, "--run", tmp_path / "other", "--model", "human:ann")

    assert (refused.code, "a person judges with `score` and `calibrate` alone" in refused.err) == (2, True)


def test_a_person_without_a_name_has_that_of_the_account(unscored: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGNAME", "no name")

    refused = run("score", unscored, "--judge-model", "human")

    assert (refused.code, "say who judges, as in --judge-model human:NAME" in refused.err) == (2, True)


def test_several_processes_do_not_ask_one_person(unscored: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.jobs.score.crew_of", lambda execution: object())

    refused = run("score", unscored, "--judge-model", "human:ann")

    assert (refused.code, "--engine ray with --judge-model human" in refused.err) == (2, True)


def test_a_person_is_calibrated_as_a_model_is(tmp_path: Path):
    heard = Heard()

    def judge() -> None:
        autointerp.calibrate(
            model="human:ann", out=tmp_path / "ann.json", calls=12, planted_sides=[128], port=0, progress=heard
        )

    with working(judge):
        n = answer_all(heard.wait(), lambda question: {field["name"]: "yes" for field in question["fields"]})

    found = json.loads((tmp_path / "ann.json").read_text())
    assert (found["model"], n) == ("human:ann", 12)
    assert (found["sensitivity"], found["specificity"]) == (1.0, 0.0)


def test_a_person_costs_nothing(done: Done):
    dump = json.loads((done.run / "run.json").read_text())["dump"]["path"]

    said = run("estimate", dump, "--models", "human:ann", "--sample", "1", "--json")

    (model,) = json.loads(said.out)["models"]
    assert (said.code, model["model"], model["dollars"]) == (0, "human:ann", 0.0)


@pytest.mark.parametrize("of", ["dump", "run"])
def test_wordings_of_people_are_scored_as_explanations_are(done: Done, seer: StandIn, tmp_path: Path, of: str):
    """The run that the votes are on may be named in the place of its dump."""
    named = done.run if of == "run" else json.loads((done.run / "run.json").read_text())["dump"]["path"]
    texts = {e.feature: e.text for e in open_run(done.run).explanations()}
    cast(tmp_path, vote(0, texts[0], "partly", "ann", texts[0]))
    cast(tmp_path, vote(1, texts[1], "right", "ann"))

    said = run(
        "score",
        named,
        *("--explanations", tmp_path / "votes.jsonl", "--run", tmp_path / "theirs"),
        *("--judge-model", "seer", "--judge-base-url", seer.url, "--scorers", "detection", "--controls", "0"),
    )

    assert said.code == 0, said.err
    (found,) = scores(tmp_path / "theirs").values()
    assert isinstance(found, Scored)
    assert (found.feature, found.value) == (0, 1.0)


def test_a_person_judges_beside_a_model_and_both_are_compared(done: Done, tmp_path: Path):
    shutil.copytree(done.run, tmp_path / "run")
    heard = Heard()

    with working(lambda: by_ann(tmp_path / "run", heard, features="0-1")):
        answer_all(heard.wait(), lambda question: {field["name"]: "yes" for field in question["fields"]})
    said = run("compare", tmp_path / "run", "--judge", "seer", "--judge", "human:ann", "--json")

    assert said.code == 0, said.err
    lines = [line for line in whole_lines(tmp_path / "run" / "scores.jsonl") if line["scorer"] == "detection"]
    assert Counter(line["judge"] for line in lines) == {"seer": 12, "human:ann": 2}
    # The model says no of some images, the person of none.
    assert '"sensitivity"' in said.out
    report = run("report", tmp_path / "run", "--judge", "human:ann", "--out", tmp_path / "report.html")
    assert report.code == 0, report.err
