"""`status` at a URL reads figures where all lines have them, and says of a run what it says of its lines."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from remote.stores import copied, names
from standin.commands import run
from standin.planted import Population
from standin.server import StandIn

from autointerp.remote.path import RemotePath
from autointerp.runs import jsonl, sent_figures
from autointerp.runs.figure_files import figure_file
from autointerp.runs.remote_copy import Mirror

SCORES = ("--scorers", "detection", "--controls", "2")


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the objects that are fetched."""
    found: list[str] = []
    fetch = Mirror._fetch

    def noted(mirror: Mirror, name: str, folder: Path) -> bool:
        found.append(name)
        return fetch(mirror, name, folder)

    monkeypatch.setattr(Mirror, "_fetch", noted)
    return found


@pytest.fixture(scope="module")
def objects(population: Population, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, dict[str, bytes]]:
    """A run of five features, scored by two judges: its objects; and with three features more in parts of shards."""
    url, found = "memory://template/run", dict[bool, dict[str, bytes]]()
    with StandIn() as seer:
        cache = ("--cache", tmp_path_factory.mktemp("cache"))
        usual = ("--model", "seer", "--base-url", seer.url, "--run", url, *cache)
        said = [run("explain", population.folder, *usual, "--features", own) for own in ("0-2", "2-4")]
        said.append(run("score", url, *SCORES, *cache))
        said.append(run("score", url, *SCORES, *cache, "--judge-model", "other", "--judge-base-url", seer.url))
        found[False] = {name: (RemotePath(url) / name).read_bytes() for name in names(url)}
        both = [run("explain", population.folder, *usual, "--features", "3-7", "--shard", s) for s in ("0/2", "1/2")]
        found[True] = {name: (RemotePath(url) / name).read_bytes() for name in names(url)}
    assert [r.code for r in (*said, *both)] == [0] * 6, [r.err for r in (*said, *both)]
    return found


def put(url: str, objects: dict[str, bytes]) -> str:
    """Puts a run there."""
    for name, content in objects.items():
        target = RemotePath(url) / name
        target.run(lambda fs, to=target, content=content: fs.pipe_file(to.url, content))
    return url


@pytest.fixture
def there(memory: str, objects: dict[bool, dict[str, bytes]]) -> str:
    """The run without parts."""
    return put(f"{memory}/run", objects[False])


def told(url: str, *more: str) -> dict[str, object]:
    """What `status` says, without the place."""
    said = run("status", url, "--json", *more)
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found.pop("run") == url
    return found


def of_lines(url: str, tmp_path: Path, *more: str) -> dict[str, object]:
    """What it says of a folder into which all lines were fetched."""
    copied(url, tmp_path / "copy")
    assert not list((tmp_path / "copy").rglob("*.npz"))
    return told(str(tmp_path / "copy"), *more)


def remove(url: str, name: str) -> None:
    target = RemotePath(url) / name
    target.run(lambda fs: fs.rm_file(target.url))


@pytest.mark.parametrize(
    ("store", "judge", "parts"), [("memory", "seer", False), ("memory", "other", True), ("s3", "other", True)]
)
def test_figures_say_what_the_lines_say_of_each_judge(
    store: str,
    judge: str,
    parts: bool,
    request: pytest.FixtureRequest,
    objects: dict[bool, dict[str, bytes]],
    tmp_path: Path,
    fetched: list[str],
):
    url = put(f"{request.getfixturevalue(store)}/run", objects[parts])
    whole = of_lines(url, tmp_path, "--judge", judge)
    fetched.clear()

    assert told(url, "--judge", judge) == whole
    assert [n for n in fetched if n.endswith(".jsonl") and "failures" not in n] == []
    assert (whole["explained"], whole["unmerged"]) == ((8, 2) if parts else (5, 0))


def test_whole_files_have_figures_too(
    memory: str, objects: dict[bool, dict[str, bytes]], tmp_path: Path, fetched: list[str]
):
    url = put(f"{memory}/run", objects[True])
    assert run("merge", url).code == 0
    whole = of_lines(url, tmp_path)
    fetched.clear()

    assert told(url) == whole
    assert not any(n.endswith(".jsonl") for n in fetched if "failures" not in n)
    assert not any(n.startswith("parts/") for n in names(url))


def gone(url: str) -> None:
    remove(url, next(n for n in names(url) if figure_file(n)))


def never(url: str) -> None:
    """As a run of an earlier version is."""
    for name in [n for n in names(url) if figure_file(n)]:
        remove(url, name)


def spoilt(url: str) -> None:
    for name in [n for n in names(url) if figure_file(n)]:
        (target := RemotePath(url) / name).run(lambda fs, to=target: fs.pipe_file(to.url, b"no figures"))


def longer(url: str) -> None:
    """As where a version without figures has gone on."""
    name = next(n for n in names(url) if n.startswith("segments/explanations"))
    lines = (RemotePath(url) / name).read_bytes()
    first = lines.splitlines(keepends=True)[0].replace(b'"feature":0', b'"feature":11')
    (target := RemotePath(url) / name).run(lambda fs: fs.pipe_file(target.url, lines + first))


@pytest.mark.parametrize("spoil", [gone, never, spoilt, longer])
def test_lines_are_read_where_figures_cannot_be(there: str, tmp_path: Path, spoil: Callable[[str], None]):
    spoil(there)

    assert told(there) == of_lines(there, tmp_path)


def test_figures_that_go_away_while_they_are_fetched_are_no_failure(there: str, monkeypatch: pytest.MonkeyPatch):
    whole = told(there)
    fetch = Mirror._fetch
    monkeypatch.setattr(Mirror, "_fetch", lambda m, name, to: figure_file(name) is None and fetch(m, name, to))

    assert told(there) == whole


def test_a_run_without_figures_gets_them_when_it_is_gone_on_with(there: str, population: Population, tmp_path: Path):
    never(there)
    with StandIn() as seer:
        usual = ("--model", "seer", "--base-url", seer.url, "--run", there, "--cache", tmp_path / "cache")
        assert run("explain", population.folder, *usual, "--features", "9").code == 0

    (own,) = (figure_file(n) for n in names(there) if figure_file(n))

    lines = [n for n in names(there) if n.startswith("segments/explanations")]
    size = sum(len((RemotePath(there) / n).read_bytes()) for n in lines)
    assert own is not None
    assert (own.file, own.start, own.end) == ("explanations.jsonl", 0, size)


def test_lines_that_nothing_reads_are_sent_without_figures(memory: str, tmp_path: Path):
    mirror = Mirror(RemotePath(memory), tmp_path / "work")
    mirror.pull()
    (mirror.folder / "scores.jsonl").write_text("{}\n")
    mirror.push(last=True)

    assert [n for n in names(memory) if n != "segments.json"] == [f"segments/scores-{0:016d}-{mirror.writer}.jsonl"]


def test_figures_of_a_file_that_was_written_anew_are_replaced(there: str, tmp_path: Path):
    mirror = Mirror(RemotePath(there), tmp_path / "work")
    mirror.pull()
    file = mirror.folder / "explanations.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.unlink()
    file.write_bytes(b"".join(lines[:3]))
    mirror.push(last=True)

    own = [found for n in names(there) if (found := figure_file(n)) and found.file == "explanations.jsonl"]

    assert told(there)["explained"] == 3
    assert [found.end for found in own] == [sum(map(len, lines[:3]))]


class KilledError(Exception):
    pass


def killed(*_: object, **__: object) -> None:
    raise KilledError


def test_figures_that_stayed_behind_do_not_stand_for_the_lines_of_a_part_that_comes_again(
    memory: str, objects: dict[bool, dict[str, bytes]], tmp_path: Path
):
    """As where a merge was killed while it removed the part, and its shard is run again."""
    url = put(f"{memory}/run", objects[True])
    part = "parts/explain-00001-of-00002"
    lines = b"".join(
        (RemotePath(url) / n).read_bytes() for n in names(url) if n.startswith(f"{part}/segments/explanations")
    )
    for name in [n for n in names(url) if n.startswith(f"{part}/") and figure_file(n) is None]:
        remove(url, name)
    mirror = Mirror(RemotePath(url), tmp_path / "work", part=part.rpartition("/")[2])
    mirror.pull()
    # A line that is as long as all those that were there, and one more, so that the old figures end where a line does.
    again, more = (re.sub(rb'"feature":\d+', b'"feature":%d' % n, lines.splitlines()[0]) for n in (31, 32))
    (mirror.folder / part).mkdir(parents=True, exist_ok=True)
    assert len(again) < len(lines)
    (mirror.folder / part / "explanations.jsonl").write_bytes(again.ljust(len(lines) - 1) + b"\n" + more + b"\n")
    for name in ("run.json", "part.json"):
        (mirror.folder / part / name).write_bytes(objects[True][f"{part}/{name}"])
    mirror.push(last=True)

    assert told(url) == of_lines(url, tmp_path)


def test_a_removed_part_loses_its_figures_before_its_lines(
    memory: str, objects: dict[bool, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = put(f"{memory}/run", objects[True])
    mirror = Mirror(RemotePath(url), tmp_path / "work")
    mirror.pull()
    shutil.rmtree(mirror.folder / "parts")

    remove_file = Mirror._remove
    monkeypatch.setattr(
        Mirror,
        "_remove",
        lambda m, name, keep: killed() if name.endswith("explanations.jsonl") else remove_file(m, name, keep=keep),
    )
    with pytest.raises(KilledError):
        mirror.push(last=True)

    there = {n for n in names(url) if n.startswith("parts/explain-00000-of-00002/")}
    assert [n for n in there if "/segments/explanations" in n]
    assert not [n for n in there if figure_file(n)]


def test_lines_whose_figures_were_not_sent_are_read_and_get_them_with_the_next(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first, second = (Mirror(RemotePath(there), tmp_path / name) for name in ("first", "second"))
    first.pull()
    line = (first.folder / "explanations.jsonl").read_bytes().splitlines(keepends=True)[0]
    for mirror, feature in ((first, 21), (second, 22)):
        mirror.pull()
        with (mirror.folder / "explanations.jsonl").open("ab") as file:
            file.write(re.sub(rb'"feature":\d+', b'"feature":%d' % feature, line))
        with monkeypatch.context() as patched:
            if mirror is first:
                patched.setattr(sent_figures.SentFigures, "send", killed)
                with pytest.raises(KilledError):
                    mirror.push()
            else:
                mirror.push(last=True)
        assert told(there)["explained"] == feature - 15
    assert told(there) == of_lines(there, tmp_path)
    sizes = [len((RemotePath(there) / n).read_bytes()) for n in names(there) if n.startswith("segments/explanations")]
    ends = [found.end for n in names(there) if (found := figure_file(n)) and found.file == "explanations.jsonl"]
    assert max(ends) == sum(sizes)


@pytest.mark.parametrize(("most", "sent"), [(1, 5), (1 << 20, 1)])
def test_figures_of_many_lots_are_sent_together(
    memory: str,
    objects: dict[bool, dict[str, bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    sent: int,
):
    monkeypatch.setattr(jsonl, "LOT", 1)
    monkeypatch.setattr(sent_figures, "_MOST", most)
    url = put(f"{memory}/run", {n: content for n, content in objects[False].items() if not figure_file(n)})
    mirror = Mirror(RemotePath(url), tmp_path / "work")
    mirror.pull()
    mirror.push(last=True, whole=True)

    own = [found for n in names(url) if (found := figure_file(n)) and found.file == "explanations.jsonl"]

    assert len(own) == sent
    assert told(url) == of_lines(url, tmp_path)
