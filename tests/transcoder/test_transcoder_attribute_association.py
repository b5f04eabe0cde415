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
    assert named.lift_low <= 2.0 <= named.lift_high
    assert found.prefixes == ()


def test_the_interval_of_a_lift_covers_the_truth_and_narrows_with_the_images():
    chance = np.random.default_rng(0)
    hit, widths = 0, []
    for n in (200,) * 100 + (5000,):
        attribute = chance.random(n) < 0.3
        # Fires on 40 % of the carriers and 10 % of the others: .12 of .19 are carriers, a lift of 2.1.
        peaks = (chance.random((n, 1)) < np.where(attribute, 0.4, 0.1)[:, None]).astype(np.float32)
        (named,) = association(peaks, attribute, density=0.5, level=1.0 - 1e-9, seed=0).latents
        hit += named.lift_low <= 0.12 / 0.19 / 0.3 <= named.lift_high
        widths.append(named.lift_high - named.lift_low)

    assert hit >= 90
    assert widths[-1] < 0.35 * np.mean(widths[:-1])


def test_each_prefix_counts_the_latents_that_it_adds():
    attribute = np.arange(40) < 20
    peaks = np.zeros((40, 6), np.float32)
    peaks[:20, 0] = peaks[:, 1] = peaks[:18, 3] = peaks[20:, 4] = 1

    found = association(peaks, attribute, density=0.6, level=0.05, seed=0, widths=(2, 6))

    assert [(p.width, p.n_firing, p.n_associated, p.n_relevant) for p in found.prefixes] == [(2, 2, 1, 1), (6, 2, 1, 1)]
    assert [a.latent for a in found.latents] == [0, 3]
    assert found.prefixes[1].low < found.prefixes[1].share == 0.5 < found.prefixes[1].high


def test_dead_latents_leave_nothing_to_test():
    found = association(np.zeros((4, 2), np.float32), np.arange(4) < 2, density=0.5, level=0.05, seed=0)

    assert (found.n_firing, found.n_associated, found.share, found.low, found.high) == (0, 0, 0.0, 0.0, 1.0)
    assert (found.median_lift, found.latents) == (None, ())


def test_of_near_duplicates_with_one_label_one_counts():
    groups = np.array([0, 0, 1, 1, 2])
    attribute = np.array([True, True, True, False, False])

    assert one_of_each(groups, attribute).tolist() == [0, 2, 3, 4]
