"""The bounded memory: least recently used first, one maker a key, failures not kept."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from autointerp.images.store import Store


def test_third_value_of_four_bytes_pushes_out_the_one_not_used_of_ten():
    store: Store[str, bytes] = Store(10, len)
    store.get("a", lambda: b"aaaa")
    store.get("b", lambda: b"bbbb")
    store.peek("a")

    store.get("c", lambda: b"cccc")

    assert [store.peek(k) for k in "abc"] == [b"aaaa", None, b"cccc"]
    assert store.held == 8


def test_value_over_the_limit_is_handed_out_and_not_kept():
    store: Store[str, bytes] = Store(3, len)
    store.get("small", lambda: b"s")

    value = store.get("large", lambda: b"llll")

    assert value == b"llll"
    assert store.peek("large") is None
    assert store.peek("small") == b"s"


def test_eight_threads_that_want_one_key_make_it_once():
    store: Store[str, bytes] = Store(10, len)
    made: list[int] = []
    go = Event()

    def make() -> bytes:
        go.wait()
        made.append(1)
        return b"a"

    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(store.get, "a", make) for _ in range(8)]
        go.set()
        values = [w.result() for w in waiting]

    assert values == [b"a"] * 8
    assert made == [1]


def test_failure_reaches_the_caller_and_the_next_one_tries_again():
    store: Store[str, bytes] = Store(10, len)

    with pytest.raises(ZeroDivisionError):
        store.get("a", lambda: bytes(1 // 0))

    assert store.get("a", lambda: b"a") == b"a"
