"""Strikes a process while it asks; kills one again and again, and counts what that cost.

It is the endpoint that strikes, when a question has come and before it is answered: however busy the machine is, the
process cannot be over by then.
"""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from standin.commands import Result
from standin.server import StandIn

CONCURRENCY = 4
DELAY = 0.05
MOST_LOST = 2 * CONCURRENCY
"""Answers on the wire, and as many again that had come and were being written when the kill came."""


def struck(seer: StandIn, question: int, strike: Callable[[subprocess.Popen[str]], None], *args: str | Path) -> Result:
    """`autointerp ARGS` in a process and a session of its own, struck when that question has come."""
    begun: Future[subprocess.Popen[str]] = Future()
    seer.on_call = lambda number: strike(begun.result()) if number == question else None
    command = (sys.executable, "-m", "autointerp", *args)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        begun.set_result(process)
        out, err = process.communicate()
    seer.on_call = None
    return Result(process.returncode, out, err)


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


def kill_at(seer: StandIn, question: int, seconds: float, begin: Callable[[], ForkServerProcess]) -> bool:
    """Begins a process and kills it when that question of its has come; False if it was done before.

    Nobody is answered in the seconds before the kill, in which the process writes down what it was told.
    """
    begun: Future[ForkServerProcess] = Future()
    came: list[int] = []

    def on_call(number: int) -> None:
        came.append(number)
        if len(came) == question:
            time.sleep(seconds)
            begun.result().kill()

    seer.on_call = on_call
    process = begin()
    begun.set_result(process)
    process.join()
    process.close()
    # Requests that are still at work would count answers that nobody was there to read.
    seer.settle()
    seer.on_call = None
    return len(came) >= question


def lost_by_kills(
    seer: StandIn, cache: Path, times: int, step: float, begin: Callable[[], ForkServerProcess]
) -> list[int]:
    """Kills again and again, each time at another moment; answers sent but not stored, for each kill."""
    lost: list[int] = []
    for number in range(times):
        before = seer.answered.total() - stored(cache)
        assert kill_at(seer, 1 + number % 4, number * step, begin), f"the run was over before kill {number}"
        lost.append(seer.answered.total() - stored(cache) - before)
    return lost
