"""Files here and at URLs alike: opened for reading, told by their first bytes, and images in them or by themselves."""

import glob
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

from autointerp.errors import ImageError, SettingsError
from autointerp.images.content import OwnFile, Stamp, bounded
from autointerp.remote.path import AnyPath, RemotePath, as_path

WEB = ("http", "https")
AHEAD = 2**20
"""Bytes that are asked of a server at once where a file is read from its start."""
MOST_FILES = 100_000
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def opened(path: AnyPath) -> BinaryIO:
    """The file, open for reading at any place.

    Raises:
        OSError: it cannot be opened.
    """
    if isinstance(path, RemotePath):
        return cast("BinaryIO", io.BufferedReader(path.open(), AHEAD))
    return path.open("rb")


def head_of(path: AnyPath, size: int = 512) -> bytes:
    """The first bytes of a file.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        with opened(path) as file:
            return file.read(size)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error


def stamp_of(path: AnyPath) -> Stamp | None:
    """Size and time of a file; None where nobody knows. At a URL it is asked for once in the life of the process."""
    if isinstance(path, RemotePath):
        return _remote_stamp(path)
    return OwnFile(path).stamp()


@cache
def _remote_stamp(path: RemotePath) -> Stamp | None:
    try:
        return stamp_from(path.run(lambda fs: fs.info(path.url)))
    except OSError:
        return None


def stamp_from(info: object) -> Stamp | None:
    """Size and time as a file system of fsspec tells them; None where it tells no time."""
    told = cast("dict[str, object]", info) if isinstance(info, dict) else {}
    size, time = told.get("size"), next((told[n] for n in ("LastModified", "mtime", "updated") if n in told), None)
    return (size, int(time.timestamp() * 1e9)) if isinstance(size, int) and isinstance(time, datetime) else None


def key_of(path: AnyPath) -> str:
    """What a file is remembered by: its absolute path or URL."""
    return path.url if isinstance(path, RemotePath) else OwnFile(path).key


@dataclass(frozen=True, slots=True)
class Slice:
    """An image that lies inside a file as it is, such as a member of a tar."""

    file: AnyPath
    name: str
    offset: int
    """Where its bytes begin."""
    size: int

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"

    @property
    def path(self) -> None:
        """None: no file holds this image alone."""
        return

    @property
    def key(self) -> str:
        """The file and the name in it."""
        return f"{key_of(self.file)}\n{self.offset} {self.name}"

    def stamp(self) -> Stamp | None:
        """Size and time of the file."""
        return stamp_of(self.file)

    def read(self) -> bytes:
        """Reads the bytes, and no others of the file."""
        try:
            data = _part(self.file, self.offset, self.size)
        except OSError as error:
            raise ImageError(f"{self}: cannot be read: {error.strerror or error}") from error
        if len(data) != self.size:
            raise ImageError(f"{self}: the file ends inside it; fetch the file again")
        return data


def _part(path: AnyPath, offset: int, size: int) -> bytes:
    if isinstance(path, RemotePath):
        # One request, while an open file asks for its size as well. Not every server can send a part.
        data = path.run(lambda fs: fs.cat_file(path.url, start=offset, end=offset + size))
        if isinstance(data, bytes) and len(data) == size:
            return data
    with opened(path) as file:
        file.seek(offset)
        return file.read(size)


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """An image in a file of its own at a URL."""

    file: RemotePath
    known: Stamp | None = None
    """From a list of the folder."""

    def __str__(self) -> str:
        return self.file.url

    @property
    def path(self) -> None:
        """None: no file on this machine holds it."""
        return

    @property
    def key(self) -> str:
        """Returns the URL."""
        return self.file.url

    def stamp(self) -> Stamp | None:
        """Size and time of the file, where a list of its folder or the store itself tells them."""
        return self.known or (None if self.file.scheme in WEB else stamp_of(self.file))

    def read(self) -> bytes:
        """Reads the bytes."""
        try:
            return bounded(self.file.read_bytes(), self)
        except OSError as error:
            raise ImageError(f"{self}: cannot be read: {error.strerror or error}") from error


def several(text: str) -> list[AnyPath]:
    """The files that a pattern means, such as `shards/train-{000..127}.tar` or `shards/*.tar`, here or at a URL.

    Raises:
        SettingsError: it means none, or too many.
    """
    texts = list(itertools.islice(_unbraced(text), MOST_FILES + 1))
    found = [path for one in texts for path in (_globbed(one) if set("*?[") & set(one) else [as_path(one)])]
    if not found:
        raise SettingsError(f"{text}: no file is named like that")
    if len(texts) > MOST_FILES:
        raise SettingsError(f"{text}: means more than {MOST_FILES:,} files; give a narrower pattern")
    return found


def _unbraced(text: str) -> Iterator[str]:
    found = _BRACES.search(text)
    if found is None:
        yield text
        return
    for one in _alternatives(found[1]):
        yield from _unbraced(text[: found.start()] + one + text[found.end() :])


def _alternatives(inside: str) -> Iterator[str]:
    """What stands for one pair of braces: `a,b`, or numbers as in `000..127`."""
    numbers = _RANGE.fullmatch(inside)
    if numbers is None:
        yield from inside.split(",")
        return
    for number in range(int(numbers[1]), int(numbers[2]) + 1):
        yield str(number).zfill(len(numbers[1]))


def _globbed(text: str) -> list[AnyPath]:
    where = as_path(text)
    if isinstance(where, Path):
        return [Path(name) for name in sorted(glob.glob(text))]  # noqa: PTH207 - which takes absolute patterns
    names = where.run(lambda fs: [str(fs.unstrip_protocol(str(name))) for name in fs.glob(where.url)])
    return [as_path(name) for name in sorted(names)]
