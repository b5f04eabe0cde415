"""Trained policies of the IPS benchmark: pieces by hand, and quick versions of its claims over 32 seeds."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.ips import paraphrase
from benchmarks.ips.figures import estimate
from benchmarks.ips.lattice import action_chances, gradient, hypergrid, paths, terminal, train, walk
from benchmarks.ips.methods import GRPO, INVALID, IPS, SOFT_COUNT, History, advantages, entropy_bonus
from benchmarks.ips.recovery import found, one
from benchmarks.ips.tabular import Schedule
from benchmarks.ips.threshold import AFTER, sampled
from benchmarks.ips.tiny_transformers import _shares, _steps


def test_weights_inside_the_reward_turn_the_minority_s_advantage_and_weights_after_do_not():
    rewards, outcomes = np.array([[4.0, 4, 4, 4, 4, 4, 4, 1]]), np.array([[0, 0, 0, 0, 0, 0, 0, 1]])

    inside = advantages(rewards, outcomes, IPS, normalise=False)
    after = advantages(rewards, outcomes, AFTER, normalise=False)

    # Scaled 4·8/7 and 8, mean 5; unscaled 4 and 1, mean 3.625, then times 8/7 and 8.
    np.testing.assert_allclose(inside[0, [0, 7]], [32 / 7 - 5, 3], atol=1e-12)
    np.testing.assert_allclose(after[0, [0, 7]], [0.375 * 8 / 7, -21], atol=1e-12)


def test_a_group_of_equal_rewards_has_no_advantage_without_weights():
    outcomes = np.array([[0, 0, 0, 1]])

    assert not advantages(np.ones((1, 4)), outcomes, GRPO, normalise=True).any()
    assert advantages(np.ones((1, 4)), outcomes, SOFT_COUNT, normalise=False)[0, 3] > 0


def test_the_history_bonus_counts_over_groups_and_leaves_the_invalid_out():
    history = History(1, 2)

    history.bonus(np.array([[0, 0, 0, INVALID]]), 1.0)
    given = history.bonus(np.array([[0, 1, INVALID, INVALID]]), 2.0)

    np.testing.assert_allclose(given, [[1.0, 2.0, 0, 0]])


def test_thirty_five_and_seven_paths_lead_to_the_two_outcomes():
    graph = paths(7, {3: 1.0, 1: 1.0})

    uniform = terminal(action_chances(np.zeros((1, *graph.following.shape)), graph), graph)[0]

    np.testing.assert_allclose(uniform * 2**7, [1, 7, 21, 35, 35, 21, 7, 1], atol=1e-9)


def test_the_hyper_grid_has_four_modes_and_sampled_ends_as_often_as_computed():
    graph, chance = hypergrid(8, 0.1), np.random.default_rng(0)
    pi = action_chances(chance.normal(0, 1, (1, 64, 3)), graph)

    ends = np.bincount(walk(pi, graph, 40_000, chance).outcomes[0], minlength=64) / 40_000

    assert sorted(np.flatnonzero(graph.rewards > 2)) == [9, 14, 49, 54]
    np.testing.assert_allclose(terminal(pi, graph)[0].sum(), 1, atol=1e-9)
    np.testing.assert_allclose(ends, terminal(pi, graph)[0], atol=0.015)


def test_the_lattice_s_gradient_is_that_of_the_expected_advantage():
    graph, chance = paths(2, {1: 1.0}), np.random.default_rng(3)
    theta = chance.normal(0, 1, (1, *graph.following.shape))
    pi = action_chances(theta, graph)
    walks = walk(pi, graph, 200_000, chance)
    a = graph.rewards[walks.outcomes] / 200_000

    sampled_gradient = gradient(pi, walks, a, 0.0)

    step = np.zeros_like(theta)
    step[0, 0, 1] = 1e-5
    up, down = (terminal(action_chances(theta + s * step, graph), graph)[0, 1] for s in (1, -1))
    assert sampled_gradient[0, 0, 1] == pytest.approx((up - down) / 2e-5, abs=0.01)


def test_of_two_equal_outcomes_grpo_keeps_the_one_with_more_paths_and_ips_both():
    graph, schedule = paths(7, {3: 1.0, 1: 1.0}), Schedule(16, 300, 0.5, True)
    smaller = {m.name: train(graph, 32, m, schedule, seed=2)[1][-1][:, [1, 3]].min(1) for m in (GRPO, IPS)}

    assert estimate(smaller["GRPO"]).high < 0.1
    assert estimate(smaller["IPS-GRPO"]).low > 0.38


def test_ips_recovers_most_of_twelve_modes_and_grpo_one():
    schedule = Schedule(16, 600, 0.5, True)

    recovered = {m.name: estimate(one(0.0, m, schedule, 32)["found"]) for m in (GRPO, IPS, entropy_bonus(0.01))}

    # One outcome only gives 1/12; all alike 1 - (11/12)^12 = .648.
    assert recovered["GRPO"].high < 0.1
    assert recovered["GRPO + entropy"].high < 0.15
    assert 0.6 < recovered["IPS-GRPO"].low < recovered["IPS-GRPO"].high < 0.648


def test_a_bound_on_the_weights_above_the_modes_due_share_costs_modes():
    schedule = Schedule(16, 600, 0.5, True)

    free, bound = (estimate(one(0.0, replace(IPS, epsilon=e), schedule, 32)["found"]) for e in (0.0, 0.5))

    assert bound.high < 0.5 < free.low


def test_what_is_found_among_samples_is_an_expectation():
    np.testing.assert_allclose(found(np.array([[0.5, 0.0]]), 2), [0.375])


def test_placed_after_normalisation_the_weights_do_not_save_the_minority():
    inside, after = (estimate(sampled(16, m, True, 800, 32)) for m in (IPS, AFTER))

    assert after.high < 0.02
    assert 0.19 < inside.low < inside.high < 0.22


def test_a_poor_concept_with_twenty_wordings_wins_by_string_and_not_by_meaning():
    by_string = paraphrase.one(0.3, IPS, paraphrase.BY_STRING, 400, 32)["A"]
    by_meaning = paraphrase.one(0.3, IPS, paraphrase.BY_MEANING, 400, 32)["A"]

    # The exact laws: 6/7 by string, 0.3/1.3 by meaning.
    assert estimate(by_string).low > 0.75
    assert estimate(by_meaning).high < 0.25


def test_shares_of_transformers_are_read_in_either_form():
    flat = {"trajectory": [[0, [0.9, 0.1]], [5, [0.5, 0.5]]]}
    deep = {"steps": [0, 5], "shares": [[[0.9, 0.1]], [[0.5, 0.5]]]}

    assert _steps(flat).tolist() == _steps(deep).tolist() == [0, 5]
    np.testing.assert_array_equal(_shares(flat), _shares(deep))
