import numpy as np
import pytest

from autointerp.transcoder.attribute_association import association, one_of_each


def test_a_latent_that_fires_on_all_five_carriers_of_ten_images_has_lift_two():
    attribute = np.arange(10) < 5
    peaks = np.zeros((10, 3), np.float32)
    peaks[:5, 0] = 1
    peaks[::2, 1] = 1

    found = association(peaks, attribute, density=0.6, level=0.05, seed=0)

    (named,) = found.latents
    assert (named.latent, named.n_active, named.n_active_attribute, named.lift) == (0, 5, 5, 2.0)
    # One of the 252 ways to draw 5 of 10, in two tests.
    assert (named.p, named.q) == (pytest.approx(1 / 252), pytest.approx(2 / 252))
    assert (found.n_firing, found.n_associated, found.share, found.median_lift) == (2, 1, 0.5, 2.0)
    assert found.low < 0.5 < found.high
    assert found.shuffled < 0.2


def test_dead_latents_leave_nothing_to_test():
    found = association(np.zeros((4, 2), np.float32), np.arange(4) < 2, density=0.5, level=0.05, seed=0)

    assert (found.n_firing, found.n_associated, found.share, found.low, found.high) == (0, 0, 0.0, 0.0, 1.0)
    assert (found.median_lift, found.latents) == (None, ())


def test_of_near_duplicates_with_one_label_one_counts():
    groups = np.array([0, 0, 1, 1, 2])
    attribute = np.array([True, True, True, False, False])

    assert one_of_each(groups, attribute).tolist() == [0, 2, 3, 4]
