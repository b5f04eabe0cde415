"""The sessions of people who judge in the explorer's process: what is wanted, and how it goes on."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

from pydantic import Field, field_validator

from autointerp.errors import AutointerpError
from autointerp.lmm.human.desk import Desk
from autointerp.record import Record
from autointerp.settings import PersonName

SCORERS = ("detection", "choice", "intruder", "naming", "localisation")
"""What a person can be asked, in the order of the form."""
PATIENCE = 10.0
"""Seconds that a session has to end when the explorer does."""


class Wanted(Record):
    """What a person wants to judge."""

    name: PersonName
    features: Annotated[int, Field(ge=1, le=100_000)]
    """How many, drawn at random."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Of the draw."""
    scorers: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("scorers")
    @classmethod
    def _known(cls, scorers: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted({*scorers} - {*SCORERS}):
            raise ValueError(f"there is no {unknown[0]} here")
        return tuple(name for name in SCORERS if name in scorers)


class Told(NamedTuple):
    """What the work of a session says as it goes on."""

    note: Callable[[str], None]
    """Says a line."""
    advance: Callable[[], None]
    """Says that one more feature is through."""


Judging = Callable[[Wanted, Desk, Told], str]
"""Has the person at the desk judge, to the end, and says how it ended; may raise AutointerpError."""


@dataclass
class Sessions:
    """The sessions of people who judge in the explorer's process, one at a time."""

    judging: Judging
    desk: Desk | None = None
    """Of the session that goes on, or of the last one."""
    notes: list[str] = field(default_factory=list)
    """What was said of it."""
    through: int = 0
    """Features that are through."""
    ended: str | None = None
    """How it ended; None while it goes on, and before the first."""
    _work: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def goes_on(self) -> bool:
        """Returns whether somebody judges now."""
        return self._work is not None and self._work.is_alive()

    def begin(self, wanted: Wanted) -> bool:
        """Begins a session, if none goes on; says whether it did."""
        with self._lock:
            if self.goes_on:
                return False
            self.desk, self.notes, self.through, self.ended = Desk(wanted.name), [], 0, None
            self._work = threading.Thread(target=self._judge, args=(wanted, self.desk), name="judging", daemon=True)
            self._work.start()
            return True

    def close(self) -> None:
        """Ends the session that goes on; what was answered is kept."""
        if self._work is not None and self._work.is_alive() and self.desk is not None:
            self.desk.leave()
            self._work.join(PATIENCE)

    def _judge(self, wanted: Wanted, desk: Desk) -> None:
        ended = "It ended by a fault, which the terminal of the explorer shows; what was answered is kept."
        try:
            ended = self.judging(wanted, desk, Told(self.notes.append, self._advance))
        except AutointerpError as error:
            ended = str(error)
        finally:
            self.ended = ended
            desk.conclude(ended)

    def _advance(self) -> None:
        self.through += 1
