"""Runs at a URL: worked on in a copy, of which what is new is sent, the same records as in a folder."""

import itertools
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import fsspec
import pytest
from remote.stores import WebFolder, names, upload
from standin.commands import run, says
from standin.killing import struck
from standin.planted import Population
from standin.records import timeless, whole_lines
from standin.server import StandIn

import autointerp
from autointerp.errors import RunError, SettingsError
from autointerp.remote.path import RemotePath
from autointerp.runs.figure_files import figure_file
from autointerp.runs.remote_copy import Mirror
from autointerp.runs.segments import Segment, segment_of
from autointerp.shards import remote_runs

EIGHT = ("--features", "0-3", "--concurrency", "4")
JUDGED = ("--scorers", "detection", "--controls", "0")


@pytest.fixture(params=["memory", "s3"])
def url(request: pytest.FixtureRequest) -> str:
    """A run that is not there yet."""
    return f"{request.getfixturevalue(request.param)}/runs/first"


def segments(url: str) -> list[tuple[str, int, str]]:
    """Of which file each segment is, at which byte it begins, and whose it is."""
    found = (segment_of(name) for name in names(url))
    return [(s.file.removesuffix(".jsonl"), s.at, s.writer) for s in found if s is not None]


def contents(url: str) -> list[tuple[str, bytes]]:
    """The file of each segment, and its lines."""
    found = ((segment_of(name), name) for name in names(url))
    return [(s.file, (RemotePath(url) / name).read_bytes()) for s, name in found if s is not None]


def fetched(url: str, folder: Path) -> Path:
    """A copy of the run."""
    with remote_runs.read_run(url) as copy:
        copy.rename(folder)
    return folder


def test_a_run_at_a_url_has_the_records_of_one_in_a_folder(url: str, population: Population, tmp_path: Path):
    with StandIn() as seer:
        usual = (*EIGHT, "--model", "seer", "--base-url", seer.url)
        run("explain", population.folder, "--run", tmp_path / "local", "--cache", tmp_path / "a", *usual)
        run("score", tmp_path / "local", "--cache", tmp_path / "a", *JUDGED)
        explained = run("explain", population.folder, "--run", url, "--cache", tmp_path / "b", *usual)
        scored = run("score", url, "--cache", tmp_path / "b", *JUDGED)
        asked = len(seer.calls)
        again = run("explain", population.folder, "--run", url, "--cache", tmp_path / "c", *usual)

        assert len(seer.calls) == asked
    page = run("report", url)
    status = run("status", url)
    compared = run("compare", url, tmp_path / "local")

    assert [r.code for r in (explained, scored, again, page, status, compared)] == [0] * 6
    assert explained.out.splitlines()[0].endswith(f" s -> {url}")
    assert explained.out.splitlines()[-1] == f"next: autointerp score {url}"
    assert page.out == f"report: {url}/report.html\n"
    assert status.out.splitlines()[1].startswith(f"{url}: ")
    assert [segment_of(name) or name for name in names(url) if not figure_file(name)] == [
        "report.html",
        "run.json",
        "segments.json",
        *(Segment(f"{kind}.jsonl", at, writer) for kind, at, writer in segments(url)),
    ]
    assert [kind for kind, _, _ in segments(url)] == ["exchanges", "exchanges", "explanations", "scores"]
    assert timeless(fetched(url, tmp_path / "copy")) == timeless(tmp_path / "local")
    assert [p.suffix for p in (tmp_path / "b" / "runs").iterdir()] == [".lock"]


def test_shards_at_a_url_write_their_own_parts_and_merge(url: str, population: Population, tmp_path: Path):
    with StandIn() as seer:
        usual = (*EIGHT, "--model", "seer", "--base-url", seer.url)
        run("explain", population.folder, "--run", tmp_path / "local", "--cache", tmp_path / "a", *usual)
        for shard in ("1/2", "0/2"):
            cache = tmp_path / shard[0]
            said = run("explain", population.folder, "--run", url, "--shard", shard, "--cache", cache, *usual)
            assert said.code == 0
        parts = names(url)
        merged = run("merge", url)

    assert said.out.splitlines()[0].endswith(f" s -> {url}/parts/explain-00000-of-00002")
    assert "parts/explain-00001-of-00002/run.json" in parts
    assert "run.json" not in parts
    assert merged.out.splitlines()[0] == f"merged 2 parts: 4 explanations -> {url}"
    assert [figure_file(n) is None and n for n in names(url)] == [
        "exchanges.jsonl",
        "explanations.jsonl",
        False,
        "run.json",
    ]
    assert timeless(fetched(url, tmp_path / "copy")) == timeless(tmp_path / "local")


def test_a_shard_whose_part_was_merged_too_early_sends_it_whole(memory: str, tmp_path: Path):
    place, part = RemotePath(memory), "parts/explain-00000-of-00002"
    mirror = Mirror(place, tmp_path / "work", "explain-00000-of-00002")
    mirror.pull()
    (mirror.folder / part).mkdir(parents=True)
    for name in ("run.json", "explanations.jsonl"):
        (mirror.folder / part / name).write_text("1\n")
    mirror.push()
    fsspec.filesystem("memory").rm(f"{memory}/{part}", recursive=True)

    mirror.push(last=True)

    assert names(memory) == [f"{part}/run.json", f"{part}/segments/explanations-0000000000000000-{mirror.writer}.jsonl"]


def test_a_run_that_somebody_else_works_on_is_refused_until_the_note_is_old(memory: str, tmp_path: Path):
    now = [1000.0]
    first = Mirror(RemotePath(memory), tmp_path / "first", clock=lambda: now[0])
    second = Mirror(RemotePath(memory), tmp_path / "second", clock=lambda: now[0])
    first.claim()
    now[0] += 899

    with pytest.raises(RunError, match="first is working on it; wait for it, or remove"):
        second.claim()
    first.claim()
    now[0] += 901
    second.claim()
    second.release()

    assert names(memory) == []


def written(mirror: Mirror, text: str) -> None:
    (mirror.folder / "explanations.jsonl").write_text(text)


def test_what_could_not_be_sent_is_gone_on_with(memory: str, tmp_path: Path):
    place = RemotePath(memory)
    mirror = Mirror(place, tmp_path / "work")
    mirror.pull()
    written(mirror, "1\n")
    mirror.push()
    written(mirror, "1\n2\n")

    after = Mirror(place, tmp_path / "work")
    after.pull()
    after.push(last=True)

    assert [lines for _, lines in contents(memory)] == [b"1\n", b"2\n"]


def test_a_run_that_went_on_elsewhere_is_fetched_anew(memory: str, tmp_path: Path):
    place = RemotePath(memory)
    mirror = Mirror(place, tmp_path / "work")
    mirror.pull()
    written(mirror, "1\n")
    fsspec.filesystem("memory").pipe_file(f"{memory}/explanations.jsonl", b"1\n2\n")

    Mirror(place, tmp_path / "work").pull()

    assert (tmp_path / "work" / "explanations.jsonl").read_text() == "1\n2\n"


def test_two_that_went_on_apart_are_told_and_nothing_is_lost(memory: str, tmp_path: Path):
    place = RemotePath(memory)
    mirror = Mirror(place, tmp_path / "work")
    mirror.pull()
    written(mirror, "1\n3\n")
    fsspec.filesystem("memory").pipe_file(f"{memory}/explanations.jsonl", b"1\n2\n")

    with pytest.raises(RunError, match=f"that work is kept in {tmp_path}/work: move it away to go on without it"):
        Mirror(place, tmp_path / "work").pull()

    assert (tmp_path / "work" / "explanations.jsonl").read_text() == "1\n3\n"
    assert (place / "explanations.jsonl").read_bytes() == b"1\n2\n"


def test_a_mistyped_option_leaves_nothing_at_the_url(memory: str, population: Population, tmp_path: Path):
    url = f"{memory}/run"

    said = run("explain", population.folder, "--run", url, "--model", "seer", "--features", "99", "--cache", tmp_path)

    assert said.code == 2
    assert names(url) == []


def test_a_run_on_the_web_is_read_and_not_written(population: Population, tmp_path: Path):
    with StandIn() as seer:
        usual = (*EIGHT, "--model", "seer", "--base-url", seer.url, "--cache", tmp_path / "cache")
        run("explain", population.folder, "--run", tmp_path / "shelf" / "run", *usual)
        with WebFolder(tmp_path / "shelf", ranges=False) as web:
            status = run("status", f"{web.url}/run", "--json")
            page = run("report", f"{web.url}/run", "--out", tmp_path / "page.html")
            write = run("explain", population.folder, "--run", f"{web.url}/run", *usual)

    assert json.loads(status.out)["explained"] == 4
    assert page.out == f"report: {tmp_path / 'page.html'}\n"
    assert write.code == 2
    assert write.err.startswith(f"autointerp: {web.url}/run: cannot be written: ")
    assert write.err.count("\n") == 1


def test_a_run_that_is_not_there_is_one_line(memory: str):
    says(
        run("status", f"{memory}/none"),
        f"{memory}/none: no run.json here; name a folder that `autointerp explain --run` made",
    )


def test_what_needs_a_folder_refuses_a_url(memory: str):
    with pytest.raises(SettingsError, match=f"{memory}: needs a folder of this machine, not a URL"):
        autointerp.open_run(memory)


def test_a_batch_job_keeps_the_url_of_its_dump(memory: str, population: Population, tmp_path: Path):
    url = upload(population.folder, f"{memory}/dump")

    said = run("explain", url, "--run", tmp_path / "run", "--model", "m", "--base-url", "http://h/v1", "--batch")

    assert said.code == 0
    assert url in "".join(p.read_text() for p in (tmp_path / "run").rglob("*.json"))


@pytest.mark.parametrize(
    "key",
    [
        "../../stolen",
        "../first-and-more/x",
        "a/../../stolen",
        "/etc/stolen",
        "a//b",
        "./a",
        "..\\stolen",
        "C:\\stolen",
        "a\0b",
    ],
)
def test_an_object_whose_name_leads_elsewhere_is_refused_by_all_that_reads_or_writes_a_run(
    memory: str, tmp_path: Path, key: str
):
    url = f"{memory}/runs/first"
    store = fsspec.filesystem("memory")
    store.pipe_file(f"{url}/run.json", b"{}")
    file = store.open(f"{url}/x", "wb")
    file.write(b"evil")
    file.close()
    name = f"/shelf/runs/first/{key}"
    store.store[name] = store.store.pop("/shelf/runs/first/x")
    before = sorted(tmp_path.rglob("*"))
    try:
        for command in ("status", "report", "score", "merge"):
            said = run(command, url, "--model", "m") if command == "score" else run(command, url)
            assert said.code == 2
            assert said.err.startswith(f"autointerp: {url}: holds an object named {key!r}, and it ")
            assert said.err.count("\n") == 1
    finally:
        store.store.pop(name)

    made = [p for p in sorted(tmp_path.rglob("*")) if p not in before]
    assert [p for p in made if p.name in ("stolen", "x")] == []


def test_a_folder_marked_by_an_object_of_its_name_is_no_hindrance(s3: str, tmp_path: Path):
    store = fsspec.filesystem("s3")
    for name in ("", "parts/", "run.json"):
        store.call_s3("put_object", Bucket=s3.removeprefix("s3://"), Key=f"run/{name}", Body=b"")
    mirror = Mirror(RemotePath(f"{s3}/run"), tmp_path / "work")

    mirror.pull()

    assert [p.name for p in mirror.folder.iterdir()] == ["run.json"]


def test_an_object_of_a_bucket_that_is_named_out_of_the_run_is_not_written(s3: str, tmp_path: Path):
    store = fsspec.filesystem("s3")
    for name in ("run.json", "../../stolen"):
        store.call_s3("put_object", Bucket=s3.removeprefix("s3://"), Key=f"deep/run/{name}", Body=b"{}")

    says(
        run("status", f"{s3}/deep/run"),
        f"{s3}/deep/run: holds an object named '../../stolen', and it leads out of its folder; nothing was fetched: "
        "remove the object, or name another run",
    )
    assert list(tmp_path.rglob("stolen")) == []


def test_a_name_that_is_a_file_and_a_folder_at_once_is_one_line(memory: str):
    store = fsspec.filesystem("memory")
    for name in ("run.json", "x"):
        store.pipe_file(f"{memory}/run/{name}", b"{}")
    store.store["/shelf/run/run.json/x"] = store.store.pop("/shelf/run/x")

    said = run("status", f"{memory}/run")

    store.store.clear()
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert said.err.startswith(f"autointerp: {memory}/run: cannot be read: ")


def test_links_in_the_working_copy_are_not_sent(memory: str, tmp_path: Path):
    (tmp_path / "secret").write_text("mine")
    mirror = Mirror(RemotePath(memory), tmp_path / "work")
    mirror.pull()
    (mirror.folder / "notes.txt").symlink_to(tmp_path / "secret")
    (mirror.folder / "scores.jsonl").write_text("1\n")

    mirror.push(last=True)

    assert segments(memory) == [("scores", 0, mirror.writer)]
    assert names(memory)[:-1] == ["segments.json"]


def note_of(mirror: Mirror, **said: object) -> None:
    """Replaces what the note of the one who works on it says."""
    place = mirror.place / "working.json"
    there = json.loads(place.read_bytes())
    fsspec.filesystem("memory").pipe_file(place.url, json.dumps(there | said).encode())


def two(memory: str, folder: Path) -> tuple[Mirror, Mirror, list[float]]:
    """One that has claimed a run, one that has not, and their clock."""
    now = [1000.0]
    first, second = (Mirror(RemotePath(memory), folder / n, clock=lambda: now[0]) for n in ("first", "second"))
    first.claim()
    return first, second, now


def test_the_note_of_a_process_that_is_gone_from_this_machine_is_taken_over_at_once(memory: str, tmp_path: Path):
    first, second, _ = two(memory, tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    note_of(first, pid=gone.pid)

    second.claim()

    with pytest.raises(RunError, match="second has taken it over meanwhile; what was done here is kept in"):
        first.confirm()
    first.release()
    second.confirm()
    assert names(memory) == ["working.json"]


def test_on_another_machine_four_beats_that_did_not_come_are_a_death(memory: str, tmp_path: Path):
    first, second, now = two(memory, tmp_path)
    note_of(first, machine="elsewhere")
    now[0] += 119

    with pytest.raises(RunError, match="first is working on it"):
        second.claim()
    now[0] += 1
    second.claim()


def test_the_note_of_an_earlier_version_holds_for_its_quarter_of_an_hour(memory: str, tmp_path: Path):
    first, second, now = two(memory, tmp_path)
    old = json.dumps({"owner": first.claimed.owner, "at": 1000.0}).encode()
    fsspec.filesystem("memory").pipe_file((first.place / "working.json").url, old)
    now[0] += 899

    with pytest.raises(RunError, match="first is working on it"):
        second.claim()
    now[0] += 1
    second.claim()


def test_whoever_works_on_a_run_keeps_saying_so(memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_runs, "BEAT", 0.001)
    renewed, often = threading.Event(), itertools.count()
    renew = Mirror.renew

    def counted(mirror: Mirror) -> None:
        renew(mirror)
        if next(often) == 3:
            renewed.set()

    monkeypatch.setattr(Mirror, "renew", counted)

    with remote_runs.run_at(f"{memory}/run", cache=tmp_path):
        assert renewed.wait(300)
    assert names(memory) == []


def test_a_run_at_a_url_is_sent_when_a_signal_ends_the_command(s3: str, population: Population, tmp_path: Path):
    url = f"{s3}/runs/first"
    with StandIn() as seer:
        command = ("explain", population.folder, "--run", url, "--model", "seer", "--base-url", seer.url)
        here = ("--cache", tmp_path / "a", "--concurrency", "2")
        stopped = struck(seer, 4, lambda process: process.send_signal(signal.SIGTERM), *command, *here)
        there = names(url)
        copy = fetched(url, tmp_path / "copy")
        rest = run(*command, "--cache", tmp_path / "b")

        assert set(seer.answered.values()) == {1}

    assert (stopped.code, rest.code) == (3, 0)
    assert "working.json" not in there
    done = len(whole_lines(copy / "explanations.jsonl"))
    assert 2 <= done < 12
    assert f"explained {12 - done} of 12 features ({done} were done before)" in rest.out
    assert not list((tmp_path / "a" / "runs").glob("*/"))


def test_a_merge_waits_for_a_shard_that_is_at_work(memory: str, tmp_path: Path):
    shard = Mirror(RemotePath(memory), tmp_path / "shard", "explain-00000-of-00002")
    shard.claim()
    fsspec.filesystem("memory").pipe_file(f"{memory}/parts/explain-00000-of-00002/part.json", b"{}")

    says(
        run("merge", memory),
        f"{memory}/parts/explain-00000-of-00002: {shard.claimed.owner} is working on it; wait for it, or remove "
        f"{memory}/parts/explain-00000-of-00002/working.json if it was killed",
    )
    assert [name for name in names(memory) if name == "working.json"] == []


def test_a_part_that_is_dealt_is_taken_over_from_a_lost_holder(memory: str, tmp_path: Path):
    name = "explain-00000-of-00002"
    first = Mirror(RemotePath(memory), tmp_path / "first", name)
    first.claim()

    second = Mirror(RemotePath(memory), tmp_path / "second", name, dealt=True)
    second.claim()

    with pytest.raises(RunError, match="second has taken it over meanwhile"):
        first.confirm()


def test_a_shard_fetches_no_lines_that_it_does_not_read(memory: str, tmp_path: Path):
    store, part = fsspec.filesystem("memory"), "parts/explain-00000-of-00002"
    for place in ("", f"{part}/", "parts/explain-00001-of-00002/"):
        for kind in ("explanations", "scores", "exchanges"):
            store.pipe_file(f"{memory}/{place}{kind}.jsonl", b"{}\n")
    mirror = Mirror(RemotePath(memory), tmp_path / "work", "explain-00000-of-00002")

    mirror.pull()

    assert sorted(p.relative_to(mirror.folder).as_posix() for p in mirror.folder.rglob("*.jsonl")) == [
        "explanations.jsonl",
        f"{part}/exchanges.jsonl",
        f"{part}/explanations.jsonl",
        f"{part}/scores.jsonl",
    ]


def test_status_fetches_figures_and_no_lines(
    memory: str, population: Population, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with StandIn() as seer:
        usual = ("--model", "seer", "--base-url", seer.url, "--cache", tmp_path / "cache", *EIGHT)
        assert run("explain", population.folder, "--run", memory, *usual).code == 0
    fetched: list[str] = []
    fetch = Mirror._fetch
    monkeypatch.setattr(
        Mirror, "_fetch", lambda mirror, name, folder: [fetched.append(name), fetch(mirror, name, folder)][1]
    )

    said = run("status", memory, "--json")

    assert json.loads(said.out)["explained"] == 4
    assert sorted(name.partition("-")[0] for name in fetched) == ["figures/explanations", "run.json"]
