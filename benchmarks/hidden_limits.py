"""Endpoints with limits that nobody states, in simulated time: a clock that jumps over every wait, and seeded draws."""

import asyncio
import math
import selectors
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, TypeVar

from autointerp.lmm.lateness import Lateness
from autointerp.lmm.limits import Limiter
from autointerp.lmm.rate_limit_headers import Limits, Stated

T = TypeVar("T")

REFUSING = 0.05
"""Seconds that a refusal takes."""


class _Jumping(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; where nothing is and a timer is due next, the clock is put to it."""
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, jumping: _Jumping) -> None:
        super().__init__(jumping)
        self._jumping = jumping

    def time(self) -> float:
        return self._jumping.now

    def work(self, seconds: float) -> None:
        self._jumping.now += seconds


def simulate(main: Coroutine[None, None, T]) -> T:
    """Runs a coroutine to its end in simulated time."""
    with asyncio.Runner(loop_factory=lambda: _Loop(_Jumping())) as runner:
        return runner.run(main)


def now() -> float:
    """Simulated seconds since the loop began."""
    return asyncio.get_running_loop().time()


def work(seconds: float) -> None:
    """Keeps the simulated loop from everything else for so long, as a calculation does."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)
    loop.work(seconds)


class Outcome(NamedTuple):
    """What became of one call."""

    served: bool
    retry_after: float | None = None
    limits: Limits | None = None


Serve = Callable[[], Awaitable[Outcome]]


class Concurrency:
    """Refuses what goes beyond so many at once; within bursts it refuses everything.

    Args:
        most: by the clock.
        seconds: of an answer, by its draw.
        rng: of the draws.
        burst: whether everything is refused, by the clock.
    """

    def __init__(
        self,
        most: Callable[[float], int],
        seconds: Callable[[Random], float],
        rng: Random,
        burst: Callable[[float], bool] = lambda _: False,
    ) -> None:
        self.busy = 0
        self._most, self._seconds, self._rng, self._burst = most, seconds, rng, burst

    async def __call__(self) -> Outcome:
        """One call."""
        if self.busy >= self._most(now()) or self._burst(now()):
            await asyncio.sleep(REFUSING)
            return Outcome(False)
        self.busy += 1
        await asyncio.sleep(self._seconds(self._rng))
        self.busy -= 1
        return Outcome(True)


class Bucket:
    """Serves so many requests a second, some of them at once; may say when to come again, or state its limits.

    Args:
        rate: requests a second.
        size: requests that may come at once.
        seconds: of an answer, by its draw.
        rng: of the draws.
        says: `nothing`, `retry-after` in whole seconds, or `headers` as OpenAI's.
    """

    def __init__(self, rate: float, size: float, seconds: Callable[[Random], float], rng: Random, says: str) -> None:
        self._rate, self._size, self._seconds, self._rng, self._says = rate, size, seconds, rng, says
        self._left, self._at = size, 0.0

    async def __call__(self) -> Outcome:
        """One call."""
        self._left = min(self._size, self._left + (now() - self._at) * self._rate)
        self._at = now()
        served = self._left >= 1
        self._left -= served
        stated = Limits(Stated(int(self._left), (self._size - self._left) / self._rate, self._size), None)
        limits = stated if self._says == "headers" else None
        if not served:
            wait = float(math.ceil((1 - self._left) / self._rate)) if self._says == "retry-after" else None
            await asyncio.sleep(REFUSING)
            return Outcome(False, wait, limits)
        await asyncio.sleep(self._seconds(self._rng))
        return Outcome(True, None, limits)


class Queueing:
    """Never refuses: so many at once are served, the others wait in line (as vLLM does beyond `--max-num-seqs`).

    Args:
        slots: served at once.
        seconds: of an answer, by the clock and its draw.
        rng: of the draws.
    """

    def __init__(self, slots: int, seconds: Callable[[float, Random], float], rng: Random) -> None:
        self._slots, self._seconds, self._rng = slots, seconds, rng
        self.busy = 0
        self._line: deque[asyncio.Future[None]] = deque()

    async def __call__(self) -> Outcome:
        """One call."""
        if self.busy >= self._slots:
            turn = asyncio.get_running_loop().create_future()
            self._line.append(turn)
            await turn
        else:
            self.busy += 1
        await asyncio.sleep(self._seconds(now(), self._rng))
        # The place passes straight to the longest waiting.
        if self._line:
            self._line.popleft().set_result(None)
        else:
            self.busy -= 1
        return Outcome(True)


@dataclass
class Log:
    """What happened, by the moment of its end."""

    served: list[tuple[float, float]] = field(default_factory=list)
    """Moment and seconds from start to end, of answers."""
    refused: list[float] = field(default_factory=list)
    limits: list[tuple[float, float]] = field(default_factory=list)
    """The limit, four times a second."""

    def between(self, first: float, last: float) -> tuple[int, int, float]:
        """Answers, refusals and the mean seconds of an answer in a stretch of time."""
        served = [seconds for at, seconds in self.served if first <= at < last]
        refused = sum(first <= at < last for at in self.refused)
        return len(served), refused, sum(served) / max(1, len(served))


async def load(
    serve: Serve, limiter: Limiter, *, until: float, workers: int, rng: Random, handling: float = 0.0
) -> Log:
    """Keeps more requests waiting than the limiter lets out, and repeats what was refused as the gateway does.

    Args:
        serve: the endpoint.
        limiter: what lets out.
        until: simulated seconds.
        workers: requests that wait or are in flight.
        rng: of the draws.
        handling: seconds of the client's own work for each answer, in which nothing else goes on.
    """
    log, lateness = Log(), Lateness()

    async def worker() -> None:
        attempt = 0
        while now() < until:
            slot = limiter.slot(1)
            async with slot:
                sent = now()
                with lateness.watching():
                    outcome = await serve()
                seconds = lateness.taken(now() - sent)
                work(handling)
            if outcome.served:
                attempt = 0
                log.served.append((now(), slot.ended - slot.began))
                limiter.succeeded(slot, outcome.limits, seconds)
                continue
            attempt = min(6, attempt + 1)
            log.refused.append(now())
            limiter.overloaded(slot.began, outcome.retry_after, outcome.limits)
            wait = 0.5 * 2 ** (attempt - 1) * rng.uniform(0.5, 1.0)
            await asyncio.sleep(wait if outcome.retry_after is None else outcome.retry_after + rng.uniform(0, 0.25))

    async def watch() -> None:
        while now() < until:
            log.limits.append((now(), limiter.limit))
            await asyncio.sleep(0.25)

    tasks = [asyncio.create_task(worker()) for _ in range(workers)]
    await watch()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return log
