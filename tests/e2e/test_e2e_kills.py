"""A run killed at any moment goes on where it was, and pays for nothing twice but what was under way."""

import json
import signal
from pathlib import Path

from standin import child
from standin.commands import Command, run
from standin.killing import CONCURRENCY, DELAY, MOST_LOST, lost_by_kills, stored, struck
from standin.planted import FEATURES, Population, kinds
from standin.records import explanations, f1, failures, scores, whole_lines
from standin.server import StandIn


def test_explaining_survives_fourteen_kills(planted: Population, seer: StandIn, tmp_path: Path):
    seer.delay = DELAY
    where = ("--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url, "--concurrency", str(CONCURRENCY))
    command = ("explain", planted.folder, *where, "--domain", "physical-plausibility")

    lost = lost_by_kills(seer, tmp_path / "cache", 14, 0.01, lambda: child.start(*command, cache=tmp_path / "cache"))
    seer.delay = 0
    last = run(*command)

    assert last.code == 0, last.err
    found = explanations(tmp_path / "run")
    assert {f: kinds(e.text) for f, e in found.items()} == {i: f.pairs for i, f in enumerate(FEATURES)}
    assert max(lost) <= MOST_LOST
    # Every question (two passes and a shuffled set for each of twelve) was stored once, and what was answered twice
    # had been lost by a kill.
    assert stored(tmp_path / "cache") == len(seer.answered) == 36
    assert seer.answered.total() - 36 == sum(lost)
    assert failures(tmp_path / "run") == []


def test_scoring_survives_eight_kills(planted: Population, seer: StandIn, explain: Command, tmp_path: Path):
    explain()
    seer.forget()
    seer.delay = DELAY
    before = stored(tmp_path / "cache")
    command = ("score", tmp_path / "run", "--concurrency", str(CONCURRENCY))

    lost = lost_by_kills(seer, tmp_path / "cache", 8, 0.03, lambda: child.start(*command, cache=tmp_path / "cache"))
    seer.delay = 0
    last = run(*command)

    assert last.code == 0, last.err
    for scorer in ("detection", "accuracy", "relevance"):
        assert scores(tmp_path / "run", scorer).keys() == set(range(12))
    assert f1(tmp_path / "run") == dict.fromkeys(range(12), 1.0)
    assert max(lost) <= MOST_LOST
    assert stored(tmp_path / "cache") - before == len(seer.answered) > 40


def test_torn_last_line_is_dropped_and_its_feature_done_again(seer: StandIn, explain: Command, tmp_path: Path):
    explain("--features", "0-2")
    file = tmp_path / "run" / "explanations.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]) + lines[2][: len(lines[2]) // 2])
    asked = len(seer.calls)

    again = explain("--features", "0-2")

    assert again.code == 0
    assert "explained 1 of 3 features (2 were done before)" in again.out
    assert explanations(tmp_path / "run").keys() == {0, 1, 2}
    assert len(seer.calls) == asked


def test_real_process_stops_cleanly_at_the_first_interrupt_and_goes_on(
    planted: Population, seer: StandIn, tmp_path: Path
):
    where = ("--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url, "--concurrency", "2", "--json")
    command = ("explain", planted.folder, *where)

    stopped = struck(seer, 4, lambda process: process.send_signal(signal.SIGINT), *command)
    rest = run(*command)

    assert (stopped.code, rest.code) == (3, 0)
    first, second = json.loads(stopped.out), json.loads(rest.out)
    assert first["stopped"] == "interrupted"
    assert 2 <= first["done"] < 12
    assert second["before"] == first["done"] == first["requests"]
    assert second["before"] + second["done"] == 12
    assert "Traceback" not in stopped.err
    assert len(whole_lines(tmp_path / "run" / "explanations.jsonl")) == 12
    assert set(seer.answered.values()) == {1}
