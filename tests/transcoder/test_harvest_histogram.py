import numpy as np
import pytest

from autointerp.transcoder.harvest.collector import N_FINE, Levels


def test_ten_equal_steps_fall_into_ten_bins():
    levels = Levels(1, above=2.0)
    levels.add(np.zeros(10, np.int64), np.arange(2.5, 12.5, 1, dtype=np.float32))

    assert levels.coarse(0, 11.5, 10).tolist() == [1] * 10


@pytest.mark.parametrize("above", [0.0, 3.0])
def test_neither_order_nor_batches_change_a_count(above: float):
    rng = np.random.default_rng(0)
    latents, values = rng.integers(0, 5, 4000), above + np.exp(rng.normal(0, 4, 4000)).astype(np.float32)
    values = values.astype(np.float32)
    once, often = Levels(5, above), Levels(5, above)
    once.add(latents, values)

    for part in np.array_split(rng.permutation(4000), 97):
        often.add(latents[part], values[part])

    assert np.array_equal(once.counts, often.counts)
    assert np.array_equal(once.exponent, often.exponent)
    assert once.counts.sum(axis=1).tolist() == np.bincount(latents).tolist()


def test_wider_bins_change_only_counts_that_were_or_become_more_than_0():
    levels = Levels(1, above=0.0)
    levels.add(np.array([0]), np.array([1023.5], np.float32))
    levels.add(np.array([0]), np.array([3.0], np.float32))
    levels.counted[:] = False

    levels.add(np.array([0]), np.array([1500.0], np.float32))

    # Bins are 2 wide now: what was at 1023 and 3 is at 511 and 1, and 1500 is at 750.
    assert np.flatnonzero(levels.counted[0]).tolist() == [1, 3, 511, 750, 1023]
    assert np.flatnonzero(levels.counts[0]).tolist() == [1, 511, 750]


def test_fine_bins_reach_beyond_the_maximum_but_not_twice_as_far():
    levels = Levels(3, above=1.0)
    levels.add(np.array([0, 1, 2]), np.array([1.001, 9.0, 4000.0], np.float32))

    reach = N_FINE * np.ldexp(1.0, levels.exponent)

    height = np.array([1.001, 9.0, 4000.0], np.float32).astype(float) - 1.0
    assert np.all((reach > height) & (reach <= 2 * height))


def test_an_image_is_counted_beside_its_bin_only_near_the_edge():
    rng = np.random.default_rng(1)
    values = (1 + rng.gamma(2, 3, 20_000)).astype(np.float32)
    levels, highest = Levels(1, above=1.0), float(values.max())
    levels.add(np.zeros(len(values), np.int64), values)

    found = levels.coarse(0, highest, 50)

    exact, edges = np.histogram(values.astype(float), bins=50, range=(1.0, highest))
    near = (highest - 1.0) / N_FINE
    at_risk = [int(np.sum(np.abs(values - edge) <= near)) for edge in edges]
    assert found.sum() == 20_000
    assert np.all(np.abs(found - exact) <= np.array(at_risk[:-1]) + np.array(at_risk[1:]))
    assert np.abs(found - exact).sum() < 0.06 * 20_000


def test_a_latent_that_never_fires_has_no_counts():
    levels = Levels(2, above=0.0)

    levels.add(np.array([1]), np.array([3.0], np.float32))

    assert levels.counts[0].sum() == 0
