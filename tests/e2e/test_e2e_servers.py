"""One model behind several addresses."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from standin.commands import Result, run
from standin.planted import Population
from standin.server import StandIn

TEXTS = ("text", "concepts", "none", "images", "feature")


@pytest.fixture
def seers() -> Iterator[list[StandIn]]:
    """Three endpoints that say the same of the same question."""
    with ExitStack() as stack:
        yield [stack.enter_context(StandIn()) for _ in range(3)]


def explained(planted: Population, where: Path, *options: str | Path) -> Result:
    model = ("--model", "seer", "--cache", where / "cache")
    return run("explain", planted.folder, "--run", where / "run", *model, *options)


def explanations(where: Path) -> list[dict[str, object]]:
    lines = (where / "run" / "explanations.jsonl").read_text().splitlines()
    every = [{name: record[name] for name in TEXTS} for record in map(json.loads, lines)]
    return sorted(every, key=lambda record: str(record["feature"]))


def urls(servers: list[StandIn], option: str = "--base-url") -> list[str]:
    return [text for server in servers for text in (option, server.url)]


def test_three_servers_share_the_work_and_say_what_one_says(planted: Population, seers: list[StandIn], tmp_path: Path):
    for seer in seers:
        seer.delay = 0.05

    alone = explained(planted, tmp_path / "one", "--base-url", seers[0].url)
    seers[0].forget()
    shared = explained(planted, tmp_path / "three", *urls(seers), "--concurrency", "6")

    assert (alone.code, shared.code) == (0, 0)
    assert explanations(tmp_path / "one") == explanations(tmp_path / "three")
    assert sum(len(seer.calls) for seer in seers) == 12
    assert min(len(seer.calls) for seer in seers) >= 2
    assert json.loads((tmp_path / "three" / "run" / "run.json").read_text())["explain"]["model"]["base_url"] == (
        seers[0].url
    )


def test_answers_of_three_servers_are_in_the_cache_of_one(planted: Population, seers: list[StandIn], tmp_path: Path):
    explained(planted, tmp_path, *urls(seers))
    asked = [len(seer.calls) for seer in seers]

    again = explained(planted, tmp_path, "--base-url", seers[2].url, "--run", tmp_path / "again")

    assert again.code == 0
    assert "0 calls, 12 answers from the cache" in again.out
    assert [len(seer.calls) for seer in seers] == asked


def test_a_server_that_dies_half_way_costs_nothing(planted: Population, seers: list[StandIn], tmp_path: Path):
    dying = seers[1]
    dying.on_call = lambda number: setattr(dying, "status", (500, "dying")) if number >= 2 else None
    for seer in seers:
        seer.delay = 0.02

    result = explained(planted, tmp_path, *urls(seers), "--concurrency", "3", "--json")

    said = json.loads(result.out)
    assert (result.code, said["done"], said["failed"]) == (0, 12, 0)
    assert said["retries"]["http_500"] >= 1
    assert len(dying.calls) < len(seers[0].calls) + len(seers[2].calls)


def test_a_server_that_is_not_there_from_the_start_is_passed_over(
    planted: Population, seers: list[StandIn], tmp_path: Path
):
    result = explained(planted, tmp_path, "--base-url", "http://127.0.0.1:9/v1", *urls(seers[:1]))

    assert (result.code, len(explanations(tmp_path))) == (0, 12)


def test_where_none_is_there_the_error_is_as_for_one(planted: Population, tmp_path: Path):
    nowhere = ("--base-url", "http://127.0.0.1:9/v1", "--base-url", "http://127.0.0.1:10/v1", "--attempts", "2")

    result = explained(planted, tmp_path, *nowhere)

    assert result.code == 2
    assert "is the server up and --base-url right?" in result.err


def test_a_bad_address_among_several_is_named(planted: Population, seers: list[StandIn], tmp_path: Path):
    result = explained(planted, tmp_path, "--base-url", seers[0].url, "--base-url", "localhost:8000")

    assert result.code == 2
    assert "--base-url localhost:8000: not an http(s) address" in result.err


@pytest.mark.parametrize("between", [" ", ","])
def test_the_environment_names_several_servers(
    planted: Population, seers: list[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: str
):
    monkeypatch.setenv("AUTOINTERP_BASE_URL", between.join(seer.url for seer in seers))
    for seer in seers:
        seer.delay = 0.05

    result = explained(planted, tmp_path)

    assert result.code == 0
    assert all(seer.calls for seer in seers)


@pytest.mark.parametrize("several", [False, True])
def test_a_file_of_defaults_names_one_server_or_several(
    planted: Population, seers: list[StandIn], tmp_path: Path, several: bool
):
    given = seers if several else seers[:1]
    value = json.dumps([seer.url for seer in given] if several else given[0].url)
    (tmp_path / "own.toml").write_text(f'[explain]\nmodel = "seer"\nbase-url = {value}\n')
    for seer in seers:
        seer.delay = 0.05

    result = run("--config", tmp_path / "own.toml", "explain", planted.folder, "--run", tmp_path / "run")

    assert result.code == 0
    assert [bool(seer.calls) for seer in seers] == [seer in given for seer in seers]


def test_judges_are_several_too(planted: Population, seers: list[StandIn], tmp_path: Path):
    for seer in seers:
        seer.delay = 0.02
    explained(planted, tmp_path, "--base-url", seers[0].url, "--features", "0-3")
    seers[0].forget()

    judge = ("--judge-model", "seer", "--cache", tmp_path / "cache", "--controls", "0")
    result = run("score", tmp_path / "run", *judge, *urls(seers, "--judge-base-url"))

    assert result.code == 0
    assert all(seer.questions("judge") for seer in seers)


def test_with_json_stderr_is_events_and_stdout_the_result(planted: Population, seers: list[StandIn], tmp_path: Path):
    result = explained(planted, tmp_path, *urls(seers), "--json")

    events = [json.loads(line) for line in result.err.splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["start", "done"]
    assert events[0] == {"event": "start", "stage": "explain", "total": 12, "before": 0}
    assert (events[-1]["servers"], events[-1]["servers_up"]) == (3, 3)
    assert (events[-1]["through"], events[-1]["answered"], events[-1]["input_tokens"]) == (12, 12, 12_000)
    assert json.loads(result.out)["done"] == 12


def test_second_interrupt_ends_at_once_and_says_how_to_go_on(planted: Population, seers: list[StandIn], tmp_path: Path):
    seer = seers[0]
    slow = threading.Event()

    def on_call(number: int) -> None:
        if number == 4:
            seer.delay = 60.0
            slow.set()

    seer.on_call = on_call
    options = ("--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url, "--concurrency", "1")
    command = (sys.executable, "-m", "autointerp", "explain", planted.folder, *options)

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ) as process:
        assert process.stderr is not None
        assert slow.wait(60)
        assert process.stderr.readline() == f"asking seer at {seer.url}\n".encode()
        process.send_signal(signal.SIGINT)
        assert b"stopping when what is in flight is done" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()  # leaving the block waits for it, however long
    seer.on_call, seer.delay = None, 0.0
    rest = subprocess.run(command, capture_output=True, env=os.environ, timeout=60, check=False)

    assert process.returncode == 130
    assert b"interrupted; run the same command again to go on: autointerp explain" in err
    assert b"Traceback" not in err
    assert b"explained 9 of 12 features (3 were done before)" in rest.stdout
