import asyncio
import os
import pickle
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import diskcache
import pytest

from autointerp.errors import SettingsError
from autointerp.lmm.cache import BadRowError, BytesDisk, Cache
from autointerp.lmm.cache_salvage import digest_of
from autointerp.places import cache_folder

MODE_RAW, MODE_BINARY, MODE_TEXT, MODE_PICKLE = 1, 2, 3, 4


def store(folder: Path, answers: dict[str, str]) -> None:
    async def main(cache: Cache) -> None:
        await asyncio.gather(*(cache.put(key, {"text": text}) for key, text in answers.items()))

    with Cache(folder) as cache:
        asyncio.run(main(cache))


def recalled(folder: Path, key: str) -> object:
    with Cache(folder) as cache:
        return cache.get(key)


def tamper(folder: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(folder / "answers" / "cache.db")
    with connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.write_text, (self.target, "boom")


def test_an_answer_is_there_at_once_and_after_reopening(tmp_path: Path):
    value = {"text": "ünï ☃", "calls": 2, "dollars": 0.25, "cached": None, "none": True}

    async def main(cache: Cache) -> object:
        await cache.put("k", value)
        return cache.get("k")

    with Cache(tmp_path) as cache:
        now = asyncio.run(main(cache))

    assert now == value
    assert recalled(tmp_path, "k") == value
    assert recalled(tmp_path, "other") is None


def test_a_later_answer_replaces_an_earlier_one(tmp_path: Path):
    store(tmp_path, {"k": "first"})
    store(tmp_path, {"k": "second"})

    assert recalled(tmp_path, "k") == {"text": "second"}


def test_a_pickled_row_is_a_miss_and_not_run(tmp_path: Path):
    store(tmp_path, {"k": "good"})
    target = tmp_path / "boom"
    pickle.loads(pickle.dumps(Bomb(target)))
    assert target.exists(), "the bomb must be live for this test to mean anything"
    target.unlink()
    tamper(tmp_path, "UPDATE Cache SET mode = ?, value = ?", MODE_PICKLE, pickle.dumps(Bomb(target)))

    assert recalled(tmp_path, "k") is None
    assert not target.exists()


@pytest.mark.parametrize("mode", [MODE_RAW, MODE_BINARY, MODE_TEXT, MODE_PICKLE])
def test_a_row_that_names_a_file_is_a_miss(tmp_path: Path, mode: int):
    store(tmp_path / "cache", {"k": "good"})
    (tmp_path / "secret").write_text('{"text": "secret"}')
    tamper(tmp_path / "cache", "UPDATE Cache SET mode = ?, filename = '../../secret'", mode)

    assert recalled(tmp_path / "cache", "k") is None


def test_overwriting_a_row_that_names_a_file_does_not_delete_the_file(tmp_path: Path):
    store(tmp_path / "cache", {"k": "good"})
    (tmp_path / "secret").write_text("kept")
    tamper(tmp_path / "cache", "UPDATE Cache SET filename = '../../secret'")

    store(tmp_path / "cache", {"k": "better"})

    assert (tmp_path / "secret").read_text() == "kept"
    assert recalled(tmp_path / "cache", "k") == {"text": "better"}


@pytest.mark.parametrize("value", ["text", 7, b"not json", b"[1]", b"\xff", b"[" * 100_000])
def test_a_row_that_is_no_answer_is_a_miss_whatever_its_digest(tmp_path: Path, value: object):
    store(tmp_path, {"k": "good"})
    digest = digest_of("k", value) if isinstance(value, bytes) else None
    tamper(tmp_path, "UPDATE Cache SET value = ?, tag = ?", value, digest)

    assert recalled(tmp_path, "k") is None


def test_a_row_that_was_altered_is_a_miss_that_is_counted_and_said_once(tmp_path: Path):
    store(tmp_path, {"a": "one", "b": "two", "c": "three"})
    tamper(tmp_path, """UPDATE Cache SET value = CAST('{"text": "six"}' AS BLOB) WHERE key = 'a'""")
    said: list[str] = []

    with Cache(tmp_path, said.append) as cache:
        found = [cache.get(key) for key in ("a", "a", "b", "c")]
        assert said == []

    assert found == [None, None, {"text": "two"}, {"text": "three"}]
    assert said == [
        f"{tmp_path}: 1 row is damaged and counts as no answer; the question is asked again where it is needed"
    ]


def test_a_sound_row_under_another_key_is_a_miss(tmp_path: Path):
    store(tmp_path, {"a": "one"})
    tamper(tmp_path, "UPDATE Cache SET key = 'b'")

    assert recalled(tmp_path, "b") is None


def test_a_new_answer_takes_the_place_of_a_damaged_one(tmp_path: Path):
    store(tmp_path, {"a": "one"})
    tamper(tmp_path, "UPDATE Cache SET value = X'00'")
    assert recalled(tmp_path, "a") is None

    store(tmp_path, {"a": "anew"})

    assert recalled(tmp_path, "a") == {"text": "anew"}


def test_a_row_of_an_earlier_version_has_no_digest_and_counts(tmp_path: Path):
    store(tmp_path, {"a": "one"})
    tamper(tmp_path, "UPDATE Cache SET tag = NULL")

    assert recalled(tmp_path, "a") == {"text": "one"}


def test_a_pickled_key_is_refused(tmp_path: Path):
    store(tmp_path, {"k": "good"})
    target = tmp_path / "boom"
    tamper(tmp_path, "UPDATE Cache SET raw = 0, key = ?", pickle.dumps(Bomb(target)))

    with (
        diskcache.Cache(str(tmp_path / "answers"), disk=BytesDisk) as rows,
        pytest.raises(BadRowError),
    ):
        list(rows)

    assert recalled(tmp_path, "k") is None
    assert not target.exists()


def test_a_file_that_is_no_database_is_kept_aside_and_said(tmp_path: Path):
    store(tmp_path, {"k": "good"})
    (tmp_path / "answers" / "cache.db").write_bytes(b"not a database" * 1000)
    said: list[str] = []

    with Cache(tmp_path, said.append) as cache:
        assert cache.get("k") is None

    assert said == [
        f"{tmp_path / 'answers'}: the file of answers is damaged (file is not a database); 0 answers were taken over, "
        "and it is kept as answers.damaged-1"
    ]
    assert (tmp_path / "answers.damaged-1" / "cache.db").read_bytes().startswith(b"not a database")
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["answers", "answers.damaged-1", "in-use"]


def test_a_setting_that_diskcache_would_use_unseen_costs_no_answer(tmp_path: Path):
    store(tmp_path, {"k": "good"})
    tamper(tmp_path, "UPDATE Settings SET key = 'disk_colour' WHERE key = 'disk_min_file_size'")

    assert recalled(tmp_path, "k") == {"text": "good"}


FLIP, BLANK, NOISE, CUT = "flip", "blank", "noise", "cut"


def harm(file: Path, kind: str, chance: random.Random) -> None:
    """Damages a file: a bit, a page of zeros, a few random bytes, or its end."""
    content = bytearray(file.read_bytes())
    at = chance.randrange(len(content))
    match kind:
        case "flip":
            content[at] ^= 1 << chance.randrange(8)
        case "blank":
            content[at - at % 4096 : at - at % 4096 + 4096] = bytes(4096)
        case "noise":
            content[at : at + 32] = chance.randbytes(32)
        case _:
            del content[at:]
    file.write_bytes(bytes(content))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A cache, and what it holds: sixty answers of up to 1.2 kB, on some ten pages."""
    folder, answers = tmp_path_factory.mktemp("sound"), {f"{i:064}": f"answer {i} " + "x" * 20 * i for i in range(60)}
    store(folder, answers)
    return folder, answers


@pytest.mark.parametrize("kind", [FLIP, BLANK, NOISE, CUT])
@pytest.mark.parametrize("seed", range(3))
def test_no_damage_alters_an_answer_or_stops_what_comes_after(
    sound: tuple[Path, dict[str, str]], tmp_path: Path, kind: str, seed: int
):
    folder, answers = sound
    shutil.copytree(folder, tmp_path / "cache")
    harm(tmp_path / "cache" / "answers" / "cache.db", kind, random.Random(f"{kind} {seed}"))
    said: list[str] = []

    with Cache(tmp_path / "cache", said.append) as cache:
        found = {key: cache.get(key) for key in answers}
        asyncio.run(cache.put("next", {"text": "new"}))

    kept = {key: value for key, value in found.items() if value is not None}
    assert kept == {key: {"text": answers[key]} for key in kept}
    assert len(kept) == 60 or len(said) == 1
    assert len(kept) >= 40 or kind == CUT
    assert recalled(tmp_path / "cache", "next") == {"text": "new"}


def test_a_file_whose_header_is_gone_loses_no_answer(sound: tuple[Path, dict[str, str]], tmp_path: Path):
    folder, answers = sound
    shutil.copytree(folder, tmp_path / "cache")
    file = tmp_path / "cache" / "answers" / "cache.db"
    content = file.read_bytes()
    file.write_bytes(bytes(100) + content[100:])

    assert all(recalled_all(tmp_path / "cache", answers))


def test_a_folder_made_with_eviction_stops_evicting(tmp_path: Path):
    with diskcache.Cache(str(tmp_path / "answers"), size_limit=1000, cull_limit=10) as other:
        assert vars(other)["eviction_policy"] == "least-recently-stored"
    answers = {str(i): "x" * 1000 for i in range(300)}

    store(tmp_path, answers)

    assert all(recalled_all(tmp_path, answers))
    with diskcache.Cache(str(tmp_path / "answers"), disk=BytesDisk) as again:
        kept = vars(again)
        assert (kept["eviction_policy"], kept["cull_limit"], kept["size_limit"]) == ("none", 0, 2**40)


def recalled_all(folder: Path, answers: dict[str, str]) -> list[bool]:
    with Cache(folder) as cache:
        return [cache.get(key) == {"text": text} for key, text in answers.items()]


WRITER = """
import asyncio, sys
from pathlib import Path
from autointerp.lmm.cache import Cache

async def main(cache, name):
    for start in range(0, 600, 60):
        await asyncio.gather(*(cache.put(f"{name}{i}", {"text": name}) for i in range(start, start + 60)))

with Cache(Path(sys.argv[1])) as cache:
    asyncio.run(main(cache, sys.argv[2]))
"""


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in "ab"]

    codes = [writer.wait() for writer in writers]

    assert codes == [0, 0]
    assert all(recalled_all(tmp_path, {f"{name}{i}": name for name in "ab" for i in range(600)}))


KILLED = """
import asyncio, sys
from pathlib import Path
from autointerp.lmm.cache import Cache

async def main(cache):
    await cache.put("k", {"text": "kept"})
    print("stored", flush=True)
    await asyncio.sleep(60)

asyncio.run(main(Cache(Path(sys.argv[1]))))
"""


def test_an_acknowledged_answer_survives_a_kill(tmp_path: Path):
    writer = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout as lines:
        assert lines.readline() == "stored\n"

        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()

    assert recalled(tmp_path, "k") == {"text": "kept"}


@pytest.mark.parametrize("below", ["cache", "answers"])
def test_a_folder_that_cannot_be_made_is_a_wrong_setting(tmp_path: Path, below: str):
    (tmp_path / below).write_text("in the way")
    folder = tmp_path / "cache" / "inner" if below == "cache" else tmp_path

    with pytest.raises(SettingsError, match=r"the cache cannot be written .* name another with --cache"):
        Cache(folder)


def test_a_write_that_fails_raises_instead_of_waiting_for_ever(tmp_path: Path):
    async def main(cache: Cache) -> None:
        await asyncio.wait_for(cache.put("k", {"text": "lost"}), 30)

    with Cache(tmp_path) as cache:
        tamper_table = sqlite3.connect(tmp_path / "answers" / "cache.db")
        with tamper_table:
            tamper_table.execute("CREATE TRIGGER full BEFORE INSERT ON Cache BEGIN SELECT RAISE(ABORT, 'full'); END")
        tamper_table.close()

        with pytest.raises(SettingsError, match=r"cannot be written \(full\); free space"):
            asyncio.run(main(cache))


def test_a_cancelled_writer_does_not_stop_the_others(tmp_path: Path):
    async def main(cache: Cache) -> None:
        doomed = asyncio.create_task(cache.put("a", {"text": "a"}))
        await asyncio.sleep(0)
        doomed.cancel()
        await asyncio.gather(doomed, return_exceptions=True)
        await cache.put("b", {"text": "b"})

    with Cache(tmp_path) as cache:
        asyncio.run(main(cache))

    assert recalled(tmp_path, "b") == {"text": "b"}


def test_the_folder_is_the_given_one_then_the_environments_then_cache(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AUTOINTERP_CACHE", raising=False)
    assert cache_folder(None) == Path("cache")
    monkeypatch.setenv("AUTOINTERP_CACHE", "/elsewhere")
    assert cache_folder(None) == Path("/elsewhere")
    assert cache_folder(Path("given")) == Path("given")
