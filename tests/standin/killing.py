"""Kills a process again and again while it asks, and counts what that cost."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from standin.server import StandIn

CONCURRENCY = 4
DELAY = 0.05
MOST_LOST = 2 * CONCURRENCY
"""Answers on the wire, and as many again that had come and were being written when the kill came."""


def stored(cache: Path) -> int:
    """Answers in the cache."""
    if not (cache / "answers" / "cache.db").exists():
        return 0
    with closing(sqlite3.connect(cache / "answers" / "cache.db")) as database:
        try:
            query = "SELECT count(*) FROM Cache WHERE key NOT LIKE 'dialect:%'"
            return int(database.execute(query).fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # killed before the table was made


def kill_after(seer: StandIn, seconds: float, begin: Callable[[], ForkServerProcess]) -> bool:
    """Begins a process and kills it that long after its first question; False if it was done before."""
    asked = threading.Event()
    seer.on_call = lambda number: asked.set()
    process = begin()
    while process.is_alive() and not asked.wait(0.01):
        pass
    time.sleep(seconds)
    alive = process.is_alive()
    process.kill()
    process.join()
    process.close()
    # Handlers that are still at work would count answers that nobody was there to read.
    time.sleep(DELAY + 0.05)
    seer.on_call = None
    return alive


def lost_by_kills(
    seer: StandIn, cache: Path, times: int, step: float, begin: Callable[[], ForkServerProcess]
) -> list[int]:
    """Kills again and again, each time a little later; answers sent but not stored, for each kill."""
    lost: list[int] = []
    for number in range(times):
        before = seer.answered.total() - stored(cache)
        assert kill_after(seer, number * step, begin), f"the run was over before kill {number}"
        lost.append(seer.answered.total() - stored(cache) - before)
    return lost
