"""What an endpoint states of its rate limits in the headers of an answer, and the pace that keeps within them."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

_NAME = re.compile(
    rb"(?:x-|anthropic-)?ratelimit-(?:(?P<field>limit|remaining|reset)(?:-(?P<kind>requests|tokens))?"
    rb"|(?P<kind2>requests|tokens)-(?P<field2>limit|remaining|reset))"
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+")
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_EPOCH = 1e9
"""Larger numbers of seconds are moments since 1970, and a thousand times larger ones milliseconds of them."""
LONGEST_WAIT = 31 * 86400.0
"""Seconds; whoever states more has not said when."""
_LOW = 0.5
"""Share of a limit below which starts are paced."""
_SPREAD = 10.0
"""Seconds over which what remains of a bucket is used up."""
_TELLING = 5.0
"""Seconds between two statements after which their moments of reset are compared."""


class Stated(NamedTuple):
    """Holds one limit that an endpoint stated."""

    remaining: float
    """Requests or tokens that may still be asked for."""
    reset: float
    """Seconds until it is whole again."""
    limit: float | None
    """The whole, where it is stated."""


class Limits(NamedTuple):
    """Both limits, where they are stated."""

    requests: Stated | None
    tokens: Stated | None


def read_limits(headers: Iterable[tuple[bytes, bytes]]) -> Limits | None:
    """The limits that an answer states; None where it states none.

    OpenAI writes `x-ratelimit-remaining-requests: 59` and `x-ratelimit-reset-requests: 6m0s`, others plain seconds,
    moments since 1970 or ISO dates, Anthropic `anthropic-ratelimit-requests-remaining`. What cannot be read is passed
    over.

    Args:
        headers: names and values, as they came.
    """
    found: dict[tuple[str, str], float] = {}
    for name, value in headers:
        name = name.lower()
        # All answers have headers, few of them these.
        if b"ratelimit-" not in name:
            continue
        match = _NAME.fullmatch(name)
        number = match and _number(value.decode("latin-1").strip())
        if match and number is not None:
            kind = (match["kind"] or match["kind2"] or b"requests").decode()
            found[kind, (match["field"] or match["field2"]).decode()] = number
    requests, tokens = (_stated(found, kind) for kind in ("requests", "tokens"))
    return Limits(requests, tokens) if requests or tokens else None


def _stated(found: dict[tuple[str, str], float], kind: str) -> Stated | None:
    remaining, reset = found.get((kind, "remaining")), found.get((kind, "reset"))
    if remaining is None or reset is None or reset > LONGEST_WAIT:
        return None
    return Stated(remaining, reset, found.get((kind, "limit")))


def _number(text: str) -> float | None:
    """A count, or seconds from now."""
    if _SPAN.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(text))
    try:
        number = float(text)
    except ValueError:
        return _until(text)
    if not 0 <= number < float("inf"):
        return None
    if number >= _EPOCH:
        moment = number if number < 1000 * _EPOCH else number / 1000
        return max(0.0, moment - datetime.now(UTC).timestamp())
    return number


def _until(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


class Pace:
    """When the next start is due at an even rate.

    Args:
        per_second: None for no pacing.
        saved: seconds' worth of starts that may be made up for at once.
    """

    def __init__(self, per_second: float | None, saved: float) -> None:
        self.per_second = per_second
        self._saved = saved
        self.until = float("inf")
        """From then on there is no pacing."""
        self._due = float("-inf")

    def due(self, now: float) -> float:
        """When the next start may be."""
        if self.per_second is None or now >= self.until:
            return now
        if self.per_second == 0:
            return self.until
        return min(max(self._due, now - self._saved), self.until)

    def hold(self, due: float, per_second: float, until: float) -> None:
        """Nothing starts before `due`, and then at this rate until `until`."""
        self.per_second, self.until = per_second, until
        self._due = max(self._due, due)

    def take(self, now: float, amount: float) -> float:
        """When it may be; the one after it is then due later by the amount."""
        start = self.due(now)
        if self.per_second and now < self.until:
            self._due = start + amount / self.per_second
        return start


class Quota:
    """Paces starts by what the endpoint states of one limit, as soon as little of it remains.

    Endpoints mean two things by a reset. In a bucket, as OpenAI and Anthropic have it, the limit fills up all the time
    and is full at the reset: starts go at the rate at which it fills. In a window nothing comes before the reset: what
    remains is spread until then. The moment of the reset tells which: a window's stays where it is.
    """

    def __init__(self) -> None:
        self.pace = Pace(None, 1.0)
        self._seen: tuple[float, float] | None = None
        self._window: bool | None = None

    def told(self, now: float, stated: Stated, claimed: float) -> None:
        """Takes in what an endpoint states.

        Args:
            now: seconds.
            stated: what the answer said.
            claimed: what the requests in flight will use of it, perhaps not counted in it yet.
        """
        until = now + stated.reset
        self._compare(now, until)
        # As much again as is in flight may be asked for before the next statement.
        low = max(2 * claimed, _LOW * (stated.limit or 0.0))
        if stated.remaining > low or stated.reset <= 0:
            self.pace.per_second = None
            return
        window = self._window if self._window is not None else stated.limit is None
        left = max(0.0, stated.remaining - claimed)
        if window or stated.limit is None:
            self.pace.per_second = left / stated.reset
        else:
            filling = max(0.0, stated.limit - stated.remaining) / stated.reset
            self.pace.per_second = filling + left / max(stated.reset, _SPREAD)
        self.pace.until = until

    def _compare(self, now: float, until: float) -> None:
        if self._seen is None:
            self._seen = (now, until)
        elif (passed := now - self._seen[0]) >= _TELLING:
            self._window = abs(until - self._seen[1]) < passed / 4
            self._seen = (now, until)
