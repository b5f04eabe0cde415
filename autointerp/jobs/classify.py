"""`autointerp classify`: a folder of images through a trained classifier to a probability each, and means of groups."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autointerp.commands.classify import Classify
from autointerp.counting import Counting, Uncounted, counted
from autointerp.errors import SettingsError
from autointerp.images.formats import LeftOut
from autointerp.images.manifest import Manifest
from autointerp.places import cache_folder
from autointerp.populations.images import Population, read_population, read_tabled
from autointerp.record import Record
from autointerp.statistics.rates import Floats, Ints
from autointerp.transcoder.backbones.headed import network_of
from autointerp.transcoder.classification_metrics import clustered_mean
from autointerp.transcoder.classifier import ClassifierRef
from autointerp.transcoder.files import write_table
from autointerp.transcoder.log_odds import log_odds_of
from autointerp.transcoder.platt import Calibration, calibration_of

NOWHERE = "."
"""Stands for the folder itself, and for an empty field."""


class OfGroup(Record):
    """What the classifier says of the images of one folder, or of one value of a column."""

    name: str
    n_images: int
    n_groups: int
    """Of near-duplicates, which the interval takes for one; a single image is one too."""
    probability: float
    """Mean over the images."""
    low: float
    high: float
    """95 % interval, over groups of near-duplicates."""
    above_half: float
    """Share of the images with a probability above one half."""


class Applied(NamedTuple):
    """Describes what was written."""

    out: Path
    classifier: ClassifierRef
    calibration: Calibration
    n_images: int
    all: OfGroup
    groups: tuple[OfGroup, ...]
    """By name."""
    left_out: tuple[LeftOut, ...]
    """All files that are left out, by kind."""


def run(settings: Classify, *, progress: Counting | None = None) -> Applied:
    """Runs every image through a classifier's network, and writes a calibrated probability of each.

    Raises:
        SettingsError: the classifier, a folder or the table cannot be used, or `out` is there already.
    """
    progress = progress or Uncounted()
    if (settings.table is None) != (settings.by is None):
        raise SettingsError("--by: names a column of --table; give both or neither")
    if settings.out.exists():
        raise SettingsError(f"--out {settings.out}: exists already; give another file")
    network = network_of(settings.backbone, settings.classifier, seed=0, device=settings.device)
    assert network.classifier is not None
    calibration = calibration_of(settings.classifier)
    population = _population(settings, progress)
    told = counted(progress, "images run")
    logits = log_odds_of(network.model, population.images, batch=settings.batch, progress=told)
    probability, names = calibration.probability(logits), [i.label or NOWHERE for i in population.images]
    columns = ("path", "probability", "log_odds", settings.by or "folder")
    write_table(settings.out, columns, _rows(population, probability, logits, names))
    return Applied(
        out=settings.out,
        classifier=network.classifier,
        calibration=calibration,
        n_images=len(names),
        all=_of_group("all", population, probability, np.arange(len(names))),
        groups=tuple(
            _of_group(name, population, probability, np.flatnonzero(np.array(names) == name))
            for name in sorted(set(names))
        ),
        left_out=population.left_out,
    )


def _population(settings: Classify, progress: Counting) -> Population:
    told, manifest = counted(progress, "files read"), Manifest(cache_folder())
    if settings.table is not None and settings.by is not None:
        return read_tabled(settings.images, settings.table, settings.by, manifest=manifest, progress=told)
    return read_population(settings.images, manifest=manifest, progress=told)


def _rows(
    population: Population, probability: Floats, logits: Floats, names: list[str]
) -> Iterator[tuple[object, ...]]:
    for image, p, log_odds, name in zip(population.images, probability, logits, names, strict=True):
        yield image.name, f"{p:.6f}", f"{log_odds:.4f}", name


def _of_group(name: str, population: Population, probability: Floats, rows: Ints) -> OfGroup:
    mine, groups = probability[rows], population.groups[rows]
    mean = clustered_mean(mine, groups)
    return OfGroup(
        name=name,
        n_images=len(rows),
        n_groups=len(np.unique(groups)),
        probability=mean.value,
        low=mean.low,
        high=mean.high,
        above_half=float(np.mean(mine > 0.5)),
    )
