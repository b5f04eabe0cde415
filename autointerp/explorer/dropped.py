"""Images that were dropped onto a page: read from a request, encoded, and the last ones kept in memory."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

from starlette.exceptions import HTTPException
from starlette.requests import Request

from autointerp.explorer.encoding import ImageEncoder
from autointerp.explorer.heat import heat_png
from autointerp.explorer.pictures import HEAT, QUALITY, WHOLE
from autointerp.images.decode import decode
from autointerp.images.jpeg import encoded, pixels_of
from autointerp.images.region import box_from_heat
from autointerp.schema import Box
from autointerp.transcoder.fired import FiredLatent, FiredOn
from autointerp.web.bodies import body_of

MOST_BYTES = 64 << 20
"""Of a file that is dropped."""
KEPT = 16
"""Images that are kept."""
MASS, MARGIN = 0.9, 0.15
"""Boxes are those that a harvest writes."""


@dataclass(frozen=True, slots=True)
class DroppedImage:
    """Is an image that was dropped, with what fires on it."""

    jpeg: bytes
    """The image as it is shown."""
    fired: FiredOn

    def boxed(self) -> Iterator[tuple[FiredLatent, Box | None]]:
        """Yields what fires with the box of its region, the strongest first."""
        grid = self.fired.grid
        for one in self.fired.latents:
            box = None
            if one.heat is not None and grid is not None:
                box = box_from_heat(one.heat, grid, self.fired.size, mass=MASS, margin=MARGIN)
            yield one, box

    def heat(self, feature: int) -> bytes | None:
        """The heat map of a feature as a PNG; None where there is none."""
        heat = next((one.heat for one in self.fired.latents if one.latent == feature), None)
        if heat is None or self.fired.grid is None:
            return None
        width, height = self.fired.size
        return heat_png(heat, self.fired.grid, (width, height), Box(0, 0, width, height), HEAT)


class Dropped:
    """Keeps the images that were dropped last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, DroppedImage] = OrderedDict()
        self._lock = Lock()
        self._working = Lock()

    def take(self, encoder: ImageEncoder, data: bytes, *, above: float, most: int) -> tuple[str, DroppedImage]:
        """Encodes a file; one at a time, since each takes the whole machine.

        Returns:
            The key under which it is found again, and what was found.

        Raises:
            ImageError: it cannot be decoded.
        """
        key = hashlib.sha256(data).hexdigest()
        with self._working:
            if (known := self.get(key)) is not None:
                return key, known
            fired = encoder.encode(data, above=above, most=most)
            made = DroppedImage(_shown(data), fired)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return key, made

    def get(self, key: str) -> DroppedImage | None:
        """The image of that key; None where it is not kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found


def _shown(data: bytes) -> bytes:
    image = decode(data, at_most=WHOLE).image
    image.thumbnail((WHOLE, WHOLE))
    return encoded(pixels_of(image), QUALITY)


async def file_in(request: Request) -> bytes:
    """The file that a request brings.

    Raises:
        HTTPException: 413, it is larger than an image may be.
    """
    try:
        return await body_of(request, MOST_BYTES)
    except ValueError as error:
        raise HTTPException(413, f"This file is larger than {MOST_BYTES >> 20} MB.") from error
