import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.reports.arithmetic import (
    bin_counts,
    drawn_ranks,
    even_ranks,
    heights,
    mean_estimate,
    share_estimate,
)


def test_the_mean_of_1_2_3_is_2_with_a_half_width_of_4_303_over_root_3():
    estimate = mean_estimate(np.array([1.0, 2.0, 3.0]), (-10, 10))

    assert estimate is not None
    assert (estimate.value, estimate.n) == (2.0, 3)
    assert estimate.low == pytest.approx(2 - 4.3027 / 3**0.5, abs=1e-4)
    assert estimate.high == pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-4)


def test_an_interval_does_not_leave_what_the_figure_can_be():
    estimate = mean_estimate(np.array([0.0, 1.0]), (0, 1))

    assert estimate is not None
    assert (estimate.low, estimate.value, estimate.high) == (0.0, 0.5, 1.0)


def test_one_feature_has_a_mean_and_no_interval():
    estimate = mean_estimate(np.array([0.25]), (0, 1))

    assert estimate is not None
    assert (estimate.value, estimate.low, estimate.high) == (0.25, None, None)


def test_no_features_have_no_mean_and_no_share():
    assert mean_estimate(np.array([]), (0, 1)) is None
    assert share_estimate(0, 0) is None


def test_none_of_ten_has_an_upper_bound_of_28_percent():
    estimate = share_estimate(0, 10)

    assert estimate is not None
    assert estimate.value == 0.0
    assert estimate.low == pytest.approx(0.0)
    assert estimate.high == pytest.approx(0.2775, abs=1e-4)


def test_a_half_of_4_is_15_to_85_percent():
    estimate = share_estimate(2, 4)

    assert estimate is not None
    assert (estimate.low, estimate.high) == (pytest.approx(0.15, abs=1e-3), pytest.approx(0.85, abs=1e-3))


def test_values_outside_of_the_bounds_count_in_the_end_bins():
    assert bin_counts(np.array([-3.0, 0.1, 0.5, 1.0, 9.0]), (0, 1), 2) == [2, 3]


def test_heights_are_percent_of_the_tallest_and_in_logarithm_0_1_3_are_0_a_half_1():
    assert heights([0, 1, 3], log=True) == [0.0, 50.0, 100.0]
    assert heights([0, 1, 4]) == [0.0, 25.0, 100.0]
    assert heights([0, 0]) == heights([0, 0], log=True) == [0.0, 0.0]


def test_four_ranks_of_ten_are_0_3_6_9():
    assert even_ranks(10, 4).tolist() == [0, 3, 6, 9]


@given(st.integers(1, 400), st.integers(1, 400))
def test_ranks_are_distinct_ascending_and_as_many_as_asked_for(n: int, limit: int):
    ranks = even_ranks(n, limit)

    assert len(ranks) == min(n, limit)
    assert (np.diff(ranks) > 0).all()
    assert ranks[0] == 0
    assert len(ranks) == 1 or ranks[-1] == n - 1


def test_a_sample_takes_one_rank_of_each_stratum_and_the_seed_decides_which():
    ranks = drawn_ranks(1000, 10, seed=3)

    assert [rank // 100 for rank in ranks.tolist()] == list(range(10))
    assert ranks.tolist() == drawn_ranks(1000, 10, seed=3).tolist() != drawn_ranks(1000, 10, seed=4).tolist()
    assert drawn_ranks(3, 10, seed=0).tolist() == [0, 1, 2]


def test_a_sample_takes_every_rank_as_often():
    drawn = [rank for seed in range(2000) for rank in drawn_ranks(7, 3, seed).tolist()]

    # Strata of 2, 2 and 3 ranks: 2000 draws of each.
    assert [round(drawn.count(rank) / 2000, 1) for rank in range(7)] == [0.5, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3]
