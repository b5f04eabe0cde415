from collections import Counter

import numpy as np
import pytest
from report_world import explained

from autointerp.reports.hierarchy import MAX_CHILDREN, MAX_PARENTS, Families, told_words, width_of
from autointerp.reports.parents import Kinship

NOBODY = np.empty(0, np.int32)


def families(parents: dict[int, tuple[int, ...]], chosen: list[int], more: int = 0) -> Families:
    """`more` children without a card for each parent."""
    named = Counter(p for own in parents.values() for p in own)
    counts = Counter({p: n + more for p, n in named.items()})
    return Families(Kinship(NOBODY, NOBODY, parents, counts), chosen, (4, 8, 64))


@pytest.mark.parametrize(("feature", "width"), [(0, 4), (3, 4), (4, 8), (8, 64), (63, 64)])
def test_the_width_is_that_of_the_smallest_prefix_that_holds_the_feature(feature: int, width: int):
    assert width_of(feature, (4, 8, 64)) == width


def test_a_parent_without_a_card_has_its_explanation_and_no_link():
    found = families({5: (1, 0)}, [0, 5]).of(5, {0: explained(0, "water"), 1: explained(1, "sky")}, None)

    assert found is not None
    assert [(r.feature, r.text, r.linked) for r in found.within] == [(1, "sky", False), (0, "water", True)]


@pytest.mark.parametrize(
    ("known", "said"),
    [({0: explained(0, "")}, "no common property"), ({0: None}, "failed"), ({}, "not in this run")],
)
def test_a_relative_without_an_explanation_says_why(known: dict, said: str):
    found = families({5: (0,)}, [5]).of(5, known, None)

    assert found is not None
    assert [(r.text, r.instead) for r in found.within] == [("", said)]


def test_only_the_closest_parents_are_named_and_the_others_counted():
    found = families({40: (3, 2, 1, 0, 5, 4)}, [40])

    own = found.of(40, {}, None)
    assert own is not None
    assert [r.feature for r in own.within] == [3, 2, 1, 0]
    assert own.more_within == 6 - MAX_PARENTS
    assert found.beside() == {0, 1, 2, 3}


def test_children_with_a_card_are_named_and_the_rest_of_the_run_counted():
    # Ten children with a card, of which eight are named, and five without.
    children = list(range(10, 20))
    own = families({c: (0,) for c in children}, [0, *children], more=5).of(0, {}, None)

    assert own is not None
    assert [r.feature for r in own.narrower] == children[:MAX_CHILDREN]
    assert own.more_narrower == 7


def test_a_feature_on_its_own_has_no_family():
    assert families({5: (0,)}, [5, 6]).of(6, {}, None) is None


@pytest.mark.parametrize(
    ("parents", "told", "said"),
    [
        ((3,), (3,), "The explainer was told of it."),
        ((3, 1), (3, 1), "The explainer was told of them."),
        ((3,), (), "The explainer was not told of it."),
        ((3, 1), (), "The explainer was not told of them."),
        ((3, 2, 1), (3, 1), "The explainer was told of 3, 1 only."),
        ((), (), ""),
    ],
)
def test_whether_the_explainer_was_told_is_said(parents: tuple[int, ...], told: tuple[int, ...], said: str):
    assert told_words(parents, told) == said


def test_nothing_is_said_of_telling_where_nothing_was_explained():
    failed, done = (families({5: (0,)}, [5]).of(5, {}, own) for own in (None, explained(5, parents=(0,))))

    assert failed is not None
    assert done is not None
    assert (failed.told, done.told) == ("", "The explainer was told of it.")
