"""`batch submit`, `collect` and `run` against a Files and Batches API, and killed at every step."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from standin import child
from standin.batches import BatchServer
from standin.commands import Done, Result, run, says
from standin.offline import Line, answered, expired, failed, keys
from standin.planted import Population
from standin.records import explanations, failures, scores, whole_lines

from autointerp.batch.manifest import Event, Manifest
from autointerp.commands.batch_run import BatchRun
from autointerp.jobs.batch.run import IDLE_ROUNDS
from autointerp.jobs.batch.run import run as batch_run


@pytest.fixture
def server() -> Iterator[BatchServer]:
    """An endpoint that answers every batch, until told otherwise."""
    with BatchServer() as made:
        yield made


@pytest.fixture
def recorded(planted: Population, server: BatchServer, here: Path) -> Path:
    """Features 0 to 2 are to be explained by a batch job."""
    where = ("--model", "seer", "--base-url", server.url)
    result = run("explain", planted.folder, "--run", "run", *where, "--features", "0-2", "--batch")
    assert result.code == 0, result.err
    return here / "run"


def drive(*options: str) -> tuple[Result, dict[str, object]]:
    """To the end, without waiting long."""
    result = run("batch", "run", "run", "--poll", "0.01", "--json", *options)
    return result, json.loads(result.out) if result.out else {}


def test_everything_goes_to_its_end_by_one_command(
    done: Done, planted: Population, server: BatchServer, here: Path
) -> None:
    """Explain, then score: two rounds, each question once, the very scores of the plain run."""
    run("explain", planted.folder, "--run", "run", "--model", "seer", "--base-url", server.url, "--batch")
    run("score", "run", "--batch")

    result, told = drive()

    assert (result.code, told["rounds"]) == (0, 2), result.err
    assert len(server.questions) == len(set(server.questions)) == told["answers"] == len(done.questions)
    assert {f: s.model_dump(exclude={"created", "usage"}) for f, s in scores(here / "run").items()} == {
        f: s.model_dump(exclude={"created", "usage"}) for f, s in scores(done.run).items()
    }
    assert sorted(f.name for f in (here / "run" / "batch").iterdir()) == [".lock", "manifest.jsonl", "plan.json"]


def test_step_by_step_each_command_says_the_next(recorded: Path, server: BatchServer) -> None:
    sent = run("batch", "submit", "run")
    twice = run("batch", "submit", "run")
    at_work = run("batch", "collect", "run")
    there = run("batch", "status", "run")
    taken = run("batch", "collect", "run")
    finished = run("batch", "submit", "run")
    after = run("batch", "status", "run")

    assert "sent 1 file to the Batch API; answers come within 24 hours" in sent.out
    assert sent.out.endswith(
        "next: autointerp batch collect run when the batches have ended, or autointerp batch run run, which waits\n"
    )
    assert "no new question was written\n3 questions wait for answers" in twice.out
    assert twice.out.splitlines()[-1] == sent.out.splitlines()[-1]
    assert "the endpoint works on it: in_progress, 0 of 0 answered" in at_work.out
    assert "3 open, started (batch-1); the endpoint: completed, 3 of 3 answered" in there.out
    assert "requests-00001.jsonl: completed" in taken.out
    assert "3 lines: 3 new answers in the cache, 3,150 tokens, $0.0000" in taken.out
    assert "explain: 3 of 3 features done" in finished.out
    assert after.out.startswith("explain: finished\n")
    assert after.out.endswith("next: autointerp score run, with --batch for a batch job\n")


def test_what_expires_is_sent_again_in_the_next_round(recorded: Path, server: BatchServer) -> None:
    """The first answers one of three and says of one that it expired; the second fails; the third answers both."""

    def spoil(number: int, asked: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
        if number == 1:
            return "expired", [answered(asked[0])], [expired(asked[1])]
        return ("failed", [], []) if number == 2 else ("completed", [answered(line) for line in asked], [])

    server.spoil = spoil

    result, told = drive()

    assert (result.code, told["rounds"], told["answers"]) == (0, 3, 3), result.err
    assert [len(server.uploads[f"file-{i}"].splitlines()) for i in (1, 2, 3)] == [3, 2, 2]
    assert sorted(explanations(recorded)) == [0, 1, 2]
    assert failures(recorded) == []


def test_rounds_without_an_answer_end_the_driving(recorded: Path, server: BatchServer) -> None:
    server.spoil = lambda _, asked: ("completed", [], [failed(line, 500, "out of order") for line in asked])

    result, told = drive()

    assert (result.code, told["rounds"], len(server.batches)) == (1, IDLE_ROUNDS, IDLE_ROUNDS)
    assert "3 rounds in a row brought no answer (http_500: out of order); 3 questions are open" in str(told["stopped"])


def test_a_field_that_the_endpoint_refuses_is_left_out_of_the_next_files(recorded: Path, server: BatchServer) -> None:
    """A model that takes no temperature refuses the first round as a whole, and answers the second."""

    def spoil(number: int, asked: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
        with_it = [line for line in asked if has_temperature(line)]
        errors = [failed(line, 400, "Unsupported value: 'temperature' does not support 0.0.") for line in with_it]
        return "completed", [answered(line) for line in asked if not has_temperature(line)], errors

    server.spoil = spoil

    result, told = drive()

    assert (result.code, told["rounds"]) == (0, 2), result.err
    assert sorted(explanations(recorded)) == [0, 1, 2]


def has_temperature(line: Line) -> bool:
    """Whether a request sends one."""
    body = line["body"]
    assert isinstance(body, dict)
    return "temperature" in body


def test_an_endpoint_without_a_batch_api_says_what_to_do_instead(
    recorded: Path, planted: Population, here: Path
) -> None:
    """The files are there for `vllm run-batch`."""
    from standin.server import StandIn

    with StandIn() as plain:
        run("explain", planted.folder, "--run", "other", "--model", "m", "--base-url", plain.url, "--batch")
        result = run("batch", "submit", "other")

    assert result.code == 2
    assert "wrote 12 questions into 1 file" in result.out
    (line,) = [line for line in result.err.splitlines() if line.startswith("autointerp: ")]
    assert line.startswith(f"autointerp: {plain.url} has no Batch API, or not what was asked of it (")
    assert "vllm run-batch -i FILE -o OUT --model M" in line
    assert (here / "other" / "batch" / "requests-00001.jsonl").exists()


def test_a_refused_key_is_one_line_and_stands_nowhere(
    recorded: Path, server: BatchServer, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = "sk-right"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-0123")

    result = run("batch", "submit", "run")

    assert result.code == 2
    assert "refuses the API key (Error code: 401" in result.err
    assert "sk-wrong" not in result.out + result.err
    assert not any(b"sk-wrong" in f.read_bytes() for f in here.rglob("*") if f.is_file())


def test_two_commands_do_not_work_on_one_batch(recorded: Path) -> None:
    from autointerp.jobs.batch.plan import at_work

    with at_work("run"):
        says(
            run("batch", "submit", "run"),
            "run/batch: another autointerp is at work on this batch; wait for it",
        )


class KilledError(BaseException):
    """Ends everything at once, as a kill would."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(6))
def test_ended_at_any_entry_of_the_manifest_it_goes_on(
    recorded: Path, server: BatchServer, monkeypatch: pytest.MonkeyPatch, step: int, after: bool
) -> None:
    """Written, uploaded, started, taken, ended, finished: before or after each, none is lost or asked twice."""
    entries: list[str] = []
    add = Manifest.add

    def ending(self: Manifest, event: Event) -> None:
        if not after and len(entries) == step:
            raise KilledError
        entries.append(event.event)
        add(self, event)
        if after and len(entries) == step + 1:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "add", ending)
        with pytest.raises(KilledError):
            batch_run(BatchRun(run=recorded, poll=0.01), sleep=lambda _: None)
    again = batch_run(BatchRun(run=recorded, poll=0.01), sleep=lambda _: None)

    assert entries == ["written", "uploaded", "started", "taken", "ended", "finished"][: step + after]
    assert again.complete
    assert len(server.questions) == len(set(server.questions)) == 3
    assert sorted(explanations(recorded)) == [0, 1, 2]
    assert failures(recorded) == []


@pytest.mark.parametrize("step", ["upload", "start", "look", "fetch"])
def test_killed_between_two_calls_to_the_endpoint_it_goes_on(recorded: Path, server: BatchServer, step: str) -> None:
    """The process dies when the endpoint has done its part and nobody heard of it; no batch is started twice."""
    begun: Future[ForkServerProcess] = Future()
    server.on_step = lambda did: begun.result().kill() if did == step else None
    running = child.start("batch", "run", "run", "--poll", "0.01", cache=recorded.parent / "cache")
    begun.set_result(running)
    running.join()
    assert running.exitcode == -9
    server.on_step = None

    result, _ = drive()

    assert result.code == 0, result.err
    assert len(server.questions) == len(set(server.questions)) == 3
    assert sorted(explanations(recorded)) == [0, 1, 2]
    whole_lines(recorded / "explanations.jsonl")


def test_files_written_before_are_sent_by_a_later_submit(recorded: Path, server: BatchServer) -> None:
    run("batch", "submit", "run", "--files-only")

    result, told = drive()

    assert (result.code, told["rounds"]) == (0, 1)
    assert len(server.uploads["file-1"].splitlines()) == 3
    assert keys(json.loads(line) for line in server.uploads["file-1"].splitlines()) == server.questions
