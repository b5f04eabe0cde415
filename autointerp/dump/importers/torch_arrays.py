"""Reads torch's files as plain data with NumPy's arrays, without torch; nothing that a file names is run.

Numbers of tensors stay in the file, mapped into memory. Arrays of NumPy's that were pickled inside are read as well.
"""

import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autointerp.dump.importers.tensors import Array, Stored, mapped
from autointerp.errors import DumpError, one_line
from autointerp.pickles import Call, RefusedError, Unpickler, loaded, sizes

LONGEST_PICKLE = 2**30
"""Bytes of the pickle in a file; the numbers of tensors lie beside it."""
NAMES_AT = 26
"""Bytes from which the header of a zip's entry says how long its name is."""
_STORAGES = {
    "Float": "<f4",
    "Double": "<f8",
    "Half": "<f2",
    "BFloat16": "<u2",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "|i1",
    "Byte": "|u1",
    "Bool": "|b1",
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """The type of a storage."""

    name: str


class _DType:
    """What stands for a type of NumPy's; only plain numbers."""

    def __init__(self, code: object, *_: object) -> None:
        self.code = str(code)
        self.order = "<"

    def __setstate__(self, state: object) -> None:
        """Keeps the order of bytes."""
        if not (isinstance(state, tuple) and len(state) >= 3 and state[1] in ("<", ">", "|", "=")):
            raise RefusedError("states a type of numbers in a way that NumPy does not")
        self.order = state[1]

    @property
    def real(self) -> np.dtype[np.generic]:
        """Returns the type."""
        if self.code not in {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}:
            raise RefusedError(f"holds an array of {self.code[:20]}, which is no number")
        return np.dtype(self.order.replace("=", "<") + self.code)


class _NumPy:
    """What stands for an array of NumPy's."""

    def __init__(self, *_: object) -> None:
        self.array: Array | None = None

    def __setstate__(self, state: object) -> None:
        """Makes the array of its bytes."""
        match state:
            case (_, shape, _DType() as kind, bool() | int() as fortran, bytes() as data):
                where, real = sizes(shape), kind.real
                if min((0, *where)) < 0 or int(np.prod(where, dtype=object)) * real.itemsize != len(data):
                    raise RefusedError("states an array of another size than it has")
                self.array = np.frombuffer(data, real).reshape(where, order="F" if fortran else "C")
            case _:
                raise RefusedError("holds an array of objects, which may be anything")


class _Bytes:
    """Turns text back to the bytes that old protocols of pickle write as text, no more in all than the file has."""

    def __init__(self, most: int) -> None:
        self._left = most

    def __call__(self, text: object, coding: object = "latin1") -> bytes:
        if not isinstance(text, str) or coding not in ("latin1", "latin-1"):
            raise RefusedError("encodes text in a way that NumPy does not")
        self._left -= len(text)
        if self._left < 0:
            raise RefusedError("unpacks to more than it has")
        return text.encode("latin1")


def _scalar(kind: object, data: object) -> object:
    if not isinstance(kind, _DType) or not isinstance(data, bytes) or len(data) != kind.real.itemsize:
        raise RefusedError("holds a number that NumPy does not write")
    return np.frombuffer(data, kind.real)[0].item()


def _array(*_: object) -> _NumPy:
    return _NumPy()


def _named(most: int) -> dict[str, object]:
    kinds = {f"{prefix}.{name}Storage": _Kind(name) for prefix in ("torch", "torch.storage") for name in _STORAGES}
    arrays: dict[str, object] = {}
    for package in ("numpy.core", "numpy._core"):
        arrays[f"{package}.multiarray._reconstruct"] = Call(_array)
        arrays[f"{package}.multiarray.scalar"] = Call(_scalar)
    return {
        **kinds,
        **arrays,
        "numpy.ndarray": _NumPy,
        "numpy.dtype": _DType,
        "_codecs.encode": Call(_Bytes(most)),
        "torch._utils._rebuild_tensor_v2": Call(_tensor),
    }


def _tensor(flat: object, offset: object, size: object, stride: object, *_: object) -> Stored:
    if not isinstance(flat, Stored) or flat.raw.ndim != 1 or not isinstance(offset, int):
        raise RefusedError("makes a tensor of something that is not numbers")
    shape, steps = sizes(size), sizes(stride)
    if len(shape) != len(steps) or min((offset, 0, *shape, *steps)) < 0:
        raise RefusedError("states a tensor whose sizes contradict each other")
    n = int(np.prod(shape, dtype=object)) if shape else 1
    last = offset + sum((a - 1) * step for a, step in zip(shape, steps, strict=True))
    if n > len(flat.raw) or (n and last >= len(flat.raw)):
        raise RefusedError("states tensors that are larger than the file")
    if not n:
        return Stored(flat.where, np.zeros(shape, flat.raw.dtype), flat.bf16)
    strides = [step * flat.raw.itemsize for step in steps]
    view = np.lib.stride_tricks.as_strided(flat.raw[offset:], shape, strides, writeable=False)
    return Stored(flat.where, view, flat.bf16)


def read_torch(path: Path) -> object:
    """Reads a file that torch.save wrote.

    Returns:
        What was saved: numbers, texts, lists and dictionaries as they are, tensors as `Stored`; for arrays see
        `plain_array`.

    Raises:
        DumpError: it cannot be read, or holds what is not plain data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(path, archive)
    except OSError as error:
        raise DumpError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (
        zipfile.BadZipFile,
        ValueError,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OverflowError,
        struct.error,
    ) as error:
        remedy = "load it with torch, save it again with torch.save, and check that it was copied whole"
        raise DumpError(f"{path}: is no file that torch 1.6 or later saves; {remedy}") from error
    except RefusedError as error:
        raise DumpError(f"{path}: is not read, since it {one_line(str(error))[:200]}; nothing of it was run") from error


def _read(path: Path, archive: zipfile.ZipFile) -> object:
    entries = {entry.filename: entry for entry in archive.infolist()}
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries.values()):
        raise RefusedError("is compressed inside, which torch's files are not")
    main = next((n for n in entries if n.endswith("/data.pkl") and n.count("/") == 1), None)
    if main is None:
        raise RefusedError("is a zip file without torch's data.pkl")
    home, length = main.removesuffix("data.pkl"), path.stat().st_size
    if f"{home}byteorder" in entries and archive.read(f"{home}byteorder") != b"little":
        raise RefusedError("has its bytes in big-endian order")
    if entries[main].file_size > min(LONGEST_PICKLE, length):
        raise RefusedError("states more bytes than it has")

    def numbers(pid: object) -> Stored:
        match pid:
            case ("storage", _Kind() as kind, str() as key, _, int() as n, *views) if views in ([], [None]):
                return _storage(path, entries.get(f"{home}data/{key}"), kind.name, n)
            case _:
                raise RefusedError("points to something that is not a tensor's numbers")

    data = io.BytesIO(archive.read(main))
    return loaded(data, lambda one: Unpickler(one, _named(length), numbers))


def _storage(path: Path, entry: zipfile.ZipInfo | None, kind: str, n: int) -> Stored:
    if entry is None:
        raise RefusedError("lacks the numbers of a tensor")
    dtype = _STORAGES[kind]
    if n * np.dtype(dtype).itemsize != entry.file_size:
        raise RefusedError("states tensors of another size than it has")
    with path.open("rb") as file:
        # Between the entry's header and its bytes stand its name and what follows it, as long as the header says.
        file.seek(entry.header_offset + NAMES_AT)
        lengths = file.read(4)
    start = (
        entry.header_offset
        + NAMES_AT
        + 4
        + int.from_bytes(lengths[:2], "little")
        + int.from_bytes(lengths[2:], "little")
    )
    return Stored(str(path), mapped(path, dtype, (n,), start, str(path)), kind == "BFloat16")


def plain_array(value: object, where: str) -> Stored:
    """Returns a tensor, an array of NumPy's or nested lists of numbers of equal lengths as an array.

    Raises:
        DumpError: it is none of these.
    """
    if isinstance(value, Stored):
        return value
    if isinstance(value, _NumPy) and value.array is not None:
        return Stored(where, value.array)
    if isinstance(value, list) and all(isinstance(n, int | float) for n in value):
        try:
            return Stored(where, np.array(value, np.float64))
        except OverflowError as error:
            raise DumpError(f"{where}: holds a number that is too large") from error
    raise DumpError(f"{where}: is no array of numbers")


def entries_of(value: object, where: str) -> Mapping[str, object]:
    """Returns a dictionary that was saved.

    Raises:
        DumpError: it is none.
    """
    if not isinstance(value, Mapping):
        raise DumpError(f"{where}: holds no dictionary of names; expected what its tool saves")
    return {str(name): one for name, one in value.items()}
