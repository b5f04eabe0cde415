"""Several processes on one run: the same result, whoever of them is killed."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from standin.commands import Command, run, says
from standin.killing import struck
from standin.planted import Population
from standin.records import explanations, timeless, whole_lines
from standin.server import StandIn

from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter

TWO = ("--workers", "2")


def test_two_workers_do_what_one_process_does(explain: Command, score: Command, seer: StandIn, tmp_path: Path):
    scorers = ("--scorers", "detection,naming,relevance", "--controls", "5")
    explain("--domain", "physical-plausibility", to="whole")
    score(*scorers, of="whole")

    explained = explain("--domain", "physical-plausibility", *TWO)
    scored = score(*scorers, *TWO)

    assert (explained.code, scored.code) == (0, 0)
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")
    assert "explained 12 of 12 features in " in explained.out
    assert scored.out.splitlines()[0].startswith("answers beat chance (own 1.00")
    assert not (tmp_path / "run" / "parts").exists()
    # The second time all came from the cache.
    assert max(seer.answered.values()) == 1


def test_a_killed_worker_is_reported_and_its_shard_goes_on_elsewhere(explain: Command, seer: StandIn, tmp_path: Path):
    seer.on_call = lambda number: multiprocessing.active_children()[0].kill() if number == 4 else None

    said = explain(*TWO, "--concurrency", "2")

    assert said.code == 0, said.err
    assert explanations(tmp_path / "run").keys() == set(range(12))
    assert said.err.count(" was lost at shard ") == 1
    assert "(killed by signal 9); another takes it over" in said.err
    assert "explained 12 of 12 features" in said.out
    # The killed one had a single call in flight, and perhaps a second whose answer it had just got.
    assert 12 <= len(seer.calls) <= 14


def test_a_key_that_is_refused_is_one_line_and_leaves_no_trace(explain: Command, seer: StandIn, tmp_path: Path):
    seer.key = "another"

    said = explain(*TWO)

    assert (said.code, said.out) == (2, "")
    assert len([line for line in said.err.splitlines() if line.startswith("autointerp: ")]) == 1
    assert f"autointerp: {seer.url} refuses the API key (" in said.err
    assert not (tmp_path / "run").exists()


def test_a_budget_is_shared_and_not_passed(explain: Command, seer: StandIn, tmp_path: Path):
    seer.input_tokens = 40_000

    said = explain(*TWO, "--budget", "240000 tokens", "--concurrency", "2")
    called = len(seer.calls)
    rest = explain()

    assert said.code == 3
    assert "stopped: over budget; run the same command again to go on" in said.out
    # Each takes 40,050 tokens and is estimated at 41,580.
    assert 4 <= called <= 5
    assert f"explained {called} of 12 features in " in said.out
    assert f"explained {12 - called} of 12 features ({called} were done before)" in rest.out
    assert explanations(tmp_path / "run").keys() == set(range(12))
    assert len(seer.calls) == 12


def test_parents_are_explained_before_their_children(explain: Command, planted: Population, tmp_path: Path):
    source = open_dump(planted.folder)
    with DumpWriter(tmp_path / "family", source.info) as writer:
        for row in source.images(range(len(planted.scenes))):
            found = source.image_source(row.image)
            data = found if isinstance(found, bytes) else found.read_bytes()
            writer.add_image(row.image, data=data, size=(row.width, row.height), group=row.group)
        for feature in source.features():
            own = (3, 4) if feature.id >= 8 else ()
            writer.add_feature(replace(feature.row, parents=own, n_active_attribute=None), feature.exemplars)

    said = explain("--hierarchy", *TWO, dump=tmp_path / "family")

    assert said.code == 0, said.err
    assert {f: e.parents for f, e in explanations(tmp_path / "run").items()} == {
        f: (3, 4) if f >= 8 else () for f in range(12)
    }


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_or_killed_command_goes_on_later(
    how: signal.Signals, planted: Population, seer: StandIn, tmp_path: Path
):
    where = ("--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url, "--concurrency", "2", *TWO)
    command = ("explain", planted.folder, *where)

    # As a terminal's Ctrl-C does, which reaches the whole group.
    ended = struck(seer, 4, lambda process: os.killpg(process.pid, how), *command)
    rest = run(*command)

    assert rest.code == 0, rest.err
    assert "Traceback" not in ended.err
    assert len(whole_lines(tmp_path / "run" / "explanations.jsonl")) == 12
    assert explanations(tmp_path / "run").keys() == set(range(12))
    if how == signal.SIGINT:
        assert ended.code == 3
        assert "stopped: interrupted; run the same command again to go on" in ended.out
        assert ended.err.count("stopping when what is in flight is done") == 1
        assert len(seer.calls) == 12
    else:
        assert "that an earlier start left" in rest.err
        assert len(seer.calls) <= 14


def test_options_of_the_engines_are_checked(explain: Command, tmp_path: Path):
    says(explain("--engine", "dask"), "--engine dask: no such engine; there is local, ray")
    says(explain("--ray-address", "auto"), "--ray-address goes with --engine ray")
    assert run("merge", tmp_path / "run").code == 2
