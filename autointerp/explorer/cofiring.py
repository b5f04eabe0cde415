"""Which features fire on the same images as a feature, estimated from the rows that a dump stores."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from autointerp.arrays import Ints
from autointerp.explorer.reverse import Rows

ONE_SIDED = 1.645
"""Standard errors below an estimate that a lower bound of 95 % stands."""


class ByImage(Protocol):
    """Gives the rows of the features that fire on an image."""

    def of(self, place: int, /) -> Rows:
        """Returns the rows of the image at a place of images.parquet."""
        ...


class Stored(NamedTuple):
    """Is an image that fires a feature, as a row of the feature says."""

    place: int
    """In images.parquet."""
    probability: float
    """Chance that it had of entering the feature's rows, in (0, 1]."""


class Near(NamedTuple):
    """Is a feature that fires on the same images as another one."""

    feature: int
    cosine: float
    """Of the two features' firing over all images, 0 to 1: images on which both fire, over the root of the product of
    the numbers on which each does (Ochiai's coefficient)."""
    low: float
    """Its lower bound."""
    shared: int
    """Stored rows that the two have in common."""


def cofiring(
    reverse: ByImage, feature: int, own: Sequence[Stored], ids: Ints, n_active: Ints, *, most: int
) -> list[Near]:
    """The features that fire most on a feature's images, by the lower bound of the cosine.

    A stored row is a draw: an image that both features store counts 1/(p·q), with p and q its chances of entering the
    rows of each, which are drawn apart. The sum estimates on how many images both fire without bias, and its variance
    is that of independent draws (Horvitz and Thompson 1952). Both fire on no fewer images than they share in their
    rows.

    Args:
        reverse: of the dump.
        feature: whose neighbours are sought.
        own: its rows on which it fires.
        ids: features of the dump, ascending.
        n_active: [features], images on which each fires.
        most: how many are given at most.
    """
    n, n_latents = len(ids), int(ids[-1]) + 1
    both, variance, shared = np.zeros(n_latents), np.zeros(n_latents), np.zeros(n_latents, np.int64)
    for stored in own:
        rows = reverse.of(stored.place)
        # No image comes twice in a feature's rows, so that no feature comes twice here.
        others, chance = rows["feature"], rows["probability"].astype(np.float64) * stored.probability
        both[others] += 1 / chance
        variance[others] += (1 - chance) / chance**2
        shared[others] += 1
    found = np.flatnonzero(shared)
    found = found[(found != feature) & np.isin(found, ids)]
    counts = n_active[np.searchsorted(ids, found)].astype(np.float64)
    mine = float(n_active[np.searchsorted(ids, feature)]) if n else 0.0
    at_most = np.minimum(counts, mine)
    estimate = np.minimum(both[found], at_most)
    low = np.minimum(np.maximum(both[found] - ONE_SIDED * np.sqrt(variance[found]), shared[found]), at_most)
    scale = np.sqrt(np.maximum(counts * mine, 1))
    order = np.lexsort((found, -estimate / scale, -low / scale))[:most]
    return [
        Near(int(found[i]), float(estimate[i] / scale[i]), float(low[i] / scale[i]), int(shared[found[i]]))
        for i in order.tolist()
    ]


def alike_directions(directions: np.ndarray, feature: int, *, most: int) -> list[tuple[int, float]]:
    """The features whose decoder vectors point most in a feature's direction, with the cosines.

    Args:
        directions: [n_latents, d], of length 1 or 0.
        feature: whose neighbours are sought.
        most: how many are given at most.
    """
    cosine = directions @ directions[feature]
    cosine[feature] = -np.inf
    nearest = np.argpartition(-cosine, min(most, len(cosine) - 1))[:most]
    return [(int(i), float(cosine[i])) for i in nearest[np.argsort(-cosine[nearest], kind="stable")] if i != feature]
