"""The footer of a Parquet file, read and checked before PyArrow sees it.

PyArrow ends the process, with no exception, when it is asked for the row groups of some damaged footers. A footer is a
`FileMetaData` of parquet.thrift in Thrift's compact protocol
(https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift,
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

MAGIC = b"PAR1"
GUESS = 2**16
"""Bytes at the end of a file that are read at first; most footers are shorter."""
DEEPEST = 32
"""Structs and lists inside each other; a footer has half a dozen."""

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = range(1, 14)
"""Types of a field."""
_NUMBERS = {1: "<i", 2: "<q", 4: "<f", 5: "<d"}
"""How a bound of a column is stored, by the column's physical type: int32, int64, float, double."""
_SIGNED = {15, 16, 17, 18, None}
"""Converted types of whole numbers that are plain signed ones, or none."""

Fields = dict[int, object]
"""A struct: values by the field's number."""


class FooterError(ValueError):
    """A footer is not as the format says."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column as the schema has it."""

    path: str
    physical: int
    bounded: bool
    """Whether the bounds of its statistics are plain numbers."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A column in a row group."""

    low: float | None
    """Its smallest and largest value, where the file says so and they are numbers."""
    high: float | None
    n_null: int | None


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Describes one row group of a file."""

    rows: int
    chunks: tuple[Chunk, ...]
    """In the order of the leaves."""


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file says of itself."""

    leaves: tuple[Leaf, ...]
    groups: tuple[RowGroup, ...]
    raw: bytes
    """As it stands in the file."""

    def leaf(self, path: str) -> int | None:
        """Which leaf has this path, names joined by dots."""
        return next((i for i, leaf in enumerate(self.leaves) if leaf.path == path), None)

    def as_file(self) -> bytes:
        """A file without any data that has this footer."""
        return MAGIC + self.raw + len(self.raw).to_bytes(4, "little") + MAGIC


class Readable(Protocol):
    """A file, here or at a URL."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Moves to a place; gives it from the beginning."""
        ...

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, or all that are left."""
        ...


def read_footer(file: Readable) -> Footer:
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
    return _footer(tail[-8 - length : -8], size - length - 8)


def _footer(raw: bytes, end: int) -> Footer:
    """Reads a footer that begins at `end`, before which all pages lie."""
    try:
        meta = _Compact(raw).struct(0)
    except (IndexError, struct.error, RecursionError) as error:
        raise FooterError("its footer breaks off") from error
    leaves = tuple(_leaves(_structs(meta, 2)))
    groups = tuple(_group(group, leaves, end) for group in _structs(meta, 4))
    if _whole(meta, 3) != sum(group.rows for group in groups):
        raise FooterError("the rows of its row groups do not add up to its own")
    return Footer(leaves, groups, raw)


def _leaves(elements: Sequence[Fields]) -> list[Leaf]:
    """The columns, of a tree that is written parents first."""
    if not elements:
        raise FooterError("its schema is empty")
    out: list[Leaf] = []
    above: list[tuple[str, int]] = [("", _whole(elements[0], 5))]
    for element in elements[1:]:
        while above and above[-1][1] == 0:
            above.pop()
        if not above:
            raise FooterError("its schema has more columns than it says")
        parent, left = above.pop()
        above.append((parent, left - 1))
        path = f"{parent}.{_text(element, 4)}" if len(above) > 1 else _text(element, 4)
        children = element.get(5)
        if children is None:
            out.append(Leaf(path, kind := _whole(element, 1), kind > 2 or element.get(6) in _SIGNED))
        else:
            above.append((path, _whole(element, 5)))
    if any(left for _, left in above):
        raise FooterError("its schema has fewer columns than it says")
    return out


def _group(group: Fields, leaves: Sequence[Leaf], end: int) -> RowGroup:
    chunks = _structs(group, 1)
    if len(chunks) != len(leaves):
        raise FooterError(f"a row group has {len(chunks)} columns, the schema {len(leaves)}")
    rows = _whole(group, 3)
    if rows < 0:
        raise FooterError(f"a row group has {rows} rows")
    return RowGroup(rows, tuple(_chunk(c, leaf, rows, end) for c, leaf in zip(chunks, leaves, strict=True)))


def _chunk(chunk: Fields, leaf: Leaf, rows: int, end: int) -> Chunk:
    meta = chunk.get(3)
    if not isinstance(meta, dict):
        raise FooterError(f"column {leaf.path} is not described in a row group")
    path = ".".join(_utf8(part) for part in _list(meta, 3))
    if path != leaf.path or _whole(meta, 1) != leaf.physical:
        raise FooterError(f"column {leaf.path} is another one in a row group")
    start, length, dictionary = _whole(meta, 9), _whole(meta, 7), meta.get(11)
    # Some programs write 0 where there is no dictionary.
    if isinstance(dictionary, int) and len(MAGIC) <= dictionary < start:
        start = dictionary
    if rows and (start < len(MAGIC) or length < 0 or start + length > end):
        raise FooterError(f"column {leaf.path} lies outside of the file")
    return _bounds(meta.get(12), leaf)


def _bounds(stated: object, leaf: Leaf) -> Chunk:
    if not isinstance(stated, dict):
        return Chunk(None, None, None)
    n_null = stated.get(3)
    low, high = (_number(stated.get(new, stated.get(old)), leaf) for new, old in ((6, 2), (5, 1)))
    known = low is not None and high is not None and low <= high
    return Chunk(low if known else None, high if known else None, n_null if isinstance(n_null, int) else None)


def _number(stored: object, leaf: Leaf) -> float | None:
    """A bound; None where there is none that is a finite number."""
    kind = _NUMBERS.get(leaf.physical) if leaf.bounded else None
    if kind is None or not isinstance(stored, bytes) or len(stored) != struct.calcsize(kind):
        return None
    (value,) = struct.unpack(kind, stored)
    return value if math.isfinite(value) else None


def _whole(fields: Fields, number: int) -> int:
    value = fields.get(number)
    if type(value) is not int:
        raise FooterError(f"its footer lacks a number (field {number})")
    return value


def _list(fields: Fields, number: int) -> list[object]:
    value = fields.get(number, [])
    if not isinstance(value, list):
        raise FooterError(f"its footer lacks a list (field {number})")
    return value


def _structs(fields: Fields, number: int) -> list[Fields]:
    found = _list(fields, number)
    if not all(isinstance(one, dict) for one in found):
        raise FooterError(f"its footer has a list of something else (field {number})")
    return [one for one in found if isinstance(one, dict)]


def _text(fields: Fields, number: int) -> str:
    return _utf8(fields.get(number))


def _utf8(value: object) -> str:
    try:
        if isinstance(value, bytes):
            return value.decode()
    except UnicodeDecodeError:
        pass
    raise FooterError("the name of a column is no text")


class _Compact:
    """Reads values of Thrift's compact protocol, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self, depth: int) -> Fields:
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
