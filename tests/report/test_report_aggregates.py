import numpy as np
from report_world import World, explained, failed, scored, unscored

from autointerp.reports.aggregates import MIXED, NONE, ONE, tally
from autointerp.schema import Control, DomainFinding


def test_states_are_one_none_and_mixed(world: World):
    world.explanations = [explained(3), explained(1, ""), explained(2, "a or b", mixed=True)]

    counted = tally(world.data())

    assert counted.states.features.tolist() == [1, 2, 3]
    assert counted.states.values.tolist() == [NONE, MIXED, ONE]


def test_of_two_explanations_of_a_feature_the_last_holds_and_both_were_paid_for(world: World):
    world.explanations = [explained(1, ""), explained(1)]

    counted = tally(world.data())

    assert counted.states.values.tolist() == [ONE]
    assert counted.explaining.dollars == 1.0
    assert counted.explaining.calls == 2


def test_an_unscored_feature_is_missing_and_not_zero(world: World):
    world.scores = [scored(1, 0.8), unscored(2)]

    column = tally(world.data()).scores["detection"]

    assert column.features.tolist() == [1, 2]
    assert column.known.tolist() == [0.8]


def test_a_feature_that_failed_and_was_explained_later_is_not_failed(world: World):
    world.explanations = [explained(1)]
    world.failures = [failed(1), failed(2)]

    counted = tally(world.data())

    assert counted.failed.tolist() == [2]
    assert counted.features.tolist() == [1, 2]


def test_a_group_counts_records_features_and_open_ones_and_keeps_the_latest_message(world: World):
    world.explanations = [explained(1)]
    world.failures = [
        failed(1, message="old", created="2026-01-01T00:00:00Z"),
        failed(2, message="new", created="2026-01-03T00:00:00Z"),
        failed(2, message="middle", created="2026-01-02T00:00:00Z"),
    ]

    (group,) = tally(world.data()).failures

    assert (group.records, group.features, group.open, group.message) == (3, 2, 1, "new")


def test_a_score_failure_is_open_until_that_scorer_has_a_verdict_or_a_reason_for_none(world: World):
    world.explanations = [explained(1), explained(2), explained(3)]
    world.scores = [scored(1, 0.5), unscored(2), scored(3, 0.5, "accuracy")]
    world.failures = [failed(n, "score:detection") for n in (1, 2, 3)]

    counted = tally(world.data())

    assert [g.open for g in counted.failures] == [1]
    assert counted.failed.tolist() == []


def test_open_groups_come_first(world: World):
    world.explanations = [explained(1)]
    world.failures = [failed(1), failed(1), failed(2, kind="refused")]

    groups = tally(world.data()).failures

    assert [(g.kind, g.open) for g in groups] == [("refused", 1), ("timeout", 0)]


def test_the_label_share_is_the_value_of_relevance_or_a_detail_beside_the_models_word(world: World):
    world.scores = [
        scored(1, 0.4, "relevance", details={"form": "label", "label_share": 0.4}),
        scored(2, 1.0, "relevance", details={"form": "lmm", "label_share": 0.25}),
        scored(3, 1.0, "relevance", details={"form": "lmm"}),
    ]

    shares = tally(world.data()).label_shares

    assert shares.features.tolist() == [1, 2]
    assert shares.values.tolist() == [0.4, 0.25]


def test_relevance_keeps_fishers_p_the_models_word_and_that_on_shuffled_sets(world: World):
    details = {"form": "lmm", "p_fisher": 0.02, "label_base_rate": 0.1, "base_rate_exact": False}
    world.scores = [
        scored(1, 1.0, "relevance", details=details, controls={"shuffled": Control(value=0.0)}),
        scored(2, 0.0, "relevance", details={"form": "lmm"}, controls={}),
        scored(3, 0.4, "relevance", details={"form": "label", "p_fisher": 0.5}, controls={}),
    ]

    relevance = tally(world.data()).relevance

    assert dict(zip(relevance.p.features, relevance.p.values, strict=True)) == {1: 0.02, 3: 0.5}
    assert dict(zip(relevance.named.features, relevance.named.values, strict=True)) == {1: 1.0, 2: 0.0}
    assert dict(zip(relevance.shuffled.features, relevance.shuffled.values, strict=True)) == {1: 0.0}
    assert (relevance.base_rate, relevance.exact) == (0.1, False)


def test_unanswered_judgements_are_added_up_by_scorer(world: World):
    world.scores = [
        scored(1, 0.5, details={"unanswered": 2}),
        scored(2, 0.5, details={"unanswered": 3}),
        scored(2, 0.5, "accuracy", details={}),
    ]

    assert tally(world.data()).unanswered == {"detection": 5}


def test_controls_are_kept_by_scorer_and_name(world: World):
    world.scores = [
        scored(1, 0.5, controls={"permuted": Control(value=0.25)}),
        scored(2, 0.5, controls={"permuted": Control(value=0.75)}),
        scored(2, 0.5, "accuracy", controls={}),
    ]

    controls = tally(world.data()).controls

    assert list(controls) == ["detection"]
    assert controls["detection"]["permuted"].known.mean() == 0.5


def test_findings_of_a_second_pass_are_counted_by_domain(world: World):
    found = DomainFinding(domain="physics", found=True, text="it floats", category="gravity", images=())
    nothing = DomainFinding(domain="physics", found=False, text="", category="none", images=())
    world.explanations = [explained(1, domain=found), explained(2, domain=nothing), explained(3)]

    domains = tally(world.data()).domains

    assert domains["physics"].values.tolist() == [1.0, 0.0]


def test_an_empty_run_is_counted_as_nothing(world: World):
    counted = tally(world.data())

    assert counted.features.tolist() == []
    assert counted.scores == {}
    assert np.sum(counted.states.values) == 0
