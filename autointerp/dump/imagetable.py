"""The images of a dump: their rows in memory, their bytes read when asked for."""

import posixpath
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import RLock

import numpy as np
import pyarrow as pa

from autointerp.arrays import as_arrow, ints
from autointerp.dump.checks import KnownImages, image_faults, matches, stop_at
from autointerp.dump.format import IMAGES
from autointerp.dump.parts import Parts
from autointerp.errors import DumpError
from autointerp.remote.path import AnyPath, RemotePath
from autointerp.schema import ImageRow
from autointerp.within import leaves, within

N_CACHED_BYTES = 128 * 2**20
"""Image bytes kept after their row group was read, since one feature's images often lie together."""

_OUTSIDE = ", outside the dump; if you trust it, allow it with --allow-outside"

COLUMNS = tuple(name for name in IMAGES.names if name != "bytes")

_PAST = 2**63
"""No image has such a number; a run from elsewhere may hold one."""


class ImageTable:
    """Random access to images.parquet; safe to use from several threads.

    Args:
        folder: The dump, against which paths are resolved.
        parts: images.parquet.
        allow_outside: Whether a path may be absolute or leave the folder.

    Raises:
        DumpError: a row is not as the format says, or a path leaves the folder and must not.
    """

    def __init__(self, folder: AnyPath, parts: Parts, *, allow_outside: bool) -> None:
        self.parts = parts
        self.table = parts.read_all(COLUMNS)
        stop_at(image_faults(self.table), f"{parts.paths[0]}: row {{}}".format)
        self.known = KnownImages(*(ints(self.table[name]) for name in ("image", "width", "height")))
        self._root = folder.resolve()
        self._folder = folder
        self._allow_outside = allow_outside
        self._columns = [self.table[name] for name in ("sha256", "attribute", "group", "label")]
        self._paths = self.table["path"]
        self._read: OrderedDict[int, pa.Array] = OrderedDict()
        self._held = 0
        """Bytes of what was read and is kept."""
        self._lock = RLock()
        if not allow_outside:
            self._refuse_outside()

    def rows(self, images: Sequence[int]) -> list[ImageRow]:
        """The rows of these images, in the order given.

        Raises:
            DumpError: one of them is not in the dump.
        """
        if (odd := next((i for i in images if not -_PAST <= i < _PAST), None)) is not None:
            raise DumpError(f"{self.parts.paths[0]}: there is no image {odd}")
        positions, known = self.known.find(np.asarray(images, dtype=np.int64))
        if not known.all():
            raise DumpError(f"{self.parts.paths[0]}: there is no image {images[int(np.argmin(known))]}")
        chosen = as_arrow(positions)
        # One take a column: a cell at a time costs ten times as much.
        columns = [column.take(chosen).to_pylist() for column in self._columns]
        sizes = [self.known.ids[positions], self.known.width[positions], self.known.height[positions]]
        return [ImageRow(*row) for row in zip(*(s.tolist() for s in sizes), *columns, strict=True)]

    def source(self, image: int) -> bytes | AnyPath:
        """The file's bytes where the dump holds them, else its path, which may not exist.

        Raises:
            DumpError: there is no such image, it has neither path nor bytes, or its path leaves the dump.
        """
        position = self.known.position(image)
        if position is None:
            raise DumpError(f"{self.parts.paths[0]}: there is no image {image}")
        path = self._paths[position].as_py()
        if path is not None:
            if isinstance(self._folder, Path) and not self._folder.is_dir():
                # Otherwise what is in memory by chance would be shown in place of all that is gone.
                raise DumpError(f"{self._folder}: was removed or moved while it was being read; put it back and go on")
            return self.resolve(path, position)
        found = self._bytes(position)
        if found is None:
            raise DumpError(f"{self.parts.paths[0]}: row {position}: path and bytes are null; expected one of them")
        return found

    def resolve(self, path: str, position: int) -> AnyPath:
        """The path as this machine has it, or its URL in a dump at one.

        Raises:
            DumpError: it is absolute or leaves the dump's folder, links followed, and that is not allowed.
        """
        where = f"{self.parts.paths[0]}: row {position}: path is {path!r}"
        if "\0" in path:
            raise DumpError(f"{where}: it holds a NUL")
        if isinstance(self._root, RemotePath):
            return self._at_url(self._root, path, where)
        if self._allow_outside:
            return self._folder / path
        try:
            return within(self._root, path)
        except OSError as error:
            raise DumpError(f"{where}: {error}") from error
        except ValueError as error:
            raise DumpError(f"{where}{_OUTSIDE}") from error

    def _at_url(self, root: RemotePath, path: str, where: str) -> AnyPath:
        inside = posixpath.normpath(path)
        if leaves(path) is None and inside != ".":
            return root / inside
        if not self._allow_outside:
            raise DumpError(f"{where}{_OUTSIDE}")
        return Path(path) if path.startswith("/") else root / path

    def _refuse_outside(self) -> None:
        """Stops at the first path that leaves the dump by its wording, before anything is spent on the rest."""
        odd = matches(self.table["path"], r"^/|\.\.|\x00")
        for position in np.flatnonzero(odd):
            self.resolve(self.table["path"][int(position)].as_py(), int(position))

    def _bytes(self, position: int) -> bytes | None:
        image = int(self.known.ids[position])
        at = self.parts.holding(image)[0]
        with self._lock:
            column = self._read.pop(at, None)
            if column is None:
                column = self.parts.read(at, ["bytes"])["bytes"].chunk(0)
                self._held += column.nbytes
            self._read[at] = column
            while len(self._read) > 1 and self._held > N_CACHED_BYTES:
                self._held -= self._read.popitem(last=False)[1].nbytes
        return column[position - int(self.parts.index.row[at])].as_py()
