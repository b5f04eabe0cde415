"""Rows of numbers kept on disk while a harvest runs, written in any order."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from autointerp.errors import SettingsError
from autointerp.statistics.rates import Ints


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
