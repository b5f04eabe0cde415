"""A command killed or told to end at random moments, again and again until it is done: what that costs."""

import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from unittest import mock

from standin import child
from standin.server import StandIn

from benchmarks.reliability.matrix import World, explaining, must, run, scoring
from benchmarks.reliability.truth import held, posing, undone

SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM}
DELAY = 0.03
"""Seconds before each answer, so that questions are in flight when the strike comes."""
FARTHEST = 12
"""Questions that come, at most, between a start and the strike."""
LONGEST = 0.1
"""Seconds, at most, between the question that was waited for and the strike."""


@dataclass(frozen=True)
class Struck:
    """All strikes of one signal at one command."""

    command: str
    signal: str
    strikes: int
    runs: int
    """Runs that were begun, struck until they were done, and compared with the undisturbed one."""
    lost: int
    """Results that are not there at the end."""
    differing: int
    """Records that differ from those of the undisturbed run, or are there twice."""
    paid_twice: int
    """Usable answers that were asked for again, over all strikes."""
    codes: dict[str, int]
    """How often a struck process ended in each exit code; a negative one is the signal that ended it."""


def strikes(world: World, name: str, which: str, times: int, seed: int) -> Struck:
    """Strikes a command so many times at moments drawn by the seed.

    Args:
        world: what is explained and scored.
        name: `explain` or `score`.
        which: a key of `SIGNALS`.
        times: strikes.
        seed: of the moments.
    """
    chance = Random(f"{seed}:{name}:{which}")
    codes: Counter[str] = Counter()
    struck = runs = lost = differing = paid_twice = 0
    world.endpoint.fault_rate, world.endpoint.delay = 0.0, DELAY
    while struck < times:
        runs += 1
        to = world.place / f"struck-{name}-{which}-{runs}"
        cache = Path(f"{to}-cache")
        if name == "score":
            shutil.copytree(world.explained, to)
        words = explaining(world, to) if name == "explain" else scoring(world, to)
        world.endpoint.forget()
        while struck < times:
            moment = (chance.randint(1, FARTHEST), chance.uniform(0, LONGEST))
            code = _strike(world.endpoint, words, cache, SIGNALS[which], *moment)
            if code is None:
                break
            struck += 1
            codes[str(code)] += 1
        with mock.patch.dict(os.environ, {"AUTOINTERP_CACHE": str(cache)}):
            must(run(*words))
        wanted = {key for key in world.clean.data if (key[1] == "explain") == (name == "explain")}
        now = held(to)
        lost += undone(now, wanted)
        differing += posing(now, world.clean) + now.repeated
        paid_twice += world.endpoint.paid_twice
        shutil.rmtree(to)
        shutil.rmtree(cache)
    world.endpoint.delay = 0.0
    return Struck(name, which, struck, runs, lost, differing, paid_twice, dict(codes))


def _strike(
    seer: StandIn, words: Sequence[str | Path], cache: Path, which: signal.Signals, question: int, seconds: float
) -> int | None:
    """Starts the command, and strikes so long after that question has come; its exit code, or None if it was done."""
    came, timers = [0], list[threading.Timer]()
    begun: list[ForkServerProcess] = []
    ready = threading.Event()

    def strike() -> None:
        ready.wait()
        os.kill(begun[0].pid or 0, which)

    def on_call(number: int) -> None:
        came[0] += 1
        if came[0] == question:
            timers.append(threading.Timer(seconds, strike))
            timers[0].start()

    seer.on_call = on_call
    begun.append(child.start(*words, cache=cache))
    ready.set()
    begun[0].join()
    for timer in timers:
        timer.cancel()
        timer.join()
    seer.settle()
    seer.on_call = None
    code = begun[0].exitcode
    begun[0].close()
    return None if code == 0 else code
