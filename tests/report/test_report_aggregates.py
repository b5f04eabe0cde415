from dataclasses import replace

from report_world import Listed, World, explained, failed, scored, separation, unscored

from autointerp.reports.aggregates import MIXED, NONE, ONE, Column, aggregate
from autointerp.schema import Control, DomainFinding


def figures(column: Column) -> dict[int, float]:
    return dict(zip(column.features.tolist(), column.values.tolist(), strict=True))


def test_states_are_one_none_and_mixed(world: World):
    world.explanations = [explained(3), explained(1, ""), explained(2, "a or b", mixed=True)]

    counted = aggregate(world.data())

    assert counted.column("explain", "state").features.tolist() == [1, 2, 3]
    assert counted.column("explain", "state").values.tolist() == [NONE, MIXED, ONE]


def test_of_two_explanations_of_a_feature_the_last_holds_and_both_were_paid_for(world: World):
    world.explanations = [explained(1, ""), explained(1)]

    counted = aggregate(world.data())

    assert counted.column("explain", "state").values.tolist() == [ONE]
    assert counted.explaining.dollars == 1.0
    assert counted.explaining.calls == 2


def test_an_unscored_feature_is_missing_and_not_zero(world: World):
    world.scores = [scored(1, 0.8), unscored(2)]

    column = aggregate(world.data()).score("detection")

    assert column.features.tolist() == [1, 2]
    assert column.known.tolist() == [0.8]


def test_a_feature_that_failed_and_was_explained_later_is_not_failed(world: World):
    world.explanations = [explained(1)]
    world.failures = [failed(1), failed(2)]

    counted = aggregate(world.data())

    assert counted.failed.tolist() == [2]
    assert counted.features.tolist() == [1, 2]


def test_a_group_counts_records_features_and_open_ones_and_keeps_the_latest_message(world: World):
    world.explanations = [explained(1)]
    world.failures = [
        failed(1, message="old", created="2026-01-01T00:00:00Z"),
        failed(2, message="new", created="2026-01-03T00:00:00Z"),
        failed(2, message="middle", created="2026-01-02T00:00:00Z"),
    ]

    (group,) = aggregate(world.data()).failures

    assert (group.records, group.features, group.open, group.latest.message) == (3, 2, 1, "new")


def test_a_score_failure_is_open_until_that_scorer_has_a_verdict_or_a_reason_for_none(world: World):
    world.explanations = [explained(1), explained(2), explained(3)]
    world.scores = [scored(1, 0.5), unscored(2), scored(3, 0.5, "accuracy")]
    world.failures = [failed(n, "score:detection") for n in (1, 2, 3)]

    counted = aggregate(world.data())

    assert [g.open for g in counted.failures] == [1]
    assert counted.failed.tolist() == []


def test_open_groups_come_first(world: World):
    world.explanations = [explained(1)]
    world.failures = [failed(1), failed(1), failed(2, kind="refused")]

    groups = aggregate(world.data()).failures

    assert [(g.latest.kind, g.open) for g in groups] == [("refused", 1), ("timeout", 0)]


def test_the_label_share_is_the_value_of_relevance_or_a_detail_beside_the_models_word(world: World):
    world.scores = [
        scored(1, 0.4, "relevance", details={"form": "label", "label_share": 0.4}),
        scored(2, 1.0, "relevance", details={"form": "lmm", "label_share": 0.25}),
        scored(3, 1.0, "relevance", details={"form": "lmm"}),
    ]

    shares = aggregate(world.data()).score("relevance", "label_share")

    assert shares.features.tolist() == [1, 2]
    assert shares.values.tolist() == [0.4, 0.25]


def test_relevance_keeps_fishers_p_the_models_word_and_that_on_shuffled_sets(world: World):
    details = {"form": "lmm", "p_fisher": 0.02, "label_base_rate": 0.1, "base_rate_exact": False}
    world.scores = [
        scored(1, 1.0, "relevance", details=details, controls={"shuffled": Control(value=0.0)}),
        scored(2, 0.0, "relevance", details={"form": "lmm"}, controls={}),
        scored(3, 0.4, "relevance", details={"form": "label", "p_fisher": 0.5}, controls={}),
    ]

    counted = aggregate(world.data())

    assert figures(counted.score("relevance", "p")) == {1: 0.02, 3: 0.5}
    assert figures(counted.score("relevance", "named")) == {1: 1.0, 2: 0.0}
    assert figures(counted.column("score:relevance", "control", "shuffled")) == {1: 0.0}
    assert (counted.base_rate, counted.base_rate_exact) == (0.1, False)


def test_unanswered_judgements_are_added_up_by_scorer(world: World):
    world.scores = [
        scored(1, 0.5, details={"unanswered": 2}),
        scored(2, 0.5, details={"unanswered": 3}),
        scored(2, 0.5, "accuracy", details={}),
    ]

    counted = aggregate(world.data())

    assert counted.score("detection", "unanswered").known.sum() == 5
    assert counted.score("accuracy", "unanswered").known.tolist() == []


def test_controls_are_kept_by_scorer_and_name(world: World):
    world.scores = [
        scored(1, 0.5, controls={"permuted": Control(value=0.25)}),
        scored(2, 0.5, controls={"permuted": Control(value=0.75)}),
        scored(2, 0.5, "accuracy", controls={}),
    ]

    counted = aggregate(world.data())

    assert counted.below("score:detection", "control")["permuted"].known.mean() == 0.5
    assert counted.below("score:accuracy", "control") == {}


def test_findings_of_a_second_pass_are_counted_by_domain(world: World):
    found = DomainFinding(domain="physics", found=True, text="it floats", category="gravity", images=())
    nothing = DomainFinding(domain="physics", found=False, text="", category="none", images=())
    world.explanations = [explained(1, domain=found), explained(2, domain=nothing), explained(3)]

    domains = aggregate(world.data()).below("explain", "domain")

    assert domains["physics"].values.tolist() == [1.0, 0.0]


def test_an_empty_run_is_counted_as_nothing(world: World):
    counted = aggregate(world.data())

    assert counted.features.tolist() == []
    assert counted.scorers == set()
    assert counted.column("explain", "state").values.tolist() == []


def test_what_a_replaced_record_said_is_forgotten_even_where_the_new_one_says_nothing_of_it(world: World):
    found = DomainFinding(domain="physics", found=True, text="it floats", category="gravity", images=())
    world.explanations = [explained(1, domain=found), explained(2, domain=found), explained(1)]
    world.scores = [scored(1, 0.5, controls={"permuted": Control(value=0.25)}), scored(1, 0.75, controls={})]

    counted = aggregate(world.data())

    assert figures(counted.below("explain", "domain")["physics"]) == {2: 1.0}
    assert figures(counted.score("detection")) == {1: 0.75}
    assert figures(counted.column("score:detection", "control", "permuted")) == {}


def test_a_feature_whose_second_pass_failed_is_failed(world: World):
    world.failures = [failed(1, "explain:domain")]

    assert aggregate(world.data()).failed.tolist() == [1]


def test_the_scores_are_read_once_though_the_controls_are_tested_on_them_too(world: World):
    reads: list[int] = []

    class Counting(Listed):
        def __iter__(self):
            reads.append(1)
            return super().__iter__()

    world.scores = [scored(1, 0.5), scored(2, 0.75)]
    seen: list[float] = []

    def separations(scores):
        seen.extend(s.value for s in scores)
        return (separation(),)

    counted = aggregate(replace(world.data(), scores=Counting(world.scores), separations=separations))

    assert (seen, reads) == ([0.5, 0.75], [1])
    assert counted.separations == (separation(),)
    assert figures(counted.score("detection")) == {1: 0.5, 2: 0.75}


def test_scores_that_the_tests_of_the_controls_leave_unread_count_all_the_same(world: World):
    world.scores = [scored(1, 0.5), scored(2, 0.75)]

    counted = aggregate(replace(world.data(), separations=lambda scores: (next(iter(scores)), ())[1]))

    assert figures(counted.score("detection")) == {1: 0.5, 2: 0.75}
