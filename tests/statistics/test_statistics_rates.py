import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from autointerp.statistics.rates import (
    Floats,
    Interval,
    auprc_samples,
    corrected_f1,
    mean_interval,
    pearson_samples,
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


def slow_auprc(rows: Rows) -> float:
    """Average precision by walking down the distinct beliefs, image by image."""
    fires = sum(w for y, _, w in rows if y)
    total, before = 0.0, 0.0
    for level in sorted({c for _, c, _ in rows}, reverse=True):
        hits = sum(w for y, c, w in rows if y and c >= level)
        kept = sum(w for _, c, w in rows if c >= level)
        total += (hits - before) / fires * (hits / kept)
        before = hits
    return total


@settings(deadline=None)
@given(JUDGED)
def test_auprc_is_that_of_the_slow_walk(rows: Rows):
    y, c, w = columns(rows)
    if not y.any():
        return

    assert_allclose(auprc_samples(y, c, c, w[None])[0], slow_auprc(rows))


def test_auprc_by_hand():
    # Down to 1: the active image of 2 and the silent one of 2, P = .5, R = 2/3. Down to 0: all, P = 3/8, R = 1.
    y, c, w = array(1, 0, 1, 0), array(1, 1, 0, 0), array(2, 2, 1, 3)

    assert_allclose(auprc_samples(y, c, c, w[None])[0], 2 / 3 * 0.5 + 1 / 3 * 3 / 8)


@settings(deadline=None)
@given(JUDGED)
def test_pearson_is_that_of_the_images_repeated(rows: Rows):
    _, c, w = columns(rows)
    a = np.arange(len(c)) % 5.0
    repeated_c, repeated_a = np.repeat(c, w.astype(int)), np.repeat(a, w.astype(int))

    found = pearson_samples(c, c, a, w[None])[0]

    if repeated_c.std() < 1e-9 or repeated_a.std() < 1e-9:
        assert np.isnan(found)
    else:
        assert_allclose(found, np.corrcoef(repeated_c, repeated_a)[0, 1], atol=1e-9)


def test_a_judges_errors_are_taken_out_of_both_shares():
    # True shares .8 and .01 under se .9 and sp .95 are seen as .73 and .0585.
    found = corrected_f1(array(0.73), array(0.0585), 99.0, array(0.9), array(0.95))

    assert_allclose(found, 2 * 0.8 / (1 + 0.8 + 0.01 * 99))


@pytest.mark.parametrize(
    ("share", "se", "sp", "true"),
    [
        (0.3, 1.0, 1.0, 0.3),
        (0.38, 0.9, 0.8, 0.18 / 0.7),
        (0.55, 0.9, 0.8, 0.5),  # half of the images true: .5·.9 + .5·.2
        (0.1, 0.9, 0.8, 0.0),  # less yes than the false ones alone would give
        (0.95, 0.9, 0.8, 1.0),
    ],
)
def test_the_true_recall_is_found_behind_the_share_of_yes(share: float, se: float, sp: float, true: float):
    # Without silent images F1 is 2r / (1 + r).
    found = corrected_f1(array(share), array(0.5), 0.0, array(se), array(sp))

    assert_allclose(found, 2 * true / (1 + true), atol=1e-12)


def test_a_judge_that_guesses_leaves_nothing_to_correct():
    assert np.isnan(corrected_f1(array(0.5), array(0.5), 1.0, array(0.5), array(0.5))[0])
