"""What one coder's harvest has gathered so far, in memory that does not grow with the population."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from autointerp.statistics.rates import Ints
from autointerp.transcoder.harvest.active import ActiveImages
from autointerp.transcoder.harvest.encode import Peaks, entries_of, heats_of, peaks_of
from autointerp.transcoder.harvest.histogram import Levels
from autointerp.transcoder.harvest.rows import RowFile
from autointerp.transcoder.harvest.silent_sampling import Lot
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.settings import HarvestSettings

Arrays = dict[str, npt.NDArray[np.generic]]


class Collector:
    """Counts, heaps, reservoirs and histograms of all latents of one coder; the pool's activations lie on disk.

    Args:
        source: The coder.
        settings: What is kept.
        lot: The pool.
        above: Activation above which a latent fires, raw units; a float32.
        shape: Patches of an image (0 where the coder reads one vector an image) and channels that it reads.
        folder: Where the rows on disk go.
        name: Of the files there.
    """

    def __init__(
        self,
        source: Source,
        settings: HarvestSettings,
        lot: Lot,
        *,
        above: float,
        shape: tuple[int, int],
        folder: Path,
        name: str,
    ) -> None:
        n_latents, (n_patches, d_in) = source.encoder.n_latents, shape
        self.source = source
        self.lot = lot
        self.above = above
        self.n_active = np.zeros(n_latents, np.int64)
        self.n_active_attribute = np.zeros(n_latents, np.int64)
        self.highest = np.zeros(n_latents, np.float32)
        self.active = ActiveImages(
            n_latents, settings.n_top, settings.reservoir, n_patches=n_patches, seed=settings.seed
        )
        self.levels = Levels(n_latents, above)
        self.pool = RowFile(folder / f"{name}-pool.float32", (len(lot.images), n_latents), np.float32)
        """Activations of the pool's images, rows in the order of the lot."""
        self.vectors = RowFile(folder / f"{name}-vectors.float16", (lot.n_images, d_in), np.float16)
        """Mean of what the coder reads over an image's patches, unit length, by image."""
        self._place = np.full(lot.n_images, -1, np.int64)
        self._place[lot.images] = np.arange(len(lot.images))

    def add(self, images: Ints, inputs: Tensor, attribute: npt.NDArray[np.bool_]) -> None:
        """Takes in a batch, each image of the population once.

        Args:
            images: [n], ids.
            inputs: [n, patches, d_in] or [n, d_in], raw units.
            attribute: [n].

        Raises:
            SettingsError: an activation is not finite, or the disk is full.
        """
        tokens = inputs[:, None] if inputs.ndim == 2 else inputs
        entries = entries_of(self.source.encoder, self.source.name, tokens)
        shape = (len(images), tokens.shape[1], self.source.encoder.n_latents)
        peaks = peaks_of(entries, shape[0], shape[2])
        fires = peaks > np.float32(self.above)
        self.n_active += fires.sum(axis=0)
        self.n_active_attribute += fires[attribute].sum(axis=0)
        self.highest = np.maximum(self.highest, np.where(fires, peaks, 0).max(axis=0))
        at, latents = np.nonzero(fires)
        self.levels.add(latents, peaks[at, latents])
        self.active.offer(
            latents,
            images[at],
            peaks[at, latents],
            lambda rows: heats_of(entries, shape, at[rows], latents[rows]),
        )
        self._keep_rows(images, tokens, peaks)

    def _keep_rows(self, images: Ints, tokens: Tensor, peaks: Peaks) -> None:
        vectors = tokens.float().mean(dim=1).cpu().numpy()
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors.write(images, vectors / np.maximum(lengths, np.finfo(np.float32).tiny))
        place = self._place[images]
        self.pool.write(place[place >= 0], peaks[place >= 0])

    def state(self) -> Arrays:
        """Returns all that a checkpoint must hold; the rows on disk are there already."""
        self.pool.flush()
        self.vectors.flush()
        return {key: getattr(owner, name) for key, owner, name in self._parts()}

    def restore(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Goes back to a checkpoint of a collector with the same arguments."""
        for key, owner, name in self._parts():
            assert state[key].shape == getattr(owner, name).shape, "a checkpoint is of the same coder and settings"
            setattr(owner, name, state[key])

    def close(self) -> None:
        """Closes the files."""
        self.pool.close()
        self.vectors.close()

    def _parts(self) -> list[tuple[str, object, str]]:
        """Returns the name of each part in a checkpoint, and whose attribute it is."""
        own = ("n_active", "n_active_attribute", "highest")
        top = ("top_activation", "top_image", "top_slot", "heat")
        rest = ("rest_key", "rest_activation", "rest_image", "rest_slot")
        names = [(self, n) for n in own] + [(self.active, n) for n in top + rest]
        names += [(self.levels, n) for n in ("exponent", "counts")]
        return [(name, owner, name) for owner, name in names]
