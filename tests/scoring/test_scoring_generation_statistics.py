"""Figures of generated pictures, against slow and obvious twins, and by hand."""

from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.scoring.generation_statistics import (
    Pictures,
    Rivals,
    auroc,
    auroc_interval,
    credits_of,
    mean_above,
    p_of_texts,
    rival_weights,
    two_stages,
)
from autointerp.statistics.resampling import Draws

DRAWS = Draws(2000, 0)


def pictures(level, style=None):
    return Pictures(np.array(level, float), np.array(style or [i % 4 for i in range(len(level))], np.int64))


def rivals(level, weight=None, style=None, group=None, stratum=None):
    n = len(level)
    return Rivals(
        np.array(level, float),
        np.array(weight or [1.0] * n),
        np.array(stratum or [0] * n, np.int64),
        np.array(group or list(range(n)), np.int64),
        None if style is None else np.array(style, np.int64),
    )


def slow_auroc(own, others, weight, own_style=None, other_style=None):
    """Each picture by itself: the weight of the rivals of its style that it beats, ties half, over all of theirs."""
    shares = []
    for i, level in enumerate(own):
        beaten = met = 0.0
        for j, other in enumerate(others):
            if other_style is not None and other_style[j] != own_style[i]:
                continue
            met += weight[j]
            if level > other:
                beaten += weight[j]
            elif level == other:
                beaten += weight[j] / 2
        shares.append(beaten / met)
    return sum(shares) / len(shares)


LEVELS = st.lists(st.integers(0, 4), min_size=1, max_size=8)


@given(LEVELS, st.lists(st.tuples(st.integers(0, 4), st.floats(0.1, 100)), min_size=1, max_size=8))
def test_the_weighted_auroc_is_that_of_loops(own, others):
    level, weight = [float(a) for a, _ in others], [w for _, w in others]

    assert auroc(pictures(own), rivals(level, weight)) == pytest.approx(slow_auroc(own, level, weight))


@given(st.lists(st.integers(0, 4), min_size=4, max_size=4), st.lists(st.integers(0, 4), min_size=12, max_size=12))
def test_pictures_of_other_texts_are_met_in_the_same_style_only(own, others):
    style, theirs = [0, 1, 0, 1], [j % 2 for j in range(12)]

    found = auroc(pictures(own, style), rivals(others, style=theirs))

    assert found == pytest.approx(slow_auroc(own, others, [1.0] * 12, style, theirs))


def test_a_style_that_fires_the_feature_by_itself_is_no_signal():
    """In style 1 all pictures fire alike, whatever the text: without styles 5/8 of the pairs would be won."""
    own, others = pictures([0, 5, 0, 5], [0, 1, 0, 1]), rivals([0, 5, 0, 0], style=[0, 1, 0, 0])

    assert auroc(own, others) == 0.5
    assert auroc(own, rivals([0, 5, 0, 0])) == pytest.approx((2 * 3 / 8 + 2 * 7 / 8) / 4)


def test_an_image_that_stands_for_many_counts_as_many():
    """One silent image for 98 and two active ones above the pictures: 98 of 100 are beaten."""
    assert auroc(pictures([2.0, 2.0]), rivals([0, 3, 3], [98, 1, 1])) == pytest.approx(0.98)


def test_equal_pictures_leave_room_for_one_that_would_have_been_silent():
    """Four styles of equal pictures count as four pictures: a fifth one may be silent, which has a credit of 1/2."""
    found = auroc_interval(pictures([2.0] * 8), rivals([0.0] * 50), DRAWS)

    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.75 < found.low < 0.9
    silent = auroc_interval(pictures([0.0] * 8), rivals([0.0] * 50), DRAWS)
    assert (silent.value, silent.low) == pytest.approx((0.5, 0.5))
    assert 0.6 < silent.high < 0.75


def test_styles_that_differ_make_a_wider_interval_than_pictures_that_differ():
    population = rivals([0.0] * 50)
    by_style = auroc_interval(pictures([2.0, 2, 2, 2, 0, 0, 0, 0], [0, 0, 1, 1, 2, 2, 3, 3]), population, DRAWS)
    within = auroc_interval(pictures([2.0, 0, 2, 0, 2, 0, 2, 0], [0, 0, 1, 1, 2, 2, 3, 3]), population, DRAWS)

    assert by_style.value == within.value == 0.75
    assert by_style.high - by_style.low > within.high - within.low


def test_the_bootstrap_over_styles_then_pictures_has_the_spread_of_a_slow_one():
    style, credit = np.array([0, 0, 0, 1, 1, 2, 2, 2]), np.array([1.0, 0.5, 1.0, 0.5, 0.5, 1.0, 1.0, 0.0])
    times, _, _ = two_stages(style, 20_000, np.random.default_rng(1))
    chance = Random(2)
    slow = []
    for _ in range(20_000):
        total = n = 0.0
        for _ in range(2):  # of three styles two are drawn
            chosen = chance.randrange(3)
            inside = [i for i in range(8) if style[i] == chosen]
            for _ in inside:
                total += credit[chance.choice(inside)]
                n += 1
        slow.append(total / n)

    fast = times @ credit
    assert fast.mean() == pytest.approx(np.mean(slow), abs=0.01)
    assert fast.std() == pytest.approx(np.std(slow), rel=0.05)


def test_drawn_rivals_keep_the_mass_of_each_stratum_and_near_duplicates_together():
    population = rivals([0, 0, 1, 1, 2], [40, 60, 1, 1, 8], group=[0, 1, 2, 2, 3], stratum=[0, 0, 1, 1, 1])

    drawn = rival_weights(population, 500, np.random.default_rng(0))

    assert drawn[:, :2].sum(axis=1) == pytest.approx(np.full(500, 100.0))
    assert drawn[:, 2:].sum(axis=1) == pytest.approx(np.full(500, 10.0))
    assert (drawn[:, 2] == drawn[:, 3]).all()


def test_a_text_above_all_others_has_the_least_p_and_one_in_the_middle_has_half():
    assert p_of_texts(0.9, np.linspace(0.4, 0.6, 19)) == 1 / 20
    assert p_of_texts(0.5, np.array([0.4, 0.6, 0.5])) == 3 / 4


def test_exchanging_texts_is_uniform_under_the_null():
    """Of k texts that differ by nothing, each place of the own one comes equally often."""
    values = [0.1, 0.2, 0.3, 0.4]
    found = sorted(p_of_texts(own, np.array([v for v in values if v != own])) for own in values)

    assert found == [0.25, 0.5, 0.75, 1.0]


def test_mad_is_the_difference_of_means_in_standard_deviations_of_the_control():
    """Means 4 and 1; the control 0, 1, 2 has the standard deviation 1 (of n - 1)."""
    assert mean_above(pictures([3.0, 5.0]), rivals([0, 1, 2])) == pytest.approx(3.0)
    assert mean_above(pictures([3.0]), rivals([1, 1])) is None


def test_credits_are_between_nothing_and_all_whatever_is_drawn():
    for own, seed in product(([0.0, 1.0], [2.0]), range(3)):
        population = rivals([0, 1, 1], style=[0, 0, 1])
        drawn = rival_weights(population, 50, np.random.default_rng(seed))
        found = credits_of(pictures(own, [0] * len(own)), population, drawn)
        assert ((found >= 0) & (found <= 1)).all()
