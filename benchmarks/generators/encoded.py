"""Runs the stock of scenes once: what the pack's features do on each, and what the paper's classifier says."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.generators.encoding import open_reader
from autointerp.generators.pack import OpenedPack
from autointerp.populations.images import read_population
from autointerp.transcoder.backbones.headed import LOGIT, with_classifier
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.harvest.encode import entries_of, peaks_of
from benchmarks.generators.scenes import Picture

BATCH = 16


class Stock(NamedTuple):
    """The scenes that generators draw from; arrays of one length."""

    pictures: tuple[Picture, ...]
    peaks: npt.NDArray[np.float32]
    """[n, latents of the coder]."""
    log_odds: npt.NDArray[np.float32]
    """Of an error, by the classifier, [n]; 0 without one."""


def encoded(
    opened: OpenedPack, classifier: Path | None, folder: Path, pictures: Sequence[Picture], file: Path
) -> Stock:
    """Runs all scenes, or reads what an earlier call kept in `file`."""
    if not file.exists():
        reader = open_reader(opened, backbone=None, batch=BATCH, device="cpu")
        network = reader.network if classifier is None else with_classifier(reader.network, classifier).model
        wanted = [reader.source.reads, *([] if classifier is None else [LOGIT])]
        images = read_population(folder).images
        peaks, odds, names = [], [], []
        for batch, pixels in prepared_batches(network, images, size=BATCH):
            taken = network.run(pixels, wanted)
            entries = entries_of(reader.source.encoder, "coder", taken[reader.source.reads])
            peaks.append(peaks_of(entries, len(batch), reader.source.encoder.n_latents))
            odds.append(taken[LOGIT][:, 0].numpy() if classifier else np.zeros(len(batch), np.float32))
            names += [image.name for image in batch]
        half = file.with_suffix(".part.npz")
        np.savez(half, peaks=np.concatenate(peaks), odds=np.concatenate(odds), names=np.array(names))
        half.replace(file)
    with np.load(file) as held:
        place = {str(name): i for i, name in enumerate(held["names"])}
        order = [place[p.name] for p in pictures]
        return Stock(tuple(pictures), held["peaks"][order], held["odds"][order])
