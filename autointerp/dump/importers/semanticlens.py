"""Imports what SemanticLens collects: `ActMaxCache.store`'s files `AGGREGATION-K-LAYER.safetensors`.

Each holds `activations` [latents, k] and `sample_ids` [latents, k], the rows of the data set in the order in which it
was run; an empty place has id -1 and activation -inf, and rows with activation 0 carry real ids and are no evidence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autointerp.counting import Counting
from autointerp.dump.importers.imported import Imported
from autointerp.dump.importers.rows import Origin, Top, ends_of, listed, positive, rows_of, write_tops
from autointerp.dump.importers.sources import one_of
from autointerp.dump.importers.tensors import Stored, read_safetensors
from autointerp.errors import DumpError, one_line

if TYPE_CHECKING:
    from autointerp.commands.import_semanticlens import ImportSemanticlens

WHAT = "the data set that SemanticLens ran, in its order"


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    activations: Stored
    ids: Stored
    notes: dict[str, str]


def run(settings: "ImportSemanticlens", *, progress: Counting | None = None) -> Imported:
    """Writes a dump from one layer's file.

    Raises:
        DumpError: the file is not SemanticLens's, or names an image that --images does not hold.
        SettingsError: --images is not given, or there are several layers.
    """
    file = _opened(settings)
    listing = rows_of(settings, WHAT)
    n_latents, k = file.ids.shape
    n_images = len(listing.entries)

    def tops() -> Iterator[Top]:
        for latent in range(n_latents):
            where = f"{file.path}: latent {latent}"
            rows, activations = positive(where, file.ids.ints(latent), file.activations.floats(latent), n_images)
            yield Top(latent, rows, activations, len(rows), complete=len(rows) < k or k >= n_images)

    origin = Origin(
        kind="semanticlens",
        name=file.path.stem,
        n_latents=n_latents,
        k=k,
        counted=False,
        hookpoint=one_line(file.notes.get("layer_name", "unknown")),
        left_out=listing.others,
        said=(f"activations are {one_line(file.notes.get('aggregation_fn_name', 'as SRC says'))}", ends_of(listing)),
    )
    return write_tops(settings, origin, listing.entries, tops, progress=progress)


def _opened(settings: "ImportSemanticlens") -> _File:
    path = settings.src
    if not path.is_file():
        found = sorted(file for file in path.rglob("*.safetensors") if not file.name.startswith("."))
        path = one_of(settings.src, found, settings.layer, "a file AGGREGATION-K-LAYER.safetensors", names=_layers)
    tensors, notes = read_safetensors(path)
    if missing := [name for name in ("activations", "sample_ids") if name not in tensors]:
        raise DumpError(f"{path}: holds no {missing[0]}; expected a file of SemanticLens's ActMaxCache.store")
    activations = listed(tensors["activations"])
    return _File(path, activations, tensors["sample_ids"].check(*activations.shape), notes)


def _layers(path: Path) -> tuple[str, ...]:
    """The names by which --layer means a file: its layer, and its own."""
    _, notes = read_safetensors(path)
    return (notes.get("layer_name", path.stem.rpartition("-")[2]), path.stem, path.name)
