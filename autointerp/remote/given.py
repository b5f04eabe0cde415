"""Files of this machine that other machines need, by way of a place that all of them reach."""

import hashlib
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from autointerp.errors import SettingsError
from autointerp.remote.objects import fetch, put, reached
from autointerp.remote.path import AnyPath

_BLOCK = 1 << 20


class Given(NamedTuple):
    """A file or folder that was left for others."""

    archive: str
    """The file at the place, named by the content."""
    name: str
    """Of the file or folder in it."""


def leave(path: Path, place: AnyPath, beside: Sequence[Path] = ()) -> Given:
    """Leaves a file or folder at a place, unless it is there.

    Args:
        path: the file, or the folder with all that is in it.
        place: a folder.
        beside: further files that belong to it, of the same folder.

    Raises:
        SettingsError: it cannot be read, or the place cannot be written.
    """
    real = path.resolve()
    with reached(path):
        files = sorted(file for file in real.rglob("*") if file.is_file()) if real.is_dir() else [real, *beside]
        digest = hashlib.sha256()
        for file in files:
            digest.update(f"{file.relative_to(real.parent).as_posix()}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as content:
                while block := content.read(_BLOCK):
                    digest.update(block)
    given = Given(f"given-{digest.hexdigest()[:16]}.tar", real.name)
    with reached(place), tempfile.TemporaryDirectory(prefix="autointerp-") as folder:
        if not (place / given.archive).exists():
            packed = Path(folder) / given.archive
            with tarfile.open(packed, "w", dereference=True) as tar:
                for file in files:
                    tar.add(file, file.relative_to(real.parent).as_posix())
            put(packed, place / given.archive)
    return given


def taken(given: Given, place: AnyPath, home: Path) -> Path:
    """Returns the file or folder on this machine, fetched once.

    Args:
        given: what was left.
        place: where.
        home: a folder of this machine for it.

    Raises:
        SettingsError: it cannot be fetched.
    """
    there = home / given.archive.removesuffix(".tar")
    if not there.exists():
        home.mkdir(parents=True, exist_ok=True)
        with reached(place), tempfile.TemporaryDirectory(dir=home) as folder:
            fetch(place / given.archive, Path(folder) / "packed.tar")
            unpacked = Path(folder) / "unpacked"
            try:
                with tarfile.open(Path(folder) / "packed.tar") as tar:
                    tar.extractall(unpacked, filter="data")
            except tarfile.TarError as error:
                raise SettingsError(
                    f"{place / given.archive}: is damaged; remove it, and give the same command again"
                ) from error
            # Another process of this machine may have been faster.
            with suppress(OSError):
                unpacked.rename(there)
    return there / given.name
