"""Histograms of activations whose range is not known beforehand: fine bins that double in width when they must."""

import numpy as np
import numpy.typing as npt

from autointerp.statistics.rates import Ints

N_FINE = 1024
"""Fine bins a latent; their width is a power of two, and they reach beyond its maximum, but not twice as far."""
NONE = -(2**30)
"""Exponent of a latent that has not fired."""

Floats = npt.NDArray[np.float32]


class Levels:
    """How often each latent fired how strongly.

    A fine bin is 2^e wide, with the smallest e for which `N_FINE` of them reach beyond the latent's maximum. When a new
    maximum asks for a greater e, neighbouring bins are added in pairs, which loses nothing: the counts depend on which
    activations were added, and neither on their order nor on how they were batched.

    Args:
        n_latents: Size of the dictionary.
        above: Activations are greater than this.
    """

    def __init__(self, n_latents: int, above: float) -> None:
        self.above = above
        self.exponent = np.full(n_latents, NONE, np.int32)
        self.counts = np.zeros((n_latents, N_FINE), np.int32)

    def add(self, latents: Ints, activations: Floats) -> None:
        """Adds activations, [events], of `latents`, [events]."""
        height = activations.astype(np.float64) - self.above
        # height = m·2^x with ½ <= m < 1, so that height / N_FINE < 2^(x - log2 N_FINE).
        needed = self.exponent.copy()
        np.maximum.at(needed, latents, np.frexp(height / N_FINE)[1].astype(np.int32))
        self._widen(needed)
        fine = np.floor(np.ldexp(height, -self.exponent[latents])).astype(np.int64)
        np.add.at(self.counts.reshape(-1), latents * N_FINE + fine, 1)

    def coarse(self, latent: int, highest: float, n_bins: int) -> Ints:
        """Returns [n_bins]: counts in equal bins from `above` to `highest`, the latent's maximum.

        Each fine bin goes where its middle lies. A fine bin is less than 2/`N_FINE` of the range wide, so that an image
        is counted beside its bin only if it lies nearer than 1/`N_FINE` of the range to the bin's edge.
        """
        counts = self.counts[latent]
        middle = (np.arange(N_FINE) + 0.5) * np.ldexp(1.0, int(self.exponent[latent]))
        at = np.minimum((middle / (highest - self.above) * n_bins).astype(np.int64), n_bins - 1)
        return np.bincount(at, weights=counts, minlength=n_bins).astype(np.int64)

    def _widen(self, needed: npt.NDArray[np.int32]) -> None:
        first = self.exponent == NONE
        self.exponent[first] = needed[first]
        while len(behind := np.flatnonzero(self.exponent < needed)):
            self.counts[behind, : N_FINE // 2] = self.counts[behind].reshape(len(behind), -1, 2).sum(axis=2)
            self.counts[behind, N_FINE // 2 :] = 0
            self.exponent[behind] += 1
