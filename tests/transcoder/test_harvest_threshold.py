import numpy as np

from autointerp.transcoder.harvest.encode import threshold


def test_the_threshold_is_the_median_of_each_latents_own_quantile():
    # Latents reach 1 to 100, 10 to 1,000 and 0.1 to 10; their upper tenths begin at 91, 910 and 9.1. One is dead.
    steps = np.arange(1, 101, dtype=np.float32)[:, None]
    peaks = np.hstack([steps, 10 * steps, steps / 10, 0 * steps])

    assert threshold(peaks, 0.1) == 91


def test_where_nothing_fires_the_threshold_is_zero():
    assert threshold(np.zeros((5, 3), np.float32), 0.1) == 0.0
