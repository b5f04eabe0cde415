"""The footer of a Parquet file: its row groups, with what it states of their columns.

PyArrow ends the process, with no exception, when it is asked for the statistics of some damaged footers; what it does
with the data of damaged files is harmless. A footer is a `FileMetaData` of parquet.thrift in Thrift's compact protocol
(https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift,
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from autointerp.remote.path import RemoteFile

MAGIC = b"PAR1"
GUESS = 2**16
"""Bytes at the end of a file that are read at first; most footers are shorter."""
DEEPEST = 32
"""Structs and lists inside each other; a footer has half a dozen."""

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = range(1, 14)
"""Types of a field."""
_NUMBERS = {1: "<i", 2: "<q", 4: "<f", 5: "<d"}
"""How a bound of a column is stored, by the column's physical type: int32, int64, float, double."""


class FooterError(ValueError):
    """A footer is not as the format says."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a footer states of a column in a row group."""

    low: float | None
    """Its smallest and largest value, where the file says so and they are numbers."""
    high: float | None
    n_null: int | None


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Describes one row group of a file."""

    rows: int
    chunks: Mapping[str, Chunk]
    """By the column's path, names joined by dots."""


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file says of itself."""

    groups: tuple[RowGroup, ...]
    raw: bytes
    """As it stands in the file."""

    def as_file(self) -> bytes:
        """A file without any data that has this footer."""
        return MAGIC + self.raw + len(self.raw).to_bytes(4, "little") + MAGIC


def read_footer(file: BinaryIO | RemoteFile) -> Footer:
    """Reads the footer at the end of a file.

    Raises:
        FooterError: it is not Parquet, or the footer is damaged.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - GUESS))
    tail = file.read()
    if size < 12 or tail[-4:] != MAGIC:
        raise FooterError("it does not end as one does")
    length = int.from_bytes(tail[-8:-4], "little")
    if length > size - 12:
        raise FooterError("its footer is longer than the file")
    if length + 8 > len(tail):
        file.seek(size - length - 8)
        tail = file.read()
    raw = tail[-8 - length : -8]
    try:
        meta = _Compact(raw).struct(0)
    except (IndexError, struct.error, RecursionError) as error:
        raise FooterError("its footer breaks off") from error
    match meta:
        case {3: int(rows), 4: list(described)}:
            groups = tuple(map(_group, described))
            if rows == sum(group.rows for group in groups):
                return Footer(groups, raw)
            raise FooterError("the rows of its row groups do not add up to its own")
        case _:
            raise FooterError("its footer lacks the number of rows, or the row groups")


def _group(described: object) -> RowGroup:
    match described:
        case {1: list(chunks), 3: int(rows)} if rows >= 0:
            return RowGroup(rows, dict(map(_chunk, chunks)))
        case _:
            raise FooterError("a row group lacks its columns, or its number of rows")


def _chunk(described: object) -> tuple[str, Chunk]:
    match described:
        case {3: {1: int(kind), 3: list(names), **further}}:
            path = ".".join(name.decode(errors="replace") for name in names if isinstance(name, bytes))
            stated = further.get(12)
            return path, _bounds(kind, stated if isinstance(stated, dict) else {})
        case _:
            raise FooterError("a column is not described in a row group")


def _bounds(kind: int, stated: Mapping[int, object]) -> Chunk:
    n_null = stated.get(3)
    low, high = (_number(kind, stated.get(new, stated.get(old))) for new, old in ((6, 2), (5, 1)))
    # Unsigned numbers, which are read as signed ones here, mostly end in a maximum below the minimum.
    known = low is not None and high is not None and low <= high
    return Chunk(low if known else None, high if known else None, n_null if isinstance(n_null, int) else None)


def _number(kind: int, stored: object) -> float | None:
    """A bound; None where there is none that is a finite number."""
    form = _NUMBERS.get(kind)
    if form is None or not isinstance(stored, bytes) or len(stored) != struct.calcsize(form):
        return None
    (value,) = struct.unpack(form, stored)
    return value if math.isfinite(value) else None


class _Compact:
    """Reads values of Thrift's compact protocol, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self, depth: int) -> dict[int, object]:
        if depth > DEEPEST:
            raise FooterError("its footer is nested too deep")
        data, fields, number = self._data, {}, 0
        while head := data[self._at]:
            self._at += 1
            number = number + (head >> 4) if head >> 4 else self._whole()
            fields[number] = self._value(head & 15, depth)
        self._at += 1
        return fields

    def _value(self, kind: int, depth: int) -> object:
        if _I16 <= kind <= _I64:
            return self._whole()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind in (_LIST, _SET):
            return self._list(depth + 1)
        if kind == _DOUBLE:
            return struct.unpack("<d", self._bytes(8))[0]
        if kind in (_BYTE, _UUID):
            return self._bytes(1 if kind == _BYTE else 16)
        # No field of a footer is a map.
        raise FooterError(f"its footer has a value of an unknown type, {kind}")

    def _list(self, depth: int) -> list[object]:
        head = self._byte()
        n, kind = head >> 4, head & 15
        if n == 15:
            n = self._varint()
        if n > len(self._data) - self._at or depth > DEEPEST:
            raise FooterError("its footer has a list that is longer than itself")
        if kind in (_TRUE, _FALSE):
            return [self._byte() == _TRUE for _ in range(n)]
        return [self._value(kind, depth) for _ in range(n)]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, n: int) -> bytes:
        if n > len(self._data) - self._at:
            raise FooterError("its footer breaks off")
        self._at += n
        return self._data[self._at - n : self._at]

    def _varint(self) -> int:
        data, at = self._data, self._at
        byte = data[at]
        value, shift = byte & 127, 7
        while byte > 127:
            if shift > 63:
                raise FooterError("its footer has a number of more than 64 bits")
            at += 1
            byte = data[at]
            value |= (byte & 127) << shift
            shift += 7
        self._at = at + 1
        return value

    def _whole(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
