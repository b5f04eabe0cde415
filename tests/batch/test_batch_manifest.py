"""The manifest of batch files, and what it makes of a folder that a kill left behind."""

from pathlib import Path

import pytest

from autointerp.batch.manifest import (
    MANIFEST,
    Event,
    Manifest,
)
from autointerp.errors import RunError

A, B, C = "a" * 64, "b" * 64, "c" * 64


def written(number: int, *keys: str) -> Event:
    return Event(
        event="written",
        file=f"requests-{number:05d}.jsonl",
        stage="explain",
        model="m",
        base_url=None,
        lines=len(keys),
        bytes=10,
        questions={"explain": keys},
    )


def book_of(folder: Path, *events: Event) -> Manifest:
    """A manifest with these events, read again from disk."""
    with Manifest(folder, writing=True) as book:
        for event in events:
            book.add(event)
    return Manifest(folder, writing=False)


def test_a_question_waits_until_it_is_answered(tmp_path: Path):
    book = book_of(tmp_path, written(1, A, B), Event(event="taken", answered=(A,)))

    assert (book.waits(A), book.waits(B), book.waits(C)) == (False, True, False)
    assert (book.n_open, dict(book.unanswered)) == (1, {})


def test_errors_and_ended_batches_leave_questions_to_be_written_again(tmp_path: Path):
    """A failed, B was left by the batch; written again, B waits in the second file, and A once answered is done."""
    first = book_of(
        tmp_path,
        written(1, A, B, C),
        Event(event="taken", answered=(C,), failed={"http_500": (A,)}),
        Event(event="ended", file="requests-00001.jsonl", status="expired"),
    )
    second = book_of(tmp_path, written(2, A, B), Event(event="taken", answered=(A,)))

    assert dict(first.unanswered) == {A: "http_500", B: "expired"}
    assert first.n_open == 0
    assert (dict(second.unanswered), second.waits(A), second.waits(B)) == ({}, False, True)
    assert second.home[B] is second.files["requests-00002.jsonl"]


def test_a_file_goes_through_its_states(tmp_path: Path):
    name = "requests-00001.jsonl"
    steps: list[Event] = [
        written(1, A),
        Event(event="uploaded", file=name, id="f"),
        Event(event="started", file=name, batch="b"),
        Event(event="ended", file=name, status="cancelled"),
    ]

    states = [book_of(tmp_path / str(n), *steps[: n + 1]).files[name].state for n in range(4)]

    assert states == ["written", "uploaded", "started", "cancelled"]
    assert book_of(tmp_path / "x", written(1, A), Event(event="taken", answered=(A,))).files[name].state == "done"


def test_a_stage_that_is_planned_again_is_not_finished(tmp_path: Path):
    assert book_of(
        tmp_path, Event(event="finished", stage="explain"), Event(event="finished", stage="score")
    ).finished == {"explain", "score"}
    assert book_of(tmp_path, Event(event="planned", stage="score")).finished == {"explain"}


def test_what_a_kill_left_is_mended(tmp_path: Path):
    """A file that the manifest knows gets its name; one that it does not, and a torn line of it, say nothing."""
    book_of(tmp_path, written(1, A))
    (tmp_path / "requests-00001.jsonl.part").write_text("whole")
    (tmp_path / "requests-00002.jsonl.part").write_text("to")
    with (tmp_path / MANIFEST).open("a") as manifest:
        manifest.write('{"event":"writ')

    Manifest(tmp_path, writing=False)
    untouched = sorted(f.name for f in tmp_path.glob("*.part"))
    with Manifest(tmp_path, writing=True) as book:
        name = book.next_name()

    assert untouched == ["requests-00001.jsonl.part", "requests-00002.jsonl.part"]
    assert (tmp_path / "requests-00001.jsonl").read_text() == "whole"
    assert list(tmp_path.glob("*.part")) == []
    assert name == "requests-00002.jsonl"
    assert (tmp_path / MANIFEST).read_bytes().endswith(b"\n")


def test_a_broken_line_names_file_and_line(tmp_path: Path):
    (tmp_path / MANIFEST).write_text('{"event":"finished","stage":"explain"}\n{"event":"lost"}\n')

    with pytest.raises(RunError, match=r"manifest\.jsonl:2: "):
        Manifest(tmp_path, writing=False)


def test_a_missing_line_is_told_from_those_that_need_it(tmp_path: Path):
    """The line of a file's writing was deleted, those of its start and of its results were not."""
    for number, event in enumerate(
        [Event(event="started", file="requests-00001.jsonl", batch="b"), Event(event="taken", answered=(A,))]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / MANIFEST).write_text(event.model_dump_json() + "\n")

        with pytest.raises(
            RunError, match=r"manifest\.jsonl: speaks of .* the line that says it was written is missing"
        ):
            Manifest(folder, writing=False)


def test_recording_a_stage_anew_drops_its_unsent_files_only(tmp_path: Path):
    """The first was not sent, the second runs; late answers to the first are welcome, but it is not written again."""
    book = book_of(
        tmp_path,
        written(1, A),
        written(2, B),
        Event(event="started", file="requests-00002.jsonl", batch="b"),
        Event(event="planned", stage="explain"),
    )

    assert [file.state for file in book.files.values()] == ["abandoned", "started"]
    assert (book.waits(A), A in book.lost, book.waits(B)) == (False, True, True)
    assert dict(book.unanswered) == {}


def test_a_question_waits_in_the_last_file_alone(tmp_path: Path):
    book = book_of(
        tmp_path, written(1, A, B), written(2, B), Event(event="ended", file="requests-00001.jsonl", status="rewritten")
    )

    assert dict(book.unanswered) == {A: "rewritten"}
    assert book.waits(B)


def test_a_line_has_what_its_event_needs_and_nothing_else(tmp_path: Path):
    """As earlier versions wrote it; one that lacks a field is a broken line, not a file without a name."""
    line = Event(event="ended", file="requests-00001.jsonl", status="gone").model_dump_json()
    (tmp_path / MANIFEST).write_text('{"event":"ended","file":"requests-00001.jsonl"}\n')

    assert line == '{"event":"ended","file":"requests-00001.jsonl","status":"gone"}'
    with pytest.raises(RunError, match=r"manifest\.jsonl:1: .*ended without status"):
        Manifest(tmp_path, writing=False)
