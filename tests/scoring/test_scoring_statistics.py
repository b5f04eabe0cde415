import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from autointerp.scoring.statistics import (
    Floats,
    Interval,
    bootstrap_rates,
    mean_interval,
    permuted_f1,
    t_quantile,
    weighted_rates,
    wilson,
)

JUDGED = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 9)), min_size=1, max_size=20
)
Rows = list[tuple[float, float, int]]


def columns(rows: Rows) -> tuple[Floats, Floats, Floats]:
    y, c, w = np.array(rows, float).T
    return y, c, w


def array(*values: float) -> Floats:
    return np.array(values, float)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (1, 29, 0.0061, 0.1718),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
    ],
)
def test_wilson_gives_the_published_bounds(successes: int, n: int, low: float, high: float):
    interval = wilson(successes, n)

    assert interval.value == successes / n
    assert_allclose((interval.low, interval.high), (low, high), atol=6e-5)


def test_a_share_of_nothing_is_refused():
    with pytest.raises(ValueError, match="a share of nothing"):
        wilson(0, 0)


def test_rates_by_hand():
    # Active: one fits (stands for 2), one does not (3). Silent: one fits (4), one is unsure (2), one does not (9).
    rates = weighted_rates(array(1, 1, 0, 0, 0), array(1, 0, 1, 0.5, 0), array(2, 3, 4, 2, 9))

    assert rates.recall == 2 / 5
    assert rates.precision == 2 / (2 + 4 + 1)
    assert rates.specificity == (1 + 9) / 15
    assert rates.f1 == 2 * 2 / (5 + 7)


@pytest.mark.parametrize("belief", [0.0, 1.0])
def test_rates_without_silent_images_are_defined(belief: float):
    rates = weighted_rates(array(1, 1), array(belief, belief), array(1, 1))

    assert (rates.recall, rates.precision, rates.f1, rates.specificity) == (belief, belief, belief, 0.0)


@settings(deadline=None)
@given(JUDGED)
def test_rates_are_shares(rows: Rows):
    rates = weighted_rates(*columns(rows))

    assert all(0 <= r <= 1 for r in (rates.precision, rates.recall, rates.specificity, rates.f1))


@settings(deadline=None)
@given(JUDGED, st.sampled_from([0.001, 0.5, 3.0, 1e6]))
def test_rates_do_not_depend_on_the_scale_of_the_weights(rows: Rows, scale: float):
    y, c, w = columns(rows)

    one, other = weighted_rates(y, c, w), weighted_rates(y, c, w * scale)

    assert_allclose([one.precision, one.recall, one.f1], [other.precision, other.recall, other.f1])


@settings(deadline=None)
@given(JUDGED)
def test_a_weight_is_that_many_equal_images(rows: Rows):
    y, c, w = columns(rows)
    times = w.astype(int)

    weighted = weighted_rates(y, c, w)
    repeated = weighted_rates(np.repeat(y, times), np.repeat(c, times), np.ones(times.sum()))

    assert_allclose(weighted.f1, repeated.f1)
    assert_allclose(weighted.specificity, repeated.specificity)


@settings(deadline=None)
@given(JUDGED)
def test_always_yes_scores_twice_the_density_over_one_plus_the_density(rows: Rows):
    y, _, w = columns(rows)
    density = float((w * y).sum() / w.sum())

    assert_allclose(weighted_rates(y, np.ones_like(y), w).f1, 2 * density / (1 + density))


@settings(deadline=None, max_examples=40)
@given(JUDGED, st.integers(0, 3))
def test_each_interval_holds_its_value_and_stays_within_0_and_1(rows: Rows, seed: int):
    y, c, w = columns(rows)
    assume(y.any() and not y.all())

    rates = bootstrap_rates(y, c, w, y.astype(np.int64), replicates=100, seed=seed)

    for rate in rates.values():
        assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert rates["f1"].value == weighted_rates(y, c, w).f1


def test_the_same_seed_gives_the_same_interval():
    y, c, w = np.repeat([1.0, 0.0], [20, 30]), np.tile([1.0, 0.0, 0.5, 1.0, 0.0], 10), np.arange(1.0, 51.0)

    one, same, other = (bootstrap_rates(y, c, w, y.astype(np.int64), replicates=200, seed=s) for s in (1, 1, 2))

    assert one == same
    assert one != other


def test_no_false_positive_among_36_leaves_room_for_three():
    y = np.repeat([1.0, 0.0], [24, 36])
    stratum = np.repeat([0, 1, 2], [24, 18, 18])

    rates = bootstrap_rates(y, y, np.ones(60), stratum, replicates=4000, seed=0)

    assert rates["specificity"].value == rates["specificity"].high == 1.0
    assert 2 / 36 <= 1 - rates["specificity"].low <= 4 / 36
    assert rates["f1"].low < 1.0


def test_no_miss_among_24_over_ten_small_strata_leaves_room_for_few():
    y = np.repeat([1.0, 0.0], [24, 36])
    stratum = np.concatenate([np.arange(24) % 10, np.full(36, 10)])

    recall = bootstrap_rates(y, y, np.ones(60), stratum, replicates=4000, seed=0)["recall"]

    # Wilson, on 24 of 24: .862.
    assert 0.72 <= recall.low <= 0.90


def one_feature(rng: np.random.Generator, *, density: float, hits: float, false: float) -> tuple[bool, float]:
    """Draws and judges a feature's sample: whether the interval holds the true F1, and the interval's width.

    Of 100,000 images the feature fires on a share `density`; the judge says yes on a share near `hits` of them,
    less in the weaker bands, and on a share `false` of the silent ones, six times as often among the look-alikes.
    """
    n_active, n_silent = density * 100_000, (1 - density) * 100_000
    bands = np.array([n_active * 0.1] + [n_active * 0.1] * 9)
    share = np.array([3] * 4 + [2] * 6)
    rate = np.clip(np.linspace(hits + 0.08, hits - 0.12, 10), 0, 1)
    band = np.repeat(np.arange(10), share)
    c_active = (rng.random(24) < rate[band]).astype(float)
    w_active = bands[band] / share[band]

    alike = np.concatenate([rng.random(18) < 0.05, rng.random(18) < 0.5])
    c_silent = (rng.random(36) < np.where(alike, false * 6, false / 2)).astype(float)
    drawn_by = np.concatenate([np.ones(18), np.where(alike[18:], 0.05 / 0.5, 0.95 / 0.5)])
    w_silent = drawn_by * n_silent / drawn_by.sum()

    y = np.repeat([1.0, 0.0], [24, 36])
    stratum = np.concatenate([band, np.repeat([10, 11], 18)])
    c, w = np.concatenate([c_active, c_silent]), np.concatenate([w_active, w_silent])
    f1 = bootstrap_rates(y, c, w, stratum, replicates=200, seed=int(rng.integers(2**31)))["f1"]
    hit = float(bands @ rate)
    truth = 2 * hit / (n_active + hit + n_silent * (0.05 * false * 6 + 0.95 * false / 2))
    return f1.low <= truth <= f1.high, f1.high - f1.low


@pytest.mark.parametrize(
    ("density", "hits", "false"),
    [(0.01, 0.9, 0.01), (0.01, 0.5, 0.15), (0.1, 0.9, 0.05), (0.1, 0.92, 0.001), (0.1, 0.5, 0.15)],
)
def test_the_interval_holds_the_true_f1_for_at_least_nine_features_of_ten(density: float, hits: float, false: float):
    rng = np.random.default_rng(11)

    outcomes = [one_feature(rng, density=density, hits=hits, false=false) for _ in range(300)]

    assert np.mean([covered for covered, _ in outcomes]) >= 0.90
    assert np.mean([width for _, width in outcomes]) < 0.95


def test_the_p_value_is_uniform_where_beliefs_say_nothing():
    rng = np.random.default_rng(3)
    y, w = np.repeat([1.0, 0.0], [24, 36]), rng.uniform(1, 20, 60)

    p = [permuted_f1(y, rng.random(60), w, replicates=199, seed=i)[1] for i in range(400)]

    for level in (0.05, 0.25, 0.5, 0.75):
        # Four standard errors of a share of 400.
        assert abs(np.mean(np.array(p) <= level) - level) < 4 * np.sqrt(level * (1 - level) / 400)


def test_a_perfect_judge_has_the_smallest_p_value_there_is():
    y = np.repeat([1.0, 0.0], [24, 36])

    dealt, p = permuted_f1(y, y, np.ones(60), replicates=199, seed=0)

    assert p == 1 / 200
    # 24 yeses dealt to 60 images meet 24 * 24 / 60 = 9.6 active ones: F1 = 9.6 / 24.
    assert_allclose(dealt.value, 0.4, atol=0.02)
    assert dealt.low <= 0.4 <= dealt.high < 1.0


@pytest.mark.parametrize("belief", [0.0, 0.5, 1.0])
def test_beliefs_that_are_all_equal_have_p_1(belief: float):
    y = np.repeat([1.0, 0.0], [5, 5])

    _, p = permuted_f1(y, np.full(10, belief), np.ones(10), replicates=199, seed=0)

    assert p == 1.0


@pytest.mark.parametrize(("df", "table"), [(1, 12.706), (2, 4.303), (3, 3.182), (5, 2.571), (30, 2.042), (10**6, 1.96)])
def test_the_t_quantile_is_that_of_the_printed_tables(df: int, table: float):
    assert t_quantile(df) == pytest.approx(table, rel=0.005)


def test_the_mean_of_one_feature_says_nothing_of_others():
    assert mean_interval(np.array([0.25]), (0.0, 1.0)) == Interval(0.25, 0.0, 1.0)


def test_the_mean_of_many_is_known_as_the_normal_law_has_it():
    values = np.random.default_rng(0).random(10_000)

    mean = mean_interval(values, (0.0, 1.0))

    # A uniform variable has a standard deviation of 1/sqrt(12).
    assert_allclose(mean.high - mean.low, 2 * 1.96 / np.sqrt(12 * 10_000), rtol=0.02)
