"""One limiter over all requests of a run: adapts the number in flight, obeys Retry-After, paces to stated rates."""

import asyncio
import collections
from collections.abc import Awaitable, Callable
from types import TracebackType

_FIRST = 16
_SHRINK = 0.7


class Limiter:
    """Grows while it goes well (doubling a round trip until the first overload, then by one), shrinks on overload.

    Additive increase and multiplicative decrease, as in TCP (Jacobson 1988): many runs on one endpoint then share it
    fairly without knowing of each other.

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
        self.limit = float(min(_FIRST, ceiling))
        """Requests that may be in flight now."""
        self.in_flight = 0
        self._slow_start = True
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._sleep = sleep
        self._shrunk_at = float("-inf")
        self._not_before = float("-inf")
        self._paces = [_Pace(rate) for rate in (requests_per_minute, tokens_per_minute)]

    def slot(self, tokens: int) -> "Slot":
        """An `async with` that holds one place in flight; `tokens` is the request's estimate."""
        return Slot(self, tokens)

    def succeeded(self) -> None:
        """An answer came: one more may be in flight, if the present limit was really used."""
        # A limit nobody reaches says nothing about the endpoint, so it does not grow.
        if self.in_flight + 1 >= int(self.limit):
            self.limit = min(self.ceiling, self.limit + (1.0 if self._slow_start else 1.0 / self.limit))
        self._wake()

    def overloaded(self, began: float, retry_after: float | None) -> None:
        """The endpoint asked for less; `began` is when that request entered its slot.

        Requests sent before the last shrinking tell nothing new, so a burst of refusals shrinks once.
        """
        now = self._clock()
        self._slow_start = False
        if began >= self._shrunk_at:
            self.limit = max(1.0, self.limit * _SHRINK)
            self._shrunk_at = now
        if retry_after is not None:
            self._not_before = max(self._not_before, now + retry_after)

    async def _enter(self, tokens: int) -> float:
        if self.in_flight < int(self.limit):
            self.in_flight += 1
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
            await self._pause(tokens)
        except asyncio.CancelledError:
            self._leave()
            raise
        return self._clock()

    async def _pause(self, tokens: int) -> None:
        now = self._clock()
        due = max(pace.take(now, amount) for pace, amount in zip(self._paces, (1, tokens), strict=True))
        while (wait := max(due, self._not_before) - self._clock()) > 0:
            await self._sleep(wait)

    def _leave(self) -> None:
        self.in_flight -= 1
        self._wake()

    def _wake(self) -> None:
        # A place passes straight to the longest waiting, so that none is overtaken and `in_flight` never dips.
        while self._waiting and self.in_flight < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)


class Slot:
    """One place in flight."""

    def __init__(self, limiter: Limiter, tokens: int) -> None:
        self._limiter = limiter
        self._tokens = tokens
        self.began = float("-inf")
        """Clock time at which the slot was entered."""

    async def __aenter__(self) -> "Slot":
        self.began = await self._limiter._enter(self._tokens)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limiter._leave()


class _Pace:
    """When the next start is due at an even rate; up to a second's worth may start at once."""

    def __init__(self, per_minute: float | None) -> None:
        self._per_second = per_minute / 60 if per_minute else None
        self._due = float("-inf")

    def take(self, now: float, amount: float) -> float:
        if self._per_second is None:
            return now
        start = max(self._due, now - 1.0)
        self._due = start + amount / self._per_second
        return start
