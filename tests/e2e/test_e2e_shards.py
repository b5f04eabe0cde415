"""Pieces of a run worked on one by one, then merged: the same as one run over all."""

import json
from pathlib import Path

import pytest
from standin.commands import Command, run, says
from standin.planted import Population
from standin.records import explanations, scores, timeless
from standin.server import StandIn

from autointerp.errors import typed

SCORERS = ("--scorers", "detection,accuracy,relevance,naming,choice", "--controls", "5")
DOMAIN = ("--domain", "physical-plausibility", "--n-shuffled", "5")


def test_three_merged_shards_are_the_run_of_one_process(explain: Command, score: Command, tmp_path: Path):
    explain(*DOMAIN, to="whole")
    score(*SCORERS, of="whole")

    for i in range(3):
        assert explain(*DOMAIN, "--shard", f"{i}/3").code == 0
    explained = run("merge", tmp_path / "run")
    for i in (2, 0, 1):
        assert score(*SCORERS, "--shard", f"{i}/3").code == 0
    scored = run("merge", tmp_path / "run")

    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")
    assert explained.out.splitlines() == [
        f"merged 3 parts: 12 explanations -> {tmp_path / 'run'}",
        f"next: autointerp score {typed(tmp_path / 'run')}",
    ]
    assert scored.out.splitlines() == [
        f"merged 3 parts: 60 scores -> {tmp_path / 'run'}",
        f"next: autointerp report {typed(tmp_path / 'run')}",
    ]
    assert [e.feature for e in explanations(tmp_path / "run").values()] == list(range(12))


def test_a_shard_says_where_it_writes_and_what_comes_next(explain: Command, here: Path):
    said = explain("--shard", "1/3", to="run")

    part = here / "run" / "parts" / "explain-00001-of-00003"
    assert said.out.splitlines()[0].endswith(f" s -> {part}")
    assert said.out.splitlines()[-1] == f"next: autointerp merge {typed(here / 'run')}, once all shards are done"
    assert sorted(explanations(part)) == [4, 5, 6, 7]


def test_what_was_merged_is_not_done_again(explain: Command, seer: StandIn, tmp_path: Path):
    explain("--shard", "0/3")
    first = run("merge", tmp_path / "run")
    seer.forget()

    again = explain("--shard", "0/3")

    assert (first.code, first.out.splitlines()[1]) == (
        1,
        "explain: not all is there yet: run --shard 1/3, 2/3, then merge again",
    )
    assert "explained 0 of 4 features (4 were done before)" in again.out
    assert seer.calls == []


def test_a_shard_goes_on_where_it_stopped(explain: Command, seer: StandIn, tmp_path: Path):
    seer.input_tokens = 40_000
    explain("--shard", "0/3", "--budget", "100000 tokens", "--concurrency", "1")
    done = len(seer.calls)

    again = explain("--shard", "0/3")
    merged = run("merge", tmp_path / "run", "--json")

    assert done == 2  # of 40,050 tokens each
    assert again.code == 0
    assert len(seer.calls) == 4
    assert '"missing": {\n    "explain": [\n      "1/3",\n      "2/3"\n    ]\n  }' in merged.out
    assert explanations(tmp_path / "run").keys() == {0, 1, 2, 3}


def test_a_run_with_parts_is_merged_before_it_is_worked_on_as_a_whole(explain: Command, score: Command, here: Path):
    explain("--shard", "0/2")

    says(explain(), f"{here}/run: holds a part that should be merged first: autointerp merge {typed(here / 'run')}")
    says(score(), f"{here}/run: its shards are not merged yet: autointerp merge {typed(here / 'run')}")


def test_status_tells_of_shards_that_are_not_merged(explain: Command, score: Command, here: Path):
    explain()
    score("--shard", "0/2")

    assert (
        f"  shards      1 not merged yet: autointerp merge {typed(here / 'run')}\n" in run("status", here / "run").out
    )


def test_status_counts_what_is_in_shards_that_are_not_merged(explain: Command, score: Command, here: Path):
    def found() -> dict[str, object]:
        told = json.loads(run("status", here / "run", "--json").out)
        return {name: told[name] for name in ("explained", "unmerged", "scorers", "usage", "pending")}

    explain("--shard", "0/2")
    half = found()
    explain("--shard", "1/2")
    apart = found()
    run("merge", here / "run")
    merged = found()
    score("--shard", "0/2", "--scorers", "detection")
    scored = found()
    run("merge", here / "run")

    assert (half["explained"], half["unmerged"]) == (6, 1)
    assert apart | {"unmerged": 0} == merged
    assert merged["explained"] == 12
    assert scored | {"unmerged": 0} == found()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--shard", "1/3"), "its explain parts are shards of 2, not of 3; give those, or merge them and remove"),
        (("--shard", "1/2", "--features", "0-8"), "its explain parts are shards of another choice of features"),
    ],
)
def test_shards_of_another_cut_are_refused(options: tuple[str, ...], line: str, explain: Command):
    explain("--shard", "0/2")

    said = explain(*options)

    assert (said.code, said.out) == (2, "")
    assert line in said.err
    assert said.err.count("\n") == 1


def test_what_needs_the_whole_run_is_refused_for_a_shard(
    explain: Command, score: Command, planted: Population, tmp_path: Path
):
    explain()

    random = score("--shard", "0/2", "--random-dump", planted.folder)
    hierarchy = explain("--shard", "0/2", "--hierarchy", to="other")
    workers = explain("--shard", "0/2", "--actors", "2", to="other")

    says(random, "--shard with --random-dump: give --random-dump once, after merging, without --shard")
    says(hierarchy, "--shard with --hierarchy: shards cannot wait for each other's parents; use --engine ray")
    says(workers, "--shard is worked on by one process; for several give more shards, or --engine ray alone")
    assert not (tmp_path / "other").exists()


def test_scores_of_a_scorer_that_comes_later_are_merged_beside_the_others(
    explain: Command, score: Command, tmp_path: Path
):
    explain()
    score("--scorers", "detection")
    for i in range(2):
        score("--scorers", "detection,choice", "--shard", f"{i}/2")

    said = run("merge", tmp_path / "run")

    assert "12 scores" in said.out
    assert scores(tmp_path / "run").keys() == scores(tmp_path / "run", "choice").keys() == set(range(12))
    assert score("--scorers", "detection,choice").code == 0


def test_a_run_that_was_finished_without_its_last_shard_misses_none(explain: Command, tmp_path: Path):
    explain("--shard", "0/2")
    run("merge", tmp_path / "run")
    explain()

    said = run("merge", tmp_path / "run")

    assert (said.code, said.out) == (0, "there is nothing to merge\n")
    assert not (tmp_path / "run" / "parts").exists()


def test_a_shard_that_came_to_nothing_leaves_no_trace(explain: Command, tmp_path: Path):
    said = explain("--shard", "0/2", "--base-url", "nonsense")

    assert said.code == 2
    assert not (tmp_path / "run").exists()


def test_the_report_tells_of_shards_that_are_not_merged(explain: Command, score: Command, tmp_path: Path):
    explain()
    score("--shard", "0/2")

    run("report", tmp_path / "run")

    assert "A part of this run is not merged and not shown here" in (tmp_path / "run" / "report.html").read_text()
