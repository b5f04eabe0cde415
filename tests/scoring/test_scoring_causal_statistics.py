"""Shares by strata and weights, held against a slow version that draws one image after the other."""

from random import Random

import numpy as np
import pytest

from autointerp.scoring.causal_statistics import Drawn, collapsed, kept, p_above, share
from autointerp.statistics.resampling import Draws

DRAWS = Draws(4000, 3)


def columns(weight, stratum):
    n = len(weight)
    return Drawn(np.array(weight, float), np.array(stratum, np.int64), np.arange(n, dtype=np.int64))


def test_a_share_is_that_of_the_images_for_which_they_stand():
    credit, drawn = np.array([1.0, 0.0, 1.0, 0.0]), columns([1, 1, 3, 3], [0, 0, 0, 0])

    assert share(credit, drawn, DRAWS).value == 0.5
    assert share(np.array([1.0, 1.0, 1.0, 0.0]), drawn, DRAWS).value == 5 / 8


def test_shares_that_are_all_or_none_keep_an_interval():
    drawn = columns([1] * 16, [0] * 16)

    all_of_them, none = (share(np.full(16, credit), drawn, DRAWS) for credit in (1.0, 0.0))

    assert (all_of_them.value, all_of_them.high) == (1.0, 1.0)
    assert 0.8 < all_of_them.low < 0.9
    assert (none.value, none.low) == (0.0, 0.0)
    assert 0.1 < none.high < 0.2


def slow_spread(credit, weight, stratum, n):
    """The standard deviation of the share when images are drawn anew within each stratum, m - 1 of m."""
    chance, values = Random(5), []
    for _ in range(n):
        whole = 0.0
        for name in sorted(set(stratum)):
            own = [i for i, s in enumerate(stratum) if s == name]
            mass = sum(weight[i] for i in own)
            drawn = [chance.choice(own) for _ in range(len(own) - 1)]
            whole += mass * sum(weight[i] * credit[i] for i in drawn) / sum(weight[i] for i in drawn)
        values.append(whole / sum(weight))
    return float(np.std(values))


def test_the_width_is_that_of_drawing_image_after_image_within_the_strata():
    credit = [1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1]
    weight, stratum = [1.0] * 10 + [4.0] * 10, [0] * 10 + [1] * 10

    found = share(np.array(credit, float), columns(weight, stratum), DRAWS)

    normal = 2 * 1.96 * slow_spread(credit, weight, stratum, 4000)
    assert found.high - found.low == pytest.approx(normal, rel=0.15)


def test_small_strata_are_joined_with_their_neighbours_from_low_to_high():
    strata = ["q1", "q2", "q2", "q3", "q3", "q3", "top", "top"]

    assert collapsed(strata, 3).tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert collapsed(["top", "top"], 3).tolist() == [0, 0]
    assert collapsed(["q1"] * 3 + ["top"] * 3, 3).tolist() == [0, 0, 0, 1, 1, 1]


def test_a_part_of_the_images_has_strata_that_are_full_again():
    drawn = columns([1] * 6, [0, 0, 0, 1, 1, 1])

    part = drawn.part(np.array([True, True, True, True, False, False]))

    assert part.stratum.tolist() == [0, 0, 0, 0]
    assert part.group.tolist() == [0, 1, 2, 3]


def test_what_is_left_of_an_activation_is_a_share_between_none_and_all():
    assert kept(np.array([0.0, 1.0, 3.0]), np.array([2.0, 2.0, 2.0])).tolist() == [0.0, 0.5, 1.0]


def test_of_equal_credits_no_difference_is_claimed_and_of_ten_to_none_one():
    same = np.array([1.0, 0.0] * 5)

    assert p_above(same, same, DRAWS) == 1.0
    assert p_above(np.ones(10), np.zeros(10), DRAWS) == pytest.approx(2 / 2**10)
