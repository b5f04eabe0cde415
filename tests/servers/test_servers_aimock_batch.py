"""`batch` against aimock's Files and Batches API, which others wrote; it answers every question with prose."""

import json
import urllib.request
from pathlib import Path
from typing import cast

import pytest
from servers.aimock import Aimock
from standin.commands import Result, run
from standin.records import failures

from autointerp.batch import api as batch_api
from autointerp.lmm.route import headers_for

SHOWN = ("--top", "2", "--bands", "0", "--contrast", "1", "--rendering", "crop", "--side", "64")


@pytest.fixture
def recorded(aimock: Aimock, planted: Path, tmp_path: Path) -> Path:
    """Three features are to be explained by a batch job."""
    aimock.answers()
    where = ("--run", tmp_path / "run", "--model", "any", "--base-url", aimock.url)
    result = run("explain", planted, *where, *SHOWN, "--batch")
    assert result.code == 0, result.err
    return tmp_path / "run"


def batch(command: str, folder: Path, *options: str) -> tuple[Result, dict[str, object]]:
    result = run("batch", command, folder, "--json", *options)
    return result, json.loads(result.out) if result.out else {}


def sent(told: dict[str, object]) -> dict[str, str]:
    """Batch by file."""
    return cast("dict[str, str]", told["sent"])


def test_a_file_is_uploaded_started_watched_and_collected(recorded: Path, aimock: Aimock) -> None:
    """Step by step: what aimock was sent is the file, byte by byte; its prose is three malformed replies."""
    file = recorded / "batch" / "requests-00001.jsonl"

    _, told = batch("submit", recorded)
    there = json.loads((recorded / "batch" / "manifest.jsonl").read_text().splitlines()[2])
    with urllib.request.urlopen(f"{aimock.url}/files/{there['id']}/content", timeout=300) as stored:
        uploaded = stored.read()
    as_written = file.read_bytes()
    _, at_work = batch("collect", recorded)
    _, taken = batch("collect", recorded)

    assert told["written"] == {file.name: 3}
    assert uploaded == as_written
    assert at_work["running"] == {file.name: "in_progress, 0 of 3 answered"}
    assert taken["ended"] == {file.name: "completed"}
    assert (taken["answers"], taken["unusable"], taken["removed"]) == (3, {"malformed": 3}, [file.name])


def test_driven_to_its_end_prose_twice_is_a_failure(recorded: Path) -> None:
    """Three questions, then each once more with what was wrong; then three failures on record, and no explanation."""
    result, told = batch("run", recorded, "--poll", "0.01")

    assert (result.code, told["rounds"], told["answers"]) == (1, 2, 6), result.err
    assert [(f.kind, f.attempts) for f in failures(recorded)] == [("malformed", 2)] * 3
    assert all("the reply began: Mock batch completion" in f.message for f in failures(recorded))


@pytest.mark.parametrize("outcome", ["expired", "cancelled", "failed"])
def test_batches_that_end_otherwise_are_written_again(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    """Three times the same end: all three questions stay open, and the driving says so."""
    wish = {"X-AIMock-Batch-Outcome": outcome}
    monkeypatch.setattr(batch_api, "headers_for", lambda url, key: headers_for(url, key) | wish)

    result, told = batch("run", recorded, "--poll", "0.01")

    assert (result.code, told["rounds"], told["answers"]) == (1, 3, 0), result.err
    assert "3 rounds in a row brought no answer" in str(told["stopped"])
    assert "3 questions are open" in str(told["stopped"])
    assert failures(recorded) == []


def test_a_faulty_api_is_one_line_and_the_same_command_goes_on(recorded: Path, aimock: Aimock) -> None:
    aimock.chaos(dropRate=1)
    broken, told = batch("submit", recorded)
    aimock.chaos()

    mended, more = batch("submit", recorded)

    assert broken.code == 2
    assert broken.err.splitlines()[-1].startswith(f"autointerp: {aimock.url}: the Batch API answered 500 (")
    assert (told["written"], sent(told)) == ({"requests-00001.jsonl": 3}, {})
    assert (mended.code, more["written"], list(sent(more))) == (0, {}, ["requests-00001.jsonl"])
