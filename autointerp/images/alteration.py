"""Pictures made of a dump's images to ask the network again: a region alone, taken away, or put into another."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from autointerp.images.decode import Decoded
from autointerp.images.picture import ERASER
from autointerp.schema import Box, Erasure, ImageRow

ERASURES: tuple[Erasure, ...] = ("mean", "blur", "inpaint")
Kind = Literal["whole", "crop", "mean", "blur", "inpaint", "paste"]
_BORDER = 0.08
"""The width of the border whose mean is taken, as a share of the region's shorter side."""
_SOLVED = 96
"""The longest side at which the smoothest surface is solved for, in pixels; it has no detail that more would show."""

Pixels = npt.NDArray[np.float64]
NO_IMAGE = -1
"""The number of a picture that is no image of the dump."""


@dataclass(frozen=True, slots=True)
class Source:
    """An image of the dump, or a picture that was made of words."""

    image: int
    sha256: str
    size: tuple[int, int]
    """Width and height in pixels as displayed."""
    file: Path | None = None
    """Of a picture that is no image of the dump: where it lies."""

    @classmethod
    def of(cls, row: ImageRow) -> Self:
        """Makes the source of an image's row."""
        return cls(row.image, row.sha256, (row.width, row.height))


Read = Callable[[Source, int | None], Decoded]
"""Gives an image, decoded so that its longest side keeps so many pixels at least; all of it for None."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """Says how a picture is made; its digest needs no pixel."""

    kind: Kind
    source: Source
    box: Box | None = None
    """The region, in pixels of the image; None where the whole image is meant."""
    into: Source | None = None
    """Of a paste: the image that the region is put into."""
    at: Box | None = None
    """Where it is put there, in pixels of that image; the region is brought to its size."""

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height in pixels of the picture, of images in full size."""
        if self.kind == "crop" and self.box is not None:
            return self.box.width, self.box.height
        return (self.into or self.source).size

    @property
    def digest(self) -> str:
        """SHA-256, hex, over all that decides the pixels."""
        into = None if self.into is None else self.into.sha256
        box, at = (None if region is None else region.corners for region in (self.box, self.at))
        recipe = (ERASER, self.kind, self.source.sha256, box, into, at)
        return hashlib.sha256(repr(recipe).encode()).hexdigest()


def whole(source: Source) -> Alteration:
    """Says that the image is shown as it is."""
    return Alteration("whole", source)


def crop(source: Source, box: Box) -> Alteration:
    """Says that the region is shown alone."""
    return Alteration("crop", source, box)


def erased(source: Source, box: Box, how: Erasure) -> Alteration:
    """Says that the image is shown without the region."""
    return Alteration(how, source, box)


def pasted(source: Source, box: Box, into: Source, at: Box) -> Alteration:
    """Says that another image is shown with the region put into it."""
    return Alteration("paste", source, box, into, at)


def altered(what: Alteration, read: Read, enough: Callable[[tuple[int, int]], int]) -> Image.Image:
    """Makes the picture that an alteration describes.

    Args:
        what: says how.
        read: gives the images, which are not changed.
        enough: the longest side in pixels that suffices for an image of a size that is shown whole. What is left of
            an image as it was then has the very pixels that the image by itself would have.

    Returns:
        RGB pixels of the caller's own.

    Raises:
        ImageError: an image cannot be read.
    """
    source, box = what.source, what.box
    if what.kind == "crop":
        assert box is not None
        return read(source, None).image.crop(box.corners)
    if what.kind == "paste":
        assert box is not None
        assert what.into is not None
        assert what.at is not None
        host = read(what.into, enough(what.into.size)).image.copy()
        at = _scaled(what.at, what.into.size, host.size)
        region = read(source, None).image.crop(box.corners)
        host.paste(region.resize((at.width, at.height), Image.Resampling.BICUBIC), (at.x0, at.y0))
        return host
    image = read(source, enough(source.size)).image.copy()
    if box is not None and what.kind != "whole":
        erase(image, box, source.size, what.kind)
    return image


def erase(image: Image.Image, box: Box, size: tuple[int, int], how: Erasure) -> None:
    """Takes a region away from an image, in place.

    Args:
        image: RGB, perhaps decoded smaller.
        box: the region in pixels of the full size.
        size: width and height in full size.
        how: by which filling.
    """
    box = _scaled(box, size, image.size)
    match how:
        case "mean":
            fill = Image.new("RGB", (box.width, box.height), _mean_around(image, box))
        case "blur":
            fill = _blurred(image, box)
        case "inpaint":
            fill = _smoothest(image, box)
    image.paste(fill, (box.x0, box.y0))


def _mean_around(image: Image.Image, box: Box) -> tuple[int, int, int]:
    """The mean colour of the pixels that border the region."""
    outer = _grown(box, max(1, round(_BORDER * min(box.width, box.height))), image.size)
    pixels = np.asarray(image.crop(outer.corners), np.float64)
    outside = ~_inside(outer, box)
    red, green, blue = (pixels[outside] if outside.any() else pixels.reshape(-1, 3)).mean(axis=0)
    return round(red), round(green), round(blue)


def _blurred(image: Image.Image, box: Box) -> Image.Image:
    radius = max(1.0, min(box.width, box.height) / 2)
    outer = _grown(box, round(3 * radius), image.size)
    seen = image.crop(outer.corners).filter(ImageFilter.GaussianBlur(radius))
    x, y = box.x0 - outer.x0, box.y0 - outer.y0
    return seen.crop((x, y, x + box.width, y + box.height))


def _smoothest(image: Image.Image, box: Box) -> Image.Image:
    """Fills the region by Laplace's equation with the pixels around it as its border (membrane interpolation).

    Where the region meets the image's edge there is no border, and the surface ends level.
    """
    ring = max(1, max(box.width, box.height) // _SOLVED + 1)
    outer = _grown(box, ring, image.size)
    scale = min(1.0, _SOLVED / max(outer.width, outer.height))
    size = max(2, round(scale * outer.width)), max(2, round(scale * outer.height))
    seen = image.crop(outer.corners).resize(size, Image.Resampling.BOX)
    across, down = size[0] / outer.width, size[1] / outer.height
    hole = Box(
        round((box.x0 - outer.x0) * across),
        round((box.y0 - outer.y0) * down),
        max(1, round((box.x1 - outer.x0) * across)),
        max(1, round((box.y1 - outer.y0) * down)),
    )
    inside = _inside(Box(0, 0, *size), hole)
    if inside.all():
        return Image.new("RGB", (box.width, box.height), _mean_around(image, box))
    solved = harmonic(np.asarray(seen, np.float64), inside)
    filled = Image.fromarray(np.clip(np.round(solved), 0, 255).astype(np.uint8), "RGB")
    part = filled.crop(hole.corners)
    return part.resize((box.width, box.height), Image.Resampling.BICUBIC)


def harmonic(pixels: Pixels, hole: npt.NDArray[np.bool_]) -> Pixels:
    """Fills a hole so that each pixel in it is the mean of its neighbours above, below, left and right.

    Args:
        pixels: [rows, columns, channels].
        hole: [rows, columns], which are filled; at least one is not.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import splu

    number = np.full(hole.shape, -1)
    number[hole] = np.arange(int(hole.sum()))
    n = int(hole.sum())
    degree, known = np.zeros(n), np.zeros((n, pixels.shape[2]))
    rows: list[npt.NDArray[np.int64]] = []
    columns: list[npt.NDArray[np.int64]] = []
    for axis in (0, 1):
        for one, other in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
            here, there = (
                ((one, slice(None)), (other, slice(None))) if axis == 0 else ((slice(None), one), (slice(None), other))
            )
            inner = hole[here]
            own, next_to = number[here][inner], number[there][inner]
            degree += np.bincount(own, minlength=n)
            fixed = next_to < 0
            np.add.at(known, own[fixed], pixels[there][inner][fixed])
            rows.append(own[~fixed])
            columns.append(next_to[~fixed])
    i = np.concatenate([*rows, np.arange(n)])
    j = np.concatenate([*columns, np.arange(n)])
    values = np.concatenate([np.full(len(i) - n, -1.0), degree])
    out = pixels.copy()
    out[hole] = splu(coo_matrix((values, (i, j)), shape=(n, n)).tocsc()).solve(known)
    return out


def _inside(outer: Box, box: Box) -> npt.NDArray[np.bool_]:
    """[rows, columns] of the outer box: which of its pixels are in the other."""
    found = np.zeros((outer.height, outer.width), np.bool_)
    found[box.y0 - outer.y0 : box.y1 - outer.y0, box.x0 - outer.x0 : box.x1 - outer.x0] = True
    return found


def _grown(box: Box, by: int, size: tuple[int, int]) -> Box:
    return Box(max(0, box.x0 - by), max(0, box.y0 - by), min(size[0], box.x1 + by), min(size[1], box.y1 + by))


def _scaled(box: Box, size: tuple[int, int], made: tuple[int, int]) -> Box:
    """The region in an image that was decoded smaller, one pixel at least."""
    if size == made:
        return box
    across, down = made[0] / size[0], made[1] / size[1]
    x0, y0 = min(round(box.x0 * across), made[0] - 1), min(round(box.y0 * down), made[1] - 1)
    return Box(x0, y0, max(x0 + 1, round(box.x1 * across)), max(y0 + 1, round(box.y1 * down)))
