"""People vote on explanations and judge features in the explorer, over its interface and in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from explorer.explorer_world import asking, opened
from report.report_world import explained, run_info
from standin.browser import Tab, chromium, served
from standin.person import wait_for
from standin.records import whole_lines

from autointerp.dump.reader import open_dump
from autointerp.explorer import votes
from autointerp.explorer.server import app_of
from autointerp.explorer.viewed import Viewed
from autointerp.job import reference
from autointerp.runs.folder import RunWriter
from autointerp.runs.info import RunInfo
from autointerp.runs.parts import PartInfo, Place, part_path, write_part
from autointerp.runs.votes import digest_of
from autointerp.web.guard import CHANGES

DUMP = Path(__file__).parents[2] / "autointerp" / "demo" / "dump"
TEXTS = {94: "pictures of buildings", 135: "pictures of vehicles", 621: "skin of a face"}
HOSTILE = '<img src=x onerror="alert(1)">'


def info_of_demo() -> RunInfo:
    with open_dump(DUMP) as dump:
        return run_info("seer-1", None).model_copy(update={"dump": reference(dump)})


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Viewed]:
    """A run of three features of the bundled dump."""
    with RunWriter(tmp_path / "run", info_of_demo()) as writer:
        for feature, text in TEXTS.items():
            writer.explanation(explained(feature, text))
    with opened(tmp_path / "run", cache=tmp_path / "cache") as what:
        yield what


class Asking:
    """Asks the explorer without a browser, as its pages do."""

    def __init__(self, what: Viewed) -> None:
        self.client = asking(what)
        self.own = {CHANGES: what.guard.changes}

    def get(self, path: str) -> dict:
        return self.client.get(path).json()

    def post(self, path: str, said: object) -> tuple[int, dict]:
        answer = self.client.post(path, json=said, headers=self.own)
        return answer.status_code, answer.json()


def a_vote(**more: object) -> dict[str, object]:
    return {"name": "ann", "verdict": "partly", "explanation": digest_of(TEXTS[94])} | more


def test_votes_are_kept_and_told_by_person(shown: Viewed):
    asking = Asking(shown)

    asking.post("/vote/94", a_vote(verdict="wrong"))
    asking.post("/vote/94", a_vote(name="bob", verdict="right"))
    status, told = asking.post("/vote/94", a_vote(wording="towers \n and houses"))

    assert status == 200
    assert [(v["name"], v["verdict"], v["wording"], v["of"]) for v in told["votes"]] == [
        ("bob", "right", None, None),
        ("ann", "partly", "towers and houses", None),
    ]
    assert told == asking.get("/votes/94")
    assert asking.get("/votes/135")["votes"] == []
    assert len(whole_lines(shown.runs[0].path / "votes.jsonl")) == 3


def test_the_page_of_votes_says_how_far_people_agree(shown: Viewed):
    asking = Asking(shown)
    for name, verdicts in {"ann": ("right", "wrong", "right"), "bob": ("right", "wrong", "partly")}.items():
        for (feature, text), verdict in zip(TEXTS.items(), verdicts, strict=True):
            said = {"name": name, "verdict": verdict, "explanation": digest_of(text)}
            assert asking.post(f"/vote/{feature}", said)[0] == 200

    rows = re.findall(r"<tr>.*?</tr>", asking.client.get("/votes").text, re.DOTALL)
    cells = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "|", row)) for row in rows]

    people = [
        re.split(r"[| ]+", c.strip("| ")) for c in cells if " and " not in c and "Name" not in c and "Two" not in c
    ]
    assert people == [["ann", "3", "2", "0", "1", "0"], ["bob", "3", "1", "1", "1", "0"]]
    (pair,) = [re.split(r"[| ]+", c.strip("| ")) for c in cells if " and " in c]
    # Both called two of three right or wrong, and the same; one half of these by chance.
    assert pair[:7] == ["ann", "and", "bob", "3", "2", "2", "1.00"]


@pytest.mark.parametrize(
    ("said", "status", "problem"),
    [
        (a_vote(explanation=digest_of("another")), 409, "The explanation has changed meanwhile"),
        (a_vote(name="../x"), 422, "name: a person's name has 1 to 40"),
        (a_vote(name=3), 422, "expected texts"),
        (a_vote(verdict="maybe"), 422, "verdict: choose one of right, partly, wrong"),
        (a_vote(wording="x" * 601), 422, "wording: String should have at most 600 characters"),
        ([], 422, "expected an object"),
        ("x" * 20_000, 422, "more than 16,384 bytes"),
    ],
)
def test_what_is_no_vote_is_refused_and_not_kept(shown: Viewed, said: object, status: int, problem: str):
    got, told = Asking(shown).post("/vote/94", said)

    assert (got, problem in told["problem"]) == (status, True), told
    assert not (shown.runs[0].path / "votes.jsonl").exists()


def test_a_vote_needs_a_page_of_this_server(shown: Viewed):
    asking = Asking(shown)

    assert asking.client.post("/vote/94", json=a_vote()).status_code == 403
    assert asking.client.post("/judge/begin", json={}).status_code == 403
    assert asking.client.get("/vote/94").status_code == 405
    assert not (shown.runs[0].path / "votes.jsonl").exists()


@pytest.mark.parametrize(
    "path", ["/votes/..%2fviewed.py", "/judge/session/static/judge.html.j2", "/votes/99999999999999999999"]
)
def test_nothing_else_is_served(shown: Viewed, path: str):
    assert Asking(shown).client.get(path).status_code == 404


def test_a_vote_in_a_browser(shown: Viewed):
    with served(app_of(shown)) as address, chromium() as browser, Tab(browser, address, width=390) as watched:
        tab = watched.open("feature/94")
        tab.wait_for_selector("#votes:not([hidden])")
        tab.click("[data-verdict=partly]")
        tab.wait_for_selector("#vote-told.wrong:has-text('Say who you are first')")
        tab.fill("#vote-name", "ann")
        tab.fill("#vote-wording", HOSTILE)
        tab.click("[data-verdict=partly]")
        tab.wait_for_selector("[data-verdict=partly][aria-pressed=true]")
        tab.reload()
        tab.wait_for_selector("[data-verdict=partly][aria-pressed=true]")
        said = tab.text_content("#votes-said")
        width = tab.evaluate("document.documentElement.scrollWidth")

    assert said == f"ann: partly{HOSTILE}"
    assert (width, watched.complaints) == (390, [])


def test_the_form_and_the_votes_have_their_room_before_any_script_runs(shown: Viewed):
    asking = Asking(shown)
    asking.post("/vote/94", a_vote(wording="towers"))

    voted, plain, unexplained = (asking.client.get(f"/feature/{feature}").text for feature in (94, 135, 279))

    said = re.search(r'<ul id="votes-said"[^>]*>(.*?)</ul>', voted, re.DOTALL)
    assert said is not None
    assert re.sub(r"<[^>]+>", "|", said[1]).strip().strip("|") == "ann|: |partly||towers"
    sections = [re.findall(r'<section id="votes"[^>]*>', text)[0] for text in (voted, plain, unexplained)]
    assert [" hidden" in section for section in sections] == [False, False, True]


def test_a_session_in_the_explorer_writes_scores_of_the_person(shown: Viewed):
    wanted = {"name": "ann", "features": 2, "seed": 5, "scorers": ["detection"]}
    said = "", ""

    with served(app_of(shown)) as address, chromium() as browser, Tab(browser, address) as watched:
        tab = watched.open("judge")
        tab.fill("#name", "ann")
        tab.fill("#features", "2")
        tab.click("#begin button")
        tab.wait_for_url("**/judge/session/")
        status, told = Asking(shown).post("/judge/begin", wanted)

        def shown_now() -> str:
            return tab.evaluate(
                "['said', 'progress', 'rest-heading'].map((id) => document.getElementById(id).textContent).join()"
            )

        for _ in range(500):
            tab.wait_for_selector(
                "#question:not([hidden]) .image.now, #hand-in:not([hidden]), #rest-heading:text-is('Done')"
            )
            if tab.is_visible("#hand-in"):
                tab.keyboard.press("Enter")
                tab.wait_for_selector("#hand-in", state="hidden")
            elif tab.is_visible("#rest-heading:text-is('Done')"):
                said = tab.inner_text("#rest-text"), tab.inner_text("#progress")
                break
            else:
                # A busy server answers later than keys can be pressed.
                before = shown_now()
                tab.keyboard.press("y")
                wait_for(lambda before=before: shown_now() != before)
        tab.click(".home a")
        tab.wait_for_selector("#now-told:has-text('All 2 features are judged.')")
        told_how_much = tab.inner_text(".judging-scorers label")

    assert (status, told["problem"]) == (409, "Somebody judges already; one session goes on at a time.")
    assert watched.complaints == []
    assert said[0] == "All 2 features are judged. Your scores stand on the features' pages."
    assert re.fullmatch(r"\d+ questions answered", said[1])
    # With the defaults 24 active images and 36 silent ones.
    assert told_how_much == "detection: which images the explanation fits (up to 60 images a feature)"
    lines = whole_lines(shown.runs[0].path / "scores.jsonl")
    assert [(line["judge"], line["scorer"], line["status"]) for line in lines] == [
        ("human:ann", "detection", "scored")
    ] * 2
    details = lines[0]["details"]
    assert isinstance(details, dict)
    assert details["recall"] == 1.0


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"features": 0}, "features: Input should be greater than or equal to 1"),
        ({"name": "<b>"}, "name: a person's name has"),
        ({"scorers": []}, "scorers: Tuple should have at least 1 item"),
        ({"scorers": ["embedding"]}, "scorers: there is no embedding here"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
    ],
)
def test_a_session_that_cannot_be_is_refused(shown: Viewed, wanted: dict[str, object], problem: str):
    asking = Asking(shown)

    status, told = asking.post(
        "/judge/begin", {"name": "ann", "features": 2, "seed": 0, "scorers": ["detection"]} | wanted
    )

    assert (status, problem in told["problem"]) == (422, True), told
    assert asking.get("/judge/told")["goes_on"] is False


def test_a_session_that_fails_says_why(shown: Viewed):
    asking = Asking(shown)

    with RunWriter(shown.runs[0].path, shown.runs[0].info):
        asking.post("/judge/begin", {"name": "ann", "features": 2, "seed": 0, "scorers": ["detection"]})
        wait_for(lambda: asking.get("/judge/told")["ended"] is not None)

    ended = asking.get("/judge/told")["ended"]
    assert "another autointerp is writing this run" in ended
    assert asking.get("/judge/session/state")["ending"] == ended


def test_a_vote_is_on_the_explanation_that_holds_now_in_a_run_that_is_not_merged(tmp_path: Path):
    info = info_of_demo()
    part = part_path(tmp_path / "run", Place("explain", 0, 1))
    with RunWriter(part, info) as writer:
        write_part(part, PartInfo(selection="all", features=2, finished=False))
        writer.explanation(explained(94, TEXTS[94]))
    with opened(tmp_path / "run", cache=tmp_path / "cache") as what:
        asking = Asking(what)
        assert asking.get("/votes/94")["explanation"] == digest_of(TEXTS[94])
        with RunWriter(part, info) as writer:
            writer.explanation(explained(135, TEXTS[135]))

        status, told = asking.post("/vote/135", a_vote(explanation=digest_of(TEXTS[135])))

    assert (status, told["explanation"], len(told["votes"])) == (200, digest_of(TEXTS[135]), 1)


@pytest.mark.parametrize("path", [f"/votes/{'9' * 5000}", f"/feature/{'9' * 5000}"])
def test_a_number_of_any_length_is_an_answer_and_no_fault(shown: Viewed, path: str):
    assert Asking(shown).client.get(path).status_code == 404


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_session_that_breaks_off_says_so_and_frees_the_desk(shown: Viewed, monkeypatch: pytest.MonkeyPatch):
    assert shown.sessions is not None

    def breaks(*_: object) -> str:
        raise OSError("no space left")

    monkeypatch.setattr(shown.sessions, "judging", breaks)
    asking = Asking(shown)
    asking.post("/judge/begin", {"name": "ann", "features": 2, "seed": 5, "scorers": ["detection"]})

    wait_for(lambda: not asking.get("/judge/told")["goes_on"])
    assert asking.get("/judge/told")["ended"].startswith("It ended by a fault")
    assert asking.get("/judge/session/state")["phase"] == "over"


def test_where_nothing_is_explained_a_session_says_so(tmp_path: Path):
    with RunWriter(tmp_path / "run", info_of_demo()):
        pass
    with opened(tmp_path / "run", cache=tmp_path / "cache") as what:
        asking = Asking(what)
        asking.post("/judge/begin", {"name": "ann", "features": 2, "seed": 5, "scorers": ["detection"]})
        wait_for(lambda: asking.get("/judge/told")["ended"])

        assert "is explained yet" in asking.get("/judge/told")["ended"]


def test_agreement_is_worked_out_again_only_after_a_further_vote(shown: Viewed, monkeypatch: pytest.MonkeyPatch):
    asking, worked_out = Asking(shown), []
    monkeypatch.setattr(votes, "pairs", lambda said: worked_out.append(len(said)) or [])
    for _ in range(2):
        asking.client.get("/votes")
    asking.post("/vote/94", a_vote())
    asking.client.get("/votes")

    assert "ann" in asking.client.get("/votes").text
    assert worked_out == [0, 1]
