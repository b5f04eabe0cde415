"""Arrays in an .npz file, read from front to back without holding more than is asked for; pickles are refused."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from autointerp.errors import DumpError, one_line


class Column:
    """One array of numbers, of one dimension.

    Args:
        path: The file, for messages.
        name: Of the array.
        file: Its member of the archive, from its start.
        n_bytes: Length of the member, as the archive states it.

    Raises:
        DumpError: it is no array of numbers, or of another size than it says.
    """

    def __init__(self, path: Path, name: str, file: IO[bytes], n_bytes: int) -> None:
        self.path = path
        self.name = name
        self._file = file
        with reading(path, name):
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, self.dtype = read(file)
            start = file.tell()
        if self.dtype.hasobject or self.dtype.kind not in "fiuS":
            raise DumpError(f"{path}: {name}: holds {self.dtype}, a pickle may be inside; expected numbers")
        if len(shape) > 1:
            raise DumpError(f"{path}: {name}: its sizes are {list(shape)}; expected a list of numbers")
        self.n = shape[0] if shape else 1
        self._left = self.n
        if self.n < 0 or start + self.n * self.dtype.itemsize != n_bytes:
            raise DumpError(f"{path}: {name}: has other bytes than its size {self.n} takes; save it again")

    def take(self, n: int) -> npt.NDArray[np.generic]:
        """Returns the next `n` numbers.

        Raises:
            DumpError: the file ends before, or is broken.
        """
        n_bytes = n * self.dtype.itemsize
        with reading(self.path, self.name):
            data = self._file.read(n_bytes)
        if n > self._left or len(data) != n_bytes:
            raise DumpError(f"{self.path}: {self.name}: ends before its {self.n:,} numbers; copy it again")
        self._left -= n
        return np.frombuffer(data, self.dtype)

    def ints(self, n: int) -> npt.NDArray[np.int64]:
        """Returns the next `n` whole numbers.

        Raises:
            DumpError: they are none, or as `take`.
        """
        if self.dtype.kind not in "iu":
            raise DumpError(f"{self.path}: {self.name}: holds {self.dtype}; expected whole numbers")
        return self.take(n).astype(np.int64)

    def floats(self, n: int) -> npt.NDArray[np.float32]:
        """Returns the next `n` numbers.

        Raises:
            DumpError: they are none, or as `take`.
        """
        if self.dtype.kind != "f":
            raise DumpError(f"{self.path}: {self.name}: holds {self.dtype}; expected floats")
        with np.errstate(over="ignore"):  # what becomes infinite is refused later
            return self.take(n).astype(np.float32)


@contextmanager
def columns(path: Path) -> Iterator["Archive"]:
    """Opens an .npz file.

    Raises:
        DumpError: it cannot be read.
    """
    with reading(path, None):
        archive = zipfile.ZipFile(path)
    with archive, ExitStack() as members:
        yield Archive(path, archive, members)


class Archive:
    """The arrays of an .npz file.

    Args:
        path: The file.
        archive: The same, open.
        members: Closes what is opened of it.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, members: ExitStack) -> None:
        self._path = path
        self._archive = archive
        self._members = members

    def column(self, name: str) -> Column:
        """Opens one array; several may be read in turn.

        Raises:
            DumpError: it is not there, or is no array of numbers.
        """
        entry = next((e for e in self._archive.infolist() if e.filename == f"{name}.npy"), None)
        if entry is None:
            raise DumpError(f"{self._path}: has no {name}; expected what scipy.sparse.save_npz writes")
        with reading(self._path, name):
            file = self._members.enter_context(self._archive.open(entry))
        return Column(self._path, name, file, entry.file_size)


@contextmanager
def reading(path: Path, name: str | None) -> Iterator[None]:
    """Turns what goes wrong while an archive is read into one line."""
    try:
        yield
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError) as error:
        # The last two are what encrypted members and unknown compressions raise.
        where = f"{path}: {name}" if name else str(path)
        why = error.strerror if isinstance(error, OSError) and error.strerror else one_line(str(error))
        raise DumpError(f"{where}: cannot be read: {why[:200]}; copy or save it again") from error
