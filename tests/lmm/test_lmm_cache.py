import asyncio
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import diskcache
import pytest

from autointerp.errors import SettingsError
from autointerp.lmm.cache import BytesDisk, Cache, CacheError, cache_folder

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


def test_a_pickled_row_is_refused_and_not_run(tmp_path: Path):
    store(tmp_path, {"k": "good"})
    target = tmp_path / "boom"
    pickle.loads(pickle.dumps(Bomb(target)))
    assert target.exists(), "the bomb must be live for this test to mean anything"
    target.unlink()
    tamper(tmp_path, "UPDATE Cache SET mode = ?, value = ?", MODE_PICKLE, pickle.dumps(Bomb(target)))

    with pytest.raises(CacheError, match="a row in the cache is not autointerp's; delete the folder"):
        recalled(tmp_path, "k")

    assert not target.exists()


@pytest.mark.parametrize("mode", [MODE_RAW, MODE_BINARY, MODE_TEXT, MODE_PICKLE])
def test_a_row_that_names_a_file_is_refused(tmp_path: Path, mode: int):
    store(tmp_path / "cache", {"k": "good"})
    (tmp_path / "secret").write_text('{"text": "secret"}')
    tamper(tmp_path / "cache", "UPDATE Cache SET mode = ?, filename = '../../secret'", mode)

    with pytest.raises(CacheError, match="not autointerp's"):
        recalled(tmp_path / "cache", "k")


def test_overwriting_a_row_that_names_a_file_does_not_delete_the_file(tmp_path: Path):
    store(tmp_path / "cache", {"k": "good"})
    (tmp_path / "secret").write_text("kept")
    tamper(tmp_path / "cache", "UPDATE Cache SET filename = '../../secret'")

    store(tmp_path / "cache", {"k": "better"})

    assert (tmp_path / "secret").read_text() == "kept"
    assert recalled(tmp_path / "cache", "k") == {"text": "better"}


@pytest.mark.parametrize("value", ["text", 7, b"not json", b"[1]", b"\xff", b"[" * 100_000])
def test_a_row_that_is_no_answer_is_refused(tmp_path: Path, value: object):
    store(tmp_path, {"k": "good"})
    tamper(tmp_path, "UPDATE Cache SET value = ?", value)

    with pytest.raises(CacheError, match="delete the folder"):
        recalled(tmp_path, "k")


def test_a_pickled_key_is_refused(tmp_path: Path):
    store(tmp_path, {"k": "good"})
    target = tmp_path / "boom"
    tamper(tmp_path, "UPDATE Cache SET raw = 0, key = ?", pickle.dumps(Bomb(target)))

    with (
        diskcache.Cache(str(tmp_path / "answers"), disk=BytesDisk) as rows,
        pytest.raises(CacheError, match="a key in the cache is not autointerp's"),
    ):
        list(rows)

    assert recalled(tmp_path, "k") is None
    assert not target.exists()


def test_a_broken_database_is_one_line_and_not_a_traceback(tmp_path: Path):
    store(tmp_path, {"k": "good"})
    (tmp_path / "answers" / "cache.db").write_bytes(b"not a database" * 1000)

    with pytest.raises(SettingsError, match="cache"):
        recalled(tmp_path, "k")


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
