from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from autointerp.statistics.exact import TINY, benjamini_hochberg, binomial_tail, holm, hypergeometric_tail, sign_tail


def slow_tail(k: int, n: int, carriers: int, population: int) -> float:
    ways = sum(comb(carriers, x) * comb(population - carriers, n - x) for x in range(k, min(n, carriers) + 1))
    return float(Fraction(ways, comb(population, n)))


def test_all_of_two_drawn_carry_the_mark_of_two_in_four_once_in_six():
    assert hypergeometric_tail(2, 2, 2, 4) == pytest.approx(1 / 6, rel=1e-14)
    assert hypergeometric_tail(1, 2, 2, 4) == pytest.approx(5 / 6, rel=1e-14)
    assert hypergeometric_tail(0, 2, 2, 4) == 1.0


@settings(deadline=None)
@given(st.data())
def test_the_tail_is_that_of_counting_every_draw(data: st.DataObject):
    population = data.draw(st.integers(1, 150))
    n, carriers = data.draw(st.integers(0, population)), data.draw(st.integers(0, population))
    k = data.draw(st.integers(0, min(n, carriers)))

    assert hypergeometric_tail(k, n, carriers, population) == pytest.approx(
        slow_tail(k, n, carriers, population), rel=1e-9
    )


@pytest.mark.parametrize("k", [3, 29, 60, 120])
def test_the_tail_keeps_its_digits_among_ten_million_images(k: int):
    # Drawing a million for 300 carriers is drawing 300 for a million, which can be counted.
    assert hypergeometric_tail(k, 10**6, 300, 10**7) == pytest.approx(slow_tail(k, 300, 10**6, 10**7), rel=1e-9)


def test_what_no_number_can_hold_is_not_called_impossible():
    assert hypergeometric_tail(400_000, 10**6, 10**6, 10**7) == TINY


@pytest.mark.parametrize("counts", [(3, 2, 5, 9), (1, 10, 5, 9), (3, 5, 2, 9)])
def test_counts_that_contradict_each_other_are_refused(counts: tuple[int, int, int, int]):
    with pytest.raises(ValueError, match="carriers of"):
        hypergeometric_tail(*counts)


def test_q_values_of_four_p_values():
    # 4·.01/1, 4·.02/2, 4·.03/3, 4·.5/4; the smallest of itself and all to its right.
    assert benjamini_hochberg(np.array([0.5, 0.01, 0.03, 0.02])) == pytest.approx([0.5, 0.04, 0.04, 0.04])
    assert len(benjamini_hochberg(np.zeros(0))) == 0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.001, 0.999))
def test_q_at_most_a_level_is_the_step_up_rule(given_p: list[float], level: float):
    p = np.array(given_p)

    q = benjamini_hochberg(p)

    ranked = np.sort(p)
    passing = [i for i in range(1, len(p) + 1) if ranked[i - 1] * len(p) / i <= level]
    threshold = ranked[max(passing) - 1] if passing else -1.0
    assert (q <= level).tolist() == (p <= threshold).tolist()


def test_a_twentieth_of_the_discoveries_is_false_on_average():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        p = rng.random(200)
        p[:40] **= 12  # true effects
        found = benjamini_hochberg(p) <= 0.05
        shares.append(found[40:].sum() / max(1, found.sum()))

    assert 0.02 < np.mean(shares) < 0.05  # .05 times the share of true nulls, .8, is .04


def test_holm_multiplies_the_smallest_by_all_and_never_falls():
    assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    assert_allclose(holm([0.02, 0.01, 0.03]), [0.04, 0.03, 0.04])
    assert holm([0.02]) == (0.02,)
    assert holm([]) == ()


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_steps_down_from_bonferroni(p: list[float]):
    # Slow and obvious: rejected at a level exactly if all smaller ones are, each at its own share of the level.
    slow = [max(min(1.0, sum(x >= y for x in p) * y) for y in p if y <= own) for own in p]

    assert_allclose(holm(p), slow)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_the_binomial_test_of_fair_coins(up: int, down: int):
    assert sign_tail(up, down) == pytest.approx(binomial_tail(up, up + down, 0.5), rel=1e-9)


def test_the_sign_test_of_thousands_of_signs_is_a_small_number_and_never_nought():
    # 5,000 signs of one direction have a chance of 2^-5000, which no float holds.
    assert (sign_tail(0, 0), sign_tail(0, 3), sign_tail(3, 0)) == (1.0, 1.0, pytest.approx(0.125))
    assert 0 < sign_tail(5000, 0) < 1e-300
    # The normal limit: 2,600 of 5,000 is 100 above the mean, 2.83 standard deviations.
    assert sign_tail(2600, 2400) == pytest.approx(0.0024, rel=0.05)
