"""`autointerp train activations`: a folder of images to a store of a backbone's activations, in one pass."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

from autointerp.errors import SettingsError
from autointerp.record import Record
from autointerp.transcoder.backbones.protocol import Backbone, hookpoint_of
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.population import Population, read_population
from autointerp.transcoder.recording import record
from autointerp.transcoder.store import MANIFEST, Activations, ActivationStore, StoreWriter

IMAGES_FILE = "images.csv"
UNFINISHED = "shard-*.safetensors"
"""What a stopped pass leaves, beside no manifest."""


class StoreSettings(Record):
    """What of each image goes into a store."""

    reads: str = Field(default="blocks.8.mlp.in", min_length=1)
    """Hookpoint of the inputs: what a transcoder's layer reads, or an autoencoder's own."""
    writes: str | None = Field(default="blocks.8.mlp.out", min_length=1)
    """Hookpoint of the targets; None stores inputs alone, which is enough for autoencoders."""
    tokens_per_image: PositiveInt | None = None
    """Patches drawn of each image; None takes all."""
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    """Of the stored numbers."""
    seed: NonNegativeInt = 0
    """Of the draw of patches, and of a `:random` backbone's weights."""
    batch: PositiveInt = 16
    """Images run at once."""


class Stored(NamedTuple):
    """A store on disk."""

    folder: Path
    about: Activations
    n_images: int
    n_groups: int
    """Of near-duplicates, and of whatever the labels put together; a single image is one too."""
    n_tokens: int
    n_bytes: int
    """Of the folder's shards."""
    broken: tuple[str, ...]
    """One line for each file that cannot be read and is left out."""


def store_activations(
    images: str | Path,
    out: str | Path,
    *,
    backbone: str | Backbone = "dinov2-small",
    labels: str | Path | None = None,
    settings: StoreSettings | None = None,
    device: str = "cpu",
    reading: Callable[[int, int], None] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Stored:
    """Runs every image once, and stores what a layer reads and writes at its patches.

    Near-duplicates form groups, which a coder's held-out split keeps on one side. A pass that was stopped leaves a
    folder without a manifest, which nothing takes for a store; called again, it begins anew.

    Args:
        images: Folder of images; all below it, or those that `labels` lists.
        out: Folder to write.
        backbone: A name as `load_backbone` takes it, or one that is loaded.
        labels: CSV file with the columns path and label and perhaps group; its groups keep images together too.
        settings: What is stored; None takes every default.
        device: Where the backbone runs, as torch names it.
        reading: Is told image files looked at and all files.
        progress: Is told images run and all images.

    Raises:
        SettingsError: an option, a folder or an image list cannot be used, or `out` holds something already.
    """
    settings, folder = settings or StoreSettings(), Path(out)
    _check_free(folder)
    model = load_backbone(backbone, seed=settings.seed, device=device) if isinstance(backbone, str) else backbone
    about = _about(model, settings)
    table = None if labels is None else Path(labels)
    population = read_population(Path(images), labels=table, progress=reading)
    _clear(folder)
    with StoreWriter(folder, about) as writer:
        record(
            model,
            population,
            writer,
            tokens_per_image=settings.tokens_per_image,
            seed=settings.seed,
            batch=settings.batch,
            progress=progress,
        )
        # Before the manifest, without which there is no store.
        _write_images(folder / IMAGES_FILE, population)
    shards = ActivationStore(folder).manifest
    return Stored(
        folder=folder,
        about=about,
        n_images=len(population.images),
        n_groups=len(np.unique(population.groups)),
        n_tokens=shards.tokens,
        n_bytes=sum((folder / s.file).stat().st_size for s in shards.shards),
        broken=population.broken,
    )


def _about(model: Backbone, settings: StoreSettings) -> Activations:
    reads = hookpoint_of(model, settings.reads)
    writes = None if settings.writes is None else hookpoint_of(model, settings.writes)
    if writes is not None and writes.kind != reads.kind:
        raise SettingsError(
            f"--writes {settings.writes!r}: is {writes.kind}, and {settings.reads!r} is {reads.kind}; "
            "a transcoder's two hookpoints have the same tokens"
        )
    if writes is not None and settings.writes == settings.reads:
        raise SettingsError(
            f"--writes {settings.writes!r}: is what --reads names too; give --writes none to store it once"
        )
    return Activations(
        backbone=model.name,
        reads=settings.reads,
        writes=settings.writes,
        d_in=reads.width,
        d_out=None if writes is None else writes.width,
        dtype=settings.dtype,
    )


def _check_free(folder: Path) -> None:
    """Stops unless the folder is new, or holds only what a stopped pass left."""
    if (folder / MANIFEST).exists():
        raise SettingsError(f"{folder}: holds activations already; give another folder")
    if folder.is_dir():
        known = {*folder.glob(UNFINISHED), folder / IMAGES_FILE, folder / f".{MANIFEST}"}
        if strange := sorted(set(folder.iterdir()) - known):
            raise SettingsError(f"{folder}: holds {strange[0].name}, which is no store's; give another folder")


def _clear(folder: Path) -> None:
    """Removes what a stopped pass left, so that no shard of it stays beside the new ones."""
    try:
        for old in folder.glob(UNFINISHED):
            old.unlink()
    except OSError as e:
        raise SettingsError(f"{folder}: cannot be cleared: {e.strerror}") from e


def _write_images(path: Path, population: Population) -> None:
    """One row an image, by the ids that the store's tokens name."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("image", "path", "sha256", "group"))
            for image, group in zip(population.images, population.groups.tolist(), strict=True):
                name = image.path.relative_to(population.root).as_posix()
                writer.writerow((image.image, name, image.sha256, group))
    except OSError as e:
        raise SettingsError(f"{path}: cannot be written: {e.strerror}") from e
