"""What decoding takes is bounded for one image, and for all threads together."""

import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from threading import Barrier, Lock

import pytest
from PIL import Image

from autointerp.errors import ImageError
from autointerp.images.decode import Room, bytes_to_decode, decode

PEAK = """
import resource, sys
from pathlib import Path
from autointerp.images.decode import decode
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(decode(Path(sys.argv[1]), at_most=None).size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
"""Says how many kB the process grew by."""


def png(width: int, height: int, *, depth: int, kind: int, pixels: bytes | None = None) -> bytes:
    """A PNG of zeros; of ten bytes where there are no `pixels`."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", pixels or zlib.compress(bytes(10))), (b"IEND", b"")]
    chunks = (struct.pack(">I4s", len(d), t) + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_81_megapixels_of_16_bits_take_two_bytes_each_and_four_for_the_result(tmp_path: Path):
    side = 9000
    path = tmp_path / "large.png"
    path.write_bytes(png(side, side, depth=16, kind=0, pixels=zlib.compress(bytes((1 + 2 * side) * side))))

    done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)

    size, grown = done.stdout.rsplit(" ", 1)
    assert path.stat().st_size < 160_000
    assert size == "(9000, 9000)"
    # 6 bytes a pixel are 475,000 kB.
    assert int(grown) < 520_000


def tiled_tiff(side: int, tile: int) -> bytes:
    """An RGB image of `side` pixels each way in one tile of `tile` pixels, whose bytes are not there."""
    tags = {256: side, 257: side, 258: 8, 259: 8, 262: 2, 277: 3, 322: tile, 323: tile, 324: 8, 325: 9}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    entries[2] = struct.pack("<HHII", 258, 3, 3, 8 + 2 + 12 * len(tags) + 4)
    bits = struct.pack("<HHH", 8, 8, 8)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(entries) + bytes(4) + bits


def test_a_small_tiff_in_a_large_tile_takes_what_the_tile_takes(tmp_path: Path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiled_tiff(16, 16_000))

    with pytest.raises(ImageError, match=r"16 x 16 pixels \(TIFF, RGB\) take 732 MB to decode"):
        decode(path, at_most=None)


@pytest.mark.parametrize(
    ("kind", "mode", "needed"),
    [(6, "RGBA", "618 MB"), (4, "RGBA", "618 MB")],
    ids=["colour", "grey, with transparency"],
)
def test_an_image_that_would_take_too_much_is_refused_from_its_header(
    kind: int, mode: str, needed: str, tmp_path: Path
):
    path = tmp_path / "a.png"
    path.write_bytes(png(9000, 9000, depth=16, kind=kind))

    with pytest.raises(ImageError) as caught:
        decode(path, at_most=None)

    limits = f"take {needed} to decode, over the limit of 512 MB for one image; shrink it"
    assert str(caught.value) == f"{path}: 9000 x 9000 pixels (PNG, {mode}) {limits}"


@pytest.mark.parametrize(
    ("mode", "kind", "options", "each"),
    [
        ("RGB", "PNG", {}, 4),
        ("L", "PNG", {}, 1 + 4),
        ("RGBA", "PNG", {}, 4 + 4),
        ("I;16", "PNG", {}, 2 + 4),
        ("CMYK", "JPEG", {}, 4 + 4),
        ("RGB", "JPEG", {"progressive": True}, 4 + 6),
        ("RGB", "WEBP", {}, 4 + 12),
    ],
)
def test_bytes_of_a_pixel_follow_from_mode_and_format(mode: str, kind: str, options: dict[str, object], each: int):
    target = BytesIO()
    Image.new(mode, (30, 20)).save(target, kind, **options)

    image = Image.open(target)

    assert bytes_to_decode(image, pixels=600, turned=False) == 600 * each
    assert bytes_to_decode(image, pixels=600, turned=True) == 600 * (each + 4)


def test_threads_share_the_room_and_wait_for_it():
    room, most, lock, started = Room(10), 0, Lock(), Barrier(8)

    def work(n: int) -> None:
        nonlocal most
        started.wait()
        for _ in range(50):
            with room.taking(n), lock:
                most = max(most, room.taken)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [1, 3, 4, 6, 10, 2, 5, 9]))

    assert room.taken == 0
    assert most <= 10


def test_room_is_given_back_after_an_error():
    room = Room(10)

    with pytest.raises(ImageError), room.taking(10):
        raise ImageError

    with room.taking(10):
        assert room.taken == 10
    assert room.taken == 0
