"""A list of images as a population: files anywhere on this machine, or at URLs."""

import os
import posixpath
from pathlib import Path

from autointerp.errors import SettingsError
from autointerp.images.content import Content, OwnFile
from autointerp.populations.files import RemoteImage
from autointerp.populations.labels import Labelling
from autointerp.populations.listing import UNLISTED, Found, Item, Said
from autointerp.populations.names import below
from autointerp.populations.tables import Table, listed_rows
from autointerp.remote.path import AnyPath, RemotePath, as_path


def in_list(table: Table, how: Labelling) -> Found:
    """Lists the images that a table lists, in its order; their names begin below the folder that holds all of them.

    Args:
        table: its paths are absolute, or start from its own folder or the working folder; or they are URLs.
        how: which of the other columns say what.

    Raises:
        SettingsError: a row is wrong; rows count from 1 below the header.
    """
    columns = how.columns(table.columns, str(table))
    places: list[tuple[str, Content, Said]] = []
    first: dict[str, int] = {}
    for number, path, said in listed_rows(table, columns):
        where = f"{table}: row {number}"
        place, content = content_of(table.folder, path, where)
        if (before := first.setdefault(place, number)) != number:
            raise SettingsError(f"{where}: path {path!r} is that of row {before} too")
        places.append((place, content, said))
    names = below([place for place, *_ in places])
    items = [Item(name, content, said) for name, (_, content, said) in zip(names, places, strict=True)]
    return Found(str(table), items, (), columns, str(table))


def content_of(beside: AnyPath, path: str, where: str) -> tuple[str, Content]:
    """A path in one spelling, and what it leads to.

    Args:
        beside: the folder that it starts from; else from the working folder.
        path: as a table has it, or a URL.
        where: table and row, for a message.

    Raises:
        SettingsError: there is no such file.
    """
    if "://" in path or isinstance(beside, RemotePath):
        found = as_path(path) if "://" in path else beside / path
        if isinstance(found, RemotePath):
            return found.url, RemoteImage(found)
        return str(found), OwnFile(found)
    for written in dict.fromkeys((path, path.replace("\\", "/"))):
        for base in (beside, Path()):
            try:
                file = Path(os.path.normpath((base / written).absolute()))
                if file.is_file():
                    return str(file), OwnFile(file)
            except (OSError, ValueError) as error:
                raise SettingsError(f"{where}: path {path[:80]!r} cannot be looked for: {error}") from error
    raise SettingsError(f"{where}: path {path!r}: no such file; it starts from {beside} or from the working folder")


def by_name(found: Found, table: Table, how: Labelling) -> Found:
    """Of images that are no files, those that a table lists by name, in its order.

    Raises:
        SettingsError: a row is wrong.
    """
    columns = how.columns(table.columns, str(table))
    there = {item.name: item for item in found.items}
    items: list[Item] = []
    first: dict[str, int] = {}
    for number, path, said in listed_rows(table, columns):
        name = posixpath.normpath(path.replace("\\", "/"))
        name = name if name in there else name.removeprefix(found.above)
        if name not in there:
            raise SettingsError(f"{table}: row {number}: path {path!r}: {found.root} holds no such image")
        if (before := first.setdefault(name, number)) != number:
            raise SettingsError(f"{table}: row {number}: path {path!r} is that of row {before} too")
        items.append(Item(name, there[name].content, said))
    others = [(UNLISTED, name) for name in there if name not in first]
    return Found(found.root, items, (*found.others, *others), columns, str(table))
