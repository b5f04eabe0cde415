"""What is kept of each image that was run, in small Parquet files, so that nothing is run twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from autointerp.errors import SettingsError, one_line
from autointerp.processes import draft_of
from autointerp.statistics.rates import Bools

FOLDER = "encoded"
SCHEMA = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("peaks", pa.list_(pa.float32()), nullable=False),
        pa.field("controls", pa.binary(), nullable=False),
        pa.field("columns", pa.list_(pa.int32()), nullable=False),
        pa.field("heats", pa.list_(pa.binary()), nullable=False),
    ]
)
"""A row an image: the maximum of each feature of the pack; which negative controls fire, a bit each; and the heat map
of some features, whose columns are named."""


class Row(NamedTuple):
    """What is kept of one image."""

    sha256: str
    peaks: npt.NDArray[np.float32]
    """[features]."""
    controls: Bools
    """[controls]."""
    heats: dict[int, bytes]
    """By column of the features."""


@dataclass
class Kept:
    """The files of a result.

    Args:
        folder: where they lie; it is made when the first is written.
        pack: digest of the pack that images were run with.
        by: what ran them.
        n_features: of the pack.
        n_controls: of the pack.
    """

    folder: Path
    pack: str
    by: str
    n_features: int
    n_controls: int
    _known: dict[str, tuple[Path, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reads which images are there.

        Raises:
            SettingsError: a file is damaged, or was made with another pack.
        """
        for path in sorted(self.folder.glob("*.parquet")):
            table = self._read(path, ["sha256"])
            said = table.schema.metadata or {}
            if said.get(b"pack") != self.pack.encode():
                raise SettingsError(f"{path}: was made with another pack; name another folder with --out")
            if said.get(b"by") != self.by.encode():
                was = (said.get(b"by") or b"").decode(errors="replace")
                raise SettingsError(f"{path}: was run by {was}, and this is {self.by}; name another folder with --out")
            for i, sha in enumerate(table["sha256"].to_pylist()):
                self._known.setdefault(sha, (path, i))

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._known

    def add(self, rows: Sequence[Row]) -> None:
        """Writes some images as one more file, whole or not at all.

        Raises:
            SettingsError: it cannot be written.
        """
        if not rows:
            return
        columns = {
            "sha256": [r.sha256 for r in rows],
            "peaks": [r.peaks.tolist() for r in rows],
            "controls": [np.packbits(r.controls).tobytes() for r in rows],
            "columns": [list(r.heats) for r in rows],
            "heats": [list(r.heats.values()) for r in rows],
        }
        schema = SCHEMA.with_metadata({"pack": self.pack, "by": self.by})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            number = max((int(p.stem) for p in self.folder.glob("*.parquet") if p.stem.isdecimal()), default=-1) + 1
            path = self.folder / f"{number:05d}.parquet"
            draft = draft_of(path)
            pq.write_table(pa.table(columns, schema=schema), draft, compression="zstd")
            draft.replace(path)
        except OSError as e:
            raise SettingsError(f"{self.folder}: cannot be written: {e.strerror}") from e
        for i, row in enumerate(rows):
            self._known[row.sha256] = (path, i)

    def peaks(self, images: Sequence[str]) -> tuple[npt.NDArray[np.float32], Bools]:
        """Returns the maxima, [n, features], and which controls fire, [n, controls], of images in their order."""
        peaks = np.zeros((len(images), self.n_features), np.float32)
        controls = np.zeros((len(images), self.n_controls), np.bool_)
        for path, places, rows in self._by_file(images):
            table = self._read(path, ["peaks", "controls"])
            values = np.asarray(table["peaks"].combine_chunks().flatten())
            if len(values) != table.num_rows * self.n_features:
                raise SettingsError(f"{path}: does not hold what the pack has; remove it and run the command again")
            values = values.reshape(table.num_rows, self.n_features)
            peaks[places] = values[rows]
            bits = table["controls"].to_pylist()
            for place, row in zip(places, rows, strict=True):
                whole = np.unpackbits(np.frombuffer(bits[row], np.uint8), count=self.n_controls)
                controls[place] = whole.astype(np.bool_)
        return peaks, controls

    def heats(self, images: Sequence[str]) -> dict[str, dict[int, bytes]]:
        """Returns the heat maps of images, by image and column."""
        out: dict[str, dict[int, bytes]] = {}
        for path, places, rows in self._by_file(images):
            table = self._read(path, ["columns", "heats"])
            for place, row in zip(places, rows, strict=True):
                pair = zip(table["columns"][row].as_py(), table["heats"][row].as_py(), strict=True)
                out[images[place]] = dict(pair)
        return out

    def _by_file(self, images: Sequence[str]) -> Iterator[tuple[Path, list[int], list[int]]]:
        """The files of images: for each the positions among the images and the rows in it."""
        files: dict[Path, tuple[list[int], list[int]]] = {}
        for place, sha in enumerate(images):
            path, row = self._known[sha]
            places, rows = files.setdefault(path, ([], []))
            places.append(place)
            rows.append(row)
        for path, (places, rows) in files.items():
            yield path, places, rows

    def _read(self, path: Path, columns: list[str]) -> pa.Table:
        try:
            return pq.ParquetFile(path).read(columns=columns)
        except (OSError, pa.ArrowException, KeyError) as e:
            raise SettingsError(
                f"{path}: cannot be read: {one_line(str(e))}; remove it and run the command again"
            ) from e
