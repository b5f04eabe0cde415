"""A run at a URL, worked on in a folder of this machine: fetched first, then sent back as whole files.

An object store has neither appending nor locks. What takes the lock's place is a note of who works on the run, which
holds while it is renewed; two that begin in the same moment can both miss it.
"""

import os
import posixpath
import shutil
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from autointerp.errors import RunError, one_line
from autointerp.processes import is_running, machine
from autointerp.record import Record
from autointerp.remote.path import RemoteError, RemotePath
from autointerp.runs.parts import PARTS
from autointerp.within import leaves, within

NOTE = "working.json"
_ALONE = ("run.json", "explanations.jsonl", "scores.jsonl", "failures.jsonl", "exchanges.jsonl", "calibration.json")
"""What is looked for where a server has no lists."""
_BLOCK = 1 << 20

Signature = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds."""


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


@dataclass
class Mirror:
    """The working copy of a run."""

    place: RemotePath
    """The run."""
    folder: Path
    """The working copy; what an interrupted command left there is gone on with."""
    part: str | None = None
    """Name of the part that is written, where it is one shard's; lines of other parts are not fetched."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""
    _sent: dict[str, Signature] = field(default_factory=dict)
    _there: set[str] = field(default_factory=set)

    @property
    def owner(self) -> str:
        """Who works here: a command that is started again after a kill is the same one."""
        return f"{socket.gethostname()}:{self.folder}"

    def pull(self) -> None:
        """Fetches the run, if there is one yet.

        Raises:
            RunError: it cannot be read, holds an object whose name leads out of the run, or what was left here and what
                is there have both gone on.
        """
        fresh = self.folder.with_name(f"{self.folder.name}.fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            names = self._names()
            self._refuse_outside(names)
            self._there = {name for name in names if self._fetch(name, fresh)}
        except OSError as error:
            shutil.rmtree(fresh)
            raise RunError(f"{self.place}: cannot be read: {error}") from error
        if self._left() and self._ahead(fresh):
            # All is sent again: what of it had arrived is not known.
            shutil.rmtree(fresh)
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        fresh.rename(self.folder)
        self._sent = {name: _signature(self.folder / name) for name in self._files()}

    def push(self, *, last: bool = False) -> None:
        """Sends what changed, run.json last, and with `last` removes there what was removed here.

        Raises:
            RunError: it cannot be written; the working copy stays.
        """
        names = sorted(self._files(), key=lambda name: (name.endswith("run.json"), name))
        try:
            for name in names:
                now = _signature(self.folder / name)
                # A part may have been merged and removed meanwhile, so it is sent whole.
                own = last and self.part is not None and name.startswith(f"{PARTS}/{self.part}/")
                if own or self._sent.get(name) != now:
                    self._put(name)
                    self._sent[name] = now
            for name in sorted(self._there - set(names)) if last else ():
                self._remove(name)
        except (FileNotFoundError, RemoteError, NotImplementedError) as error:
            raise RunError(
                f"{self.place}: cannot be written: {error or 'no such URL can'}; what was done is kept in "
                f"{self.folder}: mend that, then run the same command again"
            ) from error

    def claim(self) -> None:
        """Notes who works on the run, or on the part; takes over from one that is known to be dead.

        Raises:
            RunError: somebody else does.
        """
        held = self._held()
        if held is not None and held.owner != self.owner and not held.is_dead(self.clock()):
            raise RunError(
                f"{self.place}: {held.owner} is working on it; wait for it, or remove {self._note()} if it was killed"
            )
        self.renew()

    def renew(self) -> None:
        """Keeps others off for a while. Raises RunError if it cannot be written."""
        note = self._note()
        said = WorkerNote(owner=self.owner, at=self.clock(), beat=BEAT, machine=machine(), pid=os.getpid())
        try:
            note.run(lambda fs: fs.pipe_file(note.url, said.model_dump_json().encode()))
        except (FileNotFoundError, RemoteError, NotImplementedError) as error:
            raise RunError(
                f"{self.place}: cannot be written: {error or 'no such URL can'}; name another run"
            ) from error

    def confirm(self) -> None:
        """Makes sure that nobody has taken over, e.g. while this machine slept.

        Raises:
            RunError: somebody has; nothing may be sent.
        """
        held = self._held()
        if held is not None and held.owner != self.owner:
            raise RunError(
                f"{self.place}: {held.owner} has taken it over meanwhile; what was done here is kept in {self.folder}"
            )

    def send(self, *, last: bool = False) -> None:
        """Sends what changed, as `push`, unless somebody has taken over; raises RunError as `confirm` and `push`."""
        self.confirm()
        self.push(last=last)

    def release(self) -> None:
        """Lets others work on the run; leaves alone the note of one who has taken over."""
        note = self._note()
        try:
            if (held := self._held()) is None or held.owner == self.owner:
                note.run(lambda fs: fs.rm_file(note.url))
        except (FileNotFoundError, RemoteError, RunError):
            # It grows stale by itself.
            return

    def _held(self) -> WorkerNote | None:
        """The note that is there, if it can be understood."""
        try:
            return WorkerNote.model_validate_json(self._note().read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        except RemoteError as error:
            raise RunError(f"{self.place}: cannot be read: {error}") from error

    def forget(self) -> None:
        """Removes the working copy, all of which was sent."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self) -> RemotePath:
        return self.place / (f"{PARTS}/{self.part}/{NOTE}" if self.part else NOTE)

    def _names(self) -> list[str]:
        if self.place.scheme in ("http", "https"):
            return list(_ALONE)
        found = self.place.run(lambda fs: fs.find(self.place.url))
        # Full names, of which the first part is the folder's as this store spells it.
        base = self.place.run(lambda fs: fs._strip_protocol(self.place.url))
        names = (str(path)[len(str(base)) :].removeprefix("/") for path in found)
        # A name that ends in a slash is how some tools mark a folder.
        return [name for name in names if name and not name.endswith("/") and self._wanted(name)]

    def _refuse_outside(self, names: Iterable[str]) -> None:
        for name in names:
            why = leaves(name)
            if why is None and posixpath.normpath(name) != name:
                why = "it is no plain path"
            if why is not None:
                raise RunError(
                    f"{self.place}: holds an object named {one_line(repr(name))}, and {why}; nothing was fetched: "
                    "remove the object, or name another run"
                )

    def _wanted(self, name: str) -> bool:
        if name.rpartition("/")[2] == NOTE:
            return False
        others = self.part and name.startswith(f"{PARTS}/") and not name.startswith(f"{PARTS}/{self.part}/")
        return not (others and name.endswith(".jsonl"))

    def _fetch(self, name: str, folder: Path) -> bool:
        try:
            target = within(folder, name)
        except ValueError as error:
            raise RunError(f"{self.place}: {one_line(name)}: {error}") from error
        target.parent.mkdir(parents=True, exist_ok=True)
        source = self.place / name
        try:
            source.run(lambda fs: fs.get_file(source.url, str(target)))
        except FileNotFoundError:
            target.unlink(missing_ok=True)
            return False
        return True

    def _put(self, name: str) -> None:
        target = self.place / name
        target.run(lambda fs: fs.put_file(str(self.folder / name), target.url))
        self._there.add(name)

    def _remove(self, name: str) -> None:
        target = self.place / name
        with suppress(FileNotFoundError):
            target.run(lambda fs: fs.rm_file(target.url))
        self._there.discard(name)

    def _files(self) -> list[str]:
        # A link may lead to what nobody meant to send.
        files = (file for file in self.folder.rglob("*") if file.is_file() and not file.is_symlink())
        kept = (file for file in files if file.name != ".lock" and file.suffix != ".part")
        return [file.relative_to(self.folder).as_posix() for file in kept]

    def _left(self) -> bool:
        return self.folder.exists() and any(name.endswith(".jsonl") for name in self._files())

    def _ahead(self, fresh: Path) -> bool:
        """Whether what was left here goes on from what is there, rather than the other way round."""
        here = {name for name in self._files() if name.endswith(".jsonl")}
        there = {name for name in self._there if name.endswith(".jsonl")}
        # Parts go away when they are merged.
        if all(_starts_with(self.folder / n, fresh / n) for n in there if n in here or not n.startswith(f"{PARTS}/")):
            return True
        if all(n in there and _starts_with(fresh / n, self.folder / n) for n in here):
            return False
        raise RunError(
            f"{self.place}: was gone on with elsewhere since it was worked on here; that work is kept in "
            f"{self.folder}: move it away to go on without it"
        )


def _signature(file: Path) -> Signature:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


def _starts_with(whole: Path, start: Path) -> bool:
    if not whole.exists() or whole.stat().st_size < start.stat().st_size:
        return not start.stat().st_size
    with whole.open("rb") as long, start.open("rb") as short:
        while block := short.read(_BLOCK):
            if long.read(len(block)) != block:
                return False
    return True
