from dataclasses import replace

import pytest
from report_world import Listed, World, explained, failed, scored, unscored

from autointerp.errors import RunError
from autointerp.reports.aggregates import aggregate
from autointerp.reports.records import Records


def records(world: World) -> Records:
    data = world.data()
    return Records(data, aggregate(data))


def test_of_two_records_of_a_feature_the_last_is_read(world: World):
    world.explanations = [explained(1, "a wheel"), explained(2, "water"), explained(1, "a red wheel")]
    world.scores = [scored(1, 0.5), scored(1, 0.75), unscored(2)]

    found = records(world)

    assert found.explanation(1) == world.explanations[2]
    assert found.score(1, "detection") == world.scores[1]
    assert (found.explanation(3), found.score(3, "detection"), found.score(1, "accuracy")) == (None, None, None)


def test_scores_come_in_the_order_of_the_report(world: World):
    world.scores = [scored(1, 0.5, scorer) for scorer in ("zeta", "accuracy", "alpha", "detection")]

    assert list(records(world).scores(1)) == ["detection", "accuracy", "alpha", "zeta"]


def test_only_failures_that_nothing_came_after_are_open_and_of_each_stage_the_latest(world: World):
    world.explanations, world.scores = [explained(1)], [scored(1, 0.5)]
    world.failures = [
        failed(1, "explain:domain"),
        failed(1, "score:detection"),
        failed(1, "score:accuracy", message="old"),
        failed(1, "score:accuracy", message="new"),
        failed(2),
    ]

    found = records(world)

    assert [f.message for f in found.failures(1)] == ["new"]
    assert [f.stage for f in found.failures(2)] == ["explain"]


def test_the_state_is_what_the_explanation_says(world: World):
    world.explanations = [explained(1), explained(2, ""), explained(3, "a or b", mixed=True)]

    assert [records(world).state(n) for n in (1, 2, 3, 4)] == ["one", "none", "mixed", "failed"]


def test_a_file_that_was_rewritten_meanwhile_gives_no_record_of_another_feature(world: World):
    world.explanations = [explained(1), explained(2)]
    data = world.data()
    found = Records(replace(data, explanations=Listed([explained(2), explained(1)])), aggregate(data))

    with pytest.raises(RunError, match="rewritten while they were read; run the same command again"):
        found.explanation(1)
