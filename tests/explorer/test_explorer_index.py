"""The index says what the run's files say, however they came about."""

import json
import shutil
import sqlite3
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from exports.exports_world import info_of, write_dump, write_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report.report_world import explained, failed, scored, unscored

from autointerp.dump.reader import Dump, open_dump
from autointerp.errors import RunError
from autointerp.explorer import index as index_module
from autointerp.explorer import index_lines
from autointerp.explorer.index import Index
from autointerp.explorer.index_lines import Key
from autointerp.explorer.index_update import Update
from autointerp.runs.folder import RunWriter
from autointerp.runs.parts import PartInfo, Place, open_with_parts, part_path, write_part
from autointerp.runs.votes import cast, vote
from autointerp.shards.merge import merge

N = 8


@pytest.fixture
def dump(tmp_path: Path) -> Dump:
    return open_dump(write_dump(tmp_path / "dump"))


def indexed(run: Path, dump: Dump) -> Index:
    return Index(dump, open_with_parts(run), str(run.resolve()), run.parent / "cache")


def told(index: Index) -> dict[str, object]:
    """All that an index says."""
    return {
        "explanations": {f: e for f in range(N) if (e := index.explanation(f)) is not None},
        "scores": {(f, k.scorer, k.judging): s for f in range(N) for k, s in index.scores(f).items()},
        "failures": {(f, r.stage): r for f in range(N) for r in index.failures(f)},
    }


def truth(path: Path) -> dict[str, object]:
    """Reads the same slowly from the files."""
    run = open_with_parts(path)
    return {
        "explanations": {e.feature: e for e in run.explanations()},
        "scores": {(s.feature, s.scorer, s.judging): s for s in run.all_scores()},
        "failures": {(f.feature, f.stage): f for f in run.open_failures()},
    }


features = st.integers(0, N - 1)
values = st.floats(0, 1)
STEP = st.one_of(
    st.tuples(st.just("explain"), features, st.text(max_size=5)),
    st.tuples(
        st.just("score"), features, values, st.sampled_from(["detection", "choice"]), st.sampled_from(["", "again"])
    ),
    st.tuples(st.just("fail"), features, st.sampled_from(["explain", "explain:domain", "score:detection"])),
    st.tuples(st.just("tear"), st.sampled_from(["explanations.jsonl", "scores.jsonl"])),
    st.tuples(st.just("part"), st.lists(features, unique=True)),
    st.tuples(st.just("merge")),
    st.tuples(st.just("start")),
    st.tuples(st.just("rewrite")),
    st.tuples(st.just("look")),
)


class World:
    """A run that grows, beside its index."""

    def __init__(self, folder: Path, dump: Dump) -> None:
        self.run, self.dump = folder / "run", dump
        self.info = info_of(Path(str(dump.path)))
        RunWriter(self.run, self.info).close()
        self.index = indexed(self.run, dump)

    def do(self, step: tuple) -> None:
        getattr(self, step[0])(*step[1:])

    def explain(self, feature: int, text: str) -> None:
        with RunWriter(self.run, self.info) as writer:
            writer.explanation(explained(feature, text))

    def score(self, feature: int, value: float, scorer: str, judging: str) -> None:
        said = scored(feature, value, scorer) if value > 0.1 else unscored(feature, scorer)
        with RunWriter(self.run, self.info) as writer:
            writer.score(said.model_copy(update={"judging": judging}))

    def fail(self, feature: int, stage: str) -> None:
        with RunWriter(self.run, self.info) as writer:
            writer.failure(failed(feature, stage))

    def tear(self, name: str) -> None:
        with (self.run / name).open("ab") as file:
            file.write(b'{"feature": 1, "te')

    def part(self, own: list[int]) -> None:
        path = part_path(self.run, Place("explain", 0, 1))
        with RunWriter(path, self.info) as writer:
            write_part(path, PartInfo(selection="all", features=len(own), finished=True))
            for feature in own:
                writer.explanation(explained(feature, "of a part"))
                writer.score(scored(feature, 0.5, "of-part"))
                writer.failure(failed(feature))

    def merge(self) -> None:
        if (self.run / "parts").exists():
            merge(self.run)

    def start(self) -> None:
        self.index = indexed(self.run, self.dump)

    def rewrite(self) -> None:
        """As many bytes, in other words."""
        file = self.run / "explanations.jsonl"
        if file.exists():
            draft = file.with_name("draft")
            draft.write_bytes(file.read_bytes().replace(b"of a part", b"OF A PART"))
            draft.replace(file)

    def look(self) -> None:
        self.index.refresh()


@given(st.lists(STEP, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_index_that_follows_a_run_says_what_the_run_says(tmp_path_factory, dump: Dump, steps: list[tuple]):
    world = World(tmp_path_factory.mktemp("world"), dump)

    for step in steps:
        world.do(step)
    world.index.refresh()

    assert told(world.index) == truth(world.run)
    assert told(indexed(world.run, dump)) == truth(world.run)


def test_a_kill_between_two_transactions_keeps_what_was_read(tmp_path: Path, dump: Dump, monkeypatch):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    monkeypatch.setattr(index_lines, "N_LINES", 2)
    monkeypatch.setattr(index_module, "N_LINES", 2)
    monkeypatch.setattr(index_module, "PER_TRANSACTION", 2)
    write, left = Update.write, [2]

    def dying(update: Update) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        write(update)

    monkeypatch.setattr(Update, "write", dying)
    with pytest.raises(KeyboardInterrupt):
        indexed(run, dump)
    monkeypatch.setattr(Update, "write", write)
    first: list[int] = []
    monkeypatch.setattr(Update, "dump", lambda update: first.append(1))
    again = indexed(run, dump)

    assert told(again) == truth(run)
    assert first == []  # it has gone on


def spoilt(file: Path) -> None:
    file.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)


def foreign(file: Path) -> None:
    with sqlite3.connect(file) as there:
        there.execute("UPDATE about SET value = 'elsewhere' WHERE name = 'place'")
        there.execute("UPDATE said SET text = 'a lie'")
    there.close()


def armed(file: Path) -> None:
    """As somebody would send it who wants a statement of theirs to run."""
    with sqlite3.connect(file) as there:
        there.execute("CREATE TRIGGER t AFTER INSERT ON sources BEGIN DELETE FROM keys; END")
    there.close()


def odd_block(file: Path) -> None:
    with sqlite3.connect(file) as there:
        there.execute("UPDATE blocks SET data = x'00'")
    there.close()


@pytest.mark.parametrize("harm", [spoilt, foreign, armed, odd_block])
def test_an_index_that_is_broken_or_of_elsewhere_is_made_anew(tmp_path: Path, dump: Dump, harm: Callable[[Path], None]):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    indexed(run, dump)
    harm(run / "view.sqlite")

    again = indexed(run, dump)

    assert told(again) == truth(run)


def test_two_explorers_at_once_follow_one_run(tmp_path: Path, dump: Dump):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    one, other = indexed(run, dump), indexed(run, dump)
    with RunWriter(run, info_of(Path(str(dump.path)))) as writer:
        writer.explanation(explained(6, "a sixth"))

    one.refresh()
    other.refresh()

    assert told(one) == told(other) == truth(run)


def test_while_another_explorer_writes_a_page_shows_what_was_there(tmp_path: Path, dump: Dump):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    index = indexed(run, dump)
    with sqlite3.connect(run / "view.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with RunWriter(run, info_of(Path(str(dump.path)))) as writer:
            writer.explanation(explained(6, "a sixth"))
        index.refresh()
        assert index.explanation(6) is None
        other.execute("ROLLBACK")
    other.close()

    index.refresh()

    assert told(index) == truth(run)


def test_explorers_that_start_in_the_same_moment_make_one_index(tmp_path: Path, dump: Dump, monkeypatch):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    monkeypatch.setattr(index_lines, "N_LINES", 1)
    monkeypatch.setattr(index_module, "N_LINES", 1)
    monkeypatch.setattr(index_module, "PER_TRANSACTION", 1)

    with ThreadPoolExecutor(4) as threads:
        indices = list(threads.map(lambda _: indexed(run, dump), range(4)))

    assert all(told(index) == truth(run) for index in indices)


def test_a_run_at_a_url_is_fetched_anew_and_its_index_goes_on(tmp_path: Path, dump: Dump, monkeypatch):
    first = write_run(tmp_path / "first", Path(str(dump.path)))
    Index(dump, open_with_parts(first), "https://there/run", tmp_path / "cache")
    shutil.copytree(first, tmp_path / "second")
    with RunWriter(tmp_path / "second", info_of(Path(str(dump.path)))) as writer:
        writer.explanation(explained(6, "a sixth"))
    begun: list[int] = []
    monkeypatch.setattr(Update, "dump", lambda update: begun.append(1))

    index = Index(dump, open_with_parts(tmp_path / "second"), "https://there/run", tmp_path / "cache")

    assert told(index) == truth(tmp_path / "second")
    assert begun == []
    assert not (tmp_path / "second/view.sqlite").exists()


def test_a_run_that_cannot_be_written_has_its_index_in_the_cache(tmp_path: Path, dump: Dump):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    (run / "view.sqlite").symlink_to(elsewhere)

    index = indexed(run, dump)

    assert told(index) == truth(run)
    assert elsewhere.read_bytes() == b"mine"
    assert len(list((tmp_path / "cache" / "view").glob("*.sqlite"))) == 1


def journal_that_names(file: Path, pages: int) -> bytes:
    """A journal that SQLite rolls back, after which it removes the file that the journal names."""
    magic, name = bytes.fromhex("d9d505f920a163d7"), str(file).encode()
    head = magic + struct.pack(">IIIII", 0, 0, pages, 512, 4096)
    locked_page = 0x4000_0000 // 4096 + 1
    end = struct.pack(">I", locked_page) + name + struct.pack(">II", len(name), sum(name)) + magic
    return head.ljust(512, b"\0") + end


def test_a_journal_in_a_run_from_elsewhere_removes_no_file_of_this_machine(tmp_path: Path, dump: Dump):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    indexed(run, dump)
    precious, index = tmp_path / "precious", run / "view.sqlite"
    precious.write_bytes(b"mine")
    index.with_name("view.sqlite-journal").write_bytes(journal_that_names(precious, index.stat().st_size // 4096))

    assert told(indexed(run, dump)) == truth(run)
    assert precious.read_bytes() == b"mine"


@pytest.mark.parametrize("end", ["-journal", "-wal", "-shm"])
def test_no_file_beside_the_index_is_followed_elsewhere(tmp_path: Path, dump: Dump, end: str):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    (run / f"view.sqlite{end}").symlink_to(tmp_path / "not-there")

    assert told(indexed(run, dump)) == truth(run)
    assert not (tmp_path / "not-there").exists()
    assert len(list((tmp_path / "cache" / "view").glob("*.sqlite"))) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE about SET value = 'x' WHERE name = 'generation'",
        "DELETE FROM about WHERE name = 'generation'",
        "UPDATE blocks SET first = 'x' WHERE name = 'width'",
        "UPDATE keys SET scorer = x'00'",
        "UPDATE columns SET kind = '' WHERE name = 'width'",
    ],
)
def test_an_index_that_holds_what_is_never_written_is_made_anew(tmp_path: Path, dump: Dump, spoil: str):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    indexed(run, dump)
    with closing(sqlite3.connect(run / "view.sqlite")) as file, file:
        file.execute(spoil)

    index = indexed(run, dump)

    assert told(index) == truth(run)
    assert {key.scorer for key in index.keys} == {score.scorer for score in open_with_parts(run).all_scores()}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("scores", {"value": 10**400}),
        ("scores", {"low": [0]}),
        ("scores", {"value": None}),
        ("scores", {"controls": {"constant": {"value": 1e300}}}),
        ("scores", {"usage": {"calls": "many"}}),
        ("scores", {"usage": {"calls": 1, "input_tokens": 2**70}}),
        ("explanations", {"usage": {"dollars": "x"}}),
        ("explanations", {"usage": {"output_tokens": -1}}),
    ],
)
def test_a_line_with_numbers_that_are_none_is_named(tmp_path: Path, dump: Dump, name: str, change: dict[str, object]):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    file = run / f"{name}.jsonl"
    line = next(line for line in map(json.loads, file.read_bytes().splitlines()) if line.get("status") != "unscored")
    file.write_text(json.dumps(line | change) + "\n")

    with pytest.raises(RunError, match=rf"{name}\.jsonl: the line at byte 0 is no {name[:-1]}"):
        indexed(run, dump)


def test_votes_on_features_that_the_dump_does_not_have_are_passed_over(tmp_path: Path, dump: Dump):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    cast(run, vote(0, "a text", "right", "ann"))
    line = json.loads((run / "votes.jsonl").read_bytes())
    others = [line | {"feature": feature} for feature in (10**30, -1, N + 100)]
    (run / "votes.jsonl").write_text("".join(json.dumps(one) + "\n" for one in (*others, line)))

    assert indexed(run, dump).connect().execute("SELECT feature, who FROM votes").fetchall() == [(0, "ann")]


def test_an_index_that_another_explorer_made_anew_is_taken_up_whole(tmp_path: Path, dump: Dump):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    first, second = indexed(run, dump), indexed(run, dump)
    before = truth(run)
    # Another run in the same place, with as many changes of its index.
    other = write_run(tmp_path / "other", Path(str(dump.path)))
    with RunWriter(other, info_of(Path(str(dump.path)))) as writer:
        writer.explanation(explained(6, "quite another"))
    shutil.rmtree(run)
    other.rename(run)

    first.refresh()
    second.refresh()

    assert told(first) == told(second) == truth(run) != before
    assert second.now.whole("explained").tolist() == first.now.whole("explained").tolist()
    asked = "SELECT text FROM said WHERE rowid = 6"
    assert [index.connect().execute(asked).fetchone()[0] for index in (first, second)] == ["quite another"] * 2


def test_a_dump_alone_has_an_index_that_leaves_it_as_it_is(tmp_path: Path, dump: Dump):
    before = sorted(file.name for file in Path(str(dump.path)).iterdir())

    index = Index(dump, None, str(dump.path), tmp_path / "cache")

    assert index.now["n_active"].tolist() == [5, 5, 5, 5, 5, 0, 5, 5]
    assert index.keys == ()
    assert sorted(file.name for file in Path(str(dump.path)).iterdir()) == before


def test_a_line_of_an_earlier_version_is_read_whole(tmp_path: Path, dump: Dump):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    with (run / "scores.jsonl").open("ab") as file:
        file.write(
            b'{"status":"scored","feature":7,"verdicts":{"kinds":[],"kind":[]},"scorer":"detection","value":0.25,'
            b'"low":0.2,"high":0.3,"n":4,"details":{},"controls":{},"judge":"old","prompt":"p","created":"c"}\n'
        )

    index = indexed(run, dump)

    column = index.scores_column(Key("detection", "old"), "value")
    assert index.now[column][7] == 0.25


def test_a_line_that_is_none_is_named_with_its_place(tmp_path: Path, dump: Dump):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    (run / "explanations.jsonl").write_bytes(b'{"feature": "x"}\n')

    with pytest.raises(RunError, match=r"explanations.jsonl: the line at byte 0 is no explanation; mend or delete"):
        indexed(run, dump)


def test_a_feature_that_the_dump_does_not_have_is_named(tmp_path: Path, dump: Dump):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    with RunWriter(run, info_of(Path(str(dump.path)))) as writer:
        writer.explanation(explained(800, "nobody's"))

    with pytest.raises(RunError, match=r"explanations.jsonl: speaks of feature 800, which .*dump does not have"):
        indexed(run, dump)


def test_an_index_is_made_anew_where_the_run_was_moved(tmp_path: Path, dump: Dump):
    run = write_run(tmp_path / "run", Path(str(dump.path)))
    indexed(run, dump)
    moved = tmp_path / "moved"
    shutil.move(run, moved)

    assert told(indexed(moved, dump)) == truth(moved)
