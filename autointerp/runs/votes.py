"""What people think of a run's explanations: `votes.jsonl`, appended to by anyone, at any time (docs/run-format.md).

Of each person the last vote on an explanation holds. An explanation is known by its text, so that a vote never speaks
of another one that takes its place.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from autointerp.clock import now
from autointerp.errors import RunError
from autointerp.record import Record
from autointerp.runs.files import locked
from autointerp.runs.jsonl import Appender, read_lines
from autointerp.settings import PersonName

FILE = "votes.jsonl"
LOCK = ".votes.lock"
MOST_WORDING = 600
"""Characters that a wording has at most."""
PATIENCE = 5.0
"""Seconds to wait for another writer."""

Verdict = Literal["right", "partly", "wrong"]


class Vote(Record):
    """One person's word on one explanation."""

    format: Literal["autointerp-votes/1"] = "autointerp-votes/1"
    feature: Annotated[int, Field(ge=0)]
    explanation: str = Field(pattern=r"^[0-9a-f]{12}$")
    """As `digest_of` gives it of the text that was voted on."""
    text: str
    """The text itself."""
    verdict: Verdict
    wording: str | None = Field(default=None, min_length=1, max_length=MOST_WORDING)
    """A better one, if the person has one."""
    name: PersonName
    """The name of the person."""
    created: str


_VOTE = TypeAdapter(Vote)


def digest_of(text: str) -> str:
    """The first 12 hex digits of the SHA-256 of an explanation's text, UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def vote(feature: int, text: str, verdict: Verdict, name: str, wording: str | None = None) -> Vote:
    """A vote of this moment.

    Args:
        feature: whose explanation it is.
        text: of the explanation.
        verdict: what the person thinks of it.
        name: of the person.
        wording: a better one, on one line.

    Raises:
        ValueError: something is not as `Vote` has it; of pydantic's kind.
    """
    better = " ".join(wording.split()) if wording else None
    return Vote(
        feature=feature,
        explanation=digest_of(text),
        text=text,
        verdict=verdict,
        wording=better or None,
        name=name,
        created=now(),
    )


def cast(run: Path, said: Vote) -> None:
    """Appends a vote to a run's file; several processes may do so at once.

    Raises:
        RunError: it cannot be written.
    """
    try:
        lock = locked(run / LOCK, f"{run / FILE}: another program is writing it; try again", PATIENCE)
    except OSError as error:
        raise RunError(f"{run / FILE}: cannot be written ({error.strerror})") from error
    try:
        # Opened each time, since whoever opens it cuts off what a killed writer left torn.
        appender = Appender(run / FILE, _VOTE)
        try:
            appender.append(said)
        finally:
            appender.close()
    except OSError as error:
        raise RunError(f"{run / FILE}: cannot be written ({error.strerror})") from error
    finally:
        lock.release()


def read_votes(run: Path) -> Iterable[Vote]:
    """Every vote, in the order in which they were cast.

    Raises:
        RunError: a line is no vote; the message names the file and the line.
    """
    return read_lines(run / FILE, _VOTE)


def valid_votes(votes: Iterable[Vote]) -> list[Vote]:
    """Of each person the last vote on each explanation, in the order in which these were cast."""
    last: dict[tuple[int, str, str], Vote] = {}
    for said in votes:
        key = (said.feature, said.explanation, said.name)
        last.pop(key, None)
        last[key] = said
    return list(last.values())
