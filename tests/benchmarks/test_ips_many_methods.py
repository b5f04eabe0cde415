"""Rewards of sets, tables over many texts, and figures that are expectations: each against a slow version."""

import numpy as np

from benchmarks.ips.many.cells import Cell, best_of
from benchmarks.ips.many.reasoning import figures, one, questions
from benchmarks.ips.many.sets import with_diversity
from benchmarks.ips.many.tables import Plan, draw, train
from benchmarks.ips.methods import GRPO, INVALID, IPS
from benchmarks.ips.tabular import softmax


def slow_with_diversity(rewards: list[list[float]], outcomes: list[list[int]], weight: float) -> list[list[float]]:
    """The formula, member by member."""
    size = len(rewards[0])

    def different(group: list[int]) -> float:
        return len({o for o in group if o != INVALID}) / size

    out: list[list[float]] = []
    for s, group in enumerate(outcomes):
        own = different(group)
        others = [different(g) for t, g in enumerate(outcomes) if t != s]
        ahead = own - sum(others) / len(others)
        lost = np.array([own - different(group[:i] + group[i + 1 :]) for i in range(size)])
        z = (lost - lost.mean()) / (lost.std() + 1e-4)
        sign = 1 if ahead >= 0 else -1
        dealt = ahead * (size * np.exp(sign * z) / np.exp(sign * z).sum() - 1)
        out.append([(1 - weight) * r + weight * (own + d) for r, d in zip(rewards[s], dealt, strict=True)])
    return out


def test_rewards_of_sets_are_those_of_the_formula_member_by_member():
    chance = np.random.default_rng(0)
    outcomes = chance.integers(-1, 4, (3, 4, 6))
    rewards = (outcomes != INVALID) * chance.random(outcomes.shape)

    fast = with_diversity(rewards, outcomes, 0.7)

    for i in range(3):
        slow = slow_with_diversity(rewards[i].tolist(), outcomes[i].tolist(), 0.7)
        np.testing.assert_allclose(fast[i], slow, atol=1e-9)


def test_in_the_more_diverse_group_the_one_that_no_other_repeats_gets_most():
    outcomes = np.array([[[0, 0, 0, 1], [0, 0, 0, 0]]])

    got = with_diversity(np.ones(outcomes.shape), outcomes, 0.5)

    assert got[0, 0].argmax() == 3
    assert got[0, 0, 3] > got[0, 1].max()
    assert np.ptp(got[0, 1]) < 1e-9


def test_draws_follow_the_policy():
    p = softmax(np.random.default_rng(0).normal(0, 1, (3, 50)))

    sampled = draw(p, 200_000, np.random.default_rng(1))
    shares = np.stack([np.bincount(row, minlength=50) / 200_000 for row in sampled])

    assert np.abs(shares - p).max() < 0.005


def test_figures_are_what_sampling_gives():
    found = np.array([[INVALID, 0, 0, 1, 2, INVALID]])
    p = np.array([[0.2, 0.1, 0.2, 0.3, 0.1, 0.1]])
    chance = np.random.default_rng(0)
    sampled = chance.choice(6, (40_000, 3), p=p[0])
    own = found[0][sampled]
    hypotheses = np.where(own == INVALID, 10 + sampled, own)

    got = figures(p, found)

    assert abs(got["valid"][0] - 0.7) < 1e-12
    assert abs(got["recovery"][0] - np.mean([len(set(r) - {INVALID}) / 3 for r in own.tolist()])) < 0.01
    assert abs(got["unique"][0] - np.mean([len(set(r)) / 3 for r in hypotheses.tolist()])) < 0.01
    assert abs(got["largest"][0] - 0.3 / 0.7) < 1e-12
    assert abs(got["effective"][0] - 1 / (2 * 9 + 1) * 49 / 3) < 1e-9


def test_a_step_is_the_gradient_of_the_advantages_by_the_logits():
    found, start = questions("voxels", 9, 2, 0)
    rewards = (found != INVALID).astype(float)
    plan = Plan(8, 32, 0.5, 1)

    after = train(found, rewards, start, GRPO, plan, seed=3).policies[-1]
    sampled = draw(softmax(start), 32, np.random.default_rng(3))

    slow = start.copy()
    for i, row in enumerate(sampled):
        for g in range(4):
            own = rewards[i, row[8 * g : 8 * g + 8]]
            a = (own - own.mean()) / (own.std() + 1e-4)
            for text, advantage in zip(row[8 * g : 8 * g + 8], a, strict=True):
                hot = np.eye(start.shape[1])[text]
                slow[i] += 0.5 * advantage * (hot - softmax(start)[i]) / 32
    np.testing.assert_allclose(after, softmax(slow), atol=1e-12)


def test_ips_recovers_more_than_grpo_on_the_same_questions():
    given = questions("voxels", 27, 8, 0)
    plan = Plan(16, 8192, 10.0, 1)

    grpo, ips = (one("voxels 27", m, plan, given)[0] for m in (GRPO, IPS))

    assert ips.mean("recovery") > 0.3 > 0.1 > grpo.mean("recovery")
    assert min(ips.mean("valid"), grpo.mean("valid")) > 0.9


def test_of_what_is_swept_the_one_counts_that_finds_most_among_the_valid_enough():
    def cell(coefficient: float, valid: float, recovery: float) -> Cell:
        kept = {"valid": (valid,), "recovery": (recovery,)}
        return Cell(task="t", group=8, method="m", coefficient=coefficient, rate=1.0, figures=kept, seconds=1.0)

    swept = [cell(1, 0.5, 0.9), cell(2, 0.96, 0.4), cell(3, 0.99, 0.3)]

    assert best_of(swept, "valid", "recovery", 0.95)[0].coefficient == 2
    assert best_of(swept[:1], "valid", "recovery", 0.95)[0].coefficient == 1
    assert best_of(swept, "valid", "recovery", 1.0)[0].coefficient == 3
