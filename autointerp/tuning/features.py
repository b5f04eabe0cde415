"""Which features an explainer is trained on, which are held out, and in what order they come."""

from collections.abc import Sequence
from random import Random

import numpy as np

from autointerp.dump.reader import Dump
from autointerp.errors import ImageError, SettingsError
from autointerp.job import only
from autointerp.lmm.outcomes import Failure, failed
from autointerp.schema import FailureRecord
from autointerp.settings import TuneSettings
from autointerp.tuning.folder import Features
from autointerp.tuning.training_prompts import Scenes


def usable_features(dump: Dump, ids: Sequence[int], scenes: Scenes) -> tuple[list[int], list[FailureRecord]]:
    """Features that can be trained on, and failures of those whose pictures cannot be made.

    Raises:
        SettingsError: there are none, or as `Scenes.usable` says.
    """
    found: list[int] = []
    broken: list[FailureRecord] = []
    for feature in dump.features(only(np.array(ids, np.int64))):
        try:
            if scenes.usable(feature):
                found.append(feature.id)
        except ImageError as e:
            broken.append(failed(feature.id, "tune:explain", Failure("image", str(e), 0)))
    if not found:
        raise SettingsError(f"{dump.path}: none of the features has images to show and others to judge by")
    return found, broken


def parted(usable: Sequence[int], settings: TuneSettings) -> Features:
    """Draws the features that are held out, one at least where any are to be."""
    n = min(round(settings.held_out * len(usable)) or int(settings.held_out > 0), len(usable) - 1)
    held_out = sorted(Random(f"tune-split:{settings.seed}").sample(usable, n))
    return Features(train=tuple(f for f in usable if f not in held_out), held_out=tuple(held_out))


def schedule(train: Sequence[int], settings: TuneSettings) -> list[int]:
    """Features of every step: each comes up as often as any other, to within one."""
    chance, out = Random(f"tune-order:{settings.seed}"), list[int]()
    while len(out) < settings.steps * settings.batch:
        out += chance.sample(train, len(train))
    return out[: settings.steps * settings.batch]
