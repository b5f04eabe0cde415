"""The reverse index of a dump: by image, the rows of the features that fire on it; made once, read by place."""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from autointerp.arrays import Ints, among, floats, ints
from autointerp.dump.checks import matches
from autointerp.dump.reader import Dump
from autointerp.errors import DumpError
from autointerp.schema import SILENT_STRATA, Box, ImageRow

VERSION = 1
"""Of the files; another one is made anew."""
FOLDER = "reverse"
AT_ONCE = 1 << 20
"""Rows that are sorted at once: 24 MB of them."""
ROW = np.dtype(
    [("image", "<i4"), ("feature", "<i4"), ("activation", "<f4"), ("probability", "<f4"), ("box", "<u2", (4,))]
)
"""A row of exemplars.parquet: the image by its place in images.parquet, the box in 65,535ths of its sides or zeros."""
FULL = 65_535
Rows = np.ndarray[tuple[int], np.dtype[np.void]]
_BOX = ("x0", "y0", "x1", "y1")
_COLUMNS = ("feature", "image", "activation", "stratum", "probability", *_BOX)


@dataclass(frozen=True, slots=True, eq=False)
class Reverse:
    """Gives the features of an image, and the other features of a feature's images.

    Rows are read from their file and not mapped into memory, where those of a large dump would count as the program's.
    """

    starts: Ints
    """[images + 1]: where the rows of each image begin, by its place in images.parquet."""
    file: Path
    """Rows by image, then descending by activation; equal ones by feature."""

    def of(self, place: int) -> Rows:
        """The rows of the features that fire on an image, the strongest first.

        Args:
            place: of the image in images.parquet, from 0.
        """
        first, last = int(self.starts[place]), int(self.starts[place + 1])
        return np.fromfile(self.file, ROW, last - first, offset=first * ROW.itemsize)


def box_of(row: np.void, image: ImageRow) -> Box | None:
    """The region of a row in pixels of its image; None where it has none."""
    x0, y0, x1, y1 = (int(n) for n in row["box"])
    if not x1 or not y1:
        return None
    width, height = image.width, image.height
    return Box(round(x0 * width / FULL), round(y0 * height / FULL), round(x1 * width / FULL), round(y1 * height / FULL))


def read_reverse(folder: Path, digest: str) -> Reverse | None:
    """The index that was made of a dump; None where there is none yet."""
    own = folder / FOLDER / digest
    if not own.exists():
        return None
    try:
        return _opened(own, digest)
    except (OSError, ValueError, EOFError):
        # It is made from the dump alone, so that a damaged one is made again.
        shutil.rmtree(own, ignore_errors=True)
        return None


def _opened(own: Path, digest: str) -> Reverse:
    """The index in a folder. Raises ValueError, EOFError or OSError where it is damaged, or of another version."""
    if json.loads((own / "index.json").read_text()) != {"version": VERSION, "digest": digest}:
        raise ValueError("of another version")
    starts = np.load(own / "starts.npy", allow_pickle=False)
    n, rows = int(starts[-1]), own / "rows.bin"
    if rows.stat().st_size != n * ROW.itemsize:
        raise ValueError("cut off")
    return Reverse(starts, rows)


def make_reverse(dump: Dump, folder: Path, told: Callable[[int, int], None] = lambda done, of: None) -> Reverse:
    """Makes the index in the cache folder, in one step for whoever looks at it, and opens it.

    Rows are read a row group at a time and put into as many files as have some million rows each, which are then
    sorted one by one.

    Args:
        dump: whose rows are taken.
        folder: of the cache.
        told: is told row groups read, and how many there are.

    Raises:
        DumpError: a row names an image or a feature that the dump does not have.
        OSError: the folder cannot be written.
    """
    into = folder / FOLDER
    into.mkdir(parents=True, exist_ok=True)
    draft = Path(mkdtemp(prefix=".draft-", dir=into))
    try:
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(_counts(dump))])
        np.save(draft / "starts.npy", starts)
        edges = _edges(starts)
        _scatter(dump, draft, edges, told)
        _gather(draft, len(edges) - 1)
        (draft / "index.json").write_text(json.dumps({"version": VERSION, "digest": dump.digest}))
        _publish(draft, into / dump.digest)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    made = read_reverse(folder, dump.digest)
    assert made is not None, "it was just written"
    return made


def _publish(draft: Path, target: Path) -> None:
    try:
        os.rename(draft, target)  # noqa: PTH104 - Path.rename says the same
    except OSError:
        # Another process was first, with the same content.
        if not (target / "index.json").exists():
            raise


def _counts(dump: Dump) -> Ints:
    """How many rows of firing features each image has, by its place in images.parquet."""
    counts = np.zeros(len(dump.image_table.known.ids), np.int64)
    for at in range(len(dump.exemplar_parts.index.rows)):
        table = dump.exemplar_parts.read(at, ("image", "stratum"))
        counts += np.bincount(_places(dump, at, table)[_fires(table)], minlength=len(counts))
    return counts


def _edges(starts: Ints) -> Ints:
    """The first image of each file of rows, and the number of images: some `AT_ONCE` rows, or one image that has more.

    Args:
        starts: [images + 1], ascending from 0.
    """
    edges = np.searchsorted(starts, np.arange(0, int(starts[-1]), AT_ONCE), side="right") - 1
    return np.unique(np.append(edges, len(starts) - 1))


def _scatter(dump: Dump, draft: Path, edges: Ints, told: Callable[[int, int], None]) -> None:
    n = len(dump.exemplar_parts.index.rows)
    with ExitStack() as files:
        parts = [files.enter_context((draft / f"part-{i}").open("wb")) for i in range(len(edges) - 1)]
        for at in range(n):
            rows = _read(dump, at)
            rows = rows[np.argsort(rows["image"], kind="stable")]
            cuts = np.searchsorted(rows["image"], edges)
            for part, (first, last) in zip(parts, pairwise(cuts.tolist()), strict=True):
                rows[first:last].tofile(part)
            told(at + 1, n)


def _gather(draft: Path, n: int) -> None:
    with (draft / "rows.bin").open("wb") as whole:
        for i in range(n):
            part = draft / f"part-{i}"
            rows = np.fromfile(part, ROW)
            rows[np.lexsort((rows["feature"], -rows["activation"], rows["image"]))].tofile(whole)
            part.unlink()


def _read(dump: Dump, at: int) -> Rows:
    """The rows of firing features in a row group."""
    table = dump.exemplar_parts.read(at, _COLUMNS)
    places, fires = _places(dump, at, table), _fires(table)
    features = ints(table["feature"])
    if not (known := among(dump.feature_ids, features)).all():
        row = int(np.argmin(known))
        where = dump.exemplar_parts.where(at, row)
        raise DumpError(f"{where}: feature is {features[row]}; expected a feature of features.parquet")
    rows = np.zeros(int(fires.sum()), ROW)
    rows["image"] = places[fires]
    rows["feature"] = features[fires]
    for name in ("activation", "probability"):
        rows[name] = floats(table[name])[fires]
    table_of = dump.image_table.known
    for column, (name, sizes) in enumerate(zip(_BOX, (table_of.width, table_of.height) * 2, strict=True)):
        pixels = ints(table[name])[fires] / sizes[places[fires]]
        rows["box"][:, column] = np.rint(np.clip(pixels, 0, 1) * FULL)
    return rows


def _fires(table: pa.Table) -> npt.NDArray[np.bool_]:
    return ~matches(table["stratum"], f"^({'|'.join(SILENT_STRATA)})$")


def _places(dump: Dump, at: int, table: pa.Table) -> Ints:
    images = ints(table["image"])
    places, known = dump.image_table.known.find(images)
    if not known.all():
        row = int(np.argmin(known))
        where = dump.exemplar_parts.where(at, row)
        raise DumpError(f"{where}: image is {images[row]}; expected an image of images.parquet")
    return places
