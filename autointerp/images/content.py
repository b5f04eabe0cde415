"""Where the bytes of an image lie: in a file of its own, or inside something larger."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from autointerp.errors import ImageError

MOST = 512 * 2**20
"""Bytes of one image, encoded; what is larger is taken for a bomb."""
Stamp = tuple[int, int]
"""Bytes of a file, and when it was written, in nanoseconds."""


class Named(bytes):
    """Bytes of an image, and what messages call it."""

    name: str

    def __new__(cls, data: bytes, name: str) -> "Named":
        """Makes them of plain bytes."""
        made = super().__new__(cls, data)
        made.name = name
        return made


class Content(Protocol):
    """The bytes of one image, wherever they lie; `str` says where, for messages."""

    @property
    def path(self) -> Path | None:
        """The file that holds this image and nothing else; None where it lies inside something larger."""
        ...

    @property
    def key(self) -> str | None:
        """What it is remembered by; None where it is only in memory."""
        ...

    def stamp(self) -> Stamp | None:
        """Size and time of the file in which it lies, which change when it does; None where nobody knows."""
        ...

    def read(self) -> bytes:
        """Reads the bytes.

        Raises:
            ImageError: they cannot be read, or are more than `MOST`.
        """
        ...


@dataclass(frozen=True, slots=True)
class OwnFile:
    """An image in a file of its own."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def key(self) -> str:
        """Returns the absolute path."""
        return os.path.abspath(self.path)  # noqa: PTH100 - a Path is several times as slow

    def stamp(self) -> Stamp | None:
        """Returns its size and time; None where it is gone."""
        try:
            of = self.path.stat()
        except OSError:
            return None
        return of.st_size, of.st_mtime_ns

    def read(self) -> bytes:
        """Reads the bytes of the file."""
        try:
            with self.path.open("rb") as file:
                return bounded(file.read(MOST + 1), self.path)
        except OSError as error:
            raise ImageError(f"{self.path}: cannot be read: {error.strerror}") from error


def bounded(data: bytes, where: object) -> bytes:
    """Returns the bytes. Raises ImageError if they are too many for one image."""
    if len(data) > MOST:
        raise ImageError(f"{where}: is larger than {MOST >> 20} MB, which no image is; leave it out")
    return data


def source_of(content: Content) -> Path | bytes:
    """What decoders take: the image's own file, or its bytes with its name.

    Raises:
        ImageError: as for `Content.read`.
    """
    return content.path if content.path is not None else Named(content.read(), str(content))
