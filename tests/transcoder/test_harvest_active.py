import numpy as np
import pytest

from autointerp.statistics.rates import Ints
from autointerp.transcoder.harvest.active import ActiveImages
from autointerp.transcoder.harvest.silent_sampling import by_lot, cut, keys, uniform

N_TOP, N_REST = 3, 4


def heats_of(latents: Ints, images: Ints) -> np.ndarray:
    """Two patches, which tell latent and image."""
    return np.stack([latents, images], axis=1).astype(np.uint8)


def offered(latents: Ints, images: Ints, activations: np.ndarray, batches: list[Ints]) -> ActiveImages:
    kept = ActiveImages(int(latents.max()) + 1, N_TOP, N_REST, n_patches=2, seed=5)
    for batch in batches:
        a, b, c = latents[batch], images[batch], activations[batch].astype(np.float32)
        kept.offer(a, b, c, lambda rows, a=a, b=b: heats_of(a[rows], b[rows]))
    return kept


def test_of_ten_images_the_three_strongest_are_the_heap_and_the_four_lowest_keys_of_the_rest_the_reservoir():
    images, latents = np.arange(10), np.zeros(10, np.int64)
    activations = np.array([5, 1, 9, 9, 2, 3, 9, 4, 9, 1.5])

    kept = offered(latents, images, activations, [np.arange(10)])

    assert kept.top_image[0].tolist() == [2, 3, 6]
    rest = np.array([0, 1, 4, 5, 7, 8, 9])
    key = keys(5, "reservoir", np.zeros(7, np.int64), rest)
    assert kept.rest_image[0].tolist() == rest[np.argsort(key)[:4]].tolist()
    assert kept.rest_activation[0].tolist() == activations[kept.rest_image[0]].tolist()


@pytest.mark.parametrize("size", [1, 7, 300])
def test_neither_order_nor_batches_change_what_is_kept(size: int):
    rng = np.random.default_rng(0)
    latents, images = np.nonzero(rng.random((30, 60)) < np.linspace(0.02, 1, 30)[:, None])
    activations = rng.integers(1, 20, len(images)).astype(float)
    whole = offered(latents, images, activations, [np.arange(len(images))])
    order = rng.permutation(len(images))

    kept = offered(latents, images, activations, [order[i : i + size] for i in range(0, len(order), size)])

    assert np.array_equal(kept.top_image, whole.top_image)
    assert np.array_equal(kept.rest_image, whole.rest_image)
    for image, slot in ((kept.top_image, kept.top_slot), (kept.rest_image, kept.rest_slot)):
        latent, place = np.nonzero(image >= 0)
        assert np.array_equal(kept.heat[latent, slot[latent, place]], heats_of(latent, image[latent, place]))


def test_every_image_below_the_top_is_drawn_as_often_as_its_probability_says():
    # 3,000 latents with the same activations are 3,000 draws: 3 of 43 images are top, and 4 of the 8 kept others drawn.
    n_draws, n_images = 3000, 43
    latents, images = np.divmod(np.arange(n_draws * n_images), n_images)
    activation = np.arange(n_images, dtype=np.float32) % 11 + 1
    kept = ActiveImages(n_draws, 3, 8, n_patches=0, seed=1)
    kept.offer(latents, images, activation[images], lambda rows: np.zeros((len(rows), 0), np.uint8))

    times, chances = np.zeros(n_images), set()
    for latent in range(n_draws):
        image = kept.rest_image[latent]
        bands = cut(kept.rest_activation[latent], image, kept.rest_key[latent], n_rest=40, n_bands=2, n_per_band=2)
        times[image[np.concatenate([b.places for b in bands])]] += 1
        chances |= {b.probability for b in bands}

    assert list(chances) == [pytest.approx(2 * 2 / 40)]
    below = np.setdiff1d(np.arange(n_images), kept.top_image[0])
    spread = np.sqrt(0.1 * 0.9 / n_draws)
    assert np.abs(times[below] / n_draws - 0.1).max() < 4 * spread
    assert times[kept.top_image[0]].tolist() == [0, 0, 0]


def test_weights_of_an_uneven_activation_sum_to_its_total_on_the_mean():
    # The sum of activation/probability over what is drawn estimates the sum over all 40 images below the top.
    n_draws = 4000
    latents, images = np.divmod(np.arange(n_draws * 40), 40)
    activation = np.linspace(1, 10, 40, dtype=np.float32) ** 2
    kept = ActiveImages(n_draws, 1, 12, n_patches=0, seed=2)
    kept.offer(latents, images, activation[images], lambda rows: np.zeros((len(rows), 0), np.uint8))

    totals = []
    for latent in range(n_draws):
        own = kept.rest_activation[latent]
        bands = cut(own, kept.rest_image[latent], kept.rest_key[latent], n_rest=39, n_bands=3, n_per_band=2)
        totals.append(sum(own[b.places].sum() / b.probability for b in bands))

    error = np.std(totals) / np.sqrt(n_draws)
    assert np.mean(totals) == pytest.approx(activation[:-1].sum(), abs=4 * error)


def test_nine_images_below_the_top_make_two_bands_of_five_and_four():
    activation = np.array([9, 8, 7, 6, 5, 4, 3, 2, 1], np.float32)
    key = np.array([8, 7, 6, 5, 4, 3, 2, 1, 0], np.uint64)

    low, high = cut(activation, np.arange(9), key, n_rest=9, n_bands=4, n_per_band=3)[:2]

    assert (low.stratum, high.stratum) == ("q1", "q2")
    # The weakest images have the lowest keys: places 8, 7, 6 of the lower third, and 5, 4, 3 of the next.
    assert (low.places.tolist(), low.probability) == ([6, 7, 8], 1.0)
    assert (high.places.tolist(), high.probability) == ([3, 4, 5], 1.0)


def test_two_images_below_the_top_make_one_band_of_which_both_are_drawn():
    (band,) = cut(
        np.array([1, 2], np.float32), np.arange(2), np.arange(2, dtype=np.uint64), n_rest=2, n_bands=4, n_per_band=5
    )

    assert (band.stratum, band.places.tolist(), band.probability) == ("q1", [1, 0], 1.0)


def test_without_images_below_the_top_there_is_no_band():
    empty = np.zeros(0)

    assert (
        cut(
            empty.astype(np.float32), empty.astype(np.int64), empty.astype(np.uint64), n_rest=0, n_bands=4, n_per_band=5
        )
        == []
    )


def test_keys_look_uniform_and_differ_by_purpose_and_seed():
    grid = np.meshgrid(np.arange(100), np.arange(100))

    drawn = uniform(keys(0, "reservoir", *grid))

    assert drawn.mean() == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 10_000))
    assert np.histogram(drawn, bins=10, range=(0, 1))[0].min() > 880
    for other in (uniform(keys(0, "guided", *grid)), uniform(keys(1, "reservoir", *grid)), drawn.T):
        assert abs(np.corrcoef(drawn.ravel(), other.ravel())[0, 1]) < 0.06


def test_the_first_images_of_a_lot_are_any_images_equally_often():
    times = np.zeros(20)

    for seed in range(2000):
        times[by_lot(20, seed)[:5]] += 1

    assert np.abs(times / 2000 - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 2000)
