"""The key stays in the environment, and what a model writes stays text."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from standin.commands import Command, Done, Result, run, unasked
from standin.mind import Question
from standin.server import StandIn

KEY = "sk-planted-7f3a9c51e2d84b06"
ALL = ("--features", "0-1", "--attempts", "1")


def leaks(folder: Path, *results: Result) -> list[str]:
    """Where the key, or its first half, is to be read."""
    half = KEY[: len(KEY) // 2 + 2]
    files = [str(p) for p in folder.rglob("*") if p.is_file() and half.encode() in p.read_bytes()]
    return files + [text for r in results for text in (r.out, r.err) if half in text]


def test_key_is_sent_and_stands_in_no_file_nor_output(
    seer: StandIn, explain: Command, score: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AUTOINTERP_API_KEY", KEY)
    seer.key = KEY

    results = explain(*ALL), score("--json"), run("report", tmp_path / "run"), run("status", tmp_path / "run")

    assert [r.code for r in results] == [0, 0, 0, 0]
    assert seer.last_headers["Authorization"] == f"Bearer {KEY}"
    assert (tmp_path / "run" / "report.html").exists()
    assert leaks(tmp_path, *results) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("padding", [0, 285], ids=["short", "cut"])
def test_key_that_an_error_echoes_is_masked(
    status: int, padding: int, seer: StandIn, explain: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AUTOINTERP_API_KEY", KEY)
    seer.status = (status, "x" * padding + " Bearer {key}: no")

    result = explain(*ALL)

    assert result.code in (1, 2)
    assert "[key]" in result.out + result.err or padding
    assert leaks(tmp_path, result) == []


def test_wrong_key_that_the_server_echoes_is_masked(
    seer: StandIn, explain: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AUTOINTERP_API_KEY", KEY)
    seer.key = "another"

    result = explain(*ALL)

    assert result.code == 2
    assert "refuses the API key (Incorrect API key provided: [key].)" in result.err
    assert leaks(tmp_path, result) == []


def test_control_characters_of_an_endpoint_do_not_reach_the_terminal(seer: StandIn, explain: Command):
    seer.status = (403, "no\x1b[2J\r\nautointerp: all is well\u202e")
    refused = explain(*ALL)
    seer.status = (401, "no\x1b[2J\r\nautointerp: all is well")

    hopeless = explain(*ALL)

    for text in (refused.out, refused.err, hopeless.out, hopeless.err):
        assert all(line.isprintable() for line in text.split("\n"))
    assert unasked(hopeless.err).count("\n") == 1


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)></script><b>red circle"


class Tags(HTMLParser):
    """Counts what a browser would take for markup."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts = 0
        self.odd: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes scripts, handlers, and addresses that are not data."""
        self.scripts += tag == "script"
        for name, value in attrs:
            if name.startswith("on") or (name in ("src", "href") and not (value or "").startswith(("data:", "#"))):
                self.odd.append(f"{tag} {name}={value}")


def test_hostile_explanation_is_text_in_the_report(
    seer: StandIn, done: Done, explain: Command, score: Command, tmp_path: Path
):
    def hostile(question: Question, value: dict[str, object]) -> str:
        if question.task == "judge":
            return json.dumps(value)
        words = {"explanation": HOSTILE, "concepts": [HOSTILE], "lookalikes": HOSTILE, "candidates": [HOSTILE]}
        return json.dumps(
            value | words | {"observations": HOSTILE, "error": HOSTILE, "category": HOSTILE, "found": True}
        )

    seer.text_of = hostile
    results = explain(*ALL, "--domain", "physical-plausibility"), score()
    seer.status = (403, HOSTILE)
    explain("--features", "2", "--domain", "physical-plausibility", "--attempts", "1")
    run("report", tmp_path / "run", "--out", tmp_path / "hostile.html", "--title", HOSTILE)
    run("report", done.run, "--out", tmp_path / "benign.html")

    hostile_page, benign = (tmp_path / "hostile.html").read_text(), (tmp_path / "benign.html").read_text()

    assert [r.code for r in results] == [0, 0]
    assert "red circle" in hostile_page
    assert "<script>alert" not in hostile_page
    assert Tags(hostile_page).scripts == Tags(benign).scripts
    assert Tags(hostile_page).odd == []
