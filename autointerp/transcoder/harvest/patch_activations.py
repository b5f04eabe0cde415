"""Activations of the pool's images by patch, on disk: what tells where latents are on together."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from autointerp.errors import SettingsError
from autointerp.statistics.rates import Ints
from autointerp.transcoder.harvest.encode import Entries

STRONGEST = 64
"""Latents of a patch that are kept at most, the strongest; 32 of each patch of 2048 images of 256 are 200 MB."""
ROW = np.dtype([("patch", "<u4"), ("latent", "<u4"), ("value", "<f4")])


class PlaceFile:
    """Activations of some images one after the other in a file without header, and where those of each image lie.

    What was written after a checkpoint is written over once the harvest goes on from it.

    Args:
        path: The file; made where it is not there.
        n_images: That it may hold.

    Raises:
        SettingsError: the file cannot be made.
    """

    def __init__(self, path: Path, n_images: int) -> None:
        self.path = path
        self.extent = np.zeros((n_images, 2), np.int64)
        """First row of each image, and the row after its last; a part of a checkpoint."""
        try:
            self._file = path.open("r+b" if path.exists() else "w+b")
        except OSError as e:
            raise SettingsError(f"{path}: cannot be written: {e.strerror}") from e

    def write(self, entries: Entries, place: Ints) -> None:
        """Adds the images of a batch that have a place.

        Args:
            entries: of the batch, by image and patch, those of a patch descending.
            place: [images of the batch], number of each image in the file; below 0 for those left out.

        Raises:
            SettingsError: the disk does not take them.
        """
        ends = np.searchsorted(entries.images, np.arange(len(place) + 1))
        for i in np.flatnonzero(place >= 0).tolist():
            mine = slice(ends[i], ends[i + 1])
            patches = entries.patches[mine]
            kept = np.arange(len(patches)) - np.searchsorted(patches, patches) < STRONGEST
            rows = np.empty(int(kept.sum()), ROW)
            rows["patch"], rows["latent"] = patches[kept], entries.latents[mine][kept]
            rows["value"] = entries.values[mine][kept]
            self._append(int(place[i]), rows)

    def absorb(self, other: "PlaceFile") -> None:
        """Adds the images that another file has.

        Raises:
            SettingsError: the disk does not take them, or the other file is cut off.
        """
        other.flush()
        for place in np.flatnonzero(other.extent[:, 1] > other.extent[:, 0]).tolist():
            start, stop = other.extent[place].tolist()
            rows = np.fromfile(other.path, ROW, count=stop - start, offset=start * ROW.itemsize)
            if len(rows) < stop - start:
                raise SettingsError(f"{other.path}: is cut off; remove {other.path.parent}, and run it again")
            self._append(place, rows)

    def _append(self, place: int, rows: npt.NDArray[np.void]) -> None:
        start = int(self.extent[:, 1].max())
        try:
            self._file.seek(start * ROW.itemsize)
            self._file.write(rows.tobytes())
        except OSError as e:
            raise SettingsError(f"{self.path}: cannot be written: {e.strerror}") from e
        self.extent[place] = start, start + len(rows)

    def flush(self) -> None:
        """Hands everything to the system."""
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def read(self) -> tuple[Ints, npt.NDArray[np.void]]:
        """Returns the image of each row, [rows], and the rows, by image."""
        self.flush()
        whole = np.fromfile(self.path, ROW, count=int(self.extent[:, 1].max()))
        counts = self.extent[:, 1] - self.extent[:, 0]
        image = np.repeat(np.arange(len(counts)), counts)
        first = np.repeat(self.extent[:, 0] - np.r_[0, counts.cumsum()[:-1]], counts)
        return image, whole[first + np.arange(len(image))]
