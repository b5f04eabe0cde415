"""Segments: which object holds which lines of a file, and the file made of them."""

from pathlib import Path

import pytest

from autointerp.runs.segments import Segment, join, segment_of

A, B = "aaaaaaaa", "bbbbbbbb"


def put(folder: Path, file: str, at: int, lines: bytes, writer: str = A) -> None:
    own = folder / Segment(file, at, writer).name
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_bytes(lines)


@pytest.mark.parametrize("file", ["scores.jsonl", "parts/score-00001-of-00002/scores.jsonl"])
def test_a_segment_is_found_by_its_name(file: str):
    segment = Segment(file, 4096, A)

    assert segment.name.endswith("segments/scores-0000000000004096-aaaaaaaa.jsonl")
    assert segment_of(segment.name) == segment


@pytest.mark.parametrize(
    "name",
    [
        "scores.jsonl",
        "segments/scores.jsonl",
        "segments/plan-0000000000000000-aaaaaaaa.jsonl",
        "segments/scores-1-a.jsonl",
    ],
)
def test_other_names_are_no_segments(name: str):
    assert segment_of(name) is None


def test_a_whole_file_and_its_segments_are_the_file(tmp_path: Path):
    (tmp_path / "scores.jsonl").write_bytes(b"1\n")
    put(tmp_path, "scores.jsonl", 4, b"3\n", B)
    put(tmp_path, "scores.jsonl", 2, b"2\n")
    put(tmp_path, "parts/x/failures.jsonl", 0, b"9\n")

    join(tmp_path)

    files = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {"scores.jsonl": b"1\n2\n3\n", "parts/x/failures.jsonl": b"9\n"}
    assert list(tmp_path.rglob("segments")) == []


def test_a_segment_that_is_in_the_whole_file_already_adds_nothing(tmp_path: Path):
    (tmp_path / "scores.jsonl").write_bytes(b"1\n2\n3\n")
    put(tmp_path, "scores.jsonl", 2, b"2\n")

    join(tmp_path)

    assert (tmp_path / "scores.jsonl").read_bytes() == b"1\n2\n3\n"


def test_two_writers_at_the_same_byte_lose_nothing(tmp_path: Path):
    put(tmp_path, "scores.jsonl", 0, b"1\n", A)
    put(tmp_path, "scores.jsonl", 2, b"2\n", A)
    put(tmp_path, "scores.jsonl", 0, b"3\n", B)

    join(tmp_path)

    assert (tmp_path / "scores.jsonl").read_bytes() == b"1\n3\n2\n"


def test_a_late_segment_behind_a_whole_file_without_it_is_kept(tmp_path: Path):
    (tmp_path / "scores.jsonl").write_bytes(b"1\n2\n3\n")
    put(tmp_path, "scores.jsonl", 2, b"7\n", B)

    join(tmp_path)

    assert (tmp_path / "scores.jsonl").read_bytes() == b"1\n2\n3\n7\n"


def test_what_an_interrupted_joining_left_is_written_anew(tmp_path: Path):
    (tmp_path / "scores.jsonl").write_bytes(b"1\n22")
    put(tmp_path, "scores.jsonl", 2, b"222\n333\n")

    join(tmp_path)

    assert (tmp_path / "scores.jsonl").read_bytes() == b"1\n222\n333\n"
