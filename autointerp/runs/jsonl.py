"""Append-only JSON lines: flushed line by line, a torn last line is dropped when the file is opened again."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from autointerp.errors import RunError
from autointerp.reading import first_fault

T = TypeVar("T")

_BLOCK = 1 << 16
LOT = 1 << 22
"""Bytes of lines that are worked on, or sent to a store, at once."""


def opened(path: Path) -> BinaryIO:
    """A file of lines, to read. Raises RunError where it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise RunError(f"{path}: is no plain file; a run has one there, so remove what stands in its place")
        return path.open("rb")
    except OSError as e:
        raise RunError(f"{path}: cannot be read ({e.strerror}); mend that, then run the same command again") from e


def lots(file: Path, start: int) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a file from a byte on, in lots of `LOT` bytes, each with the byte at which it begins.

    A lot ends with the line that is the first to pass that size. The file may be written meanwhile.
    """
    with file.open("rb") as source:
        source.seek(start)
        while found := source.readlines(LOT):
            if not found[-1].endswith(b"\n"):
                found.pop()  # torn: it is being written now
            lines = b"".join(found)
            if not lines:
                return
            del found  # a lot on its way to a store lies in memory twice as it is
            yield start, lines
            start += len(lines)


class LineFile:
    """A file of lines, opened to write at its end.

    Args:
        path: made if missing; if its last line is torn, that line is cut off.

    Raises:
        RunError: it is a link, which in a run from elsewhere may name any file of this machine, or no plain file.
    """

    def __init__(self, path: Path) -> None:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise RunError(
                f"{path}: is a link or no plain file, and nothing is written to such; put the file itself there"
            )
        self._path, self._place = path, path.absolute()
        # Unbuffered: each line is one write, whole or, where the disk is full, torn; nothing is left to write later.
        self._file = path.open("ab+", buffering=0)
        self._drop_torn_line()

    def write(self, lines: bytes) -> None:
        """Hands whole lines to the operating system; a kill may leave the first ones and a torn one.

        Raises:
            RunError: they cannot be written, or the file is not there any more.
        """
        try:
            written = self._file.write(lines)
        except OSError as e:
            raise RunError(
                f"{self._path}: cannot be written ({e.strerror}); mend that, then run the same command again"
            ) from e
        if written != len(lines):
            # Whoever goes on once there is space again would write behind the torn line, which spoils both.
            self._drop_torn_line()
            raise RunError(f"{self._path}: the disk is full; free space, then run the same command again")
        self.check()

    def check(self) -> None:
        """Makes sure that what is written will be found.

        Raises:
            RunError: the file was removed or moved since it was opened.
        """
        try:
            there = os.path.samestat(self._place.stat(), os.fstat(self._file.fileno()))
        except OSError:
            there = False
        if not there:
            raise RunError(f"{self._path}: was removed or moved while it was being written; run the same command again")

    def close(self) -> None:
        """Writes through to the disk and closes."""
        os.fsync(self._file.fileno())
        self._file.close()

    def _drop_torn_line(self) -> None:
        end = self._file.seek(0, os.SEEK_END)
        at = end
        while at > 0:
            start = max(0, at - _BLOCK)
            self._file.seek(start)
            newline = self._file.read(at - start).rfind(b"\n")
            if newline >= 0:
                at = start + newline + 1
                break
            at = start
        if at != end:
            self._file.truncate(at)
        self._file.seek(0, os.SEEK_END)


class Appender(LineFile, Generic[T]):
    """Writes records at the end of a file.

    Args:
        path: as for `LineFile`.
        adapter: of the records' type.
    """

    def __init__(self, path: Path, adapter: TypeAdapter[T]) -> None:
        super().__init__(path)
        self._adapter = adapter

    def append(self, record: T) -> None:
        """Writes one line and hands it to the operating system.

        Raises:
            RunError: it cannot be written.
        """
        self.write(self._adapter.dump_json(record) + b"\n")


class JsonLines(Generic[T]):
    """The records of a file: all of them in order, or one by the place of its line.

    Args:
        path: the file; where it is missing there are no records.
        adapter: of the records' type.
    """

    def __init__(self, path: Path, adapter: TypeAdapter[T]) -> None:
        self._path = path
        self._adapter = adapter

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """Every whole record with its place, which is the byte at which its line begins.

        Raises:
            RunError: a line is not such a record; the message names the file and the line.
        """
        if not self._path.exists():
            return
        place = 0
        with opened(self._path) as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return  # torn: its writer was killed or is writing it now
                yield place, self._record(line, f"{self._path}:{number}")
                place += len(line)

    def read(self, places: Iterable[tuple[int, str]]) -> Iterator[T]:
        """The records whose lines begin at these bytes; beside each byte stands how a message names the record.

        Raises:
            RunError: no such record begins there, e.g. since the file was rewritten meanwhile.
        """
        with opened(self._path) as file:
            for place, name in places:
                file.seek(place)
                yield self._record(file.readline(), f"{self._path}: {name}")

    def __getitem__(self, place: int) -> T:
        """The record whose line begins at a byte; raises RunError as `read`."""
        return next(self.read([(place, f"byte {place}")]))

    def _record(self, line: bytes, where: str) -> T:
        try:
            return self._adapter.validate_json(line)
        except ValidationError as e:
            raise RunError(f"{where}: {first_fault(e)}; mend or delete the line") from e


def read_lines(path: Path, adapter: TypeAdapter[T]) -> Iterator[T]:
    """Every whole record of a file; none where there is no file.

    Raises:
        RunError: a line is not such a record; the message names the file and the line.
    """
    return (record for _, record in JsonLines(path, adapter))
