"""Reads what torch and pickle write to disk, as plain data: zip and legacy files of torch, pickles, also gzipped."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from autointerp.errors import SettingsError, one_line
from autointerp.pickles import RefusedError, attributes_of
from autointerp.transcoder.coders.unpickling import Storages, unpickled

ZIP, GZIP = b"PK\x03\x04", b"\x1f\x8b"
MAGIC = 0x1950A86A20F9469CFC6C
"""The number at the head of torch's legacy files."""
MOST_GZIPPED = 40
"""How many times as long as its file what is gzipped may be: weights are noise, and shrink by a tenth."""
LITTLE = 2**20
"""Bytes that are read in any case."""
BROKEN = (
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What Python's own readers of archives raise on bytes that are none, or that want a password."""
REMEDY = "save its weights as safetensors, or give another file"


def read_plain(path: Path, skip: int = 0) -> object:
    """Reads a file of torch's or of pickle's as plain data.

    Args:
        path: the file.
        skip: bytes at its head that are not of it.

    Raises:
        SettingsError: it cannot be read, or holds what is not plain data.
    """
    try:
        data = path.read_bytes()
        data = data[skip:] if skip else data
        if data.startswith(GZIP):
            data = _gunzipped(data)
        return _read(data, Storages(len(data)))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except BROKEN as error:
        raise SettingsError(f"{path}: is a broken file ({one_line(str(error))}); {REMEDY}") from error
    except RefusedError as error:
        raise SettingsError(f"{path}: is not read, since it {one_line(str(error))[:200]}; {REMEDY}") from error


def _gunzipped(data: bytes) -> bytes:
    most = MOST_GZIPPED * len(data) + LITTLE
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise RefusedError(f"unpacks to more than {most:,} bytes, {MOST_GZIPPED} times its own length")
    return found


def _read(data: bytes, storages: Storages) -> object:
    return _zipped(data, storages) if data.startswith(ZIP) else _legacy(data, storages)


def _zipped(data: bytes, storages: Storages) -> object:
    """Reads a zip file of torch's: a pickle, and each storage beside it as it is in memory."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        home = _home(archive, entries, len(data))
        known: dict[str, Tensor] = {}

        def find(key: str, dtype: torch.dtype, n: object) -> Tensor:
            if key not in known:
                entry = entries.get(f"{home}data/{key}")
                if entry is None:
                    raise RefusedError("lacks the numbers of a tensor")
                if n != entry.file_size // dtype.itemsize:
                    raise RefusedError("states tensors of another size than it has")
                storages.take(entry.file_size)
                data = bytearray(archive.read(entry))
                known[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            return _typed(known[key], dtype)

        return unpickled(io.BytesIO(archive.read(f"{home}data.pkl")), storages, find, _read)


def _home(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], length: int) -> str:
    """Returns the folder of torch's files in the archive, having refused what torch does not write."""
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries.values()):
        raise RefusedError("is compressed inside, which torch's files are not")
    if sum(e.file_size for e in archive.infolist()) > length:
        raise RefusedError("states more bytes than it has")
    main = next((n for n in entries if n.endswith("/data.pkl") and n.count("/") == 1), None)
    if main is None:
        raise RefusedError("is a zip file without torch's data.pkl")
    home = main.removesuffix("data.pkl")
    if f"{home}byteorder" in entries and archive.read(f"{home}byteorder") != b"little":
        raise RefusedError("has its bytes in big-endian order")
    return home


def _legacy(data: bytes, storages: Storages) -> object:
    """Reads a plain pickle, or a legacy file of torch's: five pickles, and then the numbers of each storage."""
    file, known = io.BytesIO(data), dict[str, Tensor]()

    def find(key: str, dtype: torch.dtype, n: object) -> Tensor:
        if key not in known:
            known[key] = storages.flat(dtype, n)
        return _typed(known[key], dtype)

    def following() -> object:
        return unpickled(file, storages, find, _read)

    first = following()
    if first != MAGIC:
        return first
    _version, system, found, keys = following(), following(), following(), following()
    if attributes_of(system).get("little_endian") is False:
        raise RefusedError("has its bytes in big-endian order")
    _fill_all(file, keys, known)
    return found


def _fill_all(file: io.BytesIO, keys: object, known: Mapping[str, Tensor]) -> None:
    """Reads the numbers of each storage, in the order of their keys."""
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(known):
        raise RefusedError("lacks the numbers of a tensor")
    for key in keys:
        n = int.from_bytes(file.read(8), "little")
        if n != len(known[key]):
            raise RefusedError("states tensors of another size than it has")
        _fill(known[key], file.read(n * known[key].itemsize))


def _typed(flat: Tensor, dtype: torch.dtype) -> Tensor:
    if flat.dtype != dtype:
        raise RefusedError("states two types of one tensor")
    return flat


def _fill(flat: Tensor, data: bytes) -> None:
    if len(data) != flat.numel() * flat.itemsize:
        raise RefusedError("ends before its tensors do")
    if data:
        flat.view(torch.uint8).copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
