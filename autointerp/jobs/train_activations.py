"""`autointerp train activations`: a folder of images to a store of a backbone's activations, in one pass."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autointerp.commands.train_activations import TrainActivations
from autointerp.counting import Counting, Uncounted, counted
from autointerp.errors import SettingsError
from autointerp.images.formats import LeftOut
from autointerp.images.manifest import Manifest
from autointerp.places import cache_folder
from autointerp.populations.images import Population, read_population
from autointerp.transcoder.backbones.headed import Network, network_of
from autointerp.transcoder.backbones.protocol import Backbone, check_tokens, hookpoint_of
from autointerp.transcoder.files import write_table
from autointerp.transcoder.settings import StoreSettings
from autointerp.transcoder.store import MANIFEST, Activations, ActivationStore, StoreWriter, record

IMAGES_FILE = "images.csv"
UNFINISHED = "shard-*.safetensors"
"""What a stopped pass leaves, beside no manifest."""


class Stored(NamedTuple):
    """Describes a store that was written."""

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
    left_out: tuple[LeftOut, ...]
    """All files that are left out, by kind."""


def run(settings: TrainActivations, *, progress: Counting | None = None) -> Stored:
    """Runs every image once, and stores what a layer reads and writes at its patches.

    Near-duplicates form groups, which a coder's held-out split keeps on one side. A pass that was stopped leaves a
    folder without a manifest, which nothing takes for a store; called again, it begins anew.

    Raises:
        SettingsError: a folder, a hookpoint or an image list cannot be used, or `out` holds something already.
    """
    what, folder, progress = settings.settings, settings.out, progress or Uncounted()
    _check_free(folder)
    network = network_of(settings.backbone, settings.classifier, seed=what.seed, device=settings.device)
    about = _about(network, what)
    population = read_population(
        settings.images,
        labels=settings.labels,
        group_column=settings.group_column,
        manifest=Manifest(cache_folder()),
        progress=counted(progress, "files read"),
    )
    _clear(folder)
    _write(folder, about, network.model, population, settings, progress)
    shards = ActivationStore(folder).manifest
    return Stored(
        folder=folder,
        about=about,
        n_images=len(population.images),
        n_groups=len(np.unique(population.groups)),
        n_tokens=shards.tokens,
        n_bytes=sum((folder / s.file).stat().st_size for s in shards.shards),
        broken=population.broken,
        left_out=population.left_out,
    )


def _write(
    folder: Path,
    about: Activations,
    model: Backbone,
    population: Population,
    settings: TrainActivations,
    progress: Counting,
) -> None:
    what = settings.settings
    with StoreWriter(folder, about) as writer:
        record(
            model,
            population,
            writer,
            tokens_per_image=what.tokens_per_image,
            seed=what.seed,
            batch=what.batch,
            progress=counted(progress, "images run"),
            device=settings.device,
        )
        # Before the manifest, without which there is no store.
        write_table(folder / IMAGES_FILE, ("image", "path", "sha256", "group"), _image_rows(population))


def _about(network: Network, settings: StoreSettings) -> Activations:
    model = network.model
    reads = hookpoint_of(model, settings.reads)
    writes = None if settings.writes is None else hookpoint_of(model, settings.writes)
    if settings.writes is not None:
        check_tokens(model, settings.reads, settings.writes)
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
        classifier=network.classifier,
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


def _image_rows(population: Population) -> Iterator[tuple[object, ...]]:
    """One row an image, by the ids that the store's tokens name."""
    for image, group in zip(population.images, population.groups.tolist(), strict=True):
        yield image.image, image.name, image.sha256, group
