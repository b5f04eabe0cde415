"""Reads and writes JPEGs by libjpeg-turbo: in half of Pillow's time, and without the interpreter's lock."""

from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import simplejpeg
from PIL import Image

from autointerp.arrays import as_arrow

Pixels = npt.NDArray[np.uint8]
"""RGB and a fourth byte of no meaning, as Pillow keeps them in memory: contiguous, shape [height, width, 4]."""

_TURNING = (b"Exif\0\0", b"http://ns.adobe.com/xap/")
"""What data begins with that may state an orientation."""


def plain_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of a JPEG that says nothing of how it is to be turned, and has usual colours."""
    if any(mark in data for mark in _TURNING):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return (int(width), int(height)) if colours in ("YCbCr", "Gray") else None


def decoded(data: bytes, size: tuple[int, int], shrink: int) -> Pixels | None:
    """The pixels as stored, the same as Pillow's to the bit; None where something is odd about them.

    Args:
        data: the file.
        size: width and height in pixels that are expected.
        shrink: pixels of the file per pixel of `size`, each way: 1, 2, 4 or 8.
    """
    least = size if shrink > 1 else (0, 0)
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGBX", min_width=least[0], min_height=least[1], min_factor=shrink)
    except ValueError:
        # Pillow says what is wrong with it, and takes some that this refuses.
        return None
    return pixels if pixels.shape[:2] == (size[1], size[0]) else None


def encoded(pixels: Pixels, quality: int) -> bytes:
    """A JPEG whose colours have half of the resolution, as is usual.

    Args:
        pixels: the picture.
        quality: 1 to 95.
    """
    return simplejpeg.encode_jpeg(pixels, quality, "RGBX", "420")


def image_of(pixels: Pixels) -> Image.Image:
    """An image of mode RGB over the same memory, which Pillow copies before it writes to it."""
    flat = as_arrow(pixels.reshape(-1))
    return Image.fromarrow(pa.FixedSizeListArray.from_arrays(flat, 4), "RGB", (pixels.shape[1], pixels.shape[0]))


def pixels_of(image: Image.Image) -> Pixels:
    """The pixels of an image of mode RGB, over the same memory where they lie in one piece; not to be written to."""
    try:
        flat = cast("Pixels", np.from_dlpack(pa.array(image).values))
    except ValueError:
        flat = np.frombuffer(image.tobytes("raw", "RGBX"), np.uint8)
    return flat.reshape(image.height, image.width, 4)
