"""Images on which a latent is silent: a uniform base sample, and look-alikes drawn from a larger uniform pool."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.statistics.rates import Bools, Floats, Ints
from autointerp.transcoder.harvest.hash_rng import by_lot, keys, uniform

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
