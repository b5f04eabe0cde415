"""`autointerp train classifier`: labelled images to a stored head, or head and last blocks, with figures."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autointerp.clock import now
from autointerp.commands.train_classifier import TrainClassifier
from autointerp.counting import Counting, Uncounted, counted
from autointerp.errors import SettingsError
from autointerp.images.manifest import Manifest
from autointerp.places import cache_folder
from autointerp.populations.images import Population, read_population
from autointerp.statistics.rates import Bools, Floats, Ints
from autointerp.transcoder.backbones.protocol import Backbone, hookpoint_of
from autointerp.transcoder.backbones.registry import backbone_of
from autointerp.transcoder.classification_metrics import Quality, quality
from autointerp.transcoder.classifier import (
    INFO_FILE,
    ClassifierInfo,
    Counted,
    Epoch,
    Trained,
    Tuned,
    save_classifier,
    train_head,
)
from autointerp.transcoder.features import image_vectors
from autointerp.transcoder.files import write_table
from autointerp.transcoder.platt import PREDICTIONS_FILE
from autointerp.transcoder.settings import ClassifierSettings
from autointerp.transcoder.splits import Parts, split_groups
from autointerp.transcoder.tuning import Labelled, tune, unfrozen
from autointerp.version import __version__

CROWDED = 0.2
"""A group with a larger share of the images than this is worth a word."""


class Classified(NamedTuple):
    """Describes a classifier that was written."""

    folder: Path
    info: ClassifierInfo
    seconds: float


class _Asked(NamedTuple):
    """What a head is trained on."""

    settings: ClassifierSettings
    model: Backbone
    hookpoint: str
    whole: Population
    population: Population
    """The labelled images of the whole."""
    truth: Bools
    parts: Parts


def run(settings: TrainClassifier, *, progress: Counting | None = None) -> Classified:
    """Trains a head on a backbone, frozen or not, and measures it on groups of images that no choice has seen.

    The backbone's vectors stay in a folder, by image: a second call, or one after a stop, computes only missing ones.

    Raises:
        SettingsError: a folder, a label, a hookpoint or an image list cannot be used.
    """
    began, how, progress, folder = time.monotonic(), settings.settings, progress or Uncounted(), settings.out
    if (folder / INFO_FILE).exists():
        raise SettingsError(f"{folder}: holds a classifier already; give another folder")
    model = backbone_of(settings.backbone, seed=how.seed, device=settings.device)
    hookpoint = _hookpoint(model, how)
    if settings.tuning.unfreeze:
        unfrozen(model, hookpoint, settings.tuning)
    whole = read_population(
        settings.images,
        labels=settings.labels,
        attribute=settings.attribute,
        error_folders=settings.error_folders,
        **settings.columns.model_dump(),
        manifest=Manifest(cache_folder()),
        progress=counted(progress, "files read"),
    )
    population = _labelled(whole, progress)
    truth = np.array([bool(image.attribute) for image in population.images])
    shares = (1 - how.validation_share - how.test_share, how.validation_share, how.test_share)
    parts = split_groups(truth, population.groups, shares=shares, seed=how.seed)
    place = settings.vectors or folder / "features"
    found = image_vectors(model, hookpoint, population.images, place, counted(progress, "images through the backbone"))
    trained = train_head(found, truth, parts, how, _telling(progress))
    logits = trained.classifier(found).logits.double().numpy()
    asked = _Asked(how, model, hookpoint, whole, population, truth, parts)
    if settings.tuning.unfreeze:
        info, logits = _tuned(asked, trained, logits, settings, progress)
    else:
        info = _info(asked, trained, logits)
        save_classifier(folder, trained.classifier, info)
    columns = ("path", "part", "label", "log_odds", "group")
    write_table(folder / PREDICTIONS_FILE, columns, _predictions(asked, logits))
    return Classified(folder, info, time.monotonic() - began)


def _tuned(
    asked: _Asked, trained: Trained, logits: Floats, settings: TrainClassifier, progress: Counting
) -> tuple[ClassifierInfo, Floats]:
    """Trains the last blocks on, stores the network, and returns what is said of it and its log odds."""
    how, model, population = asked.settings, asked.model, asked.population
    data = Labelled(population.images, asked.truth, asked.parts)
    passes = _telling(progress, "passes of fine-tuning")
    made = tune(model, trained.classifier, asked.hookpoint, data, how, settings.tuning, passes)
    if not made.best_epoch:
        progress.note("no pass of fine-tuning was better on the validation part: the backbone stays as it was")
    place = settings.vectors or settings.out / "features"
    tell = counted(progress, "images through the tuned backbone")
    found = image_vectors(made.backbone, asked.hookpoint, population.images, place, tell)
    after = made.classifier(found).logits.double().numpy()
    before = _info(asked, trained, logits)
    tuned = Tuned(
        settings=settings.tuning,
        digest=made.backbone.digest,
        best_epoch=made.best_epoch,
        epochs_run=made.epochs_run,
        frozen_quality=before.test_quality,
    )
    info = _info(asked, trained, after).model_copy(update={"tuned": tuned})
    save_classifier(settings.out, made.classifier, info, made.weights)
    return info, after


def _telling(progress: Counting, stage: str = "epochs") -> Callable[[Epoch], None]:
    def tell(epoch: Epoch) -> None:
        progress.count(stage, epoch.number, None, f"loss {epoch.train:.3f}, validation {epoch.validation:.3f}")

    return tell


def _hookpoint(model: Backbone, settings: ClassifierSettings) -> str:
    """The one asked for, else the usual one of the head."""
    patches = [name for name, place in model.hookpoints.items() if place.kind == "patches"]
    usual = patches[-1] if settings.head == "linear" and patches else "pooled"
    name = settings.hookpoint or usual
    hookpoint_of(model, name)
    return name


def _labelled(whole: Population, progress: Counting) -> Population:
    for line in whole.broken:
        progress.note(f"passed over: {line}")
    for one in whole.others:
        progress.note(f"left out: {one}")
    for note in whole.notes:
        progress.note(note)
    population = whole.labelled()
    if not population.images:
        raise SettingsError(
            f"{whole.root}: none of its {len(whole.images)} images has a label; put them into folders named plausible "
            "and implausible, name folders with --error-folders, or give --labels FILE.csv"
        )
    largest = int(np.bincount(population.groups).max())
    if largest > max(2, CROWDED * len(population.images)):
        progress.note(
            f"{largest} of {len(population.images)} images form one group of near-duplicates, which stays on one side"
        )
    return population


def _info(asked: _Asked, trained: Trained, logits: Floats) -> ClassifierInfo:
    """What is stored beside the head; the figures of each part are of its own images."""
    settings, truth, parts, groups = asked.settings, asked.truth, asked.parts, asked.population.groups
    rate = float(truth[parts.train].mean())
    constant = np.full(len(truth), np.log(rate) - np.log1p(-rate))
    train, validation = (
        Counted(n=len(p), n_positive=int(truth[p].sum()), n_groups=len(np.unique(groups[p]))) for p in parts[:2]
    )

    def measured(log_odds: Floats, part: Ints) -> Quality:
        return quality(log_odds[part], truth[part], groups[part], seed=settings.seed)

    return ClassifierInfo(
        created=now(),
        created_by=f"autointerp {__version__}",
        images=asked.population.root,
        backbone=asked.model.name,
        backbone_digest=asked.model.digest,
        settings=settings,
        hookpoint=asked.hookpoint,
        width=len(trained.classifier.mean),
        train=train,
        validation=validation,
        n_unlabelled=len(asked.whole.images) - len(asked.population.images),
        n_broken=len(asked.whole.broken),
        best_epoch=trained.best.number,
        epochs_run=trained.epochs_run,
        validation_quality=measured(logits, parts.validation),
        test_quality=measured(logits, parts.test),
        constant_quality=measured(constant, parts.test),
    )


def _predictions(asked: _Asked, logits: Floats) -> Iterator[tuple[object, ...]]:
    part_of = {i: name for name, part in zip(Parts._fields, asked.parts, strict=True) for i in part.tolist()}
    for i, image in enumerate(asked.population.images):
        name, group = image.name, int(asked.population.groups[i])
        yield name, part_of[i], int(asked.truth[i]), f"{logits[i]:.4f}", group
