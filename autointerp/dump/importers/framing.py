"""Which part of an image a resized picture of it shows, found by comparing both; masks of pictures as heat maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from autointerp.errors import ImageError
from autointerp.images.content import source_of
from autointerp.images.decode import decoding
from autointerp.images.near_duplicates import LOOKED_AT
from autointerp.populations.listing import Entry

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

GRID = (16, 16)
"""Rows and columns of the heat maps that are made of masks."""
SIDE = 16
"""Pixels each way at which pictures are compared."""
MOST_SQUARE = 20
"""An image is taken for this many times as long as broad at most."""
APART = 20.0
"""Pictures of one image differ by at most so much at that size, in the mean over pixels, on a scale of 0 to 255."""
ALIKE = 4.0
"""What differs by less is never another image: so much do other ways to resize do."""


@dataclass(frozen=True, slots=True)
class Frame:
    """How a picture is made of an image."""

    share: float | None
    """Its side as a share of the image's shorter side, around the middle; None for the whole image, squeezed."""

    @property
    def about(self) -> str:
        """Says it in words."""
        if self.share is None:
            return "whole images, squeezed to a square"
        return f"the middle squares of images, {self.share:.3g} of their shorter side"

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of an image that its picture shows, in pixels."""
        if self.share is None:
            return 0.0, 0.0, float(width), float(height)
        side = min(width, height) * self.share
        return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


FRAMES = (Frame(None), Frame(1.0), Frame(0.875))
"""Resized to a square; Resize(224) and CenterCrop(224); Resize(256) and CenterCrop(224)."""


def frame_of(pairs: Sequence[tuple[Pixels, Entry]]) -> Frame:
    """The frame under which pictures and their images are most alike.

    Args:
        pairs: pictures [H, W, 3] and the images that they should be of.
    """
    distances = [[_distance(picture, entry, frame) for picture, entry in pairs] for frame in FRAMES]
    return FRAMES[int(np.argmin([np.median(one) for one in distances]))]


def strangers(pairs: Sequence[tuple[Pixels, Entry]], frame: Frame) -> list[int]:
    """Returns the places of those pictures that are not of their images.

    A picture has to be like its image, and twice as near to it as to most of the other images: these tell how far
    apart two images of this population are, which may all be like one another. One that cannot be read is no witness.

    Args:
        pairs: pictures [H, W, 3] and the images that they should be of.
        frame: of all.
    """
    images = {entry.name: _image(entry, frame) for _, entry in pairs}
    found: list[int] = []
    for at, (picture, entry) in enumerate(pairs):
        small, own = _small(picture), images[entry.name]
        if own is None:
            continue
        others = [_apart(small, image) for name, image in images.items() if name != entry.name and image is not None]
        limit = min(APART, max(ALIKE, float(np.median(others)) / 2)) if others else APART
        if _apart(small, own) > limit:
            found.append(at)
    return found


def _distance(picture: Pixels, entry: Entry, frame: Frame) -> float:
    image = _image(entry, frame)
    return 0.0 if image is None else _apart(_small(picture), image)


def _apart(one: Floats, other: Floats) -> float:
    return float(np.mean(np.abs(one - other)))


def _small(picture: Pixels) -> Floats:
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)


def _image(entry: Entry, frame: Frame) -> Floats | None:
    """What a picture of an image would be, small; None for one that cannot be read."""
    try:
        with decoding(source_of(entry.content), at_most=LOOKED_AT) as decoded:
            image = decoded.image.convert("RGB")
            seen = image.resize((SIDE, SIDE), Image.Resampling.BOX, box=frame.box(*image.size))
    except ImageError:
        return None
    return np.asarray(seen, np.float64)


def heat_of(mask: Mask, frame: Frame | None, size: tuple[int, int]) -> bytes | None:
    """A heat map of the image of which a mask's picture shows a part; None for an empty mask.

    Args:
        mask: [H, W] of the picture.
        frame: None where the picture is the image.
        size: width and height of the image.
    """
    if not mask.any():
        return None
    canvas = _canvas(mask, frame, size)
    canvas = (
        np.kron(canvas, np.ones((-(-max(GRID) // min(canvas.shape)),) * 2)) if min(canvas.shape) < max(GRID) else canvas
    )
    starts = [np.arange(cells) * n // cells for n, cells in zip(canvas.shape, GRID, strict=True)]
    sums = np.add.reduceat(np.add.reduceat(canvas, starts[0], axis=0), starts[1], axis=1)
    down, across = (np.diff([*start.tolist(), n]) for start, n in zip(starts, canvas.shape, strict=True))
    means = sums / (down[:, None] * across)
    return np.round(means / means.max() * 255).astype(np.uint8).tobytes()


def _canvas(mask: Mask, frame: Frame | None, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The mask in the middle of the whole image, at the mask's scale."""
    if frame is None or frame.share is None:
        return mask.astype(np.float64)
    x0, y0, x1, y1 = frame.box(*size)
    height, width = (
        max(n, min(MOST_SQUARE * n, round(n * whole / part)))
        for n, whole, part in zip(mask.shape, reversed(size), (y1 - y0, x1 - x0), strict=True)
    )
    canvas = np.zeros((height, width), np.float64)
    top, left = (height - mask.shape[0]) // 2, (width - mask.shape[1]) // 2
    canvas[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return canvas
