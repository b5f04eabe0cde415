"""Activation bands: which images of a reservoir become evidence, and how likely each firing image was to be drawn."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.statistics.rates import Ints
from autointerp.transcoder.harvest.hash_rng import Keys


class Band(NamedTuple):
    """One band of a latent."""

    stratum: str
    """`q1` and so on, from low to high activation."""
    places: Ints
    """Which of the reservoir were drawn, by descending activation."""
    probability: float
    """Chance that each firing image below the top had of being drawn."""


def cut(
    activation: npt.NDArray[np.float32], image: Ints, key: Keys, *, n_rest: int, n_bands: int, n_per_band: int
) -> list[Band]:
    """Cuts a reservoir into bands of equal count by activation and draws in each those with the lowest keys.

    The reservoir holds r of the `n_rest` images that fire the latent and are not in `top`, drawn uniformly without
    replacement. Given who is in it, the order of their keys is uniform and knows nothing of activations, so that the
    lowest keys of a band are a uniform draw in it. The chance of an image is therefore

        r < n_rest:  (r / n_rest) · (n_per_band / (r / n_bands)) = n_bands · n_per_band / n_rest

    for every image, since r is a multiple of `n_bands` then and each band has r / n_bands members, into whichever of
    them the image falls: bands are the reservoir's own quantiles. With r = n_rest nothing was left out, bands are the
    quantiles of all, and the chance is (drawn) / (size of the band).

    Args:
        activation: [r].
        image: [r]; of equal activations the lower image counts as the stronger.
        key: [r].
        n_rest: images that fire it and are not in `top`.
        n_bands: at most; fewer where a band would hold fewer than `n_per_band`, though at least one.
        n_per_band: drawn in each.
    """
    if not len(image):
        return []
    n_bands = max(1, min(n_bands, len(image) // n_per_band))
    weakest_first = np.lexsort((-image, activation))
    found = []
    for number, band in enumerate(np.array_split(weakest_first, n_bands), 1):
        drawn = np.sort(np.argsort(key[band], kind="stable")[:n_per_band])[::-1]
        chance = len(drawn) / len(band) * len(image) / n_rest
        found.append(Band(f"q{number}", band[drawn], chance))
    return found
