"""Heat maps as pictures that are laid over others."""

import hashlib
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

from autointerp.schema import Box

VERSION = 1
"""Raised whenever the same heat map would give other pixels."""
COOL, HOT = (255, 196, 0), (214, 0, 76)
"""Colours of what hardly fires and of the image's maximum."""
OPAQUE = 0.9
"""How much of the picture below the maximum hides."""


def heat_digest(heat: bytes, grid: tuple[int, int], size: tuple[int, int], part: Box) -> str:
    """A digest of all that decides the pixels of `heat_png`."""
    whole = hashlib.sha256(f"{VERSION} {grid} {size} {part} ".encode())
    whole.update(heat)
    return whole.hexdigest()[:32]


def heat_png(heat: bytes, grid: tuple[int, int], size: tuple[int, int], part: Box, side: int) -> bytes:
    """A PNG of a part of an image, transparent where the feature does not fire.

    Args:
        heat: rows·cols bytes, row-major, 0–255.
        grid: rows and columns of `heat`.
        size: width and height of the image in pixels.
        part: of the image, in its pixels.
        side: longest side of the picture in pixels.
    """
    rows, columns = grid
    across, down = columns / size[0], rows / size[1]
    longest = max(part.width, part.height)
    wanted = (max(1, round(side * part.width / longest)), max(1, round(side * part.height / longest)))
    cells = Image.fromarray(np.frombuffer(heat, np.uint8).reshape(rows, columns))
    box = (part.x0 * across, part.y0 * down, part.x1 * across, part.y1 * down)
    laid = cells.resize(wanted, Image.Resampling.BILINEAR, box=box)
    colours, opacity = _ramp()
    laid = Image.frombytes("P", wanted, laid.tobytes())
    laid.putpalette(colours)
    out = BytesIO()
    laid.save(out, "png", transparency=opacity)
    return out.getvalue()


@cache
def _ramp() -> tuple[bytes, bytes]:
    """Red, green and blue of each of 256 levels, and how opaque each is."""
    level = np.linspace(0, 1, 256)
    colours = np.array(COOL) + level[:, None] * (np.array(HOT) - np.array(COOL))
    opacity = OPAQUE * level**0.8
    return np.round(colours).astype(np.uint8).tobytes(), np.round(255 * opacity).astype(np.uint8).tobytes()
