"""One model behind several addresses: each request goes to the least loaded; what fails is set aside for a while."""

import asyncio
import collections
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from autointerp.lmm.limits import Gate, Limiter, Slot
from autointerp.lmm.openai_client import OpenAIClient
from autointerp.lmm.outcomes import BROKEN, CallError
from autointerp.lmm.request import Completion, Images, Request

STRIKES = 3
"""Failures in a row that set an endpoint aside."""
FIRST_PAUSE = 1.0
"""Seconds it stays aside at first; doubled with every probe that fails."""
LONGEST_PAUSE = 60.0
"""Seconds, at most."""

REMEMBERED = 10_000
"""Failed requests of which it is known where they failed."""


class Balancer:
    """Answers through several endpoints that serve the same model.

    Each endpoint has a gate of its own, which finds what that one takes; the run's limiter is steered to their sum,
    below its ceiling, and keeps the paces that the user stated. A request that failed is not repeated here: the gateway
    asks again, and then another endpoint is the least loaded. After three failures in a row (no connection, no answer
    in time, status 5xx) an endpoint is set aside; after a pause one request is the probe that brings it back or doubles
    the pause.

    Args:
        clients: one for each address.
        limiter: of all requests of the run.
        clock: seconds, monotonic.
    """

    def __init__(
        self, clients: Sequence[OpenAIClient], limiter: Limiter, *, clock: Callable[[], float] | None = None
    ) -> None:
        self._endpoints = tuple(_Endpoint(client, limiter.ceiling) for client in clients)
        self._limiter = limiter
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._line: collections.deque[tuple[asyncio.Future[_Endpoint], _Wish]] = collections.deque()
        self._avoided: dict[str, set[_Endpoint]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._last = CallError("connection", "no endpoint answers", again=True, nobody=True)
        self._steer()

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Asks the least loaded endpoint once; waits for one where all are full.

        Raises:
            CallError: the call failed, or every endpoint is set aside.
            ImageError: a picture cannot be made.
        """
        jpegs = await self._endpoints[0].client.render(request, images)
        async with slot:
            wish = _Wish(request.key, slot.tokens if isinstance(slot, Slot) else 0)
            endpoint = await self._place(wish)
            began, load = self._clock(), endpoint.gate.in_flight
            probe = endpoint.aside
            try:
                completion = await endpoint.client.send(request, jpegs)
            except CallError as e:
                endpoint.gate.places -= 1
                self._avoid(request.key, endpoint)
                self._failed(endpoint, e, began, probe=probe)
                raise
            except BaseException:
                self._give_back(endpoint, probe=probe)
                raise
            endpoint.gate.places -= 1
            self._avoided.pop(request.key, None)
            endpoint.well()
            endpoint.gate.answered(began, self._clock(), load, completion.limits, completion.seconds)
            self._steer()
            self._serve()  # it may take more than before, or be back
            return completion

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._alarm is not None:
            self._alarm.cancel()
        for endpoint in self._endpoints:
            await endpoint.client.aclose()

    async def _place(self, wish: "_Wish") -> "_Endpoint":
        """A place at the least loaded endpoint, in the order of coming."""
        if not self._line and (free := self._take(wish)) is not None:
            return free
        turn: asyncio.Future[_Endpoint] = asyncio.get_running_loop().create_future()
        self._line.append((turn, wish))
        self._serve()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_back(turn.result(), probe=turn.result().aside)
            raise

    def _take(self, wish: "_Wish") -> "_Endpoint | None":
        """Takes a place; None where all that are up are full or pausing.

        Raises:
            CallError: every endpoint is set aside.
        """
        now = self._clock()
        up = [e for e in self._endpoints if e.open(now)]
        if not up:
            raise CallError(self._last.kind, self._last.message, again=True, nobody=self._last.nobody)
        free = [e for e in up if e.free(now)]
        if failed := self._avoided.get(wish.key):
            # Or one request would spend all its attempts on the probes of a dead endpoint.
            if any(not e.aside and e.ready_at(now) <= now for e in up):
                free = [e for e in free if not e.aside]
            free = [e for e in free if e not in failed] or free
        if not free:
            return None
        chosen = min(free, key=_Endpoint.burden)
        chosen.gate.places += 1
        chosen.gate.paced(now, wish.tokens)
        chosen.started += 1
        chosen.probing = chosen.aside
        return chosen

    def _serve(self) -> None:
        """Gives places to those who wait, the longest waiting first."""
        while self._line:
            turn, wish = self._line[0]
            if turn.done():
                self._line.popleft()
                continue
            try:
                free = self._take(wish)
            except CallError as e:
                self._line.popleft()
                turn.set_exception(e)
                continue
            if free is None:
                self._set_alarm()
                return
            self._line.popleft()
            turn.set_result(free)

    def _set_alarm(self) -> None:
        """Looks again when the next pause is over; a place that is left is looked at when it is."""
        now = self._clock()
        times = [at for e in self._endpoints if (at := e.ready_at(now)) > now]
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        if times:
            # A little late rather than early, or rounding would have it look again and again.
            self._alarm = asyncio.get_running_loop().call_later(min(times) - now + 0.001, self._serve)

    def _give_back(self, endpoint: "_Endpoint", *, probe: bool) -> None:
        """A place that was taken and led to nothing; where it was for the probe, another may probe."""
        endpoint.gate.places -= 1
        endpoint.probing = endpoint.probing and not probe
        self._serve()

    def _failed(self, endpoint: "_Endpoint", error: CallError, began: float, *, probe: bool) -> None:
        now = self._clock()
        self._last = error
        if error.overload:
            endpoint.gate.refused(began, now, error.retry_after)
        endpoint.gate.told(now, error.limits)
        if error.kind in ("connection", "timeout", BROKEN) or error.kind.startswith("http_5"):
            endpoint.strike(now, probe=probe)
        else:
            endpoint.well()  # it refuses this request, but it is there
        error.retry_after = None  # the endpoint's own gate keeps that pause; others can be asked
        self._steer()
        self._serve()  # only now, or the next would be sent where this one was just refused

    def _avoid(self, key: str, endpoint: "_Endpoint") -> None:
        if len(self._avoided) >= REMEMBERED:
            self._avoided.clear()
        self._avoided.setdefault(key, set()).add(endpoint)

    def _steer(self) -> None:
        up = [e for e in self._endpoints if not e.aside]
        limit = sum(int(e.gate.limit) for e in up) or len(self._endpoints)
        pause_ends = min((e.gate.not_before for e in up), default=float("-inf"))
        self._limiter.steer(limit, (len(up), len(self._endpoints)), pause_ends)


class _Wish(NamedTuple):
    """What waits for a place."""

    key: str
    """Of the request."""
    tokens: int
    """As it is estimated."""


class _Endpoint:
    """One address, its gate and its health."""

    def __init__(self, client: OpenAIClient, ceiling: int) -> None:
        self.client = client
        self.gate = Gate(ceiling)
        self.started = 0
        self.probing = False
        self._strikes = 0
        self._pause = FIRST_PAUSE
        self._back_at: float | None = None

    @property
    def aside(self) -> bool:
        """Whether it is set aside."""
        return self._back_at is not None

    def open(self, now: float) -> bool:
        """Whether it may be asked: it is up, or its pause is over and nobody probes it."""
        return self._back_at is None or (now >= self._back_at and not self.probing)

    def free(self, now: float) -> bool:
        """Whether it may be asked now; a probe needs no place."""
        return self.aside or (not self.gate.full and self.gate.ready_at(now) <= now)

    def ready_at(self, now: float) -> float:
        """When a pause of its is over."""
        return self._back_at if self._back_at is not None else self.gate.ready_at(now)

    def burden(self) -> tuple[bool, float, int, int]:
        """Least first: a probe, before all pauses grow long; then by the share of its limit that is in flight."""
        return not self.aside, self.gate.places / self.gate.limit, self._strikes, self.started

    def well(self) -> None:
        """Takes in that the server answered."""
        if self.aside:
            self.gate.adaptive.restart()
        self._strikes, self._pause, self._back_at, self.probing = 0, FIRST_PAUSE, None, False

    def strike(self, now: float, *, probe: bool) -> None:
        """It failed; what it failed of before it was set aside says nothing new."""
        self._strikes += 1
        if probe:
            self._pause = min(LONGEST_PAUSE, 2 * self._pause)
            self.probing = False
        elif self.aside or self._strikes < STRIKES:
            return
        self._back_at = now + self._pause
