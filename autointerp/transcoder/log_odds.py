"""What a classifier's network says of images."""

from collections.abc import Callable, Sequence

import numpy as np

from autointerp.populations.images import PopulationImage
from autointerp.statistics.rates import Floats
from autointerp.transcoder.backbones.headed import LOGIT
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.batches import prepared_batches


def log_odds_of(
    network: Backbone, images: Sequence[PopulationImage], *, batch: int, progress: Callable[[int, int], None]
) -> Floats:
    """Computes the log odds of images, shape [n], as the head gives them: not calibrated.

    Args:
        network: with the hookpoint `head`.
        images: at least one.
        batch: images run at once.
        progress: is told images done and all images.

    Raises:
        SettingsError: an image has changed since it was read.
    """
    found: list[Floats] = []
    done = 0
    for part, pixels in prepared_batches(network, images, size=batch):
        found.append(network.run(pixels, [LOGIT])[LOGIT][:, 0].double().cpu().numpy())
        done += len(part)
        progress(done, len(images))
    return np.concatenate(found)
