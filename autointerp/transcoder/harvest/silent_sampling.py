"""Images on which a latent is silent: a uniform base sample, and look-alikes drawn from a larger uniform pool."""

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.statistics.rates import Bools, Floats, Ints

Keys = npt.NDArray[np.uint64]

STEP = np.uint64(0x9E3779B97F4A7C15)


def keys(seed: int, purpose: str, *numbers: Ints) -> Keys:
    """Returns a 64-bit key for each row of numbers, shape of the numbers; as if drawn uniformly and independently.

    Args:
        seed: Of the harvest.
        purpose: Draws for different purposes are independent.
        numbers: One or more arrays, of one shape or broadcast to one: such as latents and images.
    """
    start = int.from_bytes(hashlib.sha256(f"{purpose}:{seed}".encode()).digest()[:8], "little")
    state = np.full(np.broadcast_shapes(*(n.shape for n in numbers)), start, np.uint64)
    for number in numbers:
        state = _mixed(state + (number.astype(np.uint64) + np.uint64(1)) * STEP)
    return state


def uniform(drawn: Keys) -> Floats:
    """Returns the keys as numbers in [0, 1)."""
    return (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53


def by_lot(n: int, seed: int) -> Ints:
    """Orders 0 … n - 1 by lot with `seed`: the first m are a uniform draw of m without replacement."""
    return np.argsort(keys(seed, "population", np.arange(n)), kind="stable")


def _mixed(x: Keys) -> Keys:
    """Mixes bits by SplitMix64's finaliser (Steele, Lea & Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


SHARPNESS = 12.0
"""A look-alike's chance goes with exp(SHARPNESS · cosine)."""
MOST = 0.5
"""No look-alike is more certain than this, since weights 1/probability should not differ by more than they must."""

Vectors = npt.NDArray[np.float32]


class Lot(NamedTuple):
    """Images drawn once for all latents, before the pass."""

    images: Ints
    """[n_pool], in the order of the lot: a uniform draw without replacement."""
    n_base: int
    """The first so many are the base sample."""
    n_images: int
    """Size of the population."""

    def chance(self, guided: Floats) -> Floats:
        """Computes the chance that a silent image becomes evidence, given its chance `guided` to be drawn in the pool.

        A pool of C of N images, a base of S of these: an image is in the pool with chance C/N; given that it is, it is
        in the base with chance S/C and, independently, guided with chance g. So C/N · (S/C + g - S/C·g), which is
        S/N + g - S/N·g where the pool is the whole population. g depends on the pool; the product is the chance in two
        phases (Särndal, Swensson & Wretman 1992, section 9.3), whose inverse, summed over what is drawn, estimates any
        total without bias.
        """
        in_pool = len(self.images) / self.n_images
        base = self.n_base / len(self.images)
        return in_pool * (1 - (1 - base) * (1 - guided))


def draw_lot(n_images: int, *, n_base: int, n_pool: int, seed: int) -> Lot:
    """Draws pool and base of a population of `n_images`; both are at most the whole."""
    n_base = min(n_base, n_images)
    return Lot(by_lot(n_images, seed)[: max(n_base, min(n_pool, n_images))], n_base, n_images)


class SilentDraw(NamedTuple):
    """Which images of the pool are a latent's silent evidence."""

    base: Ints
    """Places in the lot of those of the base sample that no look-alike draw picked, by image."""
    guided: Ints
    """Places of the look-alikes, by image."""
    chance: Floats
    """[n_pool]: chance of each image of the pool to come in either way."""


def draw_silent(lot: Lot, latent: int, *, silent: Bools, cosine: Vectors, n_guided: int, seed: int) -> SilentDraw:
    """Draws one latent's silent images.

    Args:
        lot: the pool.
        latent: its number, which the draw depends on.
        silent: [n_pool]: on which of the pool it does not fire.
        cosine: [n_pool], likeness to the images that fire it, -1 to 1.
        n_guided: look-alikes on the mean.
        seed: of the harvest.
    """
    guided = guided_chances(cosine, silent, n_guided)
    drawn = uniform(keys(seed, "guided", np.array([latent]), lot.images)) < guided
    base = silent & ~drawn & (np.arange(len(silent)) < lot.n_base)
    by_image = np.argsort(lot.images)
    return SilentDraw(by_image[base[by_image]], by_image[drawn[by_image]], lot.chance(guided))


def guided_chances(cosine: Vectors, silent: Bools, n_guided: int) -> Floats:
    """Returns the chance of each image of the pool to be drawn as a look-alike, [n_pool]; 0 where it is not silent.

    Proportional to exp(SHARPNESS · cosine), at most `MOST`, and summing to `n_guided` where there are silent images
    enough: images are drawn independently (Poisson sampling), so that their number is `n_guided` on the mean.

    Args:
        cosine: [n_pool], likeness to the images that fire the latent, -1 to 1.
        silent: [n_pool].
        n_guided: wanted on the mean.
    """
    chance = np.zeros(len(cosine))
    if not n_guided or not silent.any():
        return chance
    wish = np.exp(SHARPNESS * cosine[silent].astype(np.float64))
    order = np.argsort(-wish, kind="stable")
    falling = wish[order]
    rest = np.cumsum(falling[::-1])[::-1]
    # With the j highest at MOST, the others share what is left of the sum; the first j whose next one fits is it.
    scale = (n_guided - MOST * np.arange(len(falling))) / rest
    fits = np.flatnonzero((scale * falling <= MOST) & (scale >= 0))
    n_capped = int(fits[0]) if len(fits) else len(falling)
    capped = np.full(len(falling), MOST)
    capped[n_capped:] = falling[n_capped:] * (scale[n_capped] if len(fits) else 0.0)
    own = np.empty(len(falling))
    own[order] = capped
    chance[silent] = own
    return chance


class Likeness:
    """How like a latent's active images the images of the pool are.

    Vectors are centred on the pool's mean: image vectors of a network share a large common part, beside which no
    difference would show.

    Args:
        vectors: [n_pool, d], of the pool's images.
    """

    def __init__(self, vectors: Vectors) -> None:
        self._centre = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._units = _unit(vectors - self._centre)

    def to(self, means: Vectors) -> Vectors:
        """Computes the cosine of each image with the mean vector of each latent's active images, [n_latents, n_pool].

        Args:
            means: [n_latents, d].
        """
        return _unit(means - self._centre) @ self._units.T


def _unit(rows: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(rows, axis=-1, keepdims=True).astype(np.float32)
    lengths[lengths == 0] = 1
    return rows / lengths


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
