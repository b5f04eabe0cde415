"""How many requests an unknown endpoint takes at once: grows while it goes well, shrinks where it refuses or queues."""

import math
from collections import deque
from typing import NamedTuple

FIRST = 16
"""Requests in flight to begin with."""
SHRINK = 0.7
"""What a refusal leaves of the limit: beta of RFC 9438."""
SCALING = 0.4
"""How fast the limit leaves the last one that was refused: C of RFC 9438, with round trips in place of its seconds."""
LONGEST_PAUSE = 1.0
"""Seconds that a refusal stops all starts, at most, where the endpoint says nothing of them."""
USUAL = 0.5
"""Seconds of an answer as long as none has come."""
NEAR = 0.1
"""Refusals whose limits differ by less than this share, or by one request, are of the same limit."""
GENTLE = 0.85
"""What it leaves where the same limit was found before: that one need not be searched for again."""
DEEPEST = 2
"""Refusals in a row that shrink the limit at once; of further ones, one a round trip, the others lengthen the pause."""
LONGEST_HOLD = 3.0
"""A limit found again and again is passed this much more slowly."""
FLAT = 1.5
"""Round trips in which the cubic leaves its flat part, by some one request."""
WINDOW = 32
"""Fewest answers whose latencies are compared."""
APART = 1.5
"""Ratio of two loads at which their latencies are compared."""
GAIN = 0.3
"""Share of the added load that must come out as added throughput; less is queueing."""
RECENT = 8
"""Windows of which the least latency is taken for that of an idle endpoint."""
HEADROOM = 1.15
"""Load kept at an endpoint that queues, relative to the knee: replies differ in length, and none of it should idle."""
HELD = 0.85
"""Share of the throughput that must remain at the smaller load, if it was queueing indeed."""


class Adaptive:
    """Knows neither clock nor queue: it is told of every answer and refusal, and says how many may be in flight.

    - Until the first refusal the limit doubles with each round trip (slow start: Jacobson 1988).
    - A refusal shrinks it to 0.7; then it grows along the cubic of RFC 9438 (CUBIC: Ha, Rhee and Xu 2008): fast up to
      near the limit that was refused, flat around it, then faster and faster. So a limit is held with few refusals,
      thousands are reached within some twenty round trips, and runs that share an endpoint converge. Round trips are
      counted by answers, a full limit of them each, so a limit that is not used does not grow.
    - Where throughput no longer grows with the load, the endpoint queues: latency rises as the load does (Little's
      law), with no refusal ever. The limit falls to throughput times the best latency, the knee that BBR aims at
      (Cardwell et al. 2016). As answers may have become longer just then, the next round trip is the check: if
      throughput fell with the load, it was no queue, and the limit is what it was.

    Args:
        ceiling: highest limit.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.limit = float(min(FIRST, ceiling))
        """Requests that may be in flight now."""
        self._slow_start = True
        self._origin = self._bottom = self.limit
        self._rounds = 0.0
        self._hold = 1.0
        self._series = 0
        self._latency = 0.0
        self._shrunk_at = self._lowered_at = float("-inf")
        self._watch = _Watch()

    def answered(self, *, began: float, now: float, load: int, used: bool, seconds: float | None = None) -> None:
        """Takes in that a request was answered.

        Args:
            began: when its request was sent, seconds.
            now: the same clock.
            load: requests in flight when it was sent, itself included.
            used: whether the limit was really reached: one that nobody reaches says nothing about the endpoint.
            seconds: the time that the endpoint took, where it is known; what a slow client takes besides would look
                like a queue at the endpoint.
        """
        took = now - began if seconds is None else seconds
        self._latency += (took - self._latency) * (0.1 if self._latency else 1.0)
        if began >= self._shrunk_at:
            self._series = 0
        elif self._series > 1:
            return
        if took > 0 and self._watch.complete(_Point(load, took), began, self.limit):
            self._compare(now)
        if used and self._watch.suspicion is None:
            self._grow()

    def refused(self, *, began: float, now: float) -> float:
        """The endpoint asked for less; requests sent before the last shrinking tell nothing new.

        Returns:
            Seconds for which nothing should start: the time between two starts at this limit, doubled with each
            further refusal before an answer.
        """
        if began < self._shrunk_at:
            return 0.0
        # One less than was refused is the most that went well.
        good = max(1.0, self.limit - 1.0)
        if self._slow_start:
            self._origin = good
        elif self._series == 0:
            self._find(good)
        # Refusals with no answer between them are one event: the limit before it is where to go back to.
        self._slow_start = False
        self._shrunk_at = now
        self._rounds = 0.0
        self._series += 1
        if self._series <= DEEPEST or now >= self._lowered_at + (self._latency or USUAL):
            self._lowered_at = now
            found = self._hold > 1.0 and self._series == 1
            self.limit = max(1.0, min(good, self.limit * (GENTLE if found else SHRINK)))
        self._bottom = self.limit
        self._watch = _Watch()
        return min(LONGEST_PAUSE, self.interval * 2 ** min(20, self._series - 1))

    @property
    def interval(self) -> float:
        """Seconds between two starts at the present limit."""
        return (self._latency or USUAL) / self.limit

    def restart(self) -> None:
        """The endpoint was gone and is back: nothing that is known of it need hold."""
        self.limit = min(self.limit, float(min(FIRST, self.ceiling)))
        self._slow_start = True
        self._watch = _Watch()

    def _find(self, limit: float) -> None:
        """A limit of the endpoint: held the longer the more often it is found again."""
        slack = max(1.0, NEAR * self._origin)
        if abs(limit - self._origin) <= slack:
            self._hold = min(LONGEST_HOLD, 2 * self._hold)
            self._origin = limit
        else:
            self._hold = 1.0
            # RFC 9438, 4.7 (fast convergence): who is pushed back leaves room to newcomers.
            self._origin = limit if limit > self._origin else limit * (1 + SHRINK) / 2

    def _grow(self) -> None:
        step = 1.0
        if not self._slow_start:
            self._rounds += 1.0 / self.limit
            flat = (max(0.0, self._origin - self._bottom) / SCALING) ** (1 / 3)
            past = self._rounds - flat
            if past > 0:
                past = max(past / self._hold, past - FLAT * (self._hold - 1))
            step = min(1.0, max(0.0, self._origin + SCALING * past**3 - self.limit))
        self.limit = min(float(self.ceiling), self.limit + step)

    def _compare(self, now: float) -> None:
        watch = self._watch
        if watch.suspicion is not None:
            self._settle(watch.suspicion)
        elif (suspicion := watch.suspect(self.limit)) is not None:
            watch.suspicion = suspicion
            # The first answers to come are the short ones; those that count begin a round trip later.
            watch.since = now + self._latency
            self.limit = max(1.0, min(self.limit, suspicion.knee))

    def _settle(self, suspicion: "_Suspicion") -> None:
        watch = self._watch
        if watch.now.throughput < HELD * suspicion.point.throughput:
            self.limit = max(self.limit, suspicion.limit)
            self._watch = _Watch()
            return
        self._slow_start = False
        self._find(self.limit)
        self._rounds = 0.0
        self._bottom = self.limit * SHRINK
        watch.suspicion, watch.reference = None, watch.now


class _Point(NamedTuple):
    """What was measured at a load."""

    load: float
    """Requests in flight."""
    latency: float
    """Seconds."""

    @property
    def throughput(self) -> float:
        """Answers a second, by Little's law: free of how answers bunch in time."""
        return self.load / self.latency


class _Suspicion(NamedTuple):
    """A load at which the endpoint seems to queue."""

    limit: float
    """As it was, to go back to."""
    point: _Point
    knee: float
    """The load at which queueing would have begun."""


class _Watch:
    """Compares the latency at a load with that at a smaller one.

    Windows hold a round trip's worth of answers and are summed up by their geometric mean, so that single long replies
    weigh little.
    """

    def __init__(self) -> None:
        self.reference: _Point | None = None
        self.suspicion: _Suspicion | None = None
        self.since = float("-inf")
        """Answers to requests sent before this are not counted."""
        self.now = _Point(0.0, 1.0)
        """The last whole window."""
        self._latencies: deque[float] = deque(maxlen=RECENT)
        self._needed = float(WINDOW)
        self._n = 0
        self._loads = 0.0
        self._logs = 0.0

    def complete(self, point: _Point, began: float, limit: float) -> bool:
        """Takes an answer; whether a window is whole with it."""
        if began < self.since:
            return False
        if self._n == 0:
            self._needed = max(WINDOW, limit)
        self._n += 1
        self._loads += point.load
        self._logs += math.log(point.latency)
        if self._n < self._needed:
            return False
        self.now = _Point(self._loads / self._n, math.exp(self._logs / self._n))
        self._n, self._loads, self._logs = 0, 0.0, 0.0
        return True

    def suspect(self, limit: float) -> _Suspicion | None:
        """Whether the last window shows queueing."""
        now, before = self.now, self.reference
        self._latencies.append(now.latency)
        if before is None or now.load < before.load * (1 - NEAR):
            self.reference = now
            return None
        ratio = now.load / before.load
        if ratio <= 1 + NEAR:
            # What is asked changes slowly: the reference goes with it.
            self.reference = _Point(before.load, math.sqrt(before.latency * now.latency))
            return None
        if ratio < APART:
            return None
        if now.throughput >= before.throughput * (1 + GAIN * (ratio - 1)):
            self.reference = now
            return None
        knee = max(now.throughput * min(self._latencies) * HEADROOM, before.load * SHRINK)
        return _Suspicion(limit, now, knee)
