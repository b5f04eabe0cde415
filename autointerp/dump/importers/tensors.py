"""Numbers in files of other tools, mapped into memory: safetensors, torch's zip files and NumPy's, without torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard, cast

import numpy as np
import numpy.typing as npt

from autointerp.errors import DumpError, one_line
from autointerp.reading import read_json as json_of

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

BF16 = "BF16"
LONGEST_HEADER = 100 * 2**20
"""Bytes of the header of a safetensors file, as its own readers have it."""
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    BF16: "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
EXACT = 2**24
"""From here on a float32 cannot tell one whole number from the next."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """An array in a file; its numbers are read when they are asked for."""

    where: str
    """The file, and the array's name in it."""
    raw: Array
    """As it lies there; bfloat16 as 16-bit integers."""
    bf16: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns its sizes."""
        return self.raw.shape

    def floats(self, rows: slice | int = slice(None)) -> Floats:
        """Reads rows of it as float32, in memory of their own."""
        part = np.asarray(self.raw[rows])
        if self.bf16:
            return (part.astype(np.uint32) << np.uint32(16)).view(np.float32)
        if part.dtype.kind not in "fiub":
            raise DumpError(f"{self.where}: holds {part.dtype}; expected numbers")
        return part.astype(np.float32)

    def ints(self, rows: slice | int = slice(None)) -> Ints:
        """Reads rows of it as whole numbers, also where they were stored as fractions.

        Raises:
            DumpError: one is not whole, or is so large that its type cannot tell it from the next.
        """
        part = self.floats(rows) if self.bf16 else np.asarray(self.raw[rows])
        if part.dtype.kind in "iub":
            return part.astype(np.int64)
        if part.dtype.kind != "f":
            raise DumpError(f"{self.where}: holds {part.dtype}; expected whole numbers")
        values = part.astype(np.float64)
        most = {2: 2**11, 4: EXACT, 8: 2**53}[2 if self.bf16 else part.dtype.itemsize]
        bad = ~(np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < most))
        if bad.any():
            first = values[bad].flat[0]
            raise DumpError(
                f"{self.where}: holds {first:g}; expected whole numbers below {most:,}, which its type tells"
            )
        return values.astype(np.int64)

    def check(self, *shape: int | None) -> "Stored":
        """Returns itself if it has these sizes, None being any.

        Raises:
            DumpError: it has not.
        """
        fits = len(self.shape) == len(shape) and all(w in (None, n) for n, w in zip(self.shape, shape, strict=True))
        if not fits:
            wanted = " x ".join("any" if n is None else str(n) for n in shape)
            raise DumpError(f"{self.where}: its sizes are {list(self.shape)}; expected {wanted}")
        return self


def mapped(path: Path, dtype: str, shape: tuple[int, ...], offset: int, where: str) -> Array:
    """Maps a part of a file.

    Raises:
        DumpError: the file cannot be read, or ends before the array does.
    """
    n, kind = math.prod(shape), np.dtype(dtype)
    try:
        # Before anything is reserved: a header may state any size.
        if min((0, offset, *shape)) < 0 or offset + n * kind.itemsize > path.stat().st_size:
            raise DumpError(f"{where}: states sizes {list(shape)} that are larger than the file; it is broken")
        if not n:
            return np.zeros(shape, kind)
        return np.memmap(path, kind, "r", offset, shape)
    except OSError as error:
        raise DumpError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_safetensors(path: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    """Maps the tensors of a safetensors file: by name, and the file's own notes.

    Raises:
        DumpError: it cannot be read, or is not as the format says.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            n = int.from_bytes(head, "little")
            if len(head) < 8 or n > min(LONGEST_HEADER, path.stat().st_size - 8):
                raise DumpError(f"{path}: is no safetensors file, or it ends in its header; copy it again")
            header = json_of(file.read(n))
    except OSError as error:
        raise DumpError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DumpError(f"{path}: is no safetensors file: its header is not JSON; copy it again") from error
    if not isinstance(header, dict):
        raise DumpError(f"{path}: is no safetensors file: its header is not an object; copy it again")
    notes = header.pop("__metadata__", {})
    tensors = {name: _tensor(path, name, entry, 8 + n) for name, entry in header.items()}
    return tensors, {str(k): str(v) for k, v in notes.items()} if isinstance(notes, dict) else {}


def _tensor(path: Path, name: str, entry: object, start: int) -> Stored:
    where = f"{path}: {one_line(name)[:80]}"
    said = entry if isinstance(entry, dict) else {}
    kind, shape, ends = (said.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(kind, str) or kind not in _TYPES:
        raise DumpError(f"{where}: is of type {str(kind)[:40]!r}, which is not read; save it as F32")
    if not (_whole(shape) and _whole(ends) and len(ends) == 2):
        raise DumpError(f"{where}: its header does not say where it is; save it again")
    dtype = _TYPES[kind]
    if math.prod(shape) * np.dtype(dtype).itemsize != ends[1] - ends[0]:
        raise DumpError(f"{where}: has other bytes than its sizes {shape} take; save it again")
    return Stored(where, mapped(path, dtype, tuple(shape), start + ends[0], where), kind == BF16)


def _whole(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def read_npy(path: Path) -> Stored:
    """Maps an array of NumPy's.

    Raises:
        DumpError: it cannot be read, holds Python objects, or is larger than its file.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
            offset = file.tell()
    except OSError as error:
        raise DumpError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DumpError(f"{path}: is no .npy file of NumPy's ({one_line(str(error))[:120]}); copy it again") from error
    if dtype.hasobject or dtype.kind not in "fiub":
        raise DumpError(f"{path}: holds {dtype}, a pickle may be inside; expected numbers, so save them as such")
    if fortran:
        flipped = mapped(path, dtype.str, tuple(reversed(shape)), offset, str(path))
        return Stored(str(path), flipped.transpose())
    return Stored(str(path), mapped(path, dtype.str, tuple(cast("tuple[int, ...]", shape)), offset, str(path)))


def read_json(path: Path) -> Mapping[str, object]:
    """Reads a record of settings.

    Raises:
        DumpError: it cannot be read, or is no JSON object.
    """
    try:
        found = json_of(path.read_bytes())
    except OSError as error:
        raise DumpError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DumpError(f"{path}: is not JSON: {one_line(str(error))[:120]}") from error
    if not isinstance(found, dict):
        raise DumpError(f"{path}: is not a JSON object; expected the settings that its tool writes")
    return found
