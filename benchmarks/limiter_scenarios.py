"""Endpoints with hidden limits that the limiter is measured and tested on, and how much each could serve."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from hidden_limits import Bucket, Concurrency, Log, Queueing, Serve, load, simulate

from autointerp.lmm.limits import Limiter

SECONDS = 2.0
"""Median of an answer's."""
MEAN = SECONDS * math.exp(0.4**2 / 2)
"""Their mean."""


def reply(rng: Random, median: float = SECONDS) -> float:
    """Seconds of an answer: log-normal, as lengths of replies are."""
    return median * math.exp(0.4 * rng.gauss(0, 1))


@dataclass(frozen=True)
class Scenario:
    """An endpoint, and how much it could serve."""

    name: str
    endpoint: Callable[[Random], Serve]
    capacity: Callable[[float], float]
    """Answers a second, by the clock."""
    ceiling: int = 512
    until: float = 180.0
    handling: float = 0.0
    """Seconds of the client's own work for each answer."""

    def run(self, seed: int) -> Log:
        """One limiter on it."""
        rng = Random(seed)

        async def main() -> Log:
            limiter = Limiter(self.ceiling)
            workers = self.ceiling * 3 // 2
            return await load(
                self.endpoint(rng), limiter, until=self.until, workers=workers, rng=rng, handling=self.handling
            )

        return simulate(main())

    def utilisation(self, log: Log, first: float, last: float) -> float:
        """Answers in a stretch of time, relative to what could be served in it."""
        steps = 1000
        width = (last - first) / steps
        could = sum(self.capacity(first + (i + 0.5) * width) for i in range(steps)) * width
        return log.between(first, last)[0] / could

    def found_after(self, log: Log, start: float = 0.0) -> float:
        """Seconds from `start` until five in a row were used to nine tenths; infinite if they never were."""
        for at in range(int(start), int(self.until) - 4):
            if self.utilisation(log, at, at + 5) >= 0.9:
                return at - start
        return math.inf


def refused(log: Log, first: float, last: float) -> float:
    """Share of the calls that ended in a stretch of time."""
    served, no, _ = log.between(first, last)
    return no / max(1, served + no)


def _concurrency(most: int) -> Scenario:
    return Scenario(
        f"{most} at once, else 429",
        lambda rng: Concurrency(lambda _: most, reply, rng),
        lambda _: most / MEAN,
        ceiling=max(64, 2 * most),
    )


def _bucket(says: str) -> Scenario:
    name = {"nothing": "429", "retry-after": "429 with Retry-After", "headers": "limits in headers"}[says]
    return Scenario(
        f"600 a minute, {name}", lambda rng: Bucket(10.0, 100.0, reply, rng, says), lambda _: 10.0, ceiling=256
    )


def _queueing(slots: int) -> Scenario:
    return Scenario(
        f"{slots} slots and a queue, never 429",
        lambda rng: Queueing(slots, lambda _, chance: reply(chance), rng),
        lambda _: slots / MEAN,
    )


def drifting(at: float) -> int:
    """60 at once; half of it from the first minute on, twice from the second."""
    return 60 if at < 60 else 30 if at < 120 else 120


def bursting(at: float) -> bool:
    """A second and a half of refusals in every twenty."""
    return at % 20 > 18.5


def longer(at: float, rng: Random) -> float:
    """Answers that take three times as long in every other quarter of a minute."""
    return reply(rng, SECONDS * (3 if int(at // 15) % 2 else 1))


DRIFTING = Scenario(
    "60, then 30, then 120 at once, else 429",
    lambda rng: Concurrency(drifting, reply, rng),
    lambda at: drifting(at) / MEAN,
    until=210.0,
)
BURSTING = Scenario(
    "64 at once, and bursts of 429",
    lambda rng: Concurrency(lambda _: 64, reply, rng, bursting),
    lambda at: 0.0 if bursting(at) else 64 / MEAN,
)
BUSY = Scenario(
    "never full; the client works 25 ms an answer",
    lambda rng: Concurrency(lambda _: 10**6, reply, rng),
    lambda _: 1 / 0.025,
    ceiling=256,
    handling=0.025,
)
BUSY_QUEUEING = Scenario(
    "32 slots and a queue; the client works 25 ms an answer",
    lambda rng: Queueing(32, lambda _, chance: reply(chance), rng),
    lambda _: 32 / MEAN,
    handling=0.025,
)
SCENARIOS = (
    *(_concurrency(most) for most in (4, 50, 1000)),
    *(_bucket(says) for says in ("nothing", "retry-after", "headers")),
    DRIFTING,
    BURSTING,
    *(_queueing(slots) for slots in (4, 32, 200)),
    BUSY,
    BUSY_QUEUEING,
)
