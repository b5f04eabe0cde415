"""Flows, fixed points and thresholds of the IPS benchmark, to 1e-9 and in numbers one can check by hand."""

import numpy as np
import pytest

from benchmarks.ips import flows, identities
from benchmarks.ips.methods import GRPO, IPS
from benchmarks.ips.tabular import softmax
from benchmarks.ips.threshold import AFTER, REWARDS, drift, least_size, resting


@pytest.fixture
def chance() -> np.random.Generator:
    return np.random.default_rng(5)


def test_formulas_of_all_gradients_equal_automatic_differentiation(chance: np.random.Generator):
    assert identities.gradients(chance, 8) < 1e-9


def test_the_expected_update_of_a_group_equals_the_sum_over_all_groups(chance: np.random.Generator):
    assert identities.groups(chance, 4) < 1e-9


def test_log_ratios_grow_by_the_difference_of_rewards_along_the_natural_gradient(chance: np.random.Generator):
    assert identities.log_ratios(chance, 4) < 1e-9


def test_the_flow_of_ips_ends_at_the_rewards_shares_with_its_potential_falling(chance: np.random.Generator):
    found = identities.attraction(chance, 2)

    assert max(found.values()) < 1e-9


def test_under_a_kl_term_the_flow_ends_at_the_closed_form_but_not_always_between(chance: np.random.Generator):
    found = identities.reference(chance, 8)

    between = {k: v for k, v in found.items() if "share" in k}
    assert max(v for k, v in found.items() if k not in between) < 1e-9
    assert sorted(between.values())[0] == 0 < sorted(between.values())[1]


def test_the_flow_of_ips_by_hand():
    found = flows.ips(np.zeros(2), np.array([4.0, 1.0]))

    # p = 1/2 each and R = 5.
    np.testing.assert_allclose(found, [1.5, -1.5], atol=1e-12)


def test_grpo_s_own_kl_term_mixes_rewards_and_reference():
    found = flows.k3_optimum(np.array([3.0, 1.0]), np.array([0.2, 0.8]), 4.0)

    np.testing.assert_allclose(found, [3.8 / 8, 4.2 / 8], atol=1e-12)


def test_half_the_exponent_squares_the_rewards():
    np.testing.assert_allclose(flows.fixed_point(np.array([2.0, 1.0]), 0.5), [0.8, 0.2], atol=1e-12)


def test_a_minority_of_reward_one_beside_four_needs_a_group_of_six():
    # A single one in a group of five stands at a fifth, its due: its advantage is zero, and larger counts lose.
    assert drift(1e-6, REWARDS, 5, IPS, normalise=True) < 1e-12
    assert drift(1e-6, REWARDS, 6, IPS, normalise=True) > 0
    assert [least_size(ratio, normalise=n) for ratio in (1.5, 2.0, 4.0) for n in (True, False)] == [3, 3, 4, 4, 6, 6]


def test_where_the_minority_rests_is_what_the_paper_s_figures_say():
    rests = [resting(REWARDS, g, IPS, normalise=True) for g in (4, 5, 6, 16)]

    np.testing.assert_allclose(rests, [0, 0, 0.186, 0.204], atol=5e-4)


@pytest.mark.parametrize("method", [GRPO, AFTER], ids=lambda m: m.name)
def test_without_weights_and_with_weights_after_normalisation_the_minority_shrinks_from_everywhere(method: object):
    assert all(drift(p2, REWARDS, 16, method, normalise=True) < 0 for p2 in np.linspace(0.02, 0.98, 25))  # pyright: ignore[reportArgumentType]


def test_the_drift_of_two_outcomes_is_the_enumerated_update():
    z = np.array([0.4, -0.3])

    update = flows.enumerated_flow(z, REWARDS, 7, IPS, normalise=True)

    assert drift(float(softmax(z)[1]), REWARDS, 7, IPS, normalise=True) == pytest.approx(
        update[1] - update[0], abs=1e-9
    )
