"""What a file of answers is said to hold, and what is left of it when rows go."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from autointerp.lmm.cache import Cache
from autointerp.lmm.cache_contents import EMBEDDING, remove_rows, stored_rows
from autointerp.lmm.cache_users import CacheBusyError, alone

ANSWER = {"text": '{"fits": true}', "model": "m"}
VECTOR = {"text": '{"vector": "AAAA"}', "model": "e"}


def fill(folder, rows):
    """A cache that holds these values."""

    async def put():
        with Cache(folder) as cache:
            for key, value in rows.items():
                await cache.put(key, value)

    asyncio.run(put())


def key(number):
    return f"{number:064x}"


def test_each_row_is_told_by_its_key_and_by_what_it_says(tmp_path):
    rows = {
        key(1): ANSWER,
        key(2): VECTOR,
        "outcome:p:3": {"answers": '{"a": "s"}'},
        f"completion:{key(4)}": {"text": "x"},
        "address:0": {"address": "as given"},
        "dialect:0": {"schema": True},
        "elsewhere": {"a": 1},
    }
    fill(tmp_path, rows)

    found = {row.key: row for row in stored_rows(tmp_path)}

    kinds = [found[name].kind for name in rows]
    assert kinds == ["answers", "embeddings", "outcomes", "batch replies", "endpoints", "endpoints", "other rows"]
    assert all(row.sound for row in found.values())
    assert found[key(1)].model == "m"
    assert found["outcome:p:3"].answers == ("a",)


def test_a_row_whose_value_was_changed_is_not_sound(tmp_path):
    fill(tmp_path, {key(1): ANSWER, key(2): VECTOR})
    with closing(sqlite3.connect(tmp_path / "answers" / "cache.db")) as file, file:
        file.execute("UPDATE Cache SET value = ? WHERE key = ?", (b'{"text": "no", "model": "m"}', key(1)))

    assert {row.key: row.sound for row in stored_rows(tmp_path)} == {key(1): False, key(2): True}


def test_what_is_left_after_some_rows_went_is_found_as_before(tmp_path):
    fill(tmp_path, {key(1): ANSWER, key(2): VECTOR})
    gone = [row.row for row in stored_rows(tmp_path) if row.kind == EMBEDDING]

    with alone(tmp_path):
        remove_rows(tmp_path, gone)

    with Cache(tmp_path) as cache:
        assert cache.get(key(1)) == ANSWER
        assert cache.get(key(2)) is None


def test_a_cache_that_is_open_is_not_had_alone(tmp_path):
    with Cache(tmp_path), pytest.raises(CacheBusyError, match="has this cache open"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_what_a_killed_process_left_keeps_nobody_out(tmp_path):
    (tmp_path / "in-use").mkdir()
    (tmp_path / "in-use" / "99999-0123.lock").touch()

    with alone(tmp_path):
        pass

    assert not list((tmp_path / "in-use").iterdir())


def test_there_are_no_rows_where_there_is_no_file(tmp_path):
    assert list(stored_rows(tmp_path)) == []
