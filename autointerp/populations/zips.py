"""Zip files: members are unpacked one at a time, in memory."""

import lzma
import stat
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from autointerp.errors import ImageError, SettingsError, one_line
from autointerp.images.content import MOST as MOST_BYTES
from autointerp.images.content import Stamp, bounded
from autointerp.populations.files import key_of, opened, stamp_of
from autointerp.populations.members import Member, checked
from autointerp.remote.path import AnyPath

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What a broken member, one with a password or one of an unknown compression raises."""


class Zip:
    """A zip that stays open; safe to use from several threads.

    Args:
        file: where it lies.

    Raises:
        SettingsError: it cannot be read.
    """

    def __init__(self, file: AnyPath) -> None:
        self.file = file
        try:
            stream = opened(file)
            weakref.finalize(self, stream.close)
            self.open = zipfile.ZipFile(stream)
        except _BROKEN as error:
            raise SettingsError(f"{file}: not a whole zip: {one_line(str(error))[:200]}; pack it again") from error


@dataclass(frozen=True, slots=True)
class ZipMember:
    """An image in a zip."""

    archive: Zip
    info: zipfile.ZipInfo
    name: str

    def __str__(self) -> str:
        return f"{self.archive.file}: {self.name}"

    @property
    def path(self) -> None:
        """None: no file holds this image alone."""
        return

    @property
    def key(self) -> str:
        """The file and the name in it."""
        return f"{key_of(self.archive.file)}\n{self.info.header_offset} {self.name}"

    def stamp(self) -> Stamp | None:
        """Size and time of the zip."""
        return stamp_of(self.archive.file)

    def read(self) -> bytes:
        """Unpacks the bytes."""
        try:
            with self.archive.open.open(self.info) as member:
                return bounded(member.read(MOST_BYTES + 1), self)
        except _BROKEN as error:
            raise ImageError(f"{self}: cannot be unpacked: {one_line(str(error))[:200]}") from error


def is_zip(head: bytes) -> bool:
    """Whether a file's first bytes are those of a zip."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def zip_members(file: AnyPath) -> Iterator[Member]:
    """Yields the plain files of a zip, ordered by name.

    Raises:
        SettingsError: it cannot be read, or a member leads out of it, is no plain file, or is too large.
    """
    archive = Zip(file)
    found: list[Member] = []
    for info in archive.open.infolist():
        if info.is_dir():
            continue
        mode = info.external_attr >> 16
        special = "a link" if stat.S_ISLNK(mode) else "locked by a password" if info.flag_bits & 1 else None
        # Some programs of Windows write its own slashes.
        name = checked(file, info.filename.replace("\\", "/"), info.file_size, special=special)
        found.append(Member(name, info.file_size, ZipMember(archive, info, name)))
    yield from sorted(found, key=lambda member: member.name)
