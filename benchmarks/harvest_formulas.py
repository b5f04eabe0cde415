"""What a harvest takes, as formulas: bytes of its state, of checkpoints and of other files, and time of a core."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from autointerp.transcoder.harvest.state import MOST
from autointerp.transcoder.settings import HarvestSettings

USUAL = HarvestSettings()


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a harvest by the default options."""

    n_latents: int
    n_patches: int = 256
    d_in: int = 384
    k: int = 32
    """Latents kept of a patch."""
    density: float = 0.02
    """Share of the images on which a latent fires."""
    settings: HarvestSettings = USUAL

    @property
    def slots(self) -> int:
        """Heat maps of a latent."""
        return self.settings.n_top + self.settings.reservoir

    @property
    def row(self) -> int:
        """Bytes of a latent's heap and reservoir, without heat maps."""
        return 20 * self.settings.n_top + 28 * self.settings.reservoir

    def state(self) -> float:
        """Bytes of all that was gathered, so of a whole checkpoint: nothing of it grows with the population."""
        return self.n_latents * (self.row + self.slots * self.n_patches + 4120)

    def memory(self) -> float:
        """Bytes in memory: the state, and which parts of it changed."""
        return self.state() + self.n_latents * (1 + self.slots + 1024)

    def kept(self, first: float, last: float) -> tuple[float, float]:
        """Images of these that a latent keeps: all that fire it until its places are full, then places / (fired)."""
        full = self.slots / self.density
        before = max(0.0, min(last, full) - min(first, full)) * self.density
        return before, self.slots * math.log(max(last, full) / max(first, full))

    def change(self, first: int, last: int) -> float:
        """Bytes of a checkpoint of what the images from `first` to `last` changed."""
        (before, later), fired = self.kept(first, last), self.density * (last - first)
        # Later images take the places of others, some of them of those that came since the last checkpoint.
        heats = before + (self.slots - before) * (1 - math.exp(-later / self.slots))
        row = (self.row + 7 * 8) * (1 - math.exp(-before - later))
        return self.n_latents * ((self.n_patches + 8) * heats + row + 12 * fired + 24)

    def checkpoints(self, n_images: int) -> Iterator[float]:
        """Yields the bytes of each checkpoint of the first so many images."""
        every, whole, since, done = self.settings.checkpoint_every, self.state(), math.inf, 0
        while done < n_images:
            change = self.change(done, done + every)
            alone = change <= whole / MOST and since + change <= whole
            since = since + change if alone else 0.0
            done += every
            yield change if alone else whole

    def beside(self, n_images: int) -> tuple[float, float, float]:
        """Bytes of the files of the pool, of the images' vectors, and of the pool by patch."""
        pool = min(self.settings.n_pool, n_images)
        return 4.0 * pool * self.n_latents, 2.0 * n_images * self.d_in, 12.0 * min(64, self.k) * self.n_patches * pool

    def collecting(self, first: int, last: int) -> float:
        """Milliseconds of a core an image beside encoding."""
        kept = self.n_latents * sum(self.kept(first, last)) / (last - first)
        begun = 0.0 if first else ONCE * self.n_latents / (last - first)
        return ENTRY * self.n_patches * self.k + LATENT * self.n_latents + KEPT * kept + begun

    def encoding(self) -> float:
        """Milliseconds of a core an image to encode it, by a coder of the largest `k`."""
        return 1.6e-2 * self.n_patches + 2e-6 * self.n_patches * self.d_in * self.n_latents / GFLOPS


ENTRY, LATENT, KEPT, ONCE = 4.2e-5, 1.8e-5, 8.5e-3, 4e-2
"""Milliseconds for a latent that is on at a patch, for one of the dictionary, for an image that a latent keeps, and
for a latent of the dictionary once. Fitted at 2,048 and 16,384 latents."""
GFLOPS = 61.0
"""Of a core at products of matrices of float32."""
