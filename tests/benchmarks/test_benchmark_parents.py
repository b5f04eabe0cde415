"""Planted hierarchies, in a smaller world than the benchmark's."""

import pytest

from benchmarks import parents
from benchmarks.parents import counted, on_the_same_images, world


def test_planted_parents_and_duplicates_are_found_and_hardly_any_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parents, "N_IMAGES", 500)
    planted = world(0)

    made = parents.hierarchy_of(planted.placed, planted.widths, None, seed=0)

    stated, right, true = counted(made.parents, planted.parents)
    assert true == len(planted.parents) == 112
    assert right >= 0.95 * stated
    assert right >= 0.75 * true
    assert counted(made.duplicates, planted.duplicates) == (16, 16, 16)
    assert made.info.n_pairs_shuffled is not None
    assert made.info.n_pairs_shuffled <= 0.02 * made.info.n_pairs
    former, true_of_them, _ = counted(on_the_same_images(planted.placed, planted.widths), planted.parents)
    assert true_of_them < 0.7 * former


def test_a_pair_counts_once_and_only_if_it_was_planted():
    assert counted([(), None, (0,), (0, 1)], frozenset({(2, 0), (3, 0), (4, 0)})) == (3, 2, 3)
