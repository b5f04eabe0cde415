"""A run at a URL grows by segments, and no line is sent a second time until it is merged."""

from pathlib import Path

import fsspec
import pytest
from remote.stores import WebFolder, names
from standin.commands import run, says
from standin.planted import Population
from standin.records import timeless
from standin.server import StandIn

from autointerp.errors import RunError
from autointerp.remote.path import RemotePath
from autointerp.runs.figure_files import figure_file
from autointerp.runs.remote_copy import Mirror
from autointerp.runs.segments import segment_of

JUDGED = ("--scorers", "detection", "--controls", "0")


def sizes(url: str) -> dict[str, int]:
    """Bytes of the objects below a URL."""
    store = fsspec.filesystem(url.partition("://")[0], use_listings_cache=False)
    base = str(store._strip_protocol(url))
    return {path[len(base) + 1 :]: int(about["size"]) for path, about in store.find(url, detail=True).items()}


def add(mirror: Mirror, lines: str, file: str = "explanations.jsonl") -> None:
    with (mirror.folder / file).open("a") as own:
        own.write(lines)


def opened(url: str, folder: Path) -> Mirror:
    mirror = Mirror(RemotePath(url), folder)
    mirror.pull()
    return mirror


def read(url: str, folder: Path, file: str = "explanations.jsonl") -> str:
    return (opened(url, folder).folder / file).read_text()


def test_each_flush_sends_the_new_whole_lines_alone(memory: str, tmp_path: Path):
    mirror = opened(memory, tmp_path / "work")
    add(mirror, "1\n2\nto")
    mirror.push()
    add(mirror, "rn\n")
    mirror.push()
    mirror.push()

    assert {n: (RemotePath(memory) / n).read_text("utf-8") for n in names(memory)} == {
        f"segments/explanations-0000000000000000-{mirror.writer}.jsonl": "1\n2\n",
        f"segments/explanations-0000000000000004-{mirror.writer}.jsonl": "torn\n",
    }
    assert read(memory, tmp_path / "copy") == "1\n2\ntorn\n"


def test_a_run_of_an_earlier_version_is_gone_on_with_behind_its_whole_files(memory: str, tmp_path: Path):
    fsspec.filesystem("memory").pipe_file(f"{memory}/explanations.jsonl", b"1\n")
    mirror = opened(memory, tmp_path / "work")
    add(mirror, "2\n")
    mirror.push(last=True)

    assert names(memory) == [
        "explanations.jsonl",
        "segments.json",
        f"segments/explanations-0000000000000002-{mirror.writer}.jsonl",
    ]
    assert read(memory, tmp_path / "copy") == "1\n2\n"


def test_two_that_both_missed_the_others_note_lose_nothing(memory: str, tmp_path: Path):
    first, second = opened(memory, tmp_path / "first"), opened(memory, tmp_path / "second")
    add(first, "1\n")
    first.push()
    add(second, "2\n")
    second.push()
    add(first, "3\n")
    first.push()

    assert sorted(read(memory, tmp_path / "copy").splitlines()) == ["1", "2", "3"]


def test_whole_files_made_of_segments_take_their_place(memory: str, tmp_path: Path):
    for line in ("1\n", "2\n"):
        mirror = opened(memory, tmp_path / "work")
        add(mirror, line)
        mirror.push(last=True)
    mirror = opened(memory, tmp_path / "work")
    mirror.push(last=True, whole=True)

    assert names(memory) == ["explanations.jsonl"]
    assert read(memory, tmp_path / "copy") == "1\n2\n"


def test_a_kill_before_old_segments_are_removed_doubles_nothing(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mirror = opened(memory, tmp_path / "work")
    add(mirror, "1\n")
    mirror.push()
    add(mirror, "2\n")
    mirror.push()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Mirror, "_remove", killed)
        with pytest.raises(KeyboardInterrupt):
            mirror.push(last=True, whole=True)

    assert len(names(memory)) == 3
    assert read(memory, tmp_path / "copy") == "1\n2\n"
    again = opened(memory, tmp_path / "again")
    again.push(last=True, whole=True)
    assert names(memory) == ["explanations.jsonl"]


def test_a_file_that_was_replaced_here_is_sent_whole_and_its_segments_go(memory: str, tmp_path: Path):
    mirror = opened(memory, tmp_path / "work")
    add(mirror, "1\n2\n", "failures.jsonl")
    mirror.push()
    (mirror.folder / "new").write_text("2\n")
    (mirror.folder / "new").replace(mirror.folder / "failures.jsonl")
    mirror.push()

    assert names(memory) == ["failures.jsonl"]
    assert read(memory, tmp_path / "copy", "failures.jsonl") == "2\n"


def test_whoever_was_taken_over_sends_nothing_more(memory: str, tmp_path: Path):
    first, second = opened(memory, tmp_path / "first"), opened(memory, tmp_path / "second")
    first.claim()
    add(first, "1\n")
    second.claimed.take(over=True)

    with pytest.raises(RunError, match="second has taken it over meanwhile; what was done here is kept in"):
        first.send(last=True)

    assert names(memory) == ["working.json"]


def test_what_is_sent_again_of_a_run_that_is_gone_on_with_is_its_new_lines(
    s3: str, population: Population, tmp_path: Path
):
    url = f"{s3}/run"
    with StandIn() as seer:
        usual = ("--model", "seer", "--base-url", seer.url, "--cache", tmp_path / "cache")
        for features in ("0-3", "4-7"):
            assert run("explain", population.folder, "--run", url, "--features", features, *usual).code == 0
        before = sizes(url)
        run("score", url, *JUDGED, *usual[2:])
        after = sizes(url)
        assert run("merge", url).code == 0

        explained = run("explain", population.folder, "--run", tmp_path / "local", "--features", "0-3", *usual)
        run("explain", population.folder, "--run", tmp_path / "local", "--features", "4-7", *usual)
        run("score", tmp_path / "local", *JUDGED, *usual[2:])

    assert explained.code == 0
    assert {n: size for n, size in after.items() if n in before and segment_of(n)} == {
        n: size for n, size in before.items() if segment_of(n)
    }
    assert [n for n in names(url) if not figure_file(n)] == [
        "exchanges.jsonl",
        "explanations.jsonl",
        "run.json",
        "scores.jsonl",
    ]
    assert timeless(opened(url, tmp_path / "a").folder) == timeless(tmp_path / "local")


def test_a_copy_of_all_objects_in_a_folder_is_merged_before_it_is_read(s3: str, population: Population, tmp_path: Path):
    url, copy = f"{s3}/run", tmp_path / "copy"
    with StandIn() as seer:
        usual = ("--model", "seer", "--base-url", seer.url, "--cache", tmp_path / "cache", "--features", "0-3")
        assert run("explain", population.folder, "--run", url, *usual).code == 0
    for name in names(url):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((RemotePath(url) / name).read_bytes())

    says(
        run("status", copy),
        f"{copy}: is a copy of a run at a URL, whose lines lie in segments/; make files of them: "
        f"autointerp merge {copy}",
    )
    assert run("merge", copy).code == 0
    assert "explained   4 (" in run("status", copy).out
    assert not list(copy.rglob("figures"))
    assert timeless(copy) == timeless(opened(url, tmp_path / "work").folder)
    assert not (copy / "segments").exists()


def test_a_web_server_without_lists_is_read_by_the_list_of_segments(s3: str, population: Population, tmp_path: Path):
    url = f"{s3}/run"
    with StandIn() as seer:
        usual = ("--model", "seer", "--base-url", seer.url, "--cache", tmp_path / "cache", "--features", "0-3")
        assert run("explain", population.folder, "--run", url, *usual).code == 0
    for name in names(url):
        (tmp_path / "web" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "web" / name).write_bytes((RemotePath(url) / name).read_bytes())
    with WebFolder(tmp_path / "web", ranges=False) as web:
        there = opened(web.url, tmp_path / "copy").folder

        assert timeless(there) == timeless(opened(url, tmp_path / "work").folder)
