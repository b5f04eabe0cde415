"""A run at a URL, worked on in a folder of this machine: fetched first, then what is new in it is sent.

Of record files the new lines are sent, as segments (`runs/segments.py`), and their figures (`runs/sent_figures.py`);
other files are sent whole. A note of who works on the run takes the place of a lock (`runs/claims.py`).
"""

import json
import posixpath
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from autointerp.errors import RunError, one_line
from autointerp.reading import read_json
from autointerp.remote.path import RemoteError, RemotePath
from autointerp.runs.claims import NOTE, Claim
from autointerp.runs.exchanges import FILE as EXCHANGES
from autointerp.runs.figure_files import UnusableFiguresError, figure_file
from autointerp.runs.jsonl import lots
from autointerp.runs.parts import MERGED, PARTS
from autointerp.runs.segments import INDEX, Segment, file_of, is_growing, join, segment_of
from autointerp.runs.sent_figures import SentFigures
from autointerp.within import leaves, within

_ALONE = ("run.json", "explanations.jsonl", "scores.jsonl", "failures.jsonl", "exchanges.jsonl", "calibration.json")
"""What is looked for where a server has no lists."""
_BLOCK = 1 << 20
_AT_ONCE = 16
"""Objects fetched at the same time."""
_IN_PARTS = {"s3": {"chunksize": 1 << 24, "max_concurrency": 2}}
"""How a whole file is sent, by scheme: s3fs would hold ten parts of 50 MB each in memory."""

Signature = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds."""


@dataclass
class Mirror:
    """The working copy of a run."""

    place: RemotePath
    """The run."""
    folder: Path
    """The working copy; what an interrupted command left there is gone on with."""
    part: str | None = None
    """Name of the part that is written, where it is one shard's; lines that it does not need are not fetched."""
    dealt: bool = False
    """Whether another process deals the part: it knows that whoever had it before is gone, and nothing is gone on with
    but what is at the URL."""
    exchanges: bool = True
    """Whether the questions as they were asked are fetched too, most of a run's bytes; one that is only read may do
    without."""
    figures: bool = False
    """Whether figures are fetched in place of the lines of record files that have them, by one who needs no more."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""
    writer: str = field(default_factory=lambda: secrets.token_hex(4))
    """Names the segments that are sent from here."""
    _sent: dict[str, Signature] = field(default_factory=dict)
    _grown: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each record file its inode, and how many of its bytes are at the URL."""
    _objects: dict[str, set[str]] = field(default_factory=dict)
    """By file the objects that it is there."""
    _indexed: bool = False
    _parts: list[Claim] = field(default_factory=list)
    """Of parts that are to be merged here."""
    _busy: RLock = field(default_factory=RLock)
    """What is sent now and then, and what a wave of shards begins and ends with, take turns."""
    _figures: SentFigures = field(init=False)

    def __post_init__(self) -> None:
        self._figures = SentFigures(self.place, self.writer)

    @property
    def claimed(self) -> Claim:
        """The note of who works on the run, or on the part."""
        return Claim(self.place / f"{PARTS}/{self.part}" if self.part else self.place, str(self.folder), self.clock)

    def pull(self) -> None:
        """Fetches the run, if there is one yet.

        Raises:
            RunError: it cannot be read, holds an object whose name leads out of the run, or what was left here and what
                is there have both gone on.
        """
        fresh = self.folder.with_name(f"{self.folder.name}.fresh")
        for left in (fresh, self.folder) if self.dealt else (fresh,):
            shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            self._objects = self._fetched(self._names(), fresh)
        except OSError as error:
            shutil.rmtree(fresh)
            raise RunError(f"{self.place}: cannot be read: {error}") from error
        if self._left() and self._ahead(fresh):
            # What of other files had arrived is not known, so those are sent again.
            self._arrived(fresh, [name for name in self._objects if is_growing(name)])
            shutil.rmtree(fresh)
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        fresh.rename(self.folder)
        self._arrived(self.folder, self._files())

    def fetch_parts(self) -> None:
        """Fetches the parts that have come since. Raises RunError if they cannot be read."""
        with self._busy:
            known = set().union(*self._objects.values())
            try:
                new = [name for name in self._names() if name.startswith(f"{PARTS}/") and name not in known]
                found = self._fetched(new, self.folder)
            except OSError as error:
                raise RunError(f"{self.place}: cannot be read: {error}") from error
            self._objects |= found
            self._arrived(self.folder, found)

    def _fetched(self, names: list[str], folder: Path) -> dict[str, set[str]]:
        """Fetches objects, and makes files of them; by file the objects that were there."""
        self._refuse_outside(names)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            there = list(pool.map(lambda name: self._fetch(name, folder), names))
        if gone := [n for n, is_there in zip(names, there, strict=True) if not is_there and figure_file(n)]:
            raise UnusableFiguresError(f"{self.place}: {gone[0]} is gone")
        join(folder)
        found: dict[str, set[str]] = {}
        for name in (name for name, is_there in zip(names, there, strict=True) if is_there):
            found.setdefault(file_of(name), set()).add(name)
        return found

    def _arrived(self, source: Path, names: Iterable[str]) -> None:
        """Notes that these files of the working copy are at the URL, as far as they stand in `source`."""
        for name in names:
            own, there = self.folder / name, source / name
            if not (own.exists() and there.exists()):
                continue
            if is_growing(name):
                self._grown[name] = (own.stat().st_ino, there.stat().st_size)
            else:
                self._sent[name] = _signature(there)

    def push(self, *, last: bool = False, whole: bool = False) -> None:
        """Sends what is new, run.json last, and with `last` removes there what was removed here.

        Args:
            last: nothing is written here any more.
            whole: makes one file of the segments of each.

        Raises:
            RunError: it cannot be written; the working copy stays.
        """
        try:
            with self._busy:
                self._push(last=last, whole=whole)
        except (FileNotFoundError, RemoteError, NotImplementedError) as error:
            raise RunError(
                f"{self.place}: cannot be written: {error or 'no such URL can'}; what was done is kept in "
                f"{self.folder}: mend that, then run the same command again"
            ) from error

    def _push(self, *, last: bool, whole: bool) -> None:
        names = sorted(self._files(), key=lambda name: (name.endswith("run.json"), name))
        if last and self.part is not None:
            self._notice_merged()
        for name in names:
            if is_growing(name):
                self._grow(name, last=last, whole=whole)
            elif self._sent.get(name) != (now := _signature(self.folder / name)):
                self._put(name)
                self._sent[name] = now
        if last:
            for name in sorted(self._objects.keys() - set(names)):
                # Figures that stayed behind would stand for the lines of a part that comes again.
                self._figures.remove(name)
                self._remove(name, keep=())
            self._list()

    def claim(self) -> None:
        """Notes who works on the run, or on the part. Raises RunError: somebody else does."""
        self.claimed.take(over=self.dealt)

    def claim_parts(self) -> None:
        """Keeps shards from writing parts, which are to be merged here. Raises RunError: one is being written."""
        try:
            names = self._names()
        except OSError as error:
            raise RunError(f"{self.place}: cannot be read: {error}") from error
        found = {name.split("/")[1] for name in names if name.startswith(f"{PARTS}/") and name.count("/") > 1}
        for part in sorted(found - {MERGED}):
            claim = Claim(self.place / f"{PARTS}/{part}", str(self.folder), self.clock)
            claim.take()
            self._parts.append(claim)

    def release_parts(self) -> None:
        """Lets shards write them again."""
        while self._parts:
            self._parts.pop().release()

    def renew(self) -> None:
        """Keeps others off for a while. Raises RunError if that cannot be noted."""
        for claim in (self.claimed, *self._parts):
            claim.renew()

    def confirm(self) -> None:
        """Makes sure that nobody has taken over. Raises RunError: somebody has; nothing may be sent."""
        self.claimed.confirm()

    def send(self, *, last: bool = False, whole: bool = False) -> None:
        """Sends what is new, as `push`, unless somebody has taken over; raises RunError as `confirm` and `push`."""
        self.confirm()
        self.push(last=last, whole=whole)

    def release(self) -> None:
        """Lets others work on the run; leaves alone the note of one who has taken over."""
        self.release_parts()
        self.claimed.release()

    def forget(self) -> None:
        """Removes the working copy, all of which was sent."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _grow(self, name: str, *, last: bool, whole: bool) -> None:
        """Sends the new lines of a record file, or the file where it is no longer the one that was sent before."""
        file = self.folder / name
        stat = file.stat()
        inode, start = self._grown.get(name, (stat.st_ino, 0))
        objects = self._objects.setdefault(name, set())
        in_pieces = whole and (objects != {name} or stat.st_size > start) and stat.st_size
        if inode != stat.st_ino or stat.st_size < start or in_pieces:
            if last or _is_whole(file):
                if inode != stat.st_ino or stat.st_size < start:
                    self._figures.remove(name)  # of other lines than those that come
                self._put(name)
                # A segment that stays behind, were this killed, stands in the file already.
                self._remove(name, keep={name})
                self._grown[name] = (stat.st_ino, stat.st_size)
                self._figures.send(file, name, start, stat.st_size)
            return
        for at, lines in lots(file, start):
            segment = Segment(name, at, self.writer).name
            target = self.place / segment
            target.run(lambda fs, url=target.url, lines=lines: fs.pipe_file(url, lines))
            objects.add(segment)
            self._grown[name] = (inode, at + len(lines))
        if (end := self._grown.get(name, (inode, start))[1]) > start:
            self._figures.send(file, name, start, end)

    def _notice_merged(self) -> None:
        """A part may have been merged and removed meanwhile; then it is sent anew."""
        there = set(self._names())
        for name, objects in self._objects.items():
            if name.startswith(f"{PARTS}/{self.part}/") and not objects <= there:
                self._grown.pop(name, None)
                self._sent.pop(name, None)
                self._figures.remove(name)

    def _list(self) -> None:
        """Puts or removes the list of the segments, which a web server needs, where the whole run is here."""
        listed = {file: sorted(found) for file, found in sorted(self._objects.items()) if found - {file}}
        target = self.place / INDEX
        if listed and self.part is None:
            target.run(lambda fs: fs.pipe_file(target.url, json.dumps(listed, indent=1).encode()))
        elif self._indexed and self.part is None:
            target.run(lambda fs: fs.rm_file(target.url))
        self._indexed = bool(listed)

    def _names(self) -> list[str]:
        if self.place.scheme in ("http", "https"):
            listed = [found for found in self._stated(INDEX).values() if isinstance(found, list)]
            segments = [n for found in listed for n in found if isinstance(n, str) and segment_of(n) is not None]
            more = [f"calibration-{judging}.json" for judging in self._stated("run.json", "more_scores")]
            return [*_ALONE, *more, *segments]
        found = dict(self.place.run(lambda fs: fs.find(self.place.url, detail=True)))
        # Full names, of which the first part is the folder's as this store spells it.
        base = self.place.run(lambda fs: fs._strip_protocol(self.place.url))
        sizes = {str(path)[len(str(base)) :].removeprefix("/"): int(of["size"] or 0) for path, of in found.items()}
        self._indexed = INDEX in sizes
        self._figures.note(sizes)
        # A name that ends in a slash is how some tools mark a folder.
        names = [name for name in sizes if name and not name.endswith("/") and self._wanted(name)]
        if not self.figures:
            return names
        covered = self._figures.instead(sizes)
        needless = {name for objects in covered.values() for name in objects}
        return [*(n for n in names if n not in needless), *(n for file in covered for n in self._figures.of(file))]

    def _stated(self, name: str, key: str | None = None) -> Mapping[str, object]:
        """The object in a file there, or the one below a key of it; nothing where it cannot be read."""
        try:
            stated = read_json((self.place / name).read_bytes())
        except (FileNotFoundError, RemoteError, ValueError):
            return {}
        found = stated.get(key) if key is not None and isinstance(stated, dict) else stated
        return found if isinstance(found, dict) else {}

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
        if name.rpartition("/")[2] == NOTE or name == INDEX or figure_file(name) is not None:
            return False
        if not self.exchanges and file_of(name).rpartition("/")[2] == EXCHANGES:
            return False
        if self.part is None or name.startswith(f"{PARTS}/{self.part}/") or not name.endswith(".jsonl"):
            return True
        # A shard of `explain` reads no scores.
        needless = (EXCHANGES, "scores.jsonl") if self.part.startswith("explain") else (EXCHANGES,)
        return not name.startswith(f"{PARTS}/") and file_of(name) not in needless

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
        source, parts = str(self.folder / name), _IN_PARTS.get(target.scheme, {})
        target.run(lambda fs: fs.put_file(source, target.url, **parts))  # pyright: ignore[reportArgumentType] - fsspec hands these on
        self._objects.setdefault(name, set()).add(name)

    def _remove(self, name: str, *, keep: Iterable[str]) -> None:
        """Removes the objects of a file, but for those to keep."""
        for old in sorted(self._objects[name].difference(keep)):
            target = self.place / old
            with suppress(FileNotFoundError):
                target.run(lambda fs, url=target.url: fs.rm_file(url))
        self._objects[name].intersection_update(keep)
        if not self._objects[name]:
            del self._objects[name]

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
        there = {name for name in self._objects if name.endswith(".jsonl")}
        # Parts go away when they are merged.
        if all(_starts_with(self.folder / n, fresh / n) for n in there if n in here or not n.startswith(f"{PARTS}/")):
            return True
        if all((n in there or _is_empty(self.folder / n)) and _starts_with(fresh / n, self.folder / n) for n in here):
            return False
        raise RunError(
            f"{self.place}: was gone on with elsewhere since it was worked on here; that work is kept in "
            f"{self.folder}: move it away to go on without it"
        )


def _signature(file: Path) -> Signature:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


def _is_whole(file: Path) -> bool:
    """Whether the last line of a file is not being written at this moment."""
    with file.open("rb") as lines:
        end = lines.seek(0, 2)
        lines.seek(max(0, end - 1))
        return lines.read() in (b"", b"\n")


def _is_empty(file: Path) -> bool:
    return not file.exists() or not file.stat().st_size


def _starts_with(whole: Path, start: Path) -> bool:
    if not whole.exists() or whole.stat().st_size < start.stat().st_size:
        return not start.stat().st_size
    with whole.open("rb") as long, start.open("rb") as short:
        while block := short.read(_BLOCK):
            if long.read(len(block)) != block:
                return False
    return True
