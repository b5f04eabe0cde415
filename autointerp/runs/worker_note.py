"""A note of who works on a run at a URL, which takes a lock's place there: it is renewed for as long as they do."""

import os

from pydantic import ConfigDict

from autointerp.processes import is_running, machine
from autointerp.record import Record

BEAT = 30.0
"""Seconds between two renewals."""
MISSED = 4
"""Renewals that did not come, after which whoever wrote it on another machine is taken for dead."""
FRESH = 900.0
"""Seconds after which a note is void even if a process of its number runs: that may be another one by now."""


class WorkerNote(Record):
    """Who works on a run, and the last sign that they do; a later version may say more."""

    model_config = ConfigDict(extra="ignore")

    owner: str
    at: float
    """Seconds since 1970."""
    beat: float = FRESH / MISSED
    """Seconds between two renewals; earlier versions did not state it."""
    machine: str | None = None
    """Where `pid` counts."""
    pid: int | None = None

    def is_dead(self, now: float) -> bool:
        """Whether they are known to work on it no more.

        Args:
            now: seconds since 1970.
        """
        age = now - self.at
        if self.machine is None or self.pid is None or self.machine != machine():
            return age >= MISSED * self.beat
        return age >= FRESH or not is_running(self.pid)


def written_by(owner: str, now: float) -> WorkerNote:
    """The note of this process."""
    return WorkerNote(owner=owner, at=now, beat=BEAT, machine=machine(), pid=os.getpid())
