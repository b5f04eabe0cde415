"""Imports MILAN's exemplars, as MAIA has them too: a folder for each layer.

`images.npy` u8 [units, k, 3, H, W] holds the pictures, resized already; `masks.npy` u8 [units, k, 1, H, W] where each
unit is above its threshold; `ids.csv` the row of each picture in a torchvision.datasets.ImageFolder, `activations.csv`
the largest activation; `units.npy` the numbers of units where they are not all of the layer's.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from autointerp.counting import Counting
from autointerp.dump.importers.framing import GRID, Frame, Pixels, frame_of, heat_of, strangers
from autointerp.dump.importers.imported import Imported
from autointerp.dump.importers.rows import Floats, Ints, Origin, Top, ends_of, positive, rows_of, write_tops
from autointerp.dump.importers.sources import one_of
from autointerp.dump.importers.tensors import Stored, read_npy
from autointerp.errors import DumpError, ImageError
from autointerp.images.content import source_of
from autointerp.images.decode import digest_of, displayed_size
from autointerp.images.formats import LeftOut
from autointerp.populations.iterables import Lent
from autointerp.populations.listing import Entry

if TYPE_CHECKING:
    from autointerp.commands.import_milan import ImportMilan

IMAGES, MASKS, UNITS = "images.npy", "masks.npy", "units.npy"
ACTIVATIONS, IDS = "activations.csv", "ids.csv"
WHAT = "the folder that MILAN ran as a torchvision.datasets.ImageFolder"
N_COMPARED = 64
"""So many pictures are compared with the images that their ids mean."""


@dataclass(frozen=True, slots=True)
class _Files:
    folder: Path
    images: Stored
    masks: Stored | None
    units: Ints
    activations: Floats
    """[units, k]; n, n - 1, …, 1 where only the order is known."""
    ids: Ints | None
    ranked: bool
    """Whether only the order is known."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The images of a dump, and which of them each picture is."""

    entries: Sequence[Entry]
    of: Ints
    """[units, k]."""
    frame: Frame | None
    """Which part of an image its picture shows; None where the images are the pictures themselves."""
    others: tuple[LeftOut, ...] = ()
    said: tuple[str, ...] = ()


def run(settings: "ImportMilan", *, progress: Counting | None = None) -> Imported:
    """Writes a dump from one layer.

    With --images, the evidence is the images themselves; else the pictures of images.npy, which are resized.

    Raises:
        DumpError: a file is not MILAN's, or its pictures are others than --images holds.
        SettingsError: there are several layers.
    """
    files = _opened(settings)
    rows = _in_population(settings, files) if settings.images is not None else _pictures(files)
    k = files.activations.shape[1]

    def tops() -> Iterator[Top]:
        for u, unit in enumerate(files.units.tolist()):
            where = f"{files.folder}: unit {unit}"
            mine, activations = positive(where, rows.of[u], files.activations[u], len(rows.entries))
            place = {row: at for at, row in enumerate(rows.of[u].tolist())}
            heats = [_heat(files, u, place[row], rows.frame, rows.entries[row]) for row in mine.tolist()]
            complete = len(mine) < k or (settings.images is not None and k >= len(rows.entries))
            yield Top(unit, mine, activations, len(mine), complete=complete, heats=heats)

    origin = Origin(
        kind="milan",
        name="-".join(files.folder.resolve().parts[-2:]),
        n_latents=int(files.units.max()) + 1,
        k=k,
        counted=False,
        hookpoint=files.folder.resolve().name,
        grid=GRID if files.masks is not None else None,
        whole=settings.images is not None,
        left_out=rows.others,
        said=(*rows.said, *(["there is no activations.csv: activations are ranks"] if files.ranked else [])),
    )
    return write_tops(settings, origin, rows.entries, tops, progress=progress)


def _opened(settings: "ImportMilan") -> _Files:
    found = sorted(f.parent for f in settings.src.rglob(IMAGES)) if settings.src.is_dir() else []
    folder = one_of(
        settings.src, found, settings.layer, f"a folder with {IMAGES}", names=lambda f: (f.name, f.parent.name + f.name)
    )
    images = read_npy(folder / IMAGES).check(None, None, 3, None, None)
    if images.raw.dtype != np.uint8:
        raise DumpError(f"{images.where}: holds {images.raw.dtype}; expected uint8, as MILAN writes it")
    n, k, _, height, width = images.shape
    if not n or not k:
        raise DumpError(f"{images.where}: holds no pictures")
    masks = read_npy(folder / MASKS).check(n, k, 1, height, width) if (folder / MASKS).exists() else None
    units = read_npy(folder / UNITS).check(n).ints() if (folder / UNITS).exists() else np.arange(n)
    if units.min() < 0 or (np.diff(units) <= 0).any():
        raise DumpError(f"{folder / UNITS}: expected units from 0, ascending")
    ranked = not (folder / ACTIVATIONS).exists()
    activations = np.tile(np.arange(k, 0, -1), (n, 1)) if ranked else _table(folder / ACTIVATIONS, n, k)
    ids = _table(folder / IDS, n, k) if (folder / IDS).exists() else None
    if ids is not None and not (np.isfinite(ids) & (ids == np.floor(ids)) & (np.abs(ids) < 2**53)).all():
        raise DumpError(f"{folder / IDS}: holds fractions, or what is no number; expected rows of an ImageFolder")
    whole = None if ids is None else ids.astype(np.int64)
    return _Files(folder, images, masks, units, activations.astype(np.float32), whole, ranked)


def _table(path: Path, n: int, k: int) -> npt.NDArray[np.float64]:
    """Reads a CSV file of numbers without a header, [n, k]."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [cells for cells in csv.reader(file) if cells]
        values = np.array([[float(cell) for cell in cells] for cells in rows], np.float64)
    except OSError as error:
        raise DumpError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise DumpError(f"{path}: is no table of numbers of {n} rows and {k} columns; copy it again") from error
    if values.shape != (n, k):
        raise DumpError(f"{path}: has {len(rows)} rows; expected {n} of {k} numbers, as {IMAGES} has pictures")
    return values


def _pixels(images: Stored, unit: int, at: int) -> Pixels:
    return np.ascontiguousarray(np.asarray(images.raw[unit, at]).transpose(1, 2, 0))


def _picture(images: Stored, unit: int, at: int) -> Lent:
    return Lent(f"{images.where}: picture {at} of unit {unit}", lambda: _png(_pixels(images, unit, at)))


def _png(pixels: Pixels) -> bytes:
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _pictures(files: _Files) -> _Rows:
    """The pictures themselves, each once: those of one id, or without ids those of the same pixels, are one image.

    Without ids, equal pictures of one unit are several images, since a data set may hold an image twice.
    """
    n, k = files.activations.shape
    entries: list[Entry] = []
    first: dict[object, int] = {}
    of = np.zeros((n, k), np.int64)
    for unit in range(n):
        same: Counter[str] = Counter()
        for at in range(k):
            if files.ids is not None:
                key: object = int(files.ids[unit, at])
            else:
                digest = digest_of(_pixels(files.images, unit, at).tobytes())
                same[digest] += 1
                key = digest, same[digest]
            of[unit, at] = first.setdefault(key, len(entries))
            if of[unit, at] == len(entries):
                entries.append(Entry(f"unit {files.units[unit]}, picture {at}", _picture(files.images, unit, at)))
    said = "images are the pictures of images.npy, which are resized; --images takes those of the folder that was run"
    return _Rows(entries, of, None, said=(said,))


def _in_population(settings: "ImportMilan", files: _Files) -> _Rows:
    """The images that ids.csv means, once pictures show that it means them."""
    if files.ids is None:
        raise DumpError(
            f"{files.folder}: has no {IDS}, so that nothing says which of --images a picture is; leave --images out"
        )
    listing = rows_of(settings, WHAT)
    n_images = len(listing.entries)
    if files.ids.max() >= n_images or files.ids.min() < 0:
        odd = int(files.ids.max() if files.ids.max() >= n_images else files.ids.min())
        raise DumpError(f"{files.folder / IDS}: names row {odd:,}, and --images holds {n_images:,}; give {WHAT}, whole")
    n, k = files.ids.shape
    chosen = np.unique(np.linspace(0, n * k - 1, min(n * k, N_COMPARED)).round().astype(np.int64))
    pairs = [
        (_pixels(files.images, at // k, at % k), listing.entries[int(files.ids.flat[at])]) for at in chosen.tolist()
    ]
    frame = frame_of(pairs)
    if wrong := strangers(pairs, frame):
        at, entry = int(chosen[wrong[0]]), pairs[wrong[0]][1]
        raise DumpError(
            f"{files.folder / IDS}: row {at // k + 1}: image {files.ids.flat[at]} of --images, {entry.name}, "
            f"does not look like its picture in {IMAGES}; give {WHAT}, whole"
        )
    said = f"ids are rows of --images, as {len(pairs)} pictures show, which are {frame.about}"
    return _Rows(listing.entries, files.ids, frame, listing.others, (said, ends_of(listing)))


def _heat(files: _Files, unit: int, at: int, frame: Frame | None, entry: Entry) -> bytes | None:
    if files.masks is None:
        return None
    mask = np.asarray(files.masks.raw[unit, at, 0]) != 0
    if frame is None or frame.share is None:
        return heat_of(mask, frame, (mask.shape[1], mask.shape[0]))
    try:
        return heat_of(mask, frame, displayed_size(source_of(entry.content)))
    except ImageError:
        # It is left out, and named, when it is read as a whole.
        return None
