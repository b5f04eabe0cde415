"""What can become of one call, and of one question after all its calls."""

from dataclasses import KW_ONLY, dataclass
from typing import Generic, TypeVar

from autointerp.clock import now
from autointerp.lmm.rate_limit_headers import Limits
from autointerp.schema import FailureRecord, Usage

T = TypeVar("T")

DEFERRED = "deferred"
"""Kind of a question that was written into a batch file: neither answered nor failed yet."""
ENDED = "ended"
"""Kind of a question that a person has not answered when the work is to stop: it is asked again by the next start."""
UNASKED = (DEFERRED, ENDED, "over_budget")
"""Kinds by which a client says that it asked no endpoint."""
BROKEN = "http_200"
"""Kind of an answer with status 200 that holds no reply of the model: empty, cut, a web page. It says nothing of the
model, so the same call may succeed later."""


@dataclass(eq=False)
class CallError(Exception):
    """Says why one call failed."""

    kind: str
    """As in failures.jsonl: refused, malformed, rate_limited, timeout, http_<code>, connection."""
    message: str
    """One line for people, without keys or image data."""
    _: KW_ONLY
    again: bool
    """Whether the same call may succeed later."""
    overload: bool = False
    """Whether the endpoint asks for less."""
    retry_after: float | None = None
    """Seconds that the endpoint asks to wait, if it does."""
    remedy: str | None = None
    """Not None if no request of this run can succeed: what the user should do."""
    limits: Limits | None = None
    """What the endpoint stated of its rate limits."""
    nobody: bool = False
    """Whether it looks as if no such server were at the address: no connection could be made, nothing came, or
    something came that is no such API. An answer that broke off is from a server that is there."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """Holds a usable reply and what it used."""

    value: T
    usage: Usage
    """Of all the calls behind it; from the cache, of the calls made then."""
    model: str
    """As the endpoint calls it."""
    cached: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """No usable reply: recorded, never a default value."""

    kind: str
    message: str
    attempts: int


def failed(feature: int, stage: str, failure: Failure) -> FailureRecord:
    """The record of a question about a feature that came to nothing.

    Args:
        feature: id.
        stage: as FailureRecord says.
        failure: what became of it.
    """
    return FailureRecord(
        feature=feature,
        stage=stage,
        kind=failure.kind,
        message=failure.message,
        attempts=failure.attempts,
        created=now(),
    )
