"""One limiter over all requests of a run: who waits for a place, in what order, and at what pace they start."""

import asyncio
import collections
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

from autointerp.lmm.adaptive_concurrency import Adaptive
from autointerp.lmm.rate_limit_headers import Limits, Pace, Quota


class Limiter:
    """Lets as many requests out as the endpoint takes (`Adaptive`), at the rates that it or the user states.

    Args:
        ceiling: most requests in flight.
        requests_per_minute: paces the starts evenly; None for no pacing.
        tokens_per_minute: likewise for estimated tokens.
        clock: seconds, monotonic.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        ceiling: int,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.ceiling = ceiling
        self.endpoints: tuple[int, int] | None = None
        """Servers that are up, and all, where there are several."""
        self._gate = Gate(ceiling)
        self._steered: float | None = None
        self._pause_ends = float("-inf")
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clock = clock or self._loop_time
        self.sleep = sleep
        rates = (requests_per_minute, tokens_per_minute)
        self._paces = [Pace(rate / 60 if rate else None, 1.0) for rate in rates]

    @property
    def limit(self) -> float:
        """Requests that may be in flight now."""
        return self._gate.limit if self._steered is None else self._steered

    @property
    def in_flight(self) -> int:
        """Requests that the endpoint has."""
        return self._gate.in_flight

    @property
    def pause(self) -> float:
        """Seconds that the endpoint still asks all requests to wait."""
        ends = self._gate.not_before if self._steered is None else self._pause_ends
        return max(0.0, ends - self._clock()) if ends > 0 else 0.0

    def slot(self, tokens: int, entered: Callable[[], None] | None = None) -> "Slot":
        """An `async with` that holds one place in flight.

        Args:
            tokens: the request's estimate.
            entered: called once the place is taken; what it raises gives the place back.
        """
        return Slot(self, tokens, entered)

    def succeeded(self, slot: "Slot", limits: Limits | None = None, seconds: float | None = None) -> None:
        """An answer came to the request that held the slot.

        Args:
            slot: left already.
            limits: what the answer stated of the endpoint's limits.
            seconds: the time that the endpoint took; None where it is the time for which the slot was held.
        """
        if self._steered is None:
            self._gate.answered(slot.began, slot.ended, slot.load, limits, seconds)
        self._wake()

    def overloaded(self, began: float, retry_after: float | None, limits: Limits | None = None) -> None:
        """The endpoint asked for less.

        Args:
            began: when the refused request entered its slot.
            retry_after: seconds that it asks all to wait.
            limits: what the refusal stated of its limits.
        """
        if self._steered is None:
            now = self._clock()
            self._gate.refused(began, now, retry_after)
            self._gate.told(now, limits)

    def steer(self, limit: float, endpoints: tuple[int, int], pause_ends: float) -> None:
        """From now on someone who knows the endpoints one by one says how many may be in flight at all of them.

        Args:
            limit: the sum over the endpoints.
            endpoints: how many are up, of how many.
            pause_ends: when the first of them may be asked again, where all asked for a pause.
        """
        self._steered = min(float(self.ceiling), max(1.0, limit))
        self.endpoints, self._pause_ends = endpoints, pause_ends
        self._wake()

    def _loop_time(self) -> float:
        # Kept, since a display asks from a thread of its own, where none runs.
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()
        return self._loop.time() if self._loop is not None else 0.0

    async def _enter(self, slot: "Slot") -> None:
        if self._gate.places < int(self.limit):
            self._gate.places += 1
        else:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave()  # the place was given to us; hand it on
                raise
        try:
            await self._pause(slot.tokens)
        except asyncio.CancelledError:
            self._leave()
            raise
        slot.began = self._clock()
        slot.load = self._gate.in_flight

    async def _pause(self, tokens: int) -> None:
        now = self._clock()
        stated = max(pace.take(now, amount) for pace, amount in zip(self._paces, (1, tokens), strict=True))
        due = max(stated, self._gate.paced(now, tokens))
        if max(due, self._gate.not_before) <= now:
            return
        self._gate.kept_back += 1
        try:
            while (wait := max(due, self._gate.not_before) - self._clock()) > 0:
                await self.sleep(wait)
        finally:
            self._gate.kept_back -= 1

    def _exit(self, slot: "Slot") -> None:
        slot.ended = self._clock()
        self._leave()

    def _leave(self) -> None:
        self._gate.places -= 1
        self._wake()

    def _wake(self) -> None:
        # A place passes straight to the longest waiting, so that none is overtaken and `in_flight` never dips.
        while self._waiting and self._gate.places < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self._gate.places += 1
                turn.set_result(None)


@dataclass(eq=False)
class Slot:
    """Holds one place among the requests in flight."""

    limiter: Limiter
    tokens: int
    """As the request is estimated."""
    entered: Callable[[], None] | None = None
    began: float = float("-inf")
    """Clock time at which the slot was entered."""
    ended: float = float("-inf")
    """Clock time at which it was left."""
    load: int = 0
    """Requests in flight when it was entered, this one included."""

    async def __aenter__(self) -> "Slot":
        await self.limiter._enter(self)
        if self.entered is not None:
            try:
                self.entered()
            except BaseException:
                self.limiter._exit(self)
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.limiter._exit(self)


CATCHING_UP = 2.0
"""Starts after a pause, relative to the rate that keeps the limit in flight."""


class Gate:
    """Counts who is in, and says when the next may start. Nobody waits here.

    Args:
        ceiling: most requests in flight.
    """

    def __init__(self, ceiling: int) -> None:
        self.adaptive = Adaptive(ceiling)
        self.places = 0
        """Taken, by requests in flight and by those whose pace keeps them back."""
        self.kept_back = 0
        self.not_before = float("-inf")
        """End of the pause that the endpoint asked for."""
        self._requests = Quota()
        self._tokens = Quota()
        self._recovery = Pace(None, 0.0)
        self._usual_tokens = 0

    @property
    def limit(self) -> float:
        """Requests that may be in flight now."""
        return self.adaptive.limit

    @property
    def in_flight(self) -> int:
        """Requests that the endpoint has."""
        return self.places - self.kept_back

    @property
    def full(self) -> bool:
        """Whether no place is free."""
        return self.places >= int(self.adaptive.limit)

    def ready_at(self, now: float) -> float:
        """When the next may start, seconds; nothing is taken."""
        paces = (self._recovery, self._requests.pace, self._tokens.pace)
        return max(self.not_before, *(pace.due(now) for pace in paces))

    def paced(self, now: float, tokens: int) -> float:
        """When one that wants to start now may do so; the next is due later by its share."""
        self._usual_tokens = tokens
        due = max(self._recovery.take(now, 1), self._requests.pace.take(now, 1))
        return max(self.not_before, due, self._tokens.pace.take(now, tokens))

    def answered(
        self, began: float, now: float, load: int, limits: Limits | None, seconds: float | None = None
    ) -> None:
        """An answer came, after its place was left; the endpoint took so many seconds."""
        used = self.in_flight + 1 >= int(self.adaptive.limit)
        self.adaptive.answered(began=began, now=now, load=load, used=used, seconds=seconds)
        self.told(now, limits)

    def refused(self, began: float, now: float, retry_after: float | None) -> None:
        """The endpoint asked for less, and perhaps for a pause of `retry_after` seconds."""
        pause = self.adaptive.refused(began=began, now=now)
        if retry_after is not None:
            pause = max(pause, retry_after)
            self.not_before = max(self.not_before, now + retry_after)
        if pause:
            # Or all that waited would start at once, into the next refusals.
            interval = self.adaptive.interval
            rate = CATCHING_UP / interval
            self._recovery.hold(now + pause, rate, now + pause + interval * self.adaptive.limit)

    def told(self, now: float, limits: Limits | None) -> None:
        """The endpoint stated its limits."""
        if limits is None:
            return
        if limits.requests is not None:
            self._requests.told(now, limits.requests, self.in_flight)
        if limits.tokens is not None:
            self._tokens.told(now, limits.tokens, self.in_flight * self._usual_tokens)
