"""What happened to questions between two commands of a batch job: none is paid twice, none is lost for good."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web
from standin.batches import BatchServer
from standin.commands import Command, run, says
from standin.offline import Line, answer_files, answered, expired, keys, requests, write
from standin.planted import Population
from standin.records import explanations
from standin.server import StandIn

from autointerp.batch import api as batch_api
from autointerp.jobs.batch import job as batch_job


class Endpoint(BatchServer):
    """One that can forget its batches and lose replies."""

    forgets: tuple[str, ...] = ()
    """`batch`, or names of files."""
    loses: int = 0
    """Replies to starting a batch that come as 502, the batch being started."""

    async def _look(self, request: web.Request) -> web.Response:
        if "batch" in self.forgets or request.match_info["id"] in self.forgets:
            return web.json_response({"error": {"message": "No such Batch"}}, status=404)
        return await super()._look(request)

    async def _content(self, request: web.Request) -> web.Response:
        if request.match_info["id"] in self.forgets:
            return web.json_response({"error": {"message": "No such File"}}, status=404)
        return await super()._content(request)

    async def _start(self, request: web.Request) -> web.Response:
        reply = await super()._start(request)
        if self.loses:
            self.loses -= 1
            return web.json_response({"error": {"message": "upstream timeout"}}, status=502)
        return reply


@pytest.fixture
def server() -> Iterator[Endpoint]:
    """Its batches have ended at the first look."""
    with Endpoint(looks=1) as made:
        yield made


@pytest.fixture
def recorded(planted: Population, server: Endpoint, here: Path) -> Path:
    """Features 0 to 3 are to be explained by a batch job."""
    plan(planted, server)
    return here / "run"


def plan(planted: Population, server: Endpoint, model: str = "seer", *options: str) -> None:
    """Records the explaining of features 0 to 3."""
    where = ("--model", model, "--base-url", server.url, "--features", "0-3", "--batch")
    result = run("explain", planted.folder, "--run", "run", *where, *options)
    assert result.code == 0, result.err


def submit(*options: str) -> dict[str, object]:
    """What submitting tells."""
    return json.loads(run("batch", "submit", "run", *options, "--json").out)


def collect(*files: Path) -> dict[str, object]:
    """What collecting tells."""
    result = run("batch", "collect", "run", *files, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def written(folder: Path) -> list[Path]:
    """The request files that are there."""
    return sorted((folder / "batch").glob("requests-*.jsonl"))


def models_sent(server: Endpoint) -> list[object]:
    """The model of the first line of each upload."""
    bodies = [json.loads(text.splitlines()[0])["body"] for text in server.uploads.values()]
    return [body["model"] for body in bodies]


def test_what_was_written_for_another_model_is_not_sent(
    recorded: Path, planted: Population, server: Endpoint, here: Path
) -> None:
    submit("--files-only")

    plan(planted, server, "dear")
    told = submit()

    assert models_sent(server) == ["dear"]
    assert told["waiting"] == 4
    assert len(written(recorded)) == 1


def test_of_a_file_that_is_partly_answered_only_the_rest_is_sent(recorded: Path, server: Endpoint, here: Path) -> None:
    """Two of four lines were answered elsewhere: the batch holds the other two, which end the job."""
    submit("--files-only")
    asked = requests(*written(recorded))
    collect(write(here / "part.jsonl", [answered(line) for line in asked[:2]]))

    submit()
    collect()
    told = submit()

    assert sorted(server.questions) == sorted(keys(asked[2:]))
    assert told["finished"] == ["explain"]
    assert sorted(explanations(recorded)) == [0, 1, 2, 3]


def test_what_was_answered_directly_meanwhile_is_not_sent(
    recorded: Path, seer: StandIn, planted: Population, server: Endpoint
) -> None:
    """All four, then nothing is sent; of a file of which one was answered, three."""
    submit("--files-only")
    direct = ("explain", planted.folder, "--run", "run", "--model", "seer", "--base-url", seer.url)

    run(*direct, "--features", "0")
    submit()
    sent = list(server.questions)
    shutil.rmtree(recorded)
    plan(planted, server)
    submit("--files-only")
    run(*direct, "--features", "0-3")
    told = submit()

    assert len(sent) == len(set(sent)) == 3
    assert (told["sent"], told["waiting"], server.questions) == ({}, 0, sent)


def test_a_budget_holds_for_files_of_before_too(recorded: Path, server: Endpoint) -> None:
    """Room for a question and a half: of four in a file of before one is sent; none where none fits."""
    expected = submit("--files-only")["expected"]
    assert isinstance(expected, dict)
    budget = f"{int(expected['tokens'] / 4 * 1.5)} tokens"

    nothing = submit("--budget", "10 tokens")
    one = submit("--budget", budget)

    assert (nothing["sent"], nothing["stopped"]) == ({}, "over budget")
    assert (one["waiting"], one["stopped"], len(server.questions)) == (1, "over budget", 1)


def test_driving_over_budget_collects_what_it_sent(recorded: Path, server: Endpoint) -> None:
    """Room for a question and a half at a time: four starts explain four features, each asked once."""
    expected = submit("--files-only")["expected"]
    assert isinstance(expected, dict)
    budget = f"{int(expected['tokens'] / 4 * 1.5)} tokens"

    first = run("batch", "run", "run", "--poll", "0.01", "--budget", budget)
    after_one = sorted(explanations(recorded))
    others = [run("batch", "run", "run", "--poll", "0.01", "--budget", budget) for _ in range(3)]

    assert first.code == 3
    assert "not covered by the budget" in first.out
    assert "failed" not in first.out
    assert len(after_one) == 1
    assert others[-1].code == 0
    assert sorted(explanations(recorded)) == [0, 1, 2, 3]
    assert len(server.questions) == len(set(server.questions)) == 4


def test_each_stage_keeps_to_its_own_budget_and_submit_to_one_over_all(
    recorded: Path, planted: Population, server: Endpoint
) -> None:
    """Scoring may take next to nothing: explaining is not bound by that, but is by `submit --budget`."""
    run("score", "run", "--batch", "--budget", "1000 tokens")

    bound = submit("--files-only", "--budget", "1000 tokens")
    free = submit("--files-only")

    assert (bound["waiting"], bound["stopped"]) == (0, "over budget")
    assert (free["waiting"], free["stopped"]) == (4, None)


def test_an_old_error_file_does_not_ask_again(recorded: Path, server: Endpoint, here: Path) -> None:
    """Its four questions stand in a new file, then in a running batch: collected again, it changes nothing."""
    submit("--files-only")
    old = write(here / "err.jsonl", [expired(line) for line in requests(*written(recorded))])
    collect(old)
    submit("--files-only")

    again = collect(old)
    between = submit()
    fresh = write(here / "other.jsonl", [expired(line) | {"id": "w"} for line in requests(*written(recorded))])
    running = collect(fresh)
    after = submit()
    collect()

    assert (again["errors"], again["old_errors"], again["missing"]) == ({}, 4, 4)
    assert (between["written"], len(written(recorded))) == ({}, 0)
    assert (running["errors"], running["old_errors"]) == ({}, 4)
    assert (after["written"], after["sent"]) == ({}, {})
    assert len(server.questions) == len(set(server.questions)) == 4


def test_errors_of_one_batch_do_not_touch_the_next(recorded: Path, server: Endpoint) -> None:
    """The first expires and is kept; its error file, named while the second runs, leaves that alone."""

    def spoil(number: int, asked: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
        return (
            ("expired", [], [expired(x) for x in asked]) if number == 1 else ("completed", [*map(answered, asked)], [])
        )

    server.spoil = spoil
    submit()
    run("batch", "collect", "run", "--keep")
    (errors,) = (recorded / "batch").glob("*results*")
    submit()

    told = collect(errors)
    submit()

    assert told["old_errors"] == 4
    assert (len(server.batches), len(server.questions)) == (2, 8)


def test_a_lost_reply_starts_no_second_batch(recorded: Path, server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    api = batch_api.BatchApi
    monkeypatch.setattr(batch_job, "BatchApi", lambda url, **more: api(url, sleep=waits.append, **more))
    server.loses = 1

    told = submit()

    assert told["sent"] == {"requests-00001.jsonl": "batch-1"}
    assert (len(server.batches), waits) == (1, [0.5])


@pytest.mark.parametrize("what", ["batch", "batch-1-output"])
def test_what_the_endpoint_has_lost_is_written_again(recorded: Path, server: Endpoint, what: str) -> None:
    """A batch, or its results, that it answers 404 for: ended; the next submit sends the questions anew."""
    submit()
    server.forgets = (what,)

    said = run("batch", "collect", "run")
    told = submit()
    server.forgets = ()
    collect()

    assert said.code == 0, said.err
    assert "requests-00001.jsonl: gone: " in said.out
    assert "4 questions without an answer" in said.out
    assert told["written"] == {"requests-00002.jsonl": 4}
    assert submit()["finished"] == ["explain"]


def test_ctrl_c_while_sending_says_how_to_go_on(
    recorded: Path, server: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(batch_api.BatchApi, "upload", interrupt)
        result = run("batch", "submit", "run")
    told = submit()

    assert result.code == 3
    assert "stopped: interrupted; submit again to go on" in result.out
    assert told["sent"] == {"requests-00001.jsonl": "batch-1"}


ODD = [-5, 10**400, "1e999", True]


@pytest.mark.parametrize("number", ODD, ids=["negative", "huge", "infinite", "truth"])
def test_odd_numbers_of_tokens_do_not_stop_a_collecting(recorded: Path, here: Path, number: object) -> None:
    submit("--files-only")
    out = answer_files(here / "out.jsonl", *written(recorded))
    shown = number if isinstance(number, str) else json.dumps(number)
    out.write_text(out.read_text().replace('"prompt_tokens": 1000', f'"prompt_tokens": {shown}'))

    told = collect(out)

    assert (told["answers"], told["n_broken"]) == (4, 0)
    assert submit("--files-only")["finished"] == ["explain"]


def test_a_password_in_an_address_is_refused_before_anything_is_written(
    explain: Command, planted: Population, here: Path
) -> None:
    """Of an existing run too, and of addresses that are not the first."""
    explain("--features", "0")
    secret = "http://me:hunter2@127.0.0.1:8/v1"
    fine = ("--model", "seer", "--base-url", "http://127.0.0.1:9/v1")
    refused = "--base-url holds a user name or password; put the key into AUTOINTERP_API_KEY instead"

    direct = run("explain", planted.folder, "--run", "run", "--model", "seer", "--base-url", secret, "--features", "1")
    further = run("explain", planted.folder, "--run", "run", *fine, "--base-url", secret, "--features", "1")
    judged = run("score", "run", "--judge-model", "seer", "--judge-base-url", secret)
    embedded = run("score", "run", "--embedder", "e", "--embedder-base-url", secret)
    planned = run("explain", planted.folder, "--run", "new", *fine, "--base-url", secret, "--batch")
    calibrated = run("calibrate", "--model", "seer", "--base-url", secret, "--out", "c/judge.json")

    for result in (direct, further, judged, planned, calibrated):
        says(result, refused)
    says(embedded, refused.replace("--base-url", "--embedder-base-url"))
    assert [p for p in here.rglob("*") if p.is_file() and b"hunter2" in p.read_bytes()] == []
    assert sorted(p.name for p in here.iterdir() if p.is_dir()) == ["cache", "run"]


def test_what_no_batch_job_can_do_is_one_line(explain: Command, planted: Population, here: Path) -> None:
    """Several addresses; a random dump for a run of the embedded model; a folder in place of a file."""
    explain("--features", "0")
    run("score", "run", "--batch")
    info = json.loads((here / "run" / "run.json").read_text())
    two = ("--base-url", "http://127.0.0.1:9/v1", "--base-url", "http://127.0.0.1:10/v1")

    several = run("explain", planted.folder, "--run", "new", "--model", "m", *two, "--batch")
    folder = run("batch", "collect", "run", here)
    info["explain"]["model"] |= {"model": "local@weights", "base_url": None}
    (here / "run" / "run.json").write_text(json.dumps(info))
    random = run("score", "run", "--judge-model", "m", "--random-dump", planted.folder, "--batch")

    says(several, "--batch with 2 addresses: a batch job goes to one endpoint; give a single --base-url")
    says(folder, f"{here}: is a folder; name a result file, or none to ask the endpoint")
    says(
        random,
        "--batch with --random-dump: the run was explained by the embedded model, which a batch job does not reach; "
        "leave --batch or --random-dump out",
    )
