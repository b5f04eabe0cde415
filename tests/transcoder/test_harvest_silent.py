import numpy as np
import pytest

from autointerp.transcoder.harvest.silent_sampling import MOST, Likeness, Lot, draw_lot, draw_silent, guided_chances

N = 30
COSINE = np.linspace(-0.3, 0.6, N)
FIRES = np.arange(N) % 4 == 0


def worth(n_pool: int, n_draws: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Over many seeds: how often each image is drawn, its mean 1/probability where it is, and its last probability."""
    times, weight, chance = np.zeros(N), np.zeros((n_draws, N)), np.zeros(N)
    for seed in range(n_draws):
        lot = draw_lot(N, n_base=4, n_pool=n_pool, seed=seed)
        drawn = draw_silent(lot, 9, silent=~FIRES[lot.images], cosine=COSINE[lot.images], n_guided=3, seed=seed)
        places = np.concatenate([drawn.base, drawn.guided])
        assert len(set(places.tolist())) == len(places)
        times[lot.images[places]] += 1
        weight[seed, lot.images[places]] = 1 / drawn.chance[places]
        chance[lot.images] = drawn.chance
    return times / n_draws, weight, chance


def test_with_the_population_as_pool_each_silent_image_is_drawn_as_often_as_its_probability_says():
    often, _, chance = worth(N, 4000)

    g = guided_chances(COSINE, ~FIRES, 3)
    assert chance[~FIRES] == pytest.approx((4 / N + g - 4 / N * g)[~FIRES])
    assert np.all(often[FIRES] == 0)
    spread = np.sqrt(chance * (1 - chance) / 4000)
    assert np.all(np.abs(often - chance)[~FIRES] < 4 * spread[~FIRES])


def test_with_a_smaller_pool_each_silent_image_still_weighs_one_on_the_mean():
    _, weight, _ = worth(12, 6000)

    mean, error = weight.mean(axis=0), weight.std(axis=0) / np.sqrt(len(weight))
    assert np.all(mean[FIRES] == 0)
    assert np.all(np.abs(mean - 1)[~FIRES] < 4.5 * error[~FIRES])
    total = weight.sum(axis=1)
    assert total.mean() == pytest.approx((~FIRES).sum(), abs=4 * total.std() / np.sqrt(len(total)))


def test_an_image_drawn_both_ways_is_guided():
    lot = Lot(np.arange(4), 4, 4)

    drawn = draw_silent(lot, 0, silent=np.ones(4, np.bool_), cosine=np.zeros(4), n_guided=2, seed=1)

    assert sorted([*drawn.base, *drawn.guided]) == [0, 1, 2, 3]
    assert len(drawn.guided) > 0
    assert drawn.chance.tolist() == [1.0] * 4


def test_chances_of_look_alikes_sum_to_what_is_wanted_and_none_is_above_one_half():
    silent = np.array([True] * 9 + [False])

    chance = guided_chances(np.array([0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.0, 1.0]), silent, 2)

    assert chance[:2].tolist() == [MOST, MOST]
    assert chance.sum() == pytest.approx(2)
    assert chance[2] == pytest.approx(chance[7])
    assert chance[2] / chance[8] == pytest.approx(np.exp(12 * 0.1))
    assert chance[9] == 0


def test_where_silent_images_are_few_each_has_a_chance_of_one_half():
    assert guided_chances(np.array([0.5, 0.1, 0.2]), np.array([True, True, False]), 10).tolist() == [0.5, 0.5, 0]


def test_nothing_is_guided_where_nothing_is_silent_or_wanted():
    assert guided_chances(np.zeros(2), np.zeros(2, np.bool_), 10).tolist() == [0, 0]
    assert guided_chances(np.zeros(2), np.ones(2, np.bool_), 0).tolist() == [0, 0]


def test_likeness_is_the_cosine_around_the_pools_mean():
    vectors = np.array([[11, 10], [9, 10], [10, 11], [10, 9]], np.float32)

    cosine = Likeness(vectors).to(np.array([[13, 10], [10, 4]], np.float32))

    assert cosine.tolist() == [[1, -1, 0, 0], [0, 0, -1, 1]]


def test_a_pool_never_holds_less_than_the_base_or_more_than_the_population():
    assert [len(draw_lot(n, n_base=5, n_pool=3, seed=0).images) for n in (4, 8)] == [4, 5]
