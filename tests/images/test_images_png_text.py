"""A PNG's texts, however large, are no reason to refuse its pixels."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from autointerp.images.decode import decode, displayed_size
from autointerp.images.png_text import MAX_TEXT, without_large_texts

SIDE = 24
MEGABYTE = 10**6


def plain() -> bytes:
    target = BytesIO()
    Image.radial_gradient("L").resize((SIDE, SIDE)).save(target, "PNG")
    return target.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), name) + data + struct.pack(">I", zlib.crc32(name + data))


def z_text(size: int) -> bytes:
    return chunk(b"zTXt", b"parameters\0\0" + zlib.compress(bytes(size)))


def with_chunks(*chunks: bytes, late: bool = False) -> bytes:
    """After the header, or behind the pixels."""
    whole = plain()
    place = len(whole) - 12 if late else 33
    return whole[:place] + b"".join(chunks) + whole[place:]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        z_text(2 * MEGABYTE),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0\0" + zlib.compress(b"x" * 2 * MEGABYTE)),
        chunk(b"tEXt", b"prompt\0" + b"x" * 70 * MEGABYTE),
        chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(b"x" * 2 * MEGABYTE)),
        b"".join(z_text(MEGABYTE) for _ in range(80)),
    ],
    ids=["zTXt", "iTXt", "tEXt", "iCCP", "many zTXt"],
)
def test_pixels_beside_a_large_text_are_decoded(text: bytes, late: bool, tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(with_chunks(text, late=late))

    for source in (path, path.read_bytes()):
        assert displayed_size(source) == (SIDE, SIDE)
        assert decode(source, at_most=None).image.tobytes() == decode(plain(), at_most=None).image.tobytes()


def test_a_file_without_large_texts_stays_itself(tmp_path: Path):
    path = tmp_path / "a.png"
    small = with_chunks(chunk(b"tEXt", b"Software\0paint"), z_text(MAX_TEXT))
    path.write_bytes(small)

    assert without_large_texts(path) is path
    assert without_large_texts(small) is small


def test_orientation_in_a_small_text_holds_beside_a_large_one():
    turned = b'XML:com.adobe.xmp\0\0\0\0\0<x xmlns:tiff="t" tiff:Orientation="6"/>'
    wide = BytesIO()
    Image.new("L", (20, 10)).save(wide, "PNG")
    data = wide.getvalue()

    assert displayed_size(data[:33] + chunk(b"iTXt", turned) + z_text(2 * MEGABYTE) + data[33:]) == (10, 20)


@pytest.mark.parametrize("keep", [20, 40, 60, 1000])
def test_texts_that_break_off_leave_the_rest_as_it_is(keep: int):
    cut = with_chunks(z_text(2 * MEGABYTE))[:keep]

    assert without_large_texts(cut) in (cut, cut[:33])
