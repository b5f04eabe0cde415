"""One small cell of the fault matrix, and what it counts where something is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.reliability.faults import FAULTS
from benchmarks.reliability.matrix import Cell, cell, world
from benchmarks.reliability.table import PAGE, matrix, tables, unsound
from benchmarks.reliability.truth import Held, posing, unaccounted, undone


@pytest.mark.slow
def test_an_endpoint_whose_every_second_call_fails_costs_nothing_but_its_calls(tmp_path: Path):
    with world(tmp_path, features=4) as made:
        disturbed = cell(made, "500", 0.5, "explain")

    assert disturbed.struck > 0
    assert disturbed.sound
    assert (disturbed.lost, disturbed.paid_twice, disturbed.posing, disturbed.again) == (0, 0, 0, 0)


CLEAN = Held({(0, "explain"): "red", (0, "detection"): (1.0, 12)}, {(0, 7): 1.0, (0, 8): 0.0}, frozenset(), 0)


def test_another_text_another_belief_and_another_score_each_pose_as_data():
    now = replace(
        CLEAN, data={(0, "explain"): "blue", (0, "detection"): (0.5, 12)}, verdicts={(0, 7): 0.0, (0, 8): 0.0}
    )

    assert posing(now, CLEAN) == 3


def test_a_score_that_says_that_answers_are_missing_may_differ_and_a_missing_belief_is_no_other_one():
    now = replace(
        CLEAN,
        data=CLEAN.data | {(0, "detection"): (0.5, 12)},
        verdicts={(0, 7): None, (0, 8): 0.0},
        gaps=frozenset({(0, "detection")}),
    )

    assert posing(now, CLEAN) == 0


def test_a_failure_on_record_is_accounted_for_and_yet_to_be_done():
    now = replace(CLEAN, data={(0, "explain"): "red"}, on_record=frozenset({(0, "detection")}))

    assert unaccounted(now, CLEAN.data.keys()) == 0
    assert undone(now, CLEAN.data.keys()) == 1
    assert unaccounted(replace(now, on_record=frozenset()), CLEAN.data.keys()) == 1


def test_a_failed_explanation_stands_for_the_scores_that_wait_for_it():
    now = Held({}, {}, frozenset({(0, "explain")}), 0)

    assert unaccounted(now, CLEAN.data.keys()) == 0
    assert undone(now, CLEAN.data.keys()) == len(CLEAN.data)


FINE = Cell("500", 0.3, "score", 9, 0, 0, 0, 0, 1, 0, "")


@pytest.mark.parametrize("wrong", [{"lost": 1}, {"paid_twice": 1}, {"posing": 1}, {"unanswered": 1}, {"again": 1}])
def test_each_count_by_itself_makes_a_cell_unsound(wrong: dict[str, int]):
    assert FINE.sound
    assert not replace(FINE, **wrong).sound
    assert unsound([FINE]) == "Nothing."
    assert unsound([replace(FINE, **wrong)]).count("\n") == 2


def test_a_refusal_may_leave_a_score_without_an_answer():
    assert replace(FINE, fault="refusal", unanswered=2).sound


def test_the_matrix_has_a_dash_where_a_fault_was_not_tried():
    slow = replace(FINE, fault="slow drip", mode="batch", lost=2)

    assert matrix([FINE, slow]).splitlines() == [
        "| fault | score, 30% | batch, 30% |",
        "|---|---|---|",
        "| 500 | 0 | – |",
        "| slow drip | – | 2 / 0 / 0 |",
    ]


def test_there_are_faults_of_every_sort():
    assert len(FAULTS) >= 20
    assert {f.transport for f in FAULTS.values()} == {f.answers for f in FAULTS.values()} == {True, False}


def test_the_page_is_what_its_figures_say():
    page = PAGE.read_text()

    assert [name for name, text in tables().items() if f"<!-- reliability: {name} -->\n\n{text}\n\n" not in page] == []


def test_the_pages_show_the_figures_of_the_clusters_that_were_measured():
    pytest.importorskip("fsspec")
    from benchmarks import many_nodes, planning_memory, status
    from benchmarks.reliability import cluster

    struck = json.loads(cluster.JSON.read_text())

    assert many_nodes.table(many_nodes.written()) in many_nodes.PAGE.read_text()
    peaks = json.loads(planning_memory.JSON.read_text())["peaks"]
    assert planning_memory.table(peaks) in planning_memory.PAGE.read_text()
    took = [status.Took(**own) for own in json.loads(status.JSON.read_text())["took"]]
    assert status.table(took) in status.PAGE.read_text()
    assert cluster.table(struck) in cluster.PAGE.read_text()
    assert (struck["lost"], struck["differing"]) == (0, 0)
