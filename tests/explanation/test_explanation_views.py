"""What each candidate is made from."""

from collections import Counter

import pytest
from builders import exemplars

from autointerp.evidence import Shown
from autointerp.explanation.views import draw_views
from autointerp.settings import CandidateSettings

SHOWN = Shown(active=exemplars("top", range(16)), contrast=exemplars("guided", range(50, 54), activation=0))


def drawn(n: int = 8, subset: int = 4, *, feature: int = 3, seed: int = 0) -> list[list[int]]:
    plan = CandidateSettings(n=n, subset=subset)
    views = draw_views(SHOWN, plan, feature=feature, seed=seed)
    assert all(v.contrast == SHOWN.contrast for v in views)
    return [[e.image for e in v.active] for v in views]


def test_the_first_candidate_sees_what_one_explanation_would_be_made_from():
    assert drawn()[0] == list(range(16))


def test_every_second_one_sees_all_in_another_order_and_the_others_a_few():
    views = drawn()

    assert [len(v) for v in views] == [16, 4] * 4
    assert all(sorted(v) == list(range(16)) for v in views[::2])
    assert len({tuple(v) for v in views}) == 8


@pytest.mark.parametrize(("n", "subset"), [(8, 4), (8, 5), (9, 3), (16, 7), (2, 1), (64, 16)])
def test_each_image_is_in_as_many_of_the_small_views_as_any_other_to_within_one(n: int, subset: int):
    small = drawn(n, subset)[1::2]

    often = Counter(image for view in small for image in view)

    assert len(small) == n // 2
    assert all(len(set(view)) == len(view) == subset for view in small)
    assert max(often.values()) - min(often[i] for i in range(16)) <= 1


def test_a_subset_larger_than_what_is_shown_is_all_of_it():
    assert sorted(drawn(2, 40)[1]) == list(range(16))


def test_the_draw_depends_on_seed_and_feature_alone():
    assert drawn() == drawn()
    assert drawn() != drawn(seed=1)
    assert drawn() != drawn(feature=4)
    assert drawn(4) == drawn(8)[:4]
