"""Which meanings are kept: the test against chance and its correction, what contends, what is told apart."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import fisher_exact

from autointerp.explanation.choice import Fits, apart, choose, contenders, fisher, together

SILENT = "n" * 24


def fits(active: str, silent: str, *, shown: int = 0) -> Fits:
    """One letter an image: `y`es, `n`o, `u`nsure, or `-` for no answer; the explainer saw the first `shown`."""
    said = active + silent
    belief = np.array([{"y": 1.0, "n": 0.0, "u": 0.5, "-": np.nan}[c] for c in said])
    place = np.arange(len(said))
    return Fits(belief == 1, belief, place < len(active), np.ones(len(said)), place < shown)


@pytest.mark.parametrize(("n_active", "n_silent"), [(1, 1), (3, 5), (12, 24), (7, 2)])
def test_the_exact_test_is_scipys_one_sided_one(n_active: int, n_silent: int):
    for yes_active, yes_silent in product(range(n_active + 1), range(n_silent + 1)):
        table = [[yes_active, n_active - yes_active], [yes_silent, n_silent - yes_silent]]

        p = fisher(yes_active, n_active, yes_silent, n_silent)

        _, theirs = fisher_exact(table, alternative="greater")
        assert p == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_the_exact_test_by_hand():
    """Of 4 images 2 fire; both yes fall on them in one of six ways."""
    assert fisher(2, 2, 0, 2) == pytest.approx(1 / 6)
    assert fisher(0, 2, 0, 2) == fisher(2, 2, 2, 2) == 1


def test_the_score_is_the_share_of_yes_on_active_less_that_on_silent_images():
    assert fits("yyyn", "nnny").score == pytest.approx(0.75 - 0.25)
    assert fits("un", "nn").score == pytest.approx(0.25)
    assert fits("ny", "yy").score == 0
    assert fits("y-", "n-").score == 1
    assert fits("--", "nn").score is None


def test_unsure_is_no_yes_for_the_test_against_chance_and_no_answer_is_no_image():
    assert fits("yyu-", "nn").p() == pytest.approx(fisher(2, 3, 0, 2))


def test_images_that_were_shown_say_nothing_on_how_good_a_text_is():
    """Of the two active images that were not shown one is a yes."""
    found = fits("yyyn", "nn", shown=2)

    assert found.score == pytest.approx(0.5)
    assert found.p() == pytest.approx(fisher(1, 2, 0, 2))


def test_further_images_are_added_to_the_first():
    found = fits("yn", "n").joined(fits("yy", "n", shown=2))

    assert found.active.tolist() == [True, True, False, True, True, False]
    assert found.yes.tolist() == [True, False, False, True, True, False]
    assert found.shown.tolist() == [False, False, False, True, True, False]


def test_a_disjunction_earns_the_active_images_it_fits_and_pays_twice_for_silent_ones():
    """Together 9 of 12 active images, and 3 of 24 silent ones."""
    one, other = fits("y" * 6 + "n" * 6, "yy" + "n" * 22), fits("n" * 4 + "y" * 5 + "n" * 3, "nny" + "n" * 21)

    assert together([one, other]) == pytest.approx(9 / 12 - 2 * 3 / 24)


ONE, OTHER = fits("y" * 12 + "n" * 12, SILENT), fits("n" * 12 + "y" * 12, SILENT)
"""Two meanings, each of half of the active images."""
NARROW = fits("y" * 8 + "n" * 16, SILENT)
WIDE = fits("y" * 24, "y" * 8 + "n" * 16)
"""Fits a third of the silent images as well."""
MEANT = fits("yyyyyyyyyn" * 2, SILENT)
"""The only meaning of a feature of 20 active images; the judge misses one in ten."""
BESIDE = fits("yyynnnyyny" * 2, "nnnnny" * 4)
"""What stands beside it in six of ten, also where the judge missed it, and in a sixth of the silent images."""


def test_two_meanings_are_chosen_together_and_not_what_is_wider_or_narrower_than_they_are():
    found = choose([WIDE, ONE, NARROW, OTHER], (0, 1, 2, 3))

    assert found.chosen == (1, 3)
    assert found.kept == {0, 1, 2, 3}


def test_a_correlated_property_beats_chance_and_is_not_told_apart():
    """The two images that the meaning misses show it: 2 of 2, of 12 yes among 20, is 66 of 190."""
    found = choose([MEANT, BESIDE], (0, 1))

    assert apart([MEANT, BESIDE])[1] == pytest.approx(66 / 190)
    assert found.chosen == (0,)
    assert found.kept == {0, 1}


def test_of_what_tells_apart_the_larger_p_counts():
    """By hand: all 12 yes of 24 active images on the 12 that the other leaves; 12 of 12 against 0 of 24 silent ones."""
    assert apart([ONE, OTHER]) == pytest.approx([max(fisher(12, 12, 0, 12), fisher(12, 12, 0, 24))] * 2)


def test_meanings_told_apart_are_corrected_for_all_texts_but_one():
    """4 of 4 and 2 of 2 active images are p = 1/15, which is too much; 5 of 5 and 3 of 3 are 1/56, times 1 or 3."""
    two = [fits("yyyyynnn", SILENT), fits("nnnnnyyy", SILENT)]
    none = fits("n" * 8, SILENT)

    assert choose([fits("yyyynn", SILENT), fits("nnnnyy", SILENT)], (0, 1)).chosen == (0,)
    assert choose(two, (0, 1)).p == pytest.approx((1 / 56, 1 / 56))
    assert choose(two, (0, 1)).chosen == (0, 1)
    assert choose([*two, none, none], (0, 1)).chosen == (0,)


def test_a_meaning_has_to_beat_silent_images_that_the_explainer_was_not_shown():
    """They exclude each other on the shown images, but the second fits as many silent images as further active ones."""
    one, other = fits("y" * 8 + "n" * 8 + "yyyn", SILENT, shown=16), fits("n" * 8 + "y" * 8 + "nnnn", SILENT, shown=16)

    assert choose([one, other], (0, 1)).chosen == (0,)


def test_only_contenders_are_chosen_together():
    assert choose([ONE, OTHER], ()).chosen == (0,)


def test_contenders_are_the_best_and_those_that_do_better_with_another():
    never = fits("n" * 24, "y" * 24)

    assert contenders([ONE, OTHER, never]) == (0, 1)
    assert contenders([MEANT, BESIDE]) == ()
    assert contenders([ONE]) == ()


def test_no_more_than_four_contend():
    """Of six meanings, each of four of 24 images."""
    six = [fits("n" * 4 * i + "yyyy" + "n" * (20 - 4 * i), SILENT) for i in range(6)]

    assert contenders(six) == (0, 1, 2, 3)


def test_where_nothing_beats_chance_the_best_is_chosen_and_not_kept():
    found = choose([fits("ynn", "nnn"), fits("yyn", "nnn"), fits("---", "nnn")], ())

    assert (found.chosen, found.kept) == ((1,), frozenset())
    assert found.p == pytest.approx((1, 0.6, 1))


def test_what_beats_chance_is_corrected_for_the_number_of_texts():
    """3 of 3 and 0 of 4 are p = 1/35: of one text that beats chance, of two it does not."""
    text, none = fits("yyy", "nnnn"), fits("nnn", "nnnn")

    assert choose([text], ()).kept == {0}
    assert choose([text, none], ()).kept == frozenset()


def test_two_kinds_of_one_thing_that_is_named_as_well_are_not_two_meanings():
    """The kinds are apart, and do better together, but only by the two of 24 active images that the whole misses."""
    whole = fits("y" * 22 + "nn", SILENT)

    assert choose([whole, ONE, OTHER], (0, 1, 2)).chosen == (0,)
    assert choose([ONE, OTHER], (0, 1)).chosen == (0, 1)
