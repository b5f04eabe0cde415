"""The way in to one endpoint: places that adapt, pauses that it asks for, the pace of what it states."""

from autointerp.lmm.adaptive_concurrency import Adaptive
from autointerp.lmm.rate_limit_headers import Limits, Pace, Quota

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

    def answered(self, began: float, now: float, load: int, limits: Limits | None) -> None:
        """An answer came, after its place was left."""
        self.adaptive.answered(began=began, now=now, load=load, used=self.in_flight + 1 >= int(self.adaptive.limit))
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
