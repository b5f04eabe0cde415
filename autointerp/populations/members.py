"""Members of archives: which of them are images, what lies beside them, and which archives are refused."""

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from autointerp.errors import SettingsError, one_line
from autointerp.images.content import MOST, Content
from autointerp.images.formats import why_not_by_name
from autointerp.populations.labels import Labelling
from autointerp.populations.listing import Columns, Found, Item, Said
from autointerp.populations.names import apart, folder_of_all
from autointerp.reading import read_json
from autointerp.remote.path import AnyPath
from autointerp.within import leaves

BESIDE = ("cls", "txt", "json")
"""What WebDataset writes beside an image: its class, a text, and more, in files of its name up to the first dot."""
MOST_BESIDE = 2**20
"""Bytes of what lies beside an image."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside an archive."""

    name: str
    size: int
    content: Content


class _Images(NamedTuple):
    """Images of several archives, and what lies beside them."""

    members: list[tuple[str, Member]]
    """With the archive's name."""
    beside: dict[tuple[str, str], dict[str, Content]]
    """By archive and key, then by suffix."""
    others: list[tuple[str, object]]


def checked(archive: object, name: str, size: int, *, special: str | None) -> str:
    """The plain name of a member.

    Args:
        archive: what holds it, for messages.
        name: as the archive has it.
        size: its bytes, unpacked.
        special: what it is if no plain file, such as `a link`.

    Raises:
        SettingsError: it leads out of the archive, is no plain file, or is too large for an image.
    """
    why = leaves(name)
    if why is None and special is not None:
        why = f"it is {special}"
    if why is None and size > MOST:
        why = f"it is {size >> 20:,} MB unpacked, and no image is over {MOST >> 20} MB"
    if why is not None:
        raise SettingsError(f"{archive}: member {one_line(name)[:200]!r}: {why}; pack plain files with plain names")
    return posixpath.normpath(name)


def in_archives(
    root: str, files: Sequence[AnyPath], members: Callable[[AnyPath], Iterable[Member]], how: Labelling
) -> Found:
    """Lists the images of archives, archive by archive, in the order in which their members come.

    Args:
        root: what messages and records call all of it.
        files: the archives.
        members: gives the plain files of one.
        how: which columns say what; of WebDataset these are what lies beside the images, and the keys of `.json`.

    Raises:
        SettingsError: an archive is refused, or does not have what was asked for.
    """
    found = _Images([], {}, [])
    for file in files:
        stem = PurePosixPath(file.name).stem
        for member in members(file):
            key, suffix = _key(member.name)
            why = why_not_by_name(member.name, member.size)
            if why is None:
                found.members.append((stem, member))
            elif suffix in BESIDE and member.size <= MOST_BESIDE:
                found.beside.setdefault((stem, key), {})[suffix] = member.content
            else:
                found.others.append((why, f"{root}: {member.name}"))
    there = _columns_there(found.beside)
    columns = how.columns(there, root)
    folders = {member.name.rpartition("/")[0] for _, member in found.members}
    # Many pack one folder whole; where all images lie side by side, it may be their class.
    above = folder_of_all([member.name for _, member in found.members]) if len(folders) > 1 else ""
    plain = [member.name.removeprefix(above) for _, member in found.members]
    names = apart(root, plain, lambda i: found.members[i][0])
    items = [
        Item(name, member.content, _said(found.beside.get((stem, _key(member.name)[0]), {}), columns))
        for name, (stem, member) in zip(names, found.members, strict=True)
    ]
    return Found(root, items, found.others, columns, root, above)


def _key(name: str) -> tuple[str, str]:
    """A member's name as WebDataset takes it apart: up to the first dot of its last part, and the rest, small."""
    folder, slash, base = name.rpartition("/")
    key, _, suffix = base.partition(".")
    return f"{folder}{slash}{key}", suffix.lower()


def _columns_there(beside: Mapping[tuple[str, str], Mapping[str, Content]]) -> list[str]:
    """What may be asked for: `cls` and `txt`, and the keys of the first JSON object."""
    suffixes = {suffix for sample in beside.values() for suffix in sample}
    first = next((sample["json"] for sample in beside.values() if "json" in sample), None)
    plain = [suffix for suffix in BESIDE if suffix in suffixes and suffix != "json"]
    return list(dict.fromkeys([*plain, *({} if first is None else _object_in(first))]))


def _said(sample: Mapping[str, Content], columns: Columns) -> Said:
    wanted = [name for name in columns if name is not None]
    values: dict[str, object] = {}
    if "json" in sample and not set(wanted) <= {"cls", "txt"}:
        values |= _object_in(sample["json"])
    values |= {name: sample[name].read().decode(errors="replace").strip() for name in wanted if name in sample}
    return Said(*(None if name is None else values.get(name) for name in columns))


def _object_in(content: Content) -> dict[str, object]:
    """The values of a JSON object that are neither lists nor objects."""
    try:
        found = read_json(content.read())
    except ValueError as error:
        raise SettingsError(f"{content}: not JSON: {error}") from error
    plain = found.items() if isinstance(found, dict) else ()
    return {str(key): value for key, value in plain if value is None or isinstance(value, (str, int, float, bool))}
