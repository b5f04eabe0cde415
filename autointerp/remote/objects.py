"""Single files put to, fetched from and removed at a place: a folder of this machine, or a URL."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autointerp.errors import SettingsError, one_line
from autointerp.remote.path import AnyPath


def put(file: Path, target: AnyPath) -> None:
    """Copies a file of this machine to its place, where it appears whole. Raises OSError."""
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}")
        shutil.copyfile(file, unfinished)
        unfinished.replace(target)
    else:
        target.run(lambda fs: fs.put_file(str(file), target.url))


def fetch(source: AnyPath, file: Path) -> None:
    """Copies a file to this machine, where it appears whole. Raises OSError."""
    if isinstance(source, Path):
        put(source, file)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}")
    source.run(lambda fs: fs.get_file(source.url, str(unfinished)))
    unfinished.replace(file)


@contextmanager
def made(target: AnyPath) -> Iterator[Path]:
    """Gives a file of this machine to write; once the block has ended it is whole at its place. Raises OSError."""
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}")
        yield unfinished
        unfinished.replace(target)
    else:
        with tempfile.TemporaryDirectory(prefix="autointerp-") as folder:
            yield Path(folder) / target.name
            put(Path(folder) / target.name, target)


def size_of(place: AnyPath) -> int:
    """Returns the bytes of a file. Raises OSError."""
    if isinstance(place, Path):
        return place.stat().st_size
    return int(place.run(lambda fs: fs.size(place.url)) or 0)


def names_in(place: AnyPath) -> list[str]:
    """Returns the names of what is in a folder, ascending; nothing where there is none. Raises OSError."""
    try:
        return sorted(p.name for p in place.iterdir()) if isinstance(place, Path) else place.listing() or []
    except FileNotFoundError:
        return []


def remove(place: AnyPath) -> None:
    """Removes a file, if it is there. Raises OSError."""
    if isinstance(place, Path):
        place.unlink(missing_ok=True)
    elif place.exists():
        place.run(lambda fs: fs.rm_file(place.url))


def remove_all(place: AnyPath) -> None:
    """Removes a folder with all that is in it, if it is there. Raises OSError."""
    if isinstance(place, Path):
        shutil.rmtree(place, ignore_errors=True)
    elif place.run(lambda fs: fs.find(place.url)):
        place.run(lambda fs: fs.rm(place.url, recursive=True))


@contextmanager
def reached(place: AnyPath) -> Iterator[None]:
    """Turns what a place cannot do into one line.

    Raises:
        SettingsError: it cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        said = one_line(error.strerror or str(error))
        raise SettingsError(
            f"{place}: cannot be read or written: {said}; mend that, and give the same command again"
        ) from error
