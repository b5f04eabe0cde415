"""PNG files without the texts that Pillow would refuse the whole image for."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

MAX_TEXT = 2**20
"""Bytes that the text of one chunk may have to be kept; Pillow's own limit."""
MAX_TEXTS = 32 * 2**20
"""Bytes that all texts kept may have; half of what Pillow takes."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NAMES = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
"""Chunks that hold a text, and the colour profile, which Pillow reads alike and nobody applies."""


def without_large_texts(source: bytes | Path) -> bytes | Path:
    """The file itself; of a PNG with texts that are too large, its bytes without them.

    A text says nothing of the pixels, and one that is compressed may be a million times larger than its chunk.

    Raises:
        OSError: the file cannot be read.
    """
    with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return source
        dropped = list(_too_large(file))
        return _without(file, dropped) if dropped else source


def _too_large(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """First byte and end of each chunk with a text that is too large, up to where the chunks break off."""
    kept = 0
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        start = file.tell() - 8
        if name in _NAMES:
            size = _text_size(file, name, length) if kept <= MAX_TEXTS else MAX_TEXT + 1
            kept += size
            if size > MAX_TEXT:
                yield start, start + length + 12
        file.seek(start + length + 12)


def _text_size(file: BinaryIO, name: bytes, length: int) -> int:
    """Bytes of a chunk's text once it is unpacked, as far as one more than `MAX_TEXT`."""
    if length > MAX_TEXT:
        return length
    data = file.read(length)
    packed = _packed(data, name)
    if packed is None:
        return length
    try:
        return len(zlib.decompressobj().decompress(packed, MAX_TEXT + 1))
    except zlib.error:
        return length


def _packed(data: bytes, name: bytes) -> bytes | None:
    """The compressed part of a chunk; None where its text is plain."""
    rest = data.partition(b"\0")[2]
    if name in (b"zTXt", b"iCCP"):
        return rest[1:]
    if name == b"iTXt" and rest[:1] == b"\1":
        return rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return None


def _without(file: BinaryIO, dropped: list[tuple[int, int]]) -> bytes:
    kept, at = BytesIO(), 0
    for start, end in dropped:
        file.seek(at)
        kept.write(file.read(start - at))
        at = end
    file.seek(at)
    kept.write(file.read())
    return kept.getvalue()
