"""Images that a Python program hands over: paths, PIL images, bytes, or tuples of a name, one of these and a label."""

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from io import BytesIO
from threading import Lock
from typing import NamedTuple, cast

from PIL import Image, ImageOps

from autointerp.errors import ImageError, SettingsError
from autointerp.images.content import Content, OwnFile
from autointerp.images.decode import to_rgb
from autointerp.populations.files import RemoteImage
from autointerp.populations.labels import Labelling
from autointerp.populations.listing import Columns, Found, Item, Said
from autointerp.populations.names import apart, below
from autointerp.remote.path import RemotePath, as_path
from autointerp.within import leaves

PNG_MODES = ("RGB", "L", "RGBA", "LA", "P", "1", "I;16")
"""What PNG stores as it is."""


class _Given(NamedTuple):
    """An element that was taken apart."""

    name: str | None
    image: object
    label: object


@dataclass(frozen=True, slots=True)
class Lent:
    """An image that Python code gives whenever its bytes are asked for."""

    where: str
    get: Callable[[], bytes]

    def __str__(self) -> str:
        return self.where

    @property
    def path(self) -> None:
        """None: no file holds it."""
        return

    @property
    def key(self) -> None:
        """None: nobody knows whether it is the same another time."""
        return

    def stamp(self) -> None:
        """None: nobody knows that either."""
        return

    def read(self) -> bytes:
        """The bytes; those of a PIL image are a PNG's."""
        return self.get()


class Spool:
    """Bytes of what an iterator gives once, kept in a file that goes with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="autointerp-")  # noqa: SIM115 - lives as long as this
        weakref.finalize(self, self._file.close)
        self._lock = Lock()

    def keep(self, data: bytes) -> Callable[[], bytes]:
        """Writes bytes; returns what reads them again."""
        with self._lock:
            at = self._file.seek(0, os.SEEK_END)
            self._file.write(data)
        return lambda: self._read(at, len(data))

    def _read(self, at: int, size: int) -> bytes:
        with self._lock:
            self._file.seek(at)
            return self._file.read(size)


def in_iterable(source: object, how: Labelling) -> Found:
    """Lists the images of an iterable, in its order.

    What has a length and takes a position, such as a data set of torch, is asked for an image whenever that is read; of
    a list the images stay where they are; what an iterator gives is kept in a file for as long as the process lives.

    Raises:
        SettingsError: it is no iterable, an element is no image, or two have the same name.
    """
    if not (isinstance(source, Iterable) or _is_indexed(source)) or isinstance(source, (bytes, Mapping)):
        raise SettingsError(f"images: a {type(source).__name__} is no population; give a folder, a file or an iterable")
    kind = type(source).__name__
    if isinstance(source, Set):
        raise SettingsError(f"images: a {kind} has no order, so that its images would change places; give sorted(…)")
    given: list[tuple[_Given, Content, str | None]] = []
    spool = None if _is_indexed(source) else Spool()
    for i, element in enumerate(_elements(source)):
        where = f"image {i} of the {kind}"
        one = _apart(element, where)
        again = None if spool is not None or isinstance(source, (list, tuple)) else _again(source, i, where)
        content, place = _content(one.image, where, again, spool, named=one.name is not None and one.label is None)
        given.append((one._replace(image=None), content, place))
    root = f"a {kind} of {len(given):,} images"
    labelled = any(one.label is not None for one, *_ in given)
    columns = how.columns(("label",) if labelled else (), root)
    names = apart(root, _names(given), lambda i: f"{i:08d}")
    items = [
        Item(name, content, Said(*(one.label if column == "label" else None for column in columns)))
        for name, (one, content, _) in zip(names, given, strict=True)
    ]
    return Found(root, items, (), columns if labelled else Columns(attribute=columns.attribute), root)


def _is_indexed(source: object) -> bool:
    return hasattr(source, "__getitem__") and hasattr(source, "__len__")


def _elements(source: object) -> Iterable[object]:
    """All elements once; by position where there are positions, since not every data set ends an iteration."""
    if not _is_indexed(source) or isinstance(source, (list, tuple)):
        return cast("Iterable[object]", source)
    indexed = cast("Sequence[object]", source)
    return (indexed[i] for i in range(len(indexed)))


def _again(source: object, i: int, where: str) -> Callable[[], object]:
    return lambda: _apart(cast("Sequence[object]", source)[i], where).image


def _apart(element: object, where: str) -> _Given:
    """Takes an element apart.

    Raises:
        SettingsError: it is none of the forms.
    """
    if isinstance(element, Mapping) and "image" in element:
        return _Given(None, element["image"], _plain(element.get("label")))
    if isinstance(element, (tuple, list)):
        parts = list(element)
        if len(parts) in (2, 3) and isinstance(parts[0], str) and _is_image(parts[1]):
            return _Given(_checked(parts[0], where), parts[1], _plain(parts[2]) if len(parts) == 3 else None)
        if len(parts) == 2 and _is_image(parts[0]):
            return _Given(None, parts[0], _plain(parts[1]))
    if not _is_image(element):
        raise SettingsError(
            f"{where}: is a {type(element).__name__}; give a path, a PIL image, bytes, (name, image) or "
            "(name, image, label)"
        )
    return _Given(None, element, None)


def _plain(label: object) -> object:
    """A label as a number or a text; data sets of torch have tensors of one number."""
    item = getattr(label, "item", None)
    return item() if callable(item) and getattr(label, "ndim", None) == 0 else label


def _is_image(value: object) -> bool:
    return isinstance(value, (str, os.PathLike, RemotePath, bytes, Image.Image))


def _checked(name: str, where: str) -> str:
    plain = name.replace("\\", "/")
    why = leaves(plain) if plain else "it is empty"
    if why is not None:
        raise SettingsError(f"{where}: its name {name[:80]!r} cannot be used: {why}")
    return plain


def _content(
    image: object, where: str, again: Callable[[], object] | None, spool: Spool | None, *, named: bool
) -> tuple[Content, str | None]:
    """Where the bytes lie, and the path of an image that is a file."""
    if isinstance(image, (str, os.PathLike, RemotePath)):
        path = as_path(os.fspath(image) if isinstance(image, os.PathLike) else image)
        if isinstance(path, RemotePath):
            return RemoteImage(path), path.url
        if not path.is_file():
            pair = "; of two texts the first is a name: give (Path(path), label)" if named else ""
            raise SettingsError(f"{where}: {path}: no such file{pair}")
        return OwnFile(path), str(path.absolute())
    if spool is not None:
        return Lent(where, spool.keep(encoded(image, where))), None
    return Lent(where, lambda: encoded(image if again is None else again(), where)), None


def _names(given: Sequence[tuple[_Given, Content, str | None]]) -> list[str]:
    """The names that were given; else those of the files below the folder that holds all of them, or numbers."""
    files = [place for one, _, place in given if one.name is None and place is not None]
    relative = dict(zip(files, below(files), strict=True))
    return [one.name or (f"{i:08d}" if place is None else relative[place]) for i, (one, _, place) in enumerate(given)]


def encoded(image: object, where: str) -> bytes:
    """The bytes of an image; a PIL image as PNG, upright.

    Raises:
        ImageError: it is no image any more.
    """
    if isinstance(image, bytes):
        return image
    if not isinstance(image, Image.Image):
        raise ImageError(f"{where}: is a {type(image).__name__} now, and was an image before")
    upright = ImageOps.exif_transpose(image)
    plain = upright if upright.mode in PNG_MODES else to_rgb(upright)
    target = BytesIO()
    plain.save(target, "PNG", compress_level=1)
    return target.getvalue()
