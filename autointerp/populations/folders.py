"""A folder of images on this machine: all below it, or those that a table lists."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from autointerp.errors import SettingsError
from autointerp.images.content import OwnFile
from autointerp.images.formats import why_no_image
from autointerp.populations.labels import Labelling
from autointerp.populations.listing import UNLISTED, Found, Item
from autointerp.populations.tables import Table, listed_rows
from autointerp.remote.path import AnyPath


@dataclass(frozen=True, slots=True)
class Walked:
    """All files below a folder, each by its path, ordered."""

    root: Path
    images: Sequence[Path]
    others: Sequence[tuple[str, Path]]
    """With why they are no images."""


def walked(root: Path) -> Walked:
    """Sorts out the files below a folder.

    Links to folders are followed, each folder once, except to those that hold this one.

    Raises:
        SettingsError: a folder cannot be listed.
    """
    files = sorted(_files(root), key=lambda p: p.relative_to(root).as_posix())
    told = [(why_no_image(path), path) for path in files]
    others = [(why, path) for why, path in told if why is not None]
    return Walked(root, [path for why, path in told if why is None], others)


def in_folder(there: Walked, how: Labelling) -> Found:
    """Lists all images below a folder, ordered by path."""
    items = [Item(path.relative_to(there.root).as_posix(), OwnFile(path)) for path in there.images]
    return Found(str(there.root), items, there.others, how.columns((), str(there.root)))


def in_folder_by_table(there: Walked, table: Table, how: Labelling) -> Found:
    """Lists the images that a table lists, in its order.

    Args:
        there: the folder of the images. The table's paths are absolute, or start from there, from the working folder or
            from the table's own folder, and may have backslashes; each leads to a file in the folder.
        table: with a column of paths.
        how: which of the other columns say what.

    Raises:
        SettingsError: a row is wrong; rows count from 1 below the header.
    """
    columns = how.columns(table.columns, str(table))
    items: list[Item] = []
    first: dict[Path, int] = {}
    for number, path, said in listed_rows(table, columns):
        where = f"{table}: row {number}"
        file = located(there.root, table.folder, path, where)
        if (before := first.setdefault(file, number)) != number:
            raise SettingsError(f"{where}: path {path!r} is that of row {before} too")
        items.append(Item(file.relative_to(there.root).as_posix(), OwnFile(file), said))
    unlisted = [(UNLISTED, path) for path in there.images if path not in first]
    return Found(str(there.root), items, unlisted, columns, str(table))


def _files(root: Path) -> Iterator[Path]:
    def stop(e: OSError) -> NoReturn:
        # Images that cannot be seen must not be missing in silence.
        raise SettingsError(f"{e.filename or root}: cannot be listed: {e.strerror}") from e

    # A link to a folder above leads to whatever lies beside the images.
    seen = {root.resolve(), *root.resolve().parents}
    for folder, below, names in os.walk(root, onerror=stop, followlinks=True):
        seen.add(Path(folder).resolve())
        below[:] = [name for name in sorted(below) if Path(folder, name).resolve() not in seen]
        yield from (Path(folder, name) for name in names)


def located(root: Path, beside: AnyPath, path: str, where: str) -> Path:
    """The file below `root` that a row means, written as a walk through `root` finds it.

    Args:
        root: the folder of the images.
        beside: the folder of the table.
        path: as the row has it.
        where: the row, for messages.
    """
    outside = True
    for written in dict.fromkeys((path, path.replace("\\", "/"))):
        for base in (root, Path(), beside if isinstance(beside, Path) else root):
            try:
                inside = _inside(root, base / written)
                outside = outside and inside is None
                if inside is not None and inside.is_file():
                    return inside
            except (OSError, ValueError) as error:
                raise SettingsError(f"{where}: path {path[:80]!r} cannot be looked for: {error}") from error
    if outside:
        raise SettingsError(f"{where}: path {path!r} leads out of {root}; move the image into it")
    raise SettingsError(f"{where}: path {path!r}: {root} holds no such file")


def _inside(root: Path, path: Path) -> Path | None:
    """The path as one below `root`; None if it is not there. A link in `root` counts as what it stands for."""
    as_written = Path(os.path.normpath(root.absolute())), Path(os.path.normpath(path.absolute()))
    as_it_is = root.resolve(), as_written[1].parent.resolve() / as_written[1].name
    for home, place in (as_written, as_it_is):
        if place.is_relative_to(home) and place != home:
            return root / place.relative_to(home)
    return None
