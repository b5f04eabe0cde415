"""How much memory decoding takes, and how much of it there may be at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from PIL import Image

MAX_BYTES = 512 * 2**20
"""That one image may take while it is decoded."""
ALL_BYTES = 2 * MAX_BYTES
"""That all images may take which the threads of a process decode at once."""

_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
"""Bytes of a pixel in memory by mode; four in all others."""
_WORK = {"WEBP": 12, "AVIF": 8, "JPEG2000": 20, "TIFF": 4, "GIF": 4}
"""Bytes that a format's decoder holds besides for each pixel, as measured; line by line where it is not named."""
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
    return (stored + work + made) * image.width * image.height + passes


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
