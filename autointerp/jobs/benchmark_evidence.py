"""The labelled images on which the features of a pack are chosen and measured, and what features do on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.commands.benchmark_make import BenchmarkMake
from autointerp.counting import Counting, counted
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.generators.encoding import Reader
from autointerp.generators.records import HeldOut
from autointerp.generators.selection import Candidate, Evidence, halves
from autointerp.images.manifest import Manifest
from autointerp.images.near_duplicates import joined
from autointerp.places import cache_folder
from autointerp.populations.images import read_population
from autointerp.statistics.rates import Bools, Ints
from autointerp.transcoder.backbones.headed import Network
from autointerp.transcoder.coder_io import StoredCoder
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.precision import used_precision

FEWEST = 40
"""Labelled images with the attribute, and as many without, that a pack is made from at least."""
FEWEST_OF_HALF = 10
"""Of these, in the half that chooses and in the half that measures, at least."""
MORE = 6
"""So many features are looked at for each negative control that is wanted."""


@dataclass(frozen=True)
class Opened:
    """The network and the coder that the run's dump was harvested with."""

    network: Network
    source: Source
    stored: StoredCoder | None


def _columns(settings: BenchmarkMake, dump: Dump, candidates: Sequence[Candidate]) -> list[int]:
    """The candidates, and features among which negative controls are sought."""
    own = [c.feature for c in candidates]
    table = dump.features_table()
    alive = table["feature"].to_numpy()[table["n_active"].to_numpy() > 0]
    others = np.setdiff1d(alive, own)
    rng = np.random.default_rng((0x5EEC, settings.choice.seed))
    some = rng.permutation(others)[: MORE * settings.choice.n_controls]
    return [*own, *sorted(some.tolist())]


def evidence_of(
    settings: BenchmarkMake, dump: Dump, opened: Opened, candidates: Sequence[Candidate], progress: Counting
) -> tuple[Evidence, HeldOut]:
    """Gathers what candidates, and features among which controls are sought, do on labelled images.

    Args:
        settings: of the command.
        dump: of the run.
        opened: the network and the coder.
        candidates: features that may be failure features.
        progress: is told files read and images run.

    Raises:
        SettingsError: there are too few labelled images, or they cannot be read.
    """
    columns = np.array(_columns(settings, dump, candidates), np.int64)
    if settings.images is not None:
        evidence, broken = _encoded(settings, opened, columns, progress)
    else:
        evidence, broken = _pooled(dump, columns), 0
    first = halves(evidence.clusters, settings.choice.seed)
    _check(evidence, first, "--images" if settings.images is not None else f"{dump.path}: its pool")
    assert dump.info.attribute is not None
    about = HeldOut(
        source="pool" if settings.images is None else "images",
        attribute=dump.info.attribute.name,
        n_choosing=int(first.sum()),
        n_measuring=int((~first).sum()),
        broken=broken,
    )
    return evidence, about


def _check(evidence: Evidence, first: Bools, where: str) -> None:
    """Sees that there are images enough in both halves."""
    n_with, n_without = int(evidence.attribute.sum()), int((~evidence.attribute).sum())
    if min(n_with, n_without) < FEWEST:
        raise SettingsError(
            f"{where}: {n_with} images with the attribute and {n_without} without; a pack needs {FEWEST} of each"
        )
    sides = [evidence.attribute[half] for half in (first, ~first)]
    if min(int(part.sum()) for side in sides for part in (side, ~side)) < FEWEST_OF_HALF:
        raise SettingsError(
            f"{where}: its {len(np.unique(evidence.clusters))} prompts, groups and near-duplicates are not divided, "
            f"and one half of them has fewer than {FEWEST_OF_HALF} images with the attribute or without; give images "
            "of more prompts or groups"
        )


def _pooled(dump: Dump, columns: Ints) -> Evidence:
    """What features do on the labelled images of the dump's pool."""
    if dump.pool is None:
        raise SettingsError(f"{dump.path}: has no pool; give labelled images with --images, or harvest the dump again")
    rows = dump.images(dump.pool.images.tolist())
    labelled = [row for row in rows if row.attribute is not None]
    place = {row.image: i for i, row in enumerate(labelled)}
    peaks = np.zeros((len(labelled), len(columns)), np.float32)
    for j, latent in enumerate(columns.tolist()):
        row = dump.pool.row(latent)
        own = {} if row is None else row.activations
        for image, activation in own.items():
            if image in place:
                peaks[place[image], j] = activation
    sources = _sources(dump, [row.image for row in labelled])
    groups = joined(len(labelled), [row.group for row in labelled], sources)
    attribute = np.array([bool(row.attribute) for row in labelled], np.bool_)
    return Evidence(columns, peaks, attribute, groups, dump.info.active_above)


def _sources(dump: Dump, images: Sequence[int]) -> list[str | None]:
    table = dump.images_table()
    if "source" not in table.column_names:
        return [None] * len(images)
    known = dict(zip(table["image"].to_pylist(), table["source"].to_pylist(), strict=True))
    return [known[image] for image in images]


def _encoded(settings: BenchmarkMake, opened: Opened, columns: Ints, progress: Counting) -> tuple[Evidence, int]:
    """Runs labelled images, of which no coder need have seen any."""
    population = read_population(
        settings.images,
        manifest=Manifest(cache_folder(settings.cache)),
        progress=counted(progress, "files read"),
        labels=settings.labels,
        attribute=settings.attribute,
        error_folders=settings.error_folders,
        **settings.columns.model_dump(),
    )
    groups, kept = population.groups, population.labelled().images
    if not kept:
        raise SettingsError("--images: no image has a label; give --labels or --error-folders")
    precision = used_precision("auto", settings.device)
    reader = Reader(opened.network.model, opened.source, columns, settings.batch, settings.device, precision)
    peaks, done = np.zeros((len(kept), len(columns)), np.float32), 0
    for batch in reader.batches(kept):
        peaks[done : done + len(batch.images)] = batch.peaks
        done += len(batch.images)
        progress.count("images run", done, len(kept))
    attribute = np.array([bool(image.attribute) for image in kept], np.bool_)
    return Evidence(columns, peaks, attribute, groups[[i.image for i in kept]], 0.0), len(population.broken)
