"""What one coder's harvest has gathered so far, in memory that does not grow with the population."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.statistics.rates import Ints
from autointerp.transcoder.harvest.active import ActiveImages
from autointerp.transcoder.harvest.encode import Entries, Peaks, entries_of, heats_of, peaks_of
from autointerp.transcoder.harvest.parents import Placed
from autointerp.transcoder.harvest.patch_activations import PlaceFile
from autointerp.transcoder.harvest.silent_sampling import Lot
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.settings import HarvestSettings

N_FINE = 1024
"""Fine bins a latent; their width is a power of two, and they reach beyond its maximum, but not twice as far."""
NONE = -(2**30)
"""Exponent of a latent that has not fired."""
ROWS = 1024
"""Rows of a file that are copied at once."""

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
        self.counted = np.zeros((n_latents, N_FINE), np.bool_)
        """[n_latents, N_FINE]: which counts changed since the last checkpoint."""

    def add(self, latents: Ints, activations: Floats) -> None:
        """Adds activations, [events], of `latents`, [events]."""
        height = activations.astype(np.float64) - self.above
        # height = m·2^x with ½ <= m < 1, so that height / N_FINE < 2^(x - log2 N_FINE).
        needed = self.exponent.copy()
        np.maximum.at(needed, latents, np.frexp(height / N_FINE)[1].astype(np.int32))
        self._widen(needed)
        fine = np.floor(np.ldexp(height, -self.exponent[latents])).astype(np.int64)
        np.add.at(self.counts.reshape(-1), latents * N_FINE + fine, 1)
        self.counted.reshape(-1)[latents * N_FINE + fine] = True

    def absorb(self, other: "Levels") -> None:
        """Adds what another counted, whose bins become as wide as these."""
        needed = np.maximum(self.exponent, other.exponent)
        self._widen(needed)
        other._widen(needed)
        self.counts += other.counts
        self.counted |= other.counts > 0

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
            before = self.counts[behind]
            self.counts[behind, : N_FINE // 2] = before.reshape(len(behind), -1, 2).sum(axis=2)
            self.counts[behind, N_FINE // 2 :] = 0
            self.exponent[behind] += 1
            # All others are 0 as they were.
            self.counted[behind] |= (before != 0) | (self.counts[behind] != 0)


class RowFile:
    """An array [n_rows, width] in a file without header; a row written again with the same numbers stays the same.

    Plain writes rather than a mapping keep what is not needed now out of this process's memory.

    Args:
        path: The file; made where it is not there.
        shape: n_rows, width.
        dtype: of the numbers.

    Raises:
        SettingsError: the file cannot be made.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: type[np.float16] | type[np.float32]) -> None:
        self.path = path
        self.shape = shape
        self.dtype = dtype
        try:
            self._file = path.open("r+b" if path.exists() else "w+b")
            self._file.truncate(shape[0] * shape[1] * np.dtype(dtype).itemsize)
        except OSError as e:
            raise SettingsError(f"{path}: cannot be written: {e.strerror}") from e

    def write(self, rows: Ints, values: npt.NDArray[np.float32]) -> None:
        """Writes `values`, [len(rows), width].

        Raises:
            SettingsError: the disk does not take them.
        """
        try:
            for row, value in zip(rows.tolist(), values.astype(self.dtype), strict=True):
                self._file.seek(row * value.nbytes)
                self._file.write(value.tobytes())
        except OSError as e:
            raise SettingsError(f"{self.path}: cannot be written: {e.strerror}") from e

    def absorb(self, other: "RowFile", rows: Ints) -> None:
        """Takes these rows as another file of the same shape has them.

        Raises:
            SettingsError: the disk does not take them.
        """
        stored = other.read()
        for start in range(0, len(rows), ROWS):
            some = rows[start : start + ROWS]
            self.write(some, stored[some].astype(np.float32))

    def flush(self) -> None:
        """Hands everything to the system."""
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def read(self) -> npt.NDArray[np.float16 | np.float32]:
        """Returns the whole array, mapped, as it is on disk."""
        self.flush()
        return np.memmap(self.path, self.dtype, "r", shape=self.shape)


POOL, VECTORS, PLACES = "-pool.float32", "-vectors.float16", "-places"
"""How the files of a collector end."""
Arrays = dict[str, npt.NDArray[np.generic]]
AT = ".at"
"""After the name of an array: which rows of it changed."""


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
        self.pool = RowFile(folder / f"{name}{POOL}", (len(lot.images), n_latents), np.float32)
        """Activations of the pool's images, rows in the order of the lot."""
        self.vectors = RowFile(folder / f"{name}{VECTORS}", (lot.n_images, d_in), np.float16)
        """Mean of what the coder reads over an image's patches, unit length, by image."""
        self.places = PlaceFile(folder / f"{name}{PLACES}", len(lot.images))
        """Activations of the pool's images by patch."""
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
        self.take(images, entries, tokens.float().mean(dim=1).cpu().numpy(), attribute, n_patches=tokens.shape[1])

    def take(
        self, images: Ints, entries: Entries, vectors: Floats, attribute: npt.NDArray[np.bool_], *, n_patches: int
    ) -> None:
        """Takes in a batch whose activations are known, each image of the population once.

        Args:
            images: [n], ids.
            entries: activations of the batch; with nested prefixes by image and patch, those of a patch descending.
            vectors: [n, d_in], what tells which images are alike.
            attribute: [n].
            n_patches: of an image.

        Raises:
            SettingsError: the disk is full.
        """
        shape = (len(images), n_patches, self.source.encoder.n_latents)
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
        self._keep_rows(images, vectors, peaks)
        if len(self.source.encoder.widths) > 1:
            self.places.write(entries, self._place[images])

    def _keep_rows(self, images: Ints, vectors: Floats, peaks: Peaks) -> None:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors.write(images, vectors / np.maximum(lengths, np.finfo(np.float32).tiny))
        place = self._place[images]
        self.pool.write(place[place >= 0], peaks[place >= 0])

    def absorb(self, other: "Collector", images: range) -> None:
        """Takes in what another collector with the same arguments gathered; this is then as if it had run these too.

        Args:
            other: Ran other images than this one; it is used up.
            images: Those that it ran.

        Raises:
            SettingsError: the disk is full.
        """
        self.n_active += other.n_active
        self.n_active_attribute += other.n_active_attribute
        self.highest = np.maximum(self.highest, other.highest)
        self.levels.absorb(other.levels)
        self.active.absorb(other.active)
        ran = np.arange(images.start, images.stop)
        self.vectors.absorb(other.vectors, ran)
        place = self._place[ran]
        self.pool.absorb(other.pool, np.sort(place[place >= 0]))
        self.places.absorb(other.places)

    def state(self) -> Arrays:
        """Returns all that a whole checkpoint must hold; the rows on disk are there already."""
        self._flush()
        return {name: getattr(owner, name) for name, owner, _ in self._parts()}

    def changes(self) -> Arrays:
        """Returns what of `state` changed since the last checkpoint: small arrays whole, of others rows and places."""
        self._flush()
        out: Arrays = {}
        for name, owner, mask in self._parts():
            array = getattr(owner, name)
            if mask is not None:
                changed = getattr(owner, mask)
                out[f"{name}{AT}"] = at = np.flatnonzero(changed)
                array = _by_row(array, changed)[at]
            out[name] = array
        return out

    def sizes(self) -> tuple[int, int]:
        """Returns the bytes of `state`, and of `changes`."""
        whole = changed = 0
        for name, owner, mask in self._parts():
            array: npt.NDArray[np.generic] = getattr(owner, name)
            whole += array.nbytes
            if mask is None:
                changed += array.nbytes
            else:
                rows: npt.NDArray[np.bool_] = getattr(owner, mask)
                changed += int(np.count_nonzero(rows)) * (array.nbytes // rows.size + np.dtype(np.int64).itemsize)
        return whole, changed

    def kept(self) -> None:
        """Says that a checkpoint holds all there is: changes are counted from here."""
        self.active.moved[:] = False
        self.active.drawn[:] = False
        self.levels.counted[:] = False

    def restore(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Goes back to a whole checkpoint of a collector with the same arguments."""
        for name, owner, _ in self._parts():
            assert state[name].shape == getattr(owner, name).shape, "a checkpoint is of the same coder and settings"
            setattr(owner, name, state[name])
        self.kept()

    def follow(self, changes: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Goes on from the checkpoint before to one that holds what changed since."""
        for name, owner, mask in self._parts():
            array = getattr(owner, name)
            if mask is None:
                array[...] = changes[name]
            else:
                rows = changes[f"{name}{AT}"].astype(np.int64)
                _by_row(array, getattr(owner, mask))[rows] = changes[name]

    def _flush(self) -> None:
        self.pool.flush()
        self.vectors.flush()
        self.places.flush()

    def close(self) -> None:
        """Closes the files."""
        self.pool.close()
        self.vectors.close()
        self.places.close()

    def placed(self) -> Placed:
        """Returns the activations of the pool's images by patch; none without smaller prefixes."""
        image, rows = self.places.read()
        return Placed(
            image=image,
            patch=rows["patch"].astype(np.int64),
            latent=rows["latent"].astype(np.int64),
            value=rows["value"],
            n_images=len(self.lot.images),
            n_patches=max(1, self.active.heat.shape[2]),
            peaks=np.asarray(self.pool.read(), np.float32),
        )

    def _parts(self) -> Iterator[tuple[str, object, str | None]]:
        """Yields the name of each part of a checkpoint, whose attribute it is, and the attribute with its changes."""
        own = ("n_active", "n_active_attribute", "highest")
        top = ("top_activation", "top_image", "top_slot")
        rest = ("rest_key", "rest_activation", "rest_image", "rest_slot")
        places, active, levels = (self.places, ("extent",), None), self.active, self.levels
        heats, counts = (active, ("heat",), "drawn"), (levels, ("counts",), "counted")
        parts = (self, own, None), (active, top + rest, "moved"), heats, (levels, ("exponent",), None), counts, places
        for owner, names, mask in parts:
            yield from ((name, owner, mask) for name in names)


def _by_row(array: npt.NDArray[np.generic], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.generic]:
    """Returns the array, seen as a row for each element of the mask."""
    return array.reshape(mask.size, *array.shape[mask.ndim :])
