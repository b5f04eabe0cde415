"""From which activation on a latent counts as firing on an image, where nobody says."""

import numpy as np

from autointerp.transcoder.harvest.encode import Peaks


def threshold(peaks: Peaks, density: float) -> float:
    """The activation above which half of the latents fire on about this share of the images or more.

    A sparse coder turns a few latents on in each of hundreds of patches, so that above 0 most latents fire on most
    images, mostly barely. A dump has one threshold for all its latents, whose scales differ: the median over latents of
    each one's own quantile leaves as many below as above, where a quantile of all activations pooled would be that of
    the few strongest latents and silence most others.

    Args:
        peaks: [n_images, n_latents], 0 or more, on images drawn uniformly.
        density: Share of the images, in (0, 1).

    Returns:
        A float32, 0 or more; latents that fire on none of the images are left out of the median.
    """
    living = peaks[:, peaks.max(axis=0) > 0]
    if not living.size:
        return 0.0
    return float(np.float32(np.median(np.quantile(living, 1 - density, axis=0, method="higher"))))
