from itertools import combinations, product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from autointerp.schema import Verdict
from autointerp.scoring.common_images import Matched, matched, raised
from autointerp.scoring.scorer_list import SCORERS
from autointerp.scoring.scorers.accuracy import ACCURACY
from autointerp.scoring.scorers.detection import DETECTION
from autointerp.statistics.comparison import (
    Contrast,
    Estimate,
    cliffs_delta,
    paired,
    shuffles,
    sign_flips,
    unpaired,
)
from autointerp.statistics.rates import Floats
from autointerp.statistics.resampling import Draws

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=7)


def array(*values: float) -> Floats:
    return np.array(values, float)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def compare(a: Floats, b: Floats, *, seed: int = 0, replicates: int = 1000) -> Contrast:
    return paired(a, b, Draws(replicates, seed))


def bounds(estimate: Estimate | None) -> tuple[float, float]:
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


def test_four_differences_have_their_mean_and_its_t_interval():
    # Differences .1 .2 .3 .4: mean .25, deviation .1291, t with 3 degrees 3.182, half = 3.182 * .1291 / 2 = .2054.
    found = compare(array(0.5, 0.4, 0.3, 0.2), array(0.6, 0.6, 0.6, 0.6))

    assert (found.n_a, found.mean_a.value, found.mean_b.value) == (4, 0.35, 0.6)
    assert_allclose(found.difference.value, 0.25)
    assert_allclose(bounds(found.difference), (0.0446, 0.4554), atol=0.001)
    assert found.effect is not None
    assert_allclose(found.effect.value, 0.25 / 0.1291, rtol=1e-4)
    assert (found.effect.low, found.effect.high) == (None, None)


def test_four_differences_of_one_sign_have_p_2_of_16():
    found = compare(array(0.5, 0.4, 0.3, 0.2), array(0.6, 0.6, 0.6, 0.6))

    assert (found.tested.p, found.tested.by) == (2 / 16, "exact")


def test_features_are_counted_as_better_equal_and_worse_with_wilsons_interval():
    a, b = np.full(20, 0.5), np.repeat([0.9, 0.5, 0.1], [10, 6, 4])

    found = compare(a, b)

    assert (found.better.value, found.equal, found.worse) == (0.5, 0.3, 0.2)
    # Wilson, 10 of 20: half = 1.96 sqrt(.25 / (20 + 3.84)) = .2007.
    assert_allclose(bounds(found.better), (0.2993, 0.7007), atol=0.001)


def test_differences_that_are_rounding_are_none():
    found = compare(array(0.1 + 0.2, 0.5), array(0.3, 0.5))

    assert (found.difference.value, found.equal, found.tested.p) == (0.0, 1.0, 1.0)


def test_equal_differences_have_neither_interval_nor_effect():
    found = compare(np.full(12, 0.25), np.full(12, 0.5))

    assert found.difference == Estimate(value=0.25)
    assert found.effect is None
    assert found.tested.p == 2 / 2**12


def test_one_feature_says_nothing_of_others():
    found = compare(array(0.25), array(0.75))

    assert (found.difference, found.mean_a, found.tested.p) == (Estimate(value=0.5), Estimate(value=0.25), 1.0)


def test_the_same_seed_gives_the_same_figures():
    a, b = rng().random(30), rng().random(30) ** 2

    one, same, other = (compare(a, b, seed=s) for s in (1, 1, 2))

    assert one == same
    assert one.difference != other.difference


def test_swapping_the_runs_changes_the_sign_of_everything():
    a, b = rng().random(40), np.random.default_rng(1).random(40) * 0.8

    one, other = compare(a, b, replicates=4000), compare(b, a, replicates=4000)

    assert one.difference.value == -other.difference.value
    assert_allclose(bounds(one.difference), [-x for x in bounds(other.difference)[::-1]], atol=0.01)
    assert (one.better.value, one.worse) == (other.worse, other.better.value)
    assert one.tested.p == pytest.approx(other.tested.p, abs=0.03)


@settings(deadline=None)
@given(st.lists(st.sampled_from([-0.5, -0.25, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=8))
def test_the_exact_sign_flip_goes_through_all_of_them(differences: list[float]):
    true = abs(sum(differences))
    slow = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]

    found = sign_flips(np.array(differences), rng(), 100)

    assert found.by == "exact"
    assert_allclose(found.p, np.mean([s >= true for s in slow]))


@settings(deadline=None)
@given(SCORES, SCORES)
def test_the_exact_shuffle_goes_through_all_of_them(a: list[float], b: list[float]):
    whole, n, m = a + b, len(a), len(b)
    true = abs(sum(a) / n - sum(b) / m)
    slow: list[float] = []
    for chosen in combinations(range(n + m), n):
        left = [whole[i] for i in chosen]
        right = [x for i, x in enumerate(whole) if i not in chosen]
        slow.append(abs(sum(left) / n - sum(right) / m))

    found = shuffles(np.array(a), np.array(b), rng(), 100)

    assert found.by == "exact"
    assert_allclose(found.p, np.mean([s >= true - 1e-9 for s in slow]))


@settings(deadline=None)
@given(SCORES, SCORES)
def test_cliffs_delta_counts_pairs(a: list[float], b: list[float]):
    slow = np.mean([(y > x) - (y < x) for x in a for y in b])

    found = cliffs_delta(np.array(a), np.array(b))

    assert_allclose(found.value, slow, atol=1e-12)
    if found.low is not None and found.high is not None:
        assert -1 <= found.low <= found.value <= found.high <= 1


def test_random_draws_come_near_the_exact_p():
    d = np.random.default_rng(5).normal(0.4, 1, 16)
    exact, more = sign_flips(d, rng(), 100), np.append(d, 1e-6)

    drawn = sign_flips(more, rng(), 10_000)

    assert (exact.by, drawn.by) == ("exact", "draws")
    # Four standard errors of a share of 10,000.
    assert abs(drawn.p - exact.p) < 4 * sqrt(exact.p * (1 - exact.p) / 10_000)


def test_very_many_features_have_the_normal_limit():
    # 3280 of 6400 go up: the sum is 160, its deviation sqrt(6400) = 80. Of 3200 against 3200, 1640 against 1560
    # are 1: 40 above the middle, with a deviation of sqrt(.25 * 1600) = 20. Two deviations have p = .0455.
    d = np.repeat([1.0, -1.0], [3280, 3120])
    a, b = np.repeat([1.0, 0.0], [1640, 1560]), np.repeat([1.0, 0.0], [1560, 1640])

    flipped, shuffled = sign_flips(d, rng(), 10), shuffles(a, b, rng(), 10)

    assert (flipped.by, shuffled.by) == ("normal", "normal")
    assert_allclose((flipped.p, shuffled.p), 0.0455, atol=0.0001)


def test_a_difference_of_all_features_has_the_smallest_p_there_is():
    assert sign_flips(np.full(40, 0.1), rng(), 999).p == 1 / 1000
    assert shuffles(np.zeros(20), np.ones(20), rng(), 999).p == 1 / 1000


def test_the_p_value_is_uniform_where_runs_are_alike():
    chance = np.random.default_rng(3)

    p = [sign_flips(chance.normal(0, 1, 30), chance, 199).p for _ in range(400)]
    q = [shuffles(chance.random(12), chance.random(15), chance, 199).p for _ in range(400)]

    for level in (0.05, 0.25, 0.5, 0.75):
        for found in (p, q):
            # Four standard errors of a share of 400.
            assert abs(np.mean(np.array(found) <= level) - level) < 4 * sqrt(level * (1 - level) / 400)


@pytest.mark.parametrize("n", [8, 12, 40])
@pytest.mark.parametrize("skewed", [False, True])
def test_the_intervals_of_a_paired_difference_hold_the_truth(n: int, skewed: bool):
    chance = np.random.default_rng(7)
    draw = (lambda: chance.exponential(1, n) - 0.5) if skewed else (lambda: chance.normal(0.5, 1, n))

    found = [compare(np.zeros(n), draw(), seed=i, replicates=400) for i in range(300)]

    # Mean and deviation are .5 and 1 either way, so d_z is .5.
    assert np.mean([low <= 0.5 <= high for low, high in (bounds(c.difference) for c in found)]) >= 0.88
    if n >= 10:
        assert np.mean([low <= 0.5 <= high for low, high in (bounds(c.effect) for c in found)]) >= 0.9


def test_many_features_have_the_interval_that_the_bootstrap_tends_to():
    d = np.random.default_rng(2).exponential(1, 5001) - 0.9

    few, many = compare(np.zeros(5000), d[:5000], replicates=2000), compare(np.zeros(5001), d, replicates=2000)

    assert_allclose(bounds(many.difference), bounds(few.difference), atol=0.004)
    assert_allclose(bounds(many.effect), bounds(few.effect), atol=0.008)


def test_two_dumps_are_compared_by_difference_and_delta():
    a, b = array(0.1, 0.2, 0.3), array(0.2, 0.4, 0.6, 0.8)

    found = unpaired(a, b, Draws(1000, 0))

    # Of 12 pairs b is above in 10, equal in 1, below in 1; 35 ways to choose 3 of 7.
    assert (found.n_a, found.n_b) == (3, 4)
    assert_allclose((found.better.value, found.equal, found.worse), (10 / 12, 1 / 12, 1 / 12))
    assert found.effect is not None
    assert_allclose((found.difference.value, found.effect.value), (0.3, 0.75))
    low, high = bounds(found.difference)
    # Welch: sqrt(.01/3 + .0667/4) = .1414, t with 2 degrees 4.303.
    assert_allclose((low, high), (0.3 - 0.6085, 0.3 + 0.6085), atol=0.003)
    # The sum of A is .6; of the 35 only .1 .2 .2 is less, .1 .2 .3 comes twice, and 2.6 / 7 * 3 * 2 - .6 = 1.63
    # on the other side is reached by .3 .6 .8 and .4 .6 .8 alone.
    assert found.tested.by == "exact"
    assert_allclose(found.tested.p, 5 / 35)


def test_two_groups_that_do_not_overlap_have_delta_1_with_the_bound_of_so_many_successes():
    found = cliffs_delta(np.linspace(0, 0.1, 10), np.linspace(0.5, 1, 20))

    # Wilson on 10 of 10: 10 / (10 + 3.8415) = .7225; twice that less 1.
    assert found.value == found.high == 1.0
    assert found.low == pytest.approx(0.4449, abs=0.001)


def test_the_intervals_of_two_samples_hold_the_truth():
    chance = np.random.default_rng(9)

    found = [unpaired(chance.normal(0, 1, 15), chance.normal(0.3, 1, 25), Draws(300, i)) for i in range(300)]

    assert np.mean([low <= 0.3 <= high for low, high in (bounds(c.difference) for c in found)]) >= 0.91
    # P(b > a) is Phi(.3 / sqrt 2) = .584, so delta is .168.
    assert np.mean([low <= 0.168 <= high for low, high in (bounds(c.effect) for c in found)]) >= 0.91


def test_scores_that_are_all_equal_show_nothing():
    found = unpaired(np.ones(5), np.ones(6), Draws(100, 0))

    assert found.difference == found.effect == Estimate(value=0.0)
    assert (found.tested.p, found.equal) == (1.0, 1.0)


def verdict(
    image: int, belief: float | None, *, stratum: str = "top", weight: float = 1.0, screened: float | None = None
) -> Verdict:
    return Verdict(
        image=image,
        active=stratum not in ("silent", "guided"),
        stratum=stratum,
        belief=belief,
        weight=weight,
        screened=screened,
    )


def test_detection_is_computed_on_the_images_that_both_judged():
    # In A image 2 is judged too, in B image 3; the silent stratum stands for 10 images in both.
    a = [verdict(1, 1.0), verdict(2, 0.0), verdict(8, 1.0, stratum="silent", weight=10)]
    b = [verdict(1, 1.0), verdict(3, 1.0), verdict(8, 0.0, stratum="silent", weight=10)]

    found = matched(DETECTION, a, b)

    # Image 1 stands for 2: A says yes to 2 active and 10 silent, 2*2/(2 + 12); B to the 2 alone.
    assert found == Matched(4 / 14, 1.0, 2)


def test_an_unanswered_image_counts_as_the_others_of_its_stratum_do():
    a = [verdict(1, None), verdict(2, 1.0), verdict(3, 0.0), verdict(8, 0.0, stratum="silent", weight=9000)]
    b = [verdict(1, 1.0), verdict(2, 1.0), verdict(3, 0.0), verdict(8, None, stratum="silent", weight=9000)]

    # In A image 1 is taken for half a yes: beliefs 1.5 of 3 active images. In B nothing silent was answered, so
    # the silent one is taken for one half.
    found = matched(DETECTION, a, b)
    assert found is not None
    assert found.a == pytest.approx(3 / 4.5)
    assert matched(DETECTION, a, [verdict(9, 0.0, stratum="silent"), *b]) is not None
    assert matched(ACCURACY, a, b) == Matched(1 / 3, 2 / 3, 3)


def test_accuracy_looks_at_active_images_alone_each_the_same():
    a = [verdict(1, 1.0, weight=9), verdict(2, 0.0), verdict(8, 1.0, stratum="silent")]
    b = [verdict(1, 0.5), verdict(2, 1.0), verdict(3, 1.0), verdict(9, 0.0, stratum="silent")]

    assert matched(ACCURACY, a, b) == Matched(0.5, 0.5, 2)


@pytest.mark.parametrize(
    ("scorer", "a", "b"),
    [
        ("intruder", [verdict(1, 1.0)], [verdict(1, 1.0)]),
        ("detection", [], []),
        ("detection", [verdict(1, 1.0)], [verdict(2, 1.0)]),
        ("detection", [verdict(1, 1.0), verdict(2, 1.0, stratum="q1")], [verdict(1, 1.0)]),
        ("detection", [verdict(1, 1.0)], [verdict(1, 1.0), verdict(8, 0.0, stratum="silent")]),
        ("detection", [verdict(1, 1.0, screened=1.0)], [verdict(1, 1.0)]),
    ],
    ids=["no judged images", "none kept", "none in common", "stratum of A alone", "stratum of B alone", "screened"],
)
def test_without_images_in_common_throughout_there_is_no_matched_value(scorer: str, a: list[Verdict], b: list[Verdict]):
    assert matched(SCORERS[scorer], a, b) is None


BELIEFS = st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=8, max_size=8)


@settings(deadline=None)
@given(BELIEFS, st.lists(st.booleans(), min_size=8, max_size=8), st.lists(st.integers(1, 9), min_size=8, max_size=8))
def test_each_stratum_keeps_its_weight(beliefs: list[float | None], kept: list[bool], weights: list[int]):
    strata = ["top", "top", "q1", "q1", "silent", "silent", "silent", "guided"]
    whole = [
        verdict(i, c, stratum=s, weight=w) for i, (c, s, w) in enumerate(zip(beliefs, strata, weights, strict=True))
    ]
    some = [v for v, keep in zip(whole, kept, strict=True) if keep]

    found = raised(some, whole)

    for stratum in {v.stratum for v in some}:
        own = sum(w for w, v in zip(found, some, strict=True) if v.stratum == stratum)
        assert_allclose(own, sum(v.weight for v in whole if v.stratum == stratum))
