"""The tables of coders are those of the committed figures, and times and intervals are what they say."""

import json
from pathlib import Path

import pytest

from benchmarks.coders.runs import Run
from benchmarks.coders.speed import Timed, ratios
from benchmarks.coders.tables import interval, table, verdicts

HERE = Path(__file__).parents[2] / "benchmarks" / "coders"


def test_the_readme_shows_what_the_figures_give():
    figures = json.loads((HERE / "table.json").read_text())
    runs, times = [Run.read(one) for one in figures["runs"]], [Timed(**one) for one in figures["times"]]

    readme = (HERE / "README.md").read_text()
    assert table(runs, times) in readme
    assert verdicts(runs, times) in readme


def test_times_are_over_the_fastest_peer_of_the_same_round():
    times = [
        Timed("topk", "ours", 0, 3.0),
        Timed("topk", "a", 0, 4.0),
        Timed("topk", "b", 0, 6.0),
        Timed("topk", "ours", 1, 1.0),
        Timed("topk", "a", 1, 2.0),
    ]

    assert ratios(times, "topk", "topk") == {"ours": [0.75, 0.5], "a": [1.0, 1.0], "b": [1.5]}


def test_the_interval_of_a_mean_is_students():
    # The mean of 1 and 3 is 2, its standard error 1, and t of one degree of freedom 12.706.
    assert interval([1.0, 3.0]) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-3)
    assert interval([5.0]) == (5.0, 5.0)
