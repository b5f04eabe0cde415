"""From the bytes of a file to upright 8-bit RGB pixels."""

import hashlib
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Condition

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin, UnidentifiedImageError
from PIL.ExifTags import Base

from autointerp.errors import ImageError
from autointerp.images.content import Named
from autointerp.images.formats import FORMATS, USUAL
from autointerp.images.jpeg import Pixels, image_of, plain_size
from autointerp.images.jpeg import decoded as decoded_jpeg
from autointerp.images.png_text import without_large_texts

MAX_BYTES = 512 * 2**20
"""That one image may take while it is decoded."""
ALL_BYTES = 2 * MAX_BYTES
"""That all images may take which the threads of a process decode at once."""

_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
"""Bytes of a pixel in memory by mode; four in all others."""
_WORK = {"WEBP": 12, "AVIF": 8, "JPEG2000": 20, "TIFF": 4, "GIF": 4}
"""Bytes that a format's decoder holds besides for each pixel, as measured; line by line where it is not named."""
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
"""Tags of a TIFF."""
_PROGRESSIVE = 6
"""Likewise for a JPEG that comes in several passes, of each pixel of the file, however small it is decoded."""


def bytes_to_decode(image: Image.Image, *, pixels: int, turned: bool) -> int:
    """Bytes that an image takes at most until it is upright RGB.

    Args:
        image: opened, not decoded, and drafted to the size that it is decoded at.
        pixels: width times height of the file.
        turned: whether it has to be turned.
    """
    stored = _STORED.get(image.mode, 4)
    work = _WORK.get(image.format or "", 0)
    made = 4 * (image.mode != "RGB") + 4 * turned
    passes = _PROGRESSIVE * pixels if image.info.get("progressive") else 0
    return (stored + work + made) * image.width * image.height + passes + _bytes_of_tile(image)


def _bytes_of_tile(image: Image.Image) -> int:
    """Bytes of one tile of a TIFF, which is unpacked whole and may be larger than the image."""
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    width, height, bits = (tags.get(tag) for tag in (_TILE_WIDTH, _TILE_HEIGHT, TiffImagePlugin.BITSPERSAMPLE))
    if not (isinstance(width, int) and isinstance(height, int)):
        return 0
    return width * height * (sum(bits) if isinstance(bits, tuple) else 8) // 8


class Room:
    """Bytes that threads share; whoever finds too few waits."""

    def __init__(self, size: int) -> None:
        """Starts with all of the memory free.

        Args:
            size: bytes in all.
        """
        self.size = size
        self.taken = 0
        self._changed = Condition()

    @contextmanager
    def taking(self, n: int) -> Iterator[None]:
        """Holds `n` bytes, at most `size`, for as long as the context lasts; a thread that holds some takes no more."""
        assert n <= self.size
        with self._changed:
            while self.taken + n > self.size:
                self._changed.wait()
            self.taken += n
        try:
            yield
        finally:
            with self._changed:
                self.taken -= n
                self._changed.notify_all()


ROOM = Room(ALL_BYTES)
"""Of this process."""


STRIP = 2**18
"""Pixels that are converted at a time."""


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB: transparency over white, deep greyscale as 8 bit; itself where it is RGB already."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    deep = _range(image) if image.mode in ("I", "F") or image.mode.startswith("I;16") else None
    out = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        out.paste(_flat(strip if deep is None else _to_8_bit(strip, *deep)), (0, top))
    return out


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Pieces of all columns with the row where each begins."""
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _flat(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        colour = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB")
    return image.convert("RGB")


def _values(image: Image.Image) -> npt.NDArray[np.float64]:
    return np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)


def _range(image: Image.Image) -> tuple[float, float]:
    """What becomes black and white: 0 and 65535, or 0 and 1 for fractions; of what exceeds that, its own range."""
    low, high = 0.0, 1.0 if image.mode == "F" else 65535.0
    if image.mode not in ("I", "F"):
        return low, high
    ends = [(float(values.min()), float(values.max())) for values in (_values(strip) for _, strip in _strips(image))]
    least, most = min(end[0] for end in ends), max(end[1] for end in ends)
    return (least, most) if least < low or most > high else (low, high)


def _to_8_bit(image: Image.Image, low: float, high: float) -> Image.Image:
    scaled = np.rint((_values(image) - low) * (255.0 / (high - low)))
    return Image.fromarray(np.where(math.isfinite(high - low), scaled, 0.0).astype(np.uint8))


MAX_PIXELS = 89_478_485
"""Width times height of a file that is decoded, at most, where nothing else is said.

Larger images are taken for decompression bombs; Pillow's own limit for a warning, which libraries share.
"""

SHRINKS = (8, 4, 2)
"""JPEG can be decoded at one in so many pixels each way, faster than at full size."""
SMALL = 2**22
"""Pixels of a small image: whether a JPEG comes in several passes, and takes memory for that, then matters little."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image of each EXIF orientation upright."""

_BROKEN = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    SyntaxError,
    EOFError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,
)
"""What Pillow's parsers raise on broken files; Warning where the process turns warnings into errors."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Upright pixels, and how they relate to the file's own."""

    image: Image.Image
    """Mode RGB."""
    size: tuple[int, int]
    """Width and height of the whole image in pixels as displayed at full size."""
    shrink: int
    """Full-size pixels per pixel of `image`, each way: 1, 2, 4 or 8."""

    @property
    def nbytes(self) -> int:
        """Memory held; Pillow keeps four bytes a pixel."""
        return self.image.width * self.image.height * 4


@dataclass(frozen=True, slots=True)
class Plain:
    """Pixels that were decoded without Pillow; `size` and `shrink` are as in `Decoded`."""

    image: Pixels
    size: tuple[int, int]
    shrink: int

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.image.nbytes


def decode(
    source: bytes | Path, *, at_most: int | None, max_pixels: int = MAX_PIXELS, formats: Sequence[str] = FORMATS
) -> Decoded:
    """Decodes the first frame, upright, in RGB, transparency over white; colour profiles are not applied.

    Args:
        source: a file's bytes, or where it is.
        at_most: a longest side in pixels that suffices: a JPEG is decoded at 1/2, 1/4 or 1/8 as long as its longest
            side stays at least that. None: full size.
        max_pixels: limit on width times height, checked before any pixel is decoded. Pillow's own limit
            (`Image.MAX_IMAGE_PIXELS`) holds too, and the bytes that decoding takes are bounded for one image and for
            all threads together (`autointerp.images.decode`).
        formats: Pillow's names of the formats to accept.

    Returns:
        The pixels and their scale.

    Raises:
        ImageError: missing, not an image of these formats, truncated or broken, or too large.
    """
    with decoding(source, at_most=at_most, max_pixels=max_pixels, formats=formats) as decoded:
        return decoded


@contextmanager
def decoding(
    source: bytes | Path, *, at_most: int | None, max_pixels: int = MAX_PIXELS, formats: Sequence[str] = FORMATS
) -> Iterator[Decoded]:
    """As `decode`, for work on the pixels that many threads do: their memory counts as taken until the context ends.

    Raises:
        ImageError: as `decode` says.
    """
    with _one_line(source, formats):
        opened = _open(source, formats)
    with opened as image:
        with _one_line(source, formats):
            _check_pixels(source, image.size, max_pixels)
            size, turn = image.size, _orientation(image)
            shrink = _draft(image, at_most)
            needed = bytes_to_decode(image, pixels=size[0] * size[1], turned=turn in _UPRIGHT)
            _check_bytes(source, image, needed)
        with ROOM.taking(needed):
            with _one_line(source, formats):
                rgb = _upright(_stored(source, image, shrink), turn)
            yield Decoded(rgb, _turned(size, turn), shrink)


def decode_plainly(data: bytes, *, at_most: int, max_pixels: int = MAX_PIXELS) -> Plain | None:
    """Decodes a small and usual JPEG as `decode` does, in half the time; gives None for all else.

    Args:
        data: a file's bytes.
        at_most: as for `decode`.
        max_pixels: as for `decode`.
    """
    size = plain_size(data)
    if size is None or size[0] * size[1] > min(max_pixels, SMALL):
        return None
    shrink = shrink_for(max(size), at_most)
    smaller = (-(-size[0] // shrink), -(-size[1] // shrink))
    with ROOM.taking((4 + _PROGRESSIVE) * size[0] * size[1]):
        image = decoded_jpeg(data, smaller, shrink)
    return Plain(image, size, shrink) if image is not None else None


def digest_of(source: bytes | Path) -> str:
    """SHA-256, hex, of a file or of its bytes."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def displayed_size(source: bytes | Path, *, formats: Sequence[str] = FORMATS) -> tuple[int, int]:
    """Width and height in pixels after any EXIF orientation, read from the header alone.

    Returns:
        Width and height.

    Raises:
        ImageError: missing, or not an image of these formats.
    """
    with _one_line(source, formats), _open(source, formats) as image:
        return _turned(image.size, _orientation(image))


def shrink_for(longest: int, enough: int) -> int:
    """The largest JPEG decoding scale that leaves at least `enough` of `longest` pixels: 1, 2, 4 or 8."""
    return next((s for s in SHRINKS if longest >= s * enough), 1)


def _open(source: bytes | Path, formats: Sequence[str]) -> Image.Image:
    plain = without_large_texts(source)
    return Image.open(BytesIO(plain) if isinstance(plain, bytes) else plain, formats=list(formats))


@contextmanager
def _one_line(source: bytes | Path, formats: Sequence[str]) -> Iterator[None]:
    """Turns whatever a broken file raises into an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError as e:
        raise ImageError(f"{_name(source)}: no such file; put it back or import the dump anew") from e
    except UnidentifiedImageError as e:
        known = ", ".join(USUAL if formats is FORMATS else formats) + (" and others" if formats is FORMATS else "")
        raise ImageError(f"{_name(source)}: not an image that can be read ({known}); convert it") from e
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise ImageError(f"{_name(source)}: too large for Pillow's own limit; shrink it ({_text(e)})") from e
    except _BROKEN as e:
        raise ImageError(f"{_name(source)}: broken image; replace it ({_text(e)})") from e


def _name(source: bytes | Path) -> str:
    if isinstance(source, Path):
        return str(source)
    return source.name if isinstance(source, Named) else f"file of {len(source)} bytes"


def _text(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _check_pixels(source: bytes | Path, size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        what = f"{size[0]} x {size[1]} pixels is over the limit of {max_pixels}"
        raise ImageError(f"{_name(source)}: {what}; shrink it or raise the limit")


def _check_bytes(source: bytes | Path, image: Image.Image, needed: int) -> None:
    if needed > MAX_BYTES:
        what = f"{image.width} x {image.height} pixels ({image.format}, {image.mode})"
        limits = f"{needed / 2**20:,.0f} MB to decode, over the limit of {MAX_BYTES >> 20} MB for one image"
        raise ImageError(f"{_name(source)}: {what} take {limits}; shrink it")


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1–8 still to be applied, as the header has it."""
    if image.format == "TIFF":
        # Pillow turns TIFF itself, and its header size is the displayed one.
        return 1
    try:
        # The base method, since PNG's own decodes the whole image to find a late chunk.
        turn = Image.Image.getexif(image).get(Base.Orientation, 1)
    except _BROKEN:
        # Broken metadata takes nothing from the pixels.
        return 1
    return turn if turn in _UPRIGHT else 1


def _stored(source: bytes | Path, image: Image.Image, shrink: int) -> Image.Image:
    """The pixels in RGB, not yet turned."""
    if image.format == "JPEG" and image.mode in ("RGB", "L"):
        data = source if isinstance(source, bytes) else source.read_bytes()
        pixels = decoded_jpeg(data, image.size, shrink)
        if pixels is not None:
            return image_of(pixels)
    image.load()
    return to_rgb(image)


def _upright(rgb: Image.Image, turn: int) -> Image.Image:
    if turn in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[turn])
    # Comments and the like would travel into every crop.
    rgb.info.clear()
    return rgb


def _turned(size: tuple[int, int], turn: int) -> tuple[int, int]:
    return (size[1], size[0]) if turn >= 5 else size


def _draft(image: Image.Image, at_most: int | None) -> int:
    """Has a JPEG decoded smaller; returns by how much."""
    width, height = image.size
    shrink = 1 if at_most is None else shrink_for(max(width, height), at_most)
    if shrink == 1:
        return 1
    asked = image.draft(None, (max(width // shrink, 1), max(height // shrink, 1)))
    return 1 if asked is None else round(width / asked[1][2])
