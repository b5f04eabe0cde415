"""What there is at a URL: a file, or a folder of images."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from autointerp.errors import SettingsError
from autointerp.images.formats import why_not_by_name
from autointerp.populations.files import WEB, RemoteImage, stamp_from
from autointerp.populations.labels import Labelling
from autointerp.populations.listing import Found, Item
from autointerp.remote.path import RemotePath


def is_one_file(where: RemotePath) -> bool:
    """Whether there is a file at a URL; on a web server, which lists no folders, whether its name has a suffix.

    Raises:
        SettingsError: the store cannot be asked.
    """
    if where.scheme in WEB:
        return bool(PurePosixPath(where.name).suffix)
    try:
        return where.run(lambda fs: dict(fs.info(where.url)).get("type") == "file")
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SettingsError(f"{where}: cannot be read: {error.strerror or error}") from error


def files_below(root: RemotePath) -> list[tuple[str, Mapping[str, object]]]:
    """The names of all files below a folder, ordered, with what is known of each.

    Raises:
        SettingsError: there are none, or there is no list of them.
    """
    if root.scheme in WEB:
        raise SettingsError(f"{root}: a web server does not list its files; give a list of URLs, a tar or a zip")
    try:
        below = str(root.run(lambda fs: fs._strip_protocol(root.url)))
        found = root.run(lambda fs: {str(name): info for name, info in dict(fs.find(root.url, detail=True)).items()})
    except OSError as error:
        raise SettingsError(f"{root}: cannot be listed: {error.strerror or error}") from error
    if not found:
        raise SettingsError(f"{root}: no such folder; give one with images")
    return sorted((name.removeprefix(below).lstrip("/"), info) for name, info in found.items())


def in_url(root: RemotePath, files: list[tuple[str, Mapping[str, object]]], how: Labelling) -> Found:
    """Lists the images of a folder, ordered by path; files that do not end like images are none."""
    items: list[Item] = []
    others: list[tuple[str, object]] = []
    for name, info in files:
        size = info.get("size")
        why = why_not_by_name(name, size if isinstance(size, int) else 1)
        if why is None:
            items.append(Item(name, RemoteImage(root / name, stamp_from(info))))
        else:
            others.append((why, root / name))
    return Found(str(root), items, others, how.columns((), str(root)))
