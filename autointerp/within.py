"""Names from outside, as of objects in a bucket or of images in a dump: they lead out of no folder."""

import contextlib
import ntpath
import posixpath
from pathlib import Path


def leaves(name: str) -> str | None:
    """Why the wording of a name leads out of its folder, on this system or another; None where it stays inside.

    Args:
        name: relative to the folder, its parts divided by slashes.
    """
    if "\0" in name:
        return "it holds a NUL"
    # A name that begins with a backslash is not absolute to `ntpath` of Python 3.13 and later.
    if name.startswith(("/", "\\")) or ntpath.isabs(name) or ntpath.splitdrive(name)[0]:
        return "it is absolute"
    inside = [path.normpath(name).replace("\\", "/").split("/")[0] for path in (posixpath, ntpath)]
    return "it leads out of its folder" if ".." in inside else None


def within(folder: Path, name: str) -> Path:
    """The file of this name in a folder, links followed.

    Args:
        folder: that must not be left.
        name: as for `leaves`.

    Raises:
        ValueError: the name leads elsewhere, by its wording or by a link; says why.
        OSError: it cannot be followed.
    """
    if (why := leaves(name)) is not None:
        raise ValueError(why)
    root = folder.resolve()
    try:
        full = (root / name).resolve()
    except RuntimeError as error:  # a circle of links
        raise ValueError(str(error)) from error
    if not full.is_relative_to(root):
        raise ValueError("a link in it leads out of its folder")
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        full.stat()  # raises for a circle of links, which Python 3.13 resolves to itself
    return full
