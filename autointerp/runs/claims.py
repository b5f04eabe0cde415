"""The note of who works on a run at a URL, or on a part of one: it takes the place of a lock.

It holds while it is renewed. Two that begin in the same moment can both miss it; then the later note holds, and whoever
wrote the other one sends nothing more.
"""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ConfigDict, ValidationError

from autointerp.errors import RunError
from autointerp.processes import is_running, machine
from autointerp.record import Record
from autointerp.remote.path import RemoteError, RemotePath

NOTE = "working.json"
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


@dataclass(frozen=True)
class Claim:
    """A note in a folder at a URL."""

    place: RemotePath
    """The folder of a run or of a part."""
    kept: str
    """The working copy, in which the work of whoever writes the note is kept."""
    clock: Callable[[], float] = field(default=time.time)
    """Seconds since 1970."""

    @property
    def owner(self) -> str:
        """Who works here: a command that is started again after a kill is the same one."""
        return f"{socket.gethostname()}:{self.kept}"

    @property
    def note(self) -> RemotePath:
        """The object."""
        return self.place / NOTE

    def take(self, *, over: bool = False) -> None:
        """Notes who works there; takes over from one that is known to be dead.

        Args:
            over: whoever wrote the note that is there is known to be gone.

        Raises:
            RunError: somebody else works there, or the note cannot be written.
        """
        held = None if over else self.held()
        if held is not None and held.owner != self.owner and not held.is_dead(self.clock()):
            raise RunError(
                f"{self.place}: {held.owner} is working on it; wait for it, or remove {self.note} if it was killed"
            )
        self.renew()

    def renew(self) -> None:
        """Keeps others off for a while. Raises RunError if it cannot be written."""
        said = WorkerNote(owner=self.owner, at=self.clock(), beat=BEAT, machine=machine(), pid=os.getpid())
        try:
            self.note.run(lambda fs: fs.pipe_file(self.note.url, said.model_dump_json().encode()))
        except (FileNotFoundError, RemoteError, NotImplementedError) as error:
            raise RunError(
                f"{self.place}: cannot be written: {error or 'no such URL can'}; name another run"
            ) from error

    def confirm(self) -> None:
        """Makes sure that nobody has taken over, e.g. while this machine slept.

        Raises:
            RunError: somebody has; nothing may be sent.
        """
        held = self.held()
        if held is not None and held.owner != self.owner:
            raise RunError(
                f"{self.place}: {held.owner} has taken it over meanwhile; what was done here is kept in {self.kept}"
            )

    def release(self) -> None:
        """Lets others work there; leaves alone the note of one who has taken over."""
        try:
            if (held := self.held()) is None or held.owner == self.owner:
                self.note.run(lambda fs: fs.rm_file(self.note.url))
        except (FileNotFoundError, RemoteError, RunError):
            # It grows stale by itself.
            return

    def held(self) -> WorkerNote | None:
        """The note that is there, if it can be understood. Raises RunError if it cannot be read."""
        try:
            return WorkerNote.model_validate_json(self.note.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        except RemoteError as error:
            raise RunError(f"{self.place}: cannot be read: {error}") from error
