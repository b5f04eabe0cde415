import os
import resource
from pathlib import Path

import numpy as np
import pytest
from builders import explanation

from autointerp.errors import RunError
from autointerp.runs.index import EXPLANATION, ExplanationIndex, holds, keys
from autointerp.runs.jsonl import Appender, JsonLines, LineFile, lots, opened, read_lines


def appended(path: Path, *numbers: int) -> None:
    appender = Appender(path, EXPLANATION)
    for number in numbers:
        appender.append(explanation(number, text=f"feature {number} ünï"))
    appender.close()


def features(path: Path) -> list[int]:
    return [e.feature for e in read_lines(path, EXPLANATION)]


def test_what_is_appended_is_read_back_equal(tmp_path: Path):
    record = explanation(5, text='a "quoted" line\u2028 of two', images=(1, 2))
    appender = Appender(tmp_path / "e.jsonl", EXPLANATION)

    appender.append(record)

    assert list(read_lines(tmp_path / "e.jsonl", EXPLANATION)) == [record]
    appender.close()


@pytest.mark.parametrize("torn", [b"{", b'{"feature": 9, "text": "' + b"x" * 200_000])
def test_a_torn_last_line_is_not_read_and_dropped_on_opening(tmp_path: Path, torn: bytes):
    path = tmp_path / "e.jsonl"
    appended(path, 1, 2)
    whole = path.read_bytes()
    path.write_bytes(whole + torn)

    before = features(path), list(ExplanationIndex(path).features)
    appended(path, 3)

    assert before == ([1, 2], [1, 2])
    assert features(path) == [1, 2, 3]
    assert path.read_bytes().startswith(whole)


def test_a_file_that_is_one_torn_line_becomes_empty(tmp_path: Path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(b'{"feature"')

    appended(path)

    assert path.read_bytes() == b""


def test_a_broken_line_inside_is_named_by_file_line_and_field(tmp_path: Path):
    path = tmp_path / "e.jsonl"
    appended(path, 1)
    with path.open("ab") as file:
        file.write(b'{"feature": 2}\n')

    with pytest.raises(RunError, match=r"e\.jsonl:2: text: Field required; mend or delete the line"):
        features(path)


def test_a_line_that_names_no_feature_is_an_error_of_the_index(tmp_path: Path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(b'{"feature": 1}\nnonsense\n')

    with pytest.raises(RunError, match=r"e\.jsonl:2: not a line of a run"):
        list(keys(path))


def test_reading_while_writing_sees_whole_lines_only(tmp_path: Path):
    path = tmp_path / "e.jsonl"
    line = EXPLANATION.dump_json(explanation(1)) + b"\n"
    seen: set[int] = set()
    with path.open("ab", buffering=0) as writer:
        for byte in line * 2:
            writer.write(bytes([byte]))
            seen.add(len(features(path)))

    assert seen == {0, 1, 2}


def test_a_full_disk_is_one_line_and_not_a_traceback():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    appender = Appender.__new__(Appender)
    appender._path, appender._adapter = Path("/dev/full"), EXPLANATION
    appender._file = os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb", buffering=0)

    with appender._file, pytest.raises(RunError, match=r"/dev/full: cannot be written \(No space left on device\)"):
        appender.append(explanation())


def test_where_the_disk_was_full_the_next_line_is_whole(tmp_path: Path):
    path = tmp_path / "e.jsonl"
    appender = Appender(path, EXPLANATION)
    appender.append(explanation(1))
    # A file may not grow beyond this, which breaks off a write as a full disk does.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        with pytest.raises(RunError, match="the disk is full"):
            appender.append(explanation(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    appender.append(explanation(3))
    appender.close()

    assert [e.feature for e in read_lines(path, EXPLANATION)] == [1, 3]


def test_of_a_feature_explained_twice_the_last_line_holds(tmp_path: Path):
    path = tmp_path / "e.jsonl"
    appender = Appender(path, EXPLANATION)
    for number, text in ((7, "old"), (3, "three"), (7, "new"), (5, "five")):
        appender.append(explanation(number, text=text))
    appender.close()

    index = ExplanationIndex(path)

    assert index.features.tolist() == [3, 5, 7]
    assert [index[f].text for f in (3, 5, 7)] == ["three", "five", "new"]
    for missing in (0, 4, 8):
        with pytest.raises(KeyError):
            index[missing]


def test_the_index_of_a_file_that_is_not_there_is_empty(tmp_path: Path):
    index = ExplanationIndex(tmp_path / "none.jsonl")

    assert index.features.tolist() == []
    with pytest.raises(KeyError):
        index[0]


def test_an_explanation_whose_line_is_broken_is_named_by_its_feature(tmp_path: Path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(b'{"feature": 4}\n')

    with pytest.raises(RunError, match="the explanation of feature 4: text: Field required"):
        ExplanationIndex(path)[4]


def test_an_id_is_found_among_ascending_ones():
    ids = np.array([2, 5, 9], np.int64)

    assert [i for i in range(12) if holds(ids, i)] == [2, 5, 9]
    assert not holds(ids[:0], 2)


@pytest.mark.parametrize("again", [False, True], ids=["removed", "made anew"])
def test_nothing_is_written_to_a_file_that_is_not_there_any_more(tmp_path: Path, again: bool):
    path = tmp_path / "e.jsonl"
    appender = Appender(path, EXPLANATION)
    path.unlink()
    if again:
        path.touch()

    with pytest.raises(RunError, match=r"e\.jsonl: was removed or moved while it was being written; run the same"):
        appender.append(explanation(1))

    appender.close()
    assert path.exists() == again


def test_each_record_can_be_read_again_by_its_place(tmp_path: Path):
    path = tmp_path / "e.jsonl"
    appended(path, 1, 2, 3)
    lines = JsonLines(path, EXPLANATION)

    places = {record.feature: place for place, record in lines}

    assert places[1] == 0
    assert [lines[places[n]].feature for n in (3, 1, 2)] == [3, 1, 2]


def test_a_place_where_no_record_begins_is_named_by_its_byte(tmp_path: Path):
    path = tmp_path / "e.jsonl"
    appended(path, 1)

    with pytest.raises(RunError, match=r"e\.jsonl: byte 5: line: Invalid JSON"):
        JsonLines(path, EXPLANATION)[5]


def test_a_file_that_is_not_there_has_no_records(tmp_path: Path):
    assert list(JsonLines(tmp_path / "e.jsonl", EXPLANATION)) == []


def test_nothing_is_written_through_a_link_or_into_what_is_no_file(tmp_path: Path):
    (tmp_path / "precious").write_bytes(b"torn")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "precious")
    os.mkfifo(tmp_path / "pipe.jsonl")

    for name in ("link.jsonl", "pipe.jsonl"):
        with pytest.raises(RunError, match=f"{name}: is a link or no plain file"):
            LineFile(tmp_path / name)
    with pytest.raises(RunError, match=r"pipe.jsonl: is no plain file"):
        opened(tmp_path / "pipe.jsonl")
    assert (tmp_path / "precious").read_bytes() == b"torn"


@pytest.mark.parametrize("size", [1, 7, 10, 1000])
def test_lots_are_whole_lines_from_a_byte_on_and_a_torn_one_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
):
    monkeypatch.setattr("autointerp.runs.jsonl.LOT", size)
    whole = b"one\nsecond\n\na line that is longer\n"
    (tmp_path / "lines").write_bytes(whole + b"torn")

    found = list(lots(tmp_path / "lines", 4))

    assert b"".join(lines for _, lines in found) == whole[4:]
    assert all(whole[at:].startswith(lines) and lines.endswith(b"\n") for at, lines in found)
    assert len(found) == {1: 2, 7: 2, 10: 1, 1000: 1}[size]
    assert list(lots(tmp_path / "lines", len(whole))) == []
