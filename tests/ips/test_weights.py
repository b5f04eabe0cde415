"""The weights as numbers one can check by hand."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.ips.weights import collapse_index, distinct, ips_weights, largest, scaled_rewards


def test_a_sample_is_weighed_by_the_inverse_of_its_outcomes_share():
    weights = ips_weights(["a", "a", "a", "b"], group_size=4)

    np.testing.assert_allclose(weights, [4 / 3, 4 / 3, 4 / 3, 4], rtol=1e-12)


def test_groups_are_counted_by_themselves():
    weights = ips_weights(["a", "a", "a", "b"], group_size=2)

    np.testing.assert_allclose(weights, [1, 1, 2, 2], rtol=1e-12)


def test_an_invalid_outcome_weighs_one_and_counts_in_the_group():
    weights = ips_weights([None, None, "a", "b"], group_size=4)

    np.testing.assert_allclose(weights, [1, 1, 4, 4], rtol=1e-12)


def test_epsilon_bounds_the_weights():
    weights = ips_weights(["a"] * 9 + ["b"], group_size=10, epsilon=0.25)

    np.testing.assert_allclose(weights[[0, 9]], [1 / 0.9, 4], rtol=1e-12)


def test_alpha_is_the_power_of_the_share():
    weights = ips_weights(["a", "a", "a", "b"], group_size=4, alpha=0.5)

    np.testing.assert_allclose(weights, [(4 / 3) ** 0.5] * 3 + [2], rtol=1e-12)


def test_alpha_zero_changes_nothing():
    np.testing.assert_array_equal(ips_weights(["a", "b", "b"], group_size=3, alpha=0), [1, 1, 1])


def test_scaled_rewards_are_rewards_times_weights_and_an_unknown_one_stays_unknown():
    scaled = scaled_rewards([1, 2, np.nan, 3], ["a", "a", "b", None], group_size=4)

    np.testing.assert_allclose(scaled, [2, 4, np.nan, 3], rtol=1e-12)


def test_a_negative_reward_is_refused_by_number():
    with pytest.raises(ValueError, match=r"reward 1 is -0\.5; .*needs rewards >= 0"):
        scaled_rewards([1, -0.5], ["a", "b"], group_size=2)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"group_size": 3}, "4 outcomes are not whole groups of 3"),
        ({"group_size": 0}, "group_size is 0"),
        ({"group_size": 2, "epsilon": 1.5}, "epsilon is 1.5"),
        ({"group_size": 2, "alpha": -1}, "alpha is -1"),
        ({"group_size": 2, "alpha": float("nan")}, "alpha is nan"),
    ],
)
def test_parameters_out_of_range_are_named(given: dict[str, float], complaint: str):
    with pytest.raises(ValueError, match=complaint):
        ips_weights(["a", "a", "b", "c"], **given)  # pyright: ignore[reportArgumentType]


def test_one_reward_an_outcome():
    with pytest.raises(ValueError, match=r"\(1,\) rewards for 2 outcomes"):
        scaled_rewards([1.0], ["a", "b"], group_size=2)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40))
def test_each_valid_outcome_earns_the_same_in_all_for_equal_rewards(outcomes: list[int]):
    scaled = scaled_rewards(np.ones(len(outcomes)), outcomes, group_size=len(outcomes))

    earned = [scaled[np.array(outcomes) == o].sum() for o in set(outcomes)]
    np.testing.assert_allclose(earned, len(outcomes), rtol=1e-9)


def test_a_collapsed_group_has_index_one_and_a_diverse_one_zero():
    index = collapse_index(["a", "a", "a", "a", "b", "c", "d", "e"], group_size=4)

    np.testing.assert_array_equal(index, [1, 0])


def test_the_largest_share_is_that_among_valid_samples():
    shares = largest(["a", "a", "b", None, None, None, None, None], group_size=4)

    assert shares[0] == pytest.approx(2 / 3)
    assert np.isnan(shares[1])


def test_the_collapse_index_is_the_share_of_equal_pairs():
    index = collapse_index(["a", "a", "b", None], group_size=4)

    np.testing.assert_allclose(index, [1 / 3], rtol=1e-12)


def test_a_group_with_one_valid_sample_has_no_collapse_index():
    assert np.isnan(collapse_index(["a", None], group_size=2)).all()


def test_distinct_outcomes_leave_the_invalid_out():
    np.testing.assert_array_equal(distinct(["a", None, "a", "b", "c", "c"], group_size=3), [1, 2])


def test_the_weights_do_not_load_torch():
    code = "import sys, autointerp.ips.weights; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
