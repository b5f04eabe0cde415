"""Features that carry the attribute, named and sorted; and the figures of each prefix."""

from pathlib import Path

import pytest
from report_pages import page_of
from report_world import World, explained, scored

from autointerp.dump.format import HierarchyInfo
from autointerp.reports.aggregates import aggregate
from autointerp.reports.carriers import carriers_of, prefixes_of
from autointerp.reports.hierarchy import read_parents
from autointerp.reports.summary import scorer_plan
from autointerp.schema import Score


def label(feature: int, p: float, lift: float, **more: float) -> Score:
    details = {"form": "label", "label_share": 0.06 * lift, "p_fisher": p, "label_base_rate": 0.06, "lift": lift}
    bounds = {"lift_low": lift / 2, "lift_high": 2 * lift}
    return scored(feature, 0.06 * lift, "relevance", details=details | bounds | more, controls={})


def test_carriers_are_sorted_by_q_and_then_by_lift(world: World):
    # q of the four smallest of five is .005, .005, .0333 and .0375; .9 is left out.
    pairs = ((0, 0.02, 3.0), (3, 0.03, 9.0), (5, 0.001, 2.0), (7, 0.002, 4.0), (8, 0.9, 1.0))
    world.scores = [label(f, p, lift) for f, p, lift in pairs]

    found = carriers_of(aggregate(world.data()))

    assert [(c.feature, c.lift) for c in found.shown] == [(7, 4.0), (5, 2.0), (0, 3.0), (3, 9.0)]
    assert [c.q for c in found.shown] == pytest.approx([0.005, 0.005, 0.1 / 3, 0.0375])
    assert (found.shown[0].low, found.shown[0].high, found.shown[0].share) == (2.0, 8.0, pytest.approx(0.24))
    assert (found.n, found.n_tested) == (4, 5)


def test_without_labels_nothing_carries_and_nothing_is_said(world: World, tmp_path: Path):
    world.explanations = [explained(1)]

    assert carriers_of(aggregate(world.data())).n_tested == 0
    assert "Features that carry the attribute" not in page_of(world, tmp_path).text


def nested(world: World) -> World:
    world.widths, world.attribute = (4, 16), "a physical error"
    world.parents = {5: (1,), 6: (1, 2), 12: (3,)}
    world.explanations = [explained(f) for f in (1, 2, 5, 6, 7)]
    world.scores = [scored(f, v) for f, v in ((1, 0.2), (2, 0.4), (5, 0.6), (6, 0.7), (7, 0.8))]
    world.scores += [label(1, 0.9, 1.0), label(2, 0.001, 5.0), label(5, 0.8, 1.0), label(6, 0.7, 1.0)]
    world.hierarchy = HierarchyInfo(
        n_with_parents=3,
        n_with_duplicates=1,
        n_too_rare=0,
        n_pairs=4,
        n_pairs_shuffled=0,
        share=0.875,
        elsewhere=0.125,
    )
    return world


def test_each_prefix_has_the_figures_of_the_features_that_it_adds(world: World):
    data = nested(world).data()
    counted = aggregate(data)
    parents = read_parents(data, counted.features.tolist(), ())

    first, second = prefixes_of(counted, scorer_plan(counted), parents.closest, data.info)

    assert [(p.width, p.n) for p in (first, second)] == [(4, 2), (16, 3)]
    assert first.score is not None
    assert second.score is not None
    assert (first.score.value, second.score.value) == (pytest.approx(0.3), pytest.approx(0.7))
    assert first.carrying is not None
    assert second.carrying is not None
    assert (first.carrying.value, second.carrying.value) == (0.5, 0.0)
    assert first.with_parents is None
    assert second.with_parents is not None
    # Features 5 and 6 of 5, 6 and 7.
    assert (second.with_parents.value, second.with_parents.n) == (pytest.approx(2 / 3), 3)


def test_a_plain_dictionary_has_no_prefixes(world: World):
    world.explanations = [explained(1)]
    data = world.data()
    counted = aggregate(data)

    assert list(prefixes_of(counted, scorer_plan(counted), (), data.info)) == []


def test_the_page_says_both(world: World, tmp_path: Path):
    text = " ".join(page_of(nested(world), tmp_path).text.split())

    assert "1 of 4 features, the surest first." in text
    assert "Parents of the dump's features: 3 have one, which is on at 87.5 % of where its child is strong and" in text
    assert "at 12.5 % of the rest of the image; with places shuffled 0 of 4 pairs are left;" in text
    assert "features with a near-equal one in a smaller prefix: 1." in text
