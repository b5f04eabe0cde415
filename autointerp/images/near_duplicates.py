"""Near-duplicate images: a perceptual hash proposes pairs, small colour pictures confirm them, chains become groups."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image

Ints = npt.NDArray[np.int64]

LOOKED_AT = 256
"""Longest side in pixels at which near-duplicates are compared: a JPEG is decoded no larger than needs be."""
HASH_BITS = 64
HASHED_SIDE = 32
"""Pixels each way of the grey picture that is hashed; the hash holds the signs of its lowest 8 x 8 frequencies."""
HASH_DISTANCE = 8
"""Hashes of near-duplicates differ in at most so many of 64 bits: what a crop of 2 % on each side mostly needs."""
FEW = 512
"""So many pictures are compared each with each, which takes less time than sorting them."""
_SIDE = np.arange(HASHED_SIDE)
_WAVES: npt.NDArray[np.float64] = np.cos(np.pi * np.outer(np.arange(8), 2 * _SIDE + 1) / (2 * HASHED_SIDE))
"""The eight lowest functions of the discrete cosine transform (type II), [8, HASHED_SIDE]."""
THUMB_SIDE = 16
THUMB_DISTANCE = 8.0
"""Small pictures of near-duplicates differ by at most so much, root mean square on a scale of 0 to 255 …"""
THUMB_CONTRAST = 0.3
"""… and by at most this share of their own contrast, without which pale drawings on white would all be alike."""
THUMB_NOISE = 1.5
"""… though so much may always be lost to encoding."""


@dataclass(frozen=True, slots=True)
class Look:
    """What near-duplicates are found by."""

    hash: int
    """64-bit perceptual hash (signs of the grey picture's DCT about their median; blind to colour, stable under scale
    and encoding)."""
    thumb: bytes
    """16 x 16 RGB pixels, each the mean of its area."""


def look_of(image: Image.Image) -> Look:
    """Computes how a picture looks from afar."""
    grey = image.convert("L").resize((HASHED_SIDE, HASHED_SIDE), Image.Resampling.LANCZOS)
    # Rounded, so that what is 0 but for rounding errors is 0 on every machine.
    waves = np.round(_WAVES @ np.asarray(grey, np.float64) @ _WAVES.T, 3)
    bits = waves.ravel() > np.median(waves)
    colour = image if image.mode == "RGB" else image.convert("RGB")
    small = colour.resize((THUMB_SIDE, THUMB_SIDE), Image.Resampling.BOX)
    return Look(int.from_bytes(np.packbits(bits).tobytes(), "big"), small.tobytes())


def near_duplicates(looks: Sequence[Look]) -> Ints:
    """Finds the group of each picture, shape [n], numbered from 0 by first appearance; most groups have one member.

    Two pictures are near-duplicates if their hashes and their small pictures are close, and groups are the connected
    components. All pairs with close hashes are found, among many pictures without comparing all pairs: of k + 1 bands
    of the hash, one at least is the same where at most k bits differ. With the limits above, resized and re-encoded
    copies and crops of up to 1 or 2 % on each side are found; tighter crops mostly are not.
    """
    if not looks:
        return np.zeros(0, np.int64)
    places: dict[Look, int] = {}
    which = np.array([places.setdefault(look, len(places)) for look in looks], dtype=np.int64)
    hashes = np.array([look.hash for look in places], dtype=np.uint64)
    close = list(_close(hashes, HASH_DISTANCE))
    pairs = np.unique(np.concatenate(close), axis=0) if close else np.zeros((0, 2), np.int64)
    if not len(pairs):
        return _numbered(which)
    thumbs = np.array([np.frombuffer(look.thumb, np.uint8) for look in places]).reshape(len(places), -1)
    return _numbered(_components(len(places), pairs[_alike(thumbs, pairs)])[which])


def shared_names(groups: Ints, prefix: str) -> list[str | None]:
    """A name for each picture that shares its group with another, else None.

    Args:
        groups: of each picture, numbered from 0, shape [n].
        prefix: what the names begin with.
    """
    sizes = np.bincount(groups) if len(groups) else np.zeros(0, np.int64)
    return [f"{prefix}-{g}" if sizes[g] > 1 else None for g in groups.tolist()]


def joined(n: int, *labels: Sequence[Hashable | None]) -> Ints:
    """Makes groups that join whatever shares a label, shape [n], numbered from 0 by first appearance.

    Args:
        n: pictures.
        labels: of each picture, of several kinds; None joins nothing.
    """
    pairs: list[tuple[int, int]] = []
    for kind in labels:
        first: dict[Hashable, int] = {}
        pairs += [(i, first.setdefault(label, i)) for i, label in enumerate(kind) if label is not None]
    return _numbered(_components(n, np.array(pairs, np.int64).reshape(-1, 2)))


def _close(hashes: npt.NDArray[np.uint64], distance: int) -> Iterator[Ints]:
    """Yields pairs of positions, [pairs, 2], that differ in at most `distance` bits; one may come several times."""
    if len(hashes) <= FEW:
        yield np.argwhere(np.triu(np.bitwise_count(hashes[:, None] ^ hashes) <= distance, 1))
        return
    edges = np.linspace(0, HASH_BITS, distance + 2).astype(np.uint64)
    for low, high in pairwise(edges.tolist()):
        band = (hashes >> np.uint64(low)) & np.uint64(2 ** (high - low) - 1)
        order = np.argsort(band, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(band[order])) + 1):
            for i in range(len(members) - 1):
                rest = members[i + 1 :]
                near = rest[np.bitwise_count(hashes[rest] ^ hashes[members[i]]) <= distance]
                if len(near):
                    yield np.stack([np.full(len(near), members[i]), near], axis=1)


def _alike(thumbs: npt.NDArray[np.uint8], pairs: Ints) -> npt.NDArray[np.bool_]:
    """Says which pairs have small pictures that differ little, shape [pairs]."""
    out = np.zeros(len(pairs), dtype=np.bool_)
    for start in range(0, len(pairs), 4096):
        part = slice(start, start + 4096)
        one, other = (thumbs[pairs[part, side]].astype(np.float32) for side in (0, 1))
        apart = np.sqrt(np.mean((one - other) ** 2, axis=1))
        contrast = np.minimum(one.std(axis=1), other.std(axis=1))
        out[part] = apart <= np.clip(THUMB_CONTRAST * contrast, THUMB_NOISE, THUMB_DISTANCE)
    return out


def _components(n: int, pairs: Ints) -> Ints:
    """The lowest member of each one's connected component, shape [n]."""
    label = np.arange(n, dtype=np.int64)
    while True:
        low = label.copy()
        for one, other in ((0, 1), (1, 0)):
            np.minimum.at(low, pairs[:, one], label[pairs[:, other]])
        low = low[low]
        if np.array_equal(low, label):
            return label
        label = low


def _numbered(labels: Ints) -> Ints:
    """Returns the same partition, numbered by first appearance."""
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[which].astype(np.int64)
