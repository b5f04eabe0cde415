"""`autointerp train activations`: a folder of images to a store of a backbone's activations, in one pass."""

import hashlib
from pathlib import Path

from autointerp.commands.train_activations import TrainActivations
from autointerp.counting import Counting, Uncounted, counted
from autointerp.errors import SettingsError
from autointerp.images.manifest import Manifest
from autointerp.jobs.ray_work import is_on_ray
from autointerp.jobs.storing import COLUMNS, IMAGES_FILE, Stored, activations_of, check_free, clear, image_rows, stored
from autointerp.jobs.train_activations_ray import on_ray, parts_of
from autointerp.places import cache_folder
from autointerp.populations.images import Population, read_population
from autointerp.remote.path import RemotePath, as_path
from autointerp.remote.sending import send_folder
from autointerp.transcoder.backbones.headed import network_of
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.files import write_table
from autointerp.transcoder.harvest.folders import PLAN
from autointerp.transcoder.store import MANIFEST, Activations, ActivationStore, StoreWriter, record

STORES = "stores"
"""Folder of the cache in which stores for a URL are made."""


def run(settings: TrainActivations, *, progress: Counting | None = None) -> Stored:
    """Runs every image once, and stores what a layer reads and writes at its patches.

    Near-duplicates form groups, which a coder's held-out split keeps on one side. A pass that was stopped leaves a
    folder without a manifest, which nothing takes for a store; called again, it begins anew, but on a Ray cluster goes
    on.

    Raises:
        SettingsError: a folder, a hookpoint or an image list cannot be used, or `out` holds something already.
    """
    out, progress = as_path(settings.out), progress or Uncounted()
    if is_on_ray(settings.workplace):
        return on_ray(settings, out, progress)
    check_free(out)
    if isinstance(out, Path):
        return _in_folder(settings, out, progress)
    return _to_url(settings, out, progress)


def _to_url(settings: TrainActivations, target: RemotePath, progress: Counting) -> Stored:
    """Stores in a folder of the cache, and sends what was made."""
    home = cache_folder() / STORES / hashlib.sha256(target.url.encode()).hexdigest()[:16]
    made = _in_folder(settings, home / target.name, progress)
    send_folder(home / target.name, target, last=MANIFEST)
    home.rmdir()
    return made._replace(folder=target)


def _in_folder(settings: TrainActivations, folder: Path, progress: Counting) -> Stored:
    if ((parts := parts_of(folder)) / PLAN).exists():
        raise SettingsError(
            f"{parts}: --engine ray has begun this store; give the same command again, or remove the folder"
        )
    what = settings.settings
    network = network_of(settings.backbone, settings.classifier, seed=what.seed, device=settings.device)
    about = activations_of(network, what)
    population = read_population(
        settings.images,
        labels=settings.labels,
        group_column=settings.group_column,
        manifest=Manifest(cache_folder()),
        progress=counted(progress, "files read"),
    )
    clear(folder)
    _write(folder, about, network.model, population, settings, progress)
    return stored(folder, ActivationStore(folder).manifest, population)


def _write(
    folder: Path,
    about: Activations,
    model: Backbone,
    population: Population,
    settings: TrainActivations,
    progress: Counting,
) -> None:
    with StoreWriter(folder, about) as writer:
        record(
            model,
            population,
            writer,
            settings.settings,
            progress=counted(progress, "images run"),
            device=settings.device,
        )
        # Before the manifest, without which there is no store.
        write_table(folder / IMAGES_FILE, COLUMNS, image_rows(population))
