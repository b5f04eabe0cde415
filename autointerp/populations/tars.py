"""Tar files, as WebDataset shards are: each member's place is found once, and its bytes are read from there."""

import tarfile
from collections.abc import Iterator

from autointerp.errors import SettingsError, one_line
from autointerp.populations.files import Slice, opened
from autointerp.populations.members import Member, checked
from autointerp.remote.path import AnyPath

_SPECIAL = {
    tarfile.SYMTYPE: "a link",
    tarfile.LNKTYPE: "a link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a file with holes",
}


def is_tar(head: bytes) -> bool:
    """Whether a file's first 512 bytes are those of a tar; one without members begins with zeros."""
    return head[257:262] == b"ustar" or head == bytes(512)


def tar_members(file: AnyPath) -> Iterator[Member]:
    """Yields the plain files of a tar.

    Raises:
        SettingsError: it cannot be read, or a member leads out of it, is no plain file, or is too large.
    """
    try:
        with opened(file) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            while (info := tar.next()) is not None:
                # Which tarfile keeps, however many there are.
                vars(tar)["members"].clear()
                if info.isdir():
                    continue
                special = _SPECIAL.get(info.type, None if info.isreg() else "of an unknown kind")
                special = "a file with holes" if info.issparse() else special
                name = checked(file, info.name, info.size, special=special)
                yield Member(name, info.size, Slice(file, name, info.offset_data, info.size))
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise SettingsError(f"{file}: not a whole tar: {one_line(str(error))[:200]}; fetch or pack it again") from error
