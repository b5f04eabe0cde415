"""The strongest activation of every latent on every image, of several coders in one pass."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from autointerp.populations.images import PopulationImage
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.harvest.encode import Encoder, Peaks, entries_of, peaks_of


class Reading(NamedTuple):
    """An encoder and what it reads."""

    encoder: Encoder
    reads: str
    """Hookpoint."""


def image_peaks(
    backbone: Backbone,
    images: Sequence[PopulationImage],
    encoders: Mapping[str, Reading],
    *,
    batch: int,
    progress: Callable[[int, int], None],
) -> dict[str, Peaks]:
    """Runs each image once.

    Args:
        backbone: that the encoders fit.
        images: in the order of the results.
        encoders: by name.
        batch: images run at once.
        progress: is told images done and all images.

    Returns:
        By encoder [n, n_latents], the maximum over an image's patches, 0 where none is above 0.

    Raises:
        SettingsError: an image has changed since it was read, or activations are not finite.
    """
    peaks = {name: np.zeros((len(images), one.encoder.n_latents), np.float32) for name, one in encoders.items()}
    places, done = list(dict.fromkeys(one.reads for one in encoders.values())), 0
    for part, pixels in prepared_batches(backbone, images, size=batch):
        taken = backbone.run(pixels, places)
        for name, one in encoders.items():
            entries = entries_of(one.encoder, name, taken[one.reads])
            peaks[name][done : done + len(part)] = peaks_of(entries, len(part), one.encoder.n_latents)
        done += len(part)
        progress(done, len(images))
    return peaks
