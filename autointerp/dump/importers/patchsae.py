"""Imports PatchSAE's feature data: five `.pt` files of its compute_sae_feature_data.py.

`max_activating_image_indices` (float32!) and `max_activating_image_values` are [latents, k], the mean over an image's
tokens; a value of 0 fills what is not there. Indices number `dataset.shuffle(seed=1)`. `sae_sparsity` is the share of
images that fire a latent, and `max_activating_image_label_indices` the class of each image, which proves the order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autointerp.counting import Counting
from autointerp.dump.importers.imported import Imported
from autointerp.dump.importers.rows import Floats, Ints, Origin, Top, ends_of, listed, positive, rows_of, write_tops
from autointerp.dump.importers.sources import one_of
from autointerp.dump.importers.tensors import Stored
from autointerp.dump.importers.torch_arrays import plain_array, read_torch
from autointerp.errors import DumpError, SettingsError
from autointerp.populations.listing import Entry

if TYPE_CHECKING:
    from autointerp.commands.import_patchsae import ImportPatchsae

INDICES = "max_activating_image_indices.pt"
VALUES = "max_activating_image_values.pt"
LABELS = "max_activating_image_label_indices.pt"
SPARSITY = "sae_sparsity.pt"
WHAT = "the data set that PatchSAE ran, e.g. the folder of its save_to_disk or its Parquet files"
ORDERS = ("shuffled", "stored")


@dataclass(frozen=True, slots=True)
class _Files:
    folder: Path
    indices: Stored
    values: Stored
    labels: Stored | None
    sparsity: Stored | None


def run(settings: "ImportPatchsae", *, progress: Counting | None = None) -> Imported:
    """Writes a dump from one folder of feature data.

    Raises:
        DumpError: a file is not PatchSAE's, or contradicts --images.
        SettingsError: --images is not given, or nothing proves how its rows are numbered.
    """
    files = _opened(settings)
    listing = rows_of(settings, WHAT)
    n_latents, k = files.indices.shape
    n_images = len(listing.entries)
    ends = ends_of(listing)
    order, proof = _order(settings, files, listing.entries)
    counts = None if files.sparsity is None else _counts(files.sparsity, n_images)

    def tops() -> Iterator[Top]:
        for latent, (indices, values) in enumerate(_latents(files)):
            rows, activations = positive(f"{files.folder}: latent {latent}", indices, values, n_images)
            n_active = len(rows) if counts is None else int(counts[latent])
            if n_active < len(rows):
                said = f"says that {n_active} images fire latent {latent}, and {INDICES} names {len(rows)}"
                raise DumpError(f"{files.folder / SPARSITY}: {said}; the files are not of one run")
            complete = len(rows) < k if counts is None else n_active == len(rows)
            yield Top(latent, order[rows], activations, n_active, complete=complete or k >= n_images)

    origin = Origin(
        kind="patchsae",
        name="-".join(files.folder.resolve().parts[-3:]),
        n_latents=n_latents,
        k=k,
        counted=counts is not None,
        left_out=listing.others,
        said=("activations are means over the tokens of an image", proof, ends),
    )
    return write_tops(settings, origin, listing.entries, tops, progress=progress)


def _latents(files: _Files) -> Iterator[tuple[Ints, Floats]]:
    for latent in range(files.indices.shape[0]):
        yield files.indices.ints(latent), files.values.floats(latent)


def _opened(settings: "ImportPatchsae") -> _Files:
    found = sorted(settings.src.rglob(INDICES)) if settings.src.is_dir() else []
    folder = one_of(
        settings.src, [f.parent for f in found], settings.layer, f"a folder with {INDICES}", names=_names(settings.src)
    )
    indices = listed(_array(folder / INDICES))
    values = _array(folder / VALUES).check(*indices.shape)
    labels = _array(folder / LABELS).check(*indices.shape) if (folder / LABELS).exists() else None
    sparsity = _array(folder / SPARSITY).check(indices.shape[0]) if (folder / SPARSITY).exists() else None
    return _Files(folder, indices, values, labels, sparsity)


def _names(source: Path) -> Callable[[Path], tuple[str, ...]]:
    return lambda folder: (folder.relative_to(source).as_posix(), *folder.relative_to(source).parts)


def _array(path: Path) -> Stored:
    return plain_array(read_torch(path), str(path))


def _counts(sparsity: Stored, n_images: int) -> Ints:
    """How many images fire each latent.

    Raises:
        DumpError: the shares are not such of so many images.
    """
    shares = sparsity.floats().astype(np.float64)
    counts = np.round(shares * n_images)
    # A share is a quotient of two whole numbers in float32, wrong by 2^-24 of itself at most, and the product likewise.
    off = ~(np.abs(shares * n_images - counts) <= 1e-3 + counts * 2.0**-22) | (counts < 0) | (counts > n_images)
    if off.any():
        latent = int(np.argmax(off))
        raise DumpError(
            f"{sparsity.where}: latent {latent} fires on a share of {shares[latent]:g}, no whole number of the "
            f"{n_images:,} images of --images; give the data set that was run, all of it"
        )
    return counts.astype(np.int64)


def _order(settings: "ImportPatchsae", files: _Files, entries: Sequence[Entry]) -> tuple[Ints, str]:
    """The image of --images that each row means, and what shows that."""
    n, seed = len(entries), settings.shuffle_seed
    # datasets.Dataset.shuffle draws this very permutation.
    orders = {"shuffled": np.random.default_rng(seed).permutation(n), "stored": np.arange(n)}
    wrong = {name: _contradiction(files, entries, orders[name]) for name in ORDERS}
    if settings.order is not None:
        if (why := wrong[settings.order]) is not None and files.labels is not None:
            raise DumpError(
                f"{files.labels.where}: {why} under --order {settings.order}; give the data set that was run"
            )
        return orders[settings.order], f"rows number --images as --order {settings.order} says"
    if files.labels is None or all(entry.label is None for entry in entries):
        missing = f"{files.folder} has no {LABELS}" if files.labels is None else "--images has no labels"
        raise SettingsError(
            f"--order: nothing shows how the rows number --images, since {missing}; say --order shuffled if it is the "
            f"data set as PatchSAE loaded it, before shuffle(seed={seed}), or --order stored if it is in the order run"
        )
    fitting = [name for name in ORDERS if wrong[name] is None]
    if not fitting:
        raise DumpError(
            f"{files.labels.where}: {wrong['shuffled']}, also without the shuffle; give the data set that was "
            f"run, all of it and in its own order, or another --shuffle-seed"
        )
    if len(fitting) == 2:
        raise SettingsError(
            "--order: the labels fit --images both shuffled and as stored, so that they prove nothing; say which one"
        )
    shuffled = f"in the order of shuffle(seed={seed})" if fitting == ["shuffled"] else "as stored"
    return orders[fitting[0]], f"rows number --images {shuffled}, which the labels of the images prove"


def _contradiction(files: _Files, entries: Sequence[Entry], order: Ints) -> str | None:
    """Says which image of an order has another label than the file; None if none has.

    The file has the numbers of classes, and --images their names or numbers: each number must mean one name, and each
    name have one number.
    """
    if files.labels is None:
        return None
    names: dict[int, str] = {}
    numbers: dict[str, int] = {}
    for latent, (indices, values) in enumerate(_latents(files)):
        labels = files.labels.ints(latent)
        rows, _ = positive(f"{files.folder}: latent {latent}", indices, values, len(entries))
        number_of = dict(zip(indices[values > 0].tolist(), labels[values > 0].tolist(), strict=True))
        for row in rows.tolist():
            entry, number = entries[int(order[row])], number_of[row]
            if entry.label is None:
                continue
            if (
                names.setdefault(number, entry.label) != entry.label
                or numbers.setdefault(entry.label, number) != number
            ):
                return f"row {row} has class {number}, and the image that it means, {entry.name}, is {entry.label!r}"
    return None
