"""What must not happen to a batch job: half a file sent, pictures sent to another host, a refusal passed over."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from standin.batches import BatchServer, all_answered
from standin.commands import Result, run, says
from standin.offline import Line, answered, failed, keys, requests
from standin.planted import Population
from standin.records import explanations, failures
from standin.server import StandIn

from autointerp.batch import api as batch_api
from autointerp.batch.client import BatchClient, RequestFile
from autointerp.batch.manifest import Event, Manifest
from autointerp.jobs.batch import job as batch_job

FILE = "requests-00001.jsonl"
SPOILT = {
    "nothing": "",
    "empty": "",
    "page": "<html>gateway</html>",
    "error": '{"error": {"code": 502, "message": "upstream"}}',
    "torn": '{"id": "file-1", "sta',
}
"""Bodies in the place of a reply."""


class Endpoint(BatchServer):
    """One that can send its callers elsewhere, break off, and name its batches as it likes."""

    elsewhere: str = ""
    """The address of another host."""
    sends_away: str = ""
    """`upload`, `start`, `look` or `fetch`: that call is answered with a redirect."""
    spoils: tuple[str, str] | None = None
    """Such a call, whose reply is lost once: nothing comes, or another body with status 200."""
    lists: Callable[[web.Request], Awaitable[web.Response]] | None = None
    """In the place of the list of batches."""
    breaks_off: bool = False
    """Whether a result file ends in its middle."""
    asked: int = 0
    """Calls that came."""

    @web.middleware
    async def _keyed(
        self, request: web.Request, handler: Callable[[web.Request], web.StreamResponse]
    ) -> web.StreamResponse:
        self.asked += 1
        step = {("POST", "files"): "upload", ("POST", "batches"): "start", ("GET", "files"): "fetch"}.get(
            (request.method, request.path.split("/")[2]), "look" if request.path.count("/") == 3 else ""
        )
        if step and step == self.sends_away:
            await request.read()
            raise web.HTTPTemporaryRedirect(f"{self.elsewhere}{request.path.removeprefix('/v1')}?token=abc")
        response = await handler(request)  # pyright: ignore[reportGeneralTypeIssues]
        if self.spoils is None or self.spoils[0] != step:
            return response
        (_, how), self.spoils = self.spoils, None
        if how == "nothing":
            assert request.transport is not None
            request.transport.abort()
        return web.Response(text=SPOILT[how], content_type="text/html" if how == "page" else "application/json")

    async def _list(self, request: web.Request) -> web.Response:
        return await super()._list(request) if self.lists is None else await self.lists(request)

    async def _content(self, request: web.Request) -> web.Response:
        whole = await super()._content(request)
        if self.breaks_off and isinstance(whole.body, bytes):
            half = web.StreamResponse(headers={"Content-Length": str(len(whole.body))})
            await half.prepare(request)
            await half.write(whole.body[: len(whole.body) // 2])
            assert request.transport is not None
            request.transport.abort()
        return whole


@pytest.fixture
def server() -> Iterator[Endpoint]:
    """Its batches have ended at the first look."""
    with Endpoint(looks=1) as made:
        yield made


@pytest.fixture
def recorded(planted: Population, server: Endpoint, here: Path) -> Path:
    """Features 0 to 3 are to be explained by a batch job."""
    where = ("--model", "seer", "--base-url", server.url, "--features", "0-3", "--batch")
    result = run("explain", planted.folder, "--run", "run", *where)
    assert result.code == 0, result.err
    return here / "run"


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file grows beyond so many bytes: a write stops there, as on a full disk, and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def written(folder: Path) -> list[str]:
    """Files of requests, finished or not."""
    return sorted(f.name for f in (folder / "batch").glob("requests-*"))


def drive(*options: str) -> Result:
    return run("batch", "run", "run", "--poll", "0.01", *options)


@pytest.mark.parametrize("short", [1, 1000, 9000])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    recorded: Path, server: Endpoint, here: Path, short: int
) -> None:
    """The file lacks 1, 1,000 or 9,000 bytes of room: nothing is recorded or sent; with room, all four are."""
    run("batch", "submit", "run", "--files-only")
    size = (recorded / "batch" / FILE).stat().st_size
    run("batch", "submit", "run", "--files-only", "--again", "--budget", "1 tokens")
    before = (recorded / "batch" / "manifest.jsonl").read_text()

    with room_for(size - short):
        full = run("batch", "submit", "run")
    after = (recorded / "batch" / "manifest.jsonl").read_text()
    left, uploads = written(recorded), dict(server.uploads)
    driven = drive()

    says(
        full,
        "run/batch/requests-00002.jsonl: cannot be written (the disk is full); free space, "
        "then run the same command again",
    )
    assert (after, left, uploads) == (before, [], {})
    assert driven.code == 0
    assert len(server.questions) == len(set(server.questions)) == 4


@pytest.mark.parametrize("damage", ["torn", "changed", "gone"])
def test_a_file_that_is_not_as_it_was_written_is_written_anew_and_not_sent(
    recorded: Path, server: Endpoint, damage: str
) -> None:
    """Cut in its last line, one digit changed in a picture's place, deleted: what is sent are four whole questions."""
    run("batch", "submit", "run", "--files-only")
    file = recorded / "batch" / FILE
    whole = file.read_bytes()
    asked = keys(requests(file))
    if damage == "torn":
        file.write_bytes(whole[:-100])
    elif damage == "changed":
        file.write_bytes(whole.replace(b'"temperature":0.0', b'"temperature":0.9'))
    else:
        file.unlink()

    driven = drive()

    assert driven.code == 0, driven.err
    (sent,) = [data for name, data in server.uploads.items() if name.startswith("file-")]
    assert sorted(sent.splitlines()) == sorted(whole.splitlines())
    assert sorted(server.questions) == sorted(asked)
    assert sorted(explanations(recorded)) == [0, 1, 2, 3]


def test_a_file_that_was_damaged_since_it_was_written_is_not_sent(
    recorded: Path, server: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = RequestFile.finish

    def torn(self: RequestFile) -> None:
        finish(self)
        file = recorded / "batch" / FILE
        file.write_bytes(file.read_bytes()[:-1])

    with monkeypatch.context() as patched:
        patched.setattr(RequestFile, "finish", torn)
        result = run("batch", "submit", "run")

    said = f"run/batch/{FILE}: is not as it was written; run the same command again, which writes it anew"
    assert (result.code, result.err.splitlines()[-1]) == (2, f"autointerp: {said}")
    assert server.uploads == {}
    assert drive().code == 0
    assert len(server.questions) == len(set(server.questions)) == 4


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("step", ["upload", "start", "look", "fetch"])
def test_a_reply_that_is_lost_once_is_asked_for_again_and_nothing_is_sent_twice(
    recorded: Path, server: Endpoint, monkeypatch: pytest.MonkeyPatch, step: str, how: str
) -> None:
    """The endpoint does its part, and what it says of it does not come: one upload, one batch, four questions."""
    waits: list[float] = []
    api = batch_api.BatchApi
    monkeypatch.setattr(batch_job, "BatchApi", lambda url, **more: api(url, sleep=waits.append, **more))
    server.spoils = (step, how)

    result = drive()

    assert result.code == 0, result.err
    # A wait of half a second is that of a first repeat; a connection that was kept may be gone besides.
    assert {0.5} <= set(waits) <= {0.5, 1.0}
    assert [name for name in server.uploads if name.startswith("file-")] == ["file-1"]
    assert len(server.questions) == len(set(server.questions)) == 4
    assert sorted(explanations(recorded)) == [0, 1, 2, 3]


def test_a_list_of_batches_that_does_not_come_starts_none_twice(
    recorded: Path, server: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch was started by a command that did not live to hear of it; then the list is an error with status 200."""
    api, add = batch_api.BatchApi, Manifest.add
    monkeypatch.setattr(batch_job, "BatchApi", lambda url, **more: api(url, sleep=lambda _: None, **more))

    def killed(self: Manifest, event: Event) -> None:
        if event.event == "started":
            raise KeyboardInterrupt
        add(self, event)

    replies = [SPOILT["error"]] * 2

    async def lists(request: web.Request) -> web.Response:
        return (
            web.Response(text=replies.pop(), content_type="application/json")
            if replies
            else await BatchServer._list(server, request)
        )

    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "add", killed)
        drive()
    server.lists = lists

    result = drive()

    assert result.code == 0, result.err
    assert replies == []
    assert len(server.batches) == 1


def test_wrong_settings_end_the_driving_with_the_servers_words(recorded: Path, server: Endpoint) -> None:
    """Every line is refused since the model sees no images: one round, exit code 2; then another server setting."""
    words = "This model does not support image input."
    server.spoil = lambda _, asked: ("completed", [], [failed(line, 400, words) for line in asked])
    refused = drive()
    server.spoil = all_answered

    result = drive()

    said = f"{server.url}: the model does not see images ({words}); name a model with vision with --model"
    assert (refused.code, refused.err.splitlines()[-1]) == (2, f"autointerp: {said}")
    assert len(server.batches) == 2
    assert result.code == 0
    assert sorted(explanations(recorded)) == [0, 1, 2, 3]


def test_wrong_settings_of_one_question_do_not_keep_the_answers_to_others(recorded: Path, server: Endpoint) -> None:
    """Of four one is longer than the context: the others are recorded, and a round of that one alone ends it."""
    words = "This model's maximum context length is 8192 tokens."

    def spoil(number: int, asked: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
        long = [line for line in asked if line["custom_id"] == (asked[0]["custom_id"] if number == 1 else "")]
        long = long or list(asked)
        return (
            "completed",
            [answered(line) for line in asked if line not in long],
            [failed(x, 400, words) for x in long],
        )

    server.spoil = spoil

    result = drive()

    assert result.code == 2
    assert "a request is longer than the model's context" in result.err.splitlines()[-1]
    assert [len(server.uploads[f"file-{i}"].splitlines()) for i in (1, 2)] == [4, 1]
    assert len(explanations(recorded)) == 3


@pytest.mark.parametrize("step", ["upload", "start", "look", "fetch"])
def test_no_redirect_is_followed_and_each_names_its_target(recorded: Path, server: Endpoint, step: str) -> None:
    """Of an upload, of starting and looking at a batch, and of a result file; the job goes on once there is none."""
    with Endpoint() as other:
        server.elsewhere, server.sends_away = other.url, step

        result = drive()

    target = f"{other.url}/{'files' if step in ('upload', 'fetch') else 'batches'}"
    assert result.code == 2
    (line,) = [line for line in result.err.splitlines() if line.startswith("autointerp: ")]
    assert line.startswith(f"autointerp: {server.url} answers with a redirect (status 307) to {target}")
    assert "which is not followed; if that is where the questions should go, record the command anew" in line
    assert "token" not in line
    assert other.asked == 0
    server.sends_away = ""
    assert drive().code == 0
    assert len(server.questions) == len(set(server.questions)) == 4


def test_a_result_file_that_breaks_off_is_fetched_again(recorded: Path, server: Endpoint) -> None:
    server.breaks_off = True
    broken = drive()
    left = sorted(f.name for f in (recorded / "batch").iterdir())
    server.breaks_off = False

    result = drive()

    assert broken.code == 2
    assert "Traceback" not in broken.err
    assert left == [".lock", "manifest.jsonl", "plan.json", FILE]
    assert result.code == 0
    assert len(server.questions) == len(set(server.questions)) == 4


def test_what_was_refused_is_said_again_by_every_later_start_until_it_is_mended(
    recorded: Path, server: Endpoint, seer: StandIn, planted: Population
) -> None:
    """One of four is refused: exit code 1 and its kind, twice and by `submit`; 0 once the command itself has it."""

    def spoil(number: int, asked: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
        refused = answered(asked[0], "", refusal="I can't help with shapes.")
        return "completed", [refused, *(answered(line) for line in asked[1:])], []

    server.spoil = spoil
    first, second, submitted = drive(), drive(), run("batch", "submit", "run")
    status = json.loads(run("batch", "status", "run", "--json").out)
    run("explain", planted.folder, "--run", "run", "--model", "seer", "--base-url", seer.url, "--features", "0-3")
    mended = drive()

    assert [first.code, second.code, submitted.code, mended.code] == [1, 1, 1, 0]
    for result in (second, submitted):
        assert "explain: finished, but for what failed: 1 refused; no batch job asks that again" in result.out
    for result in (first, second, submitted):
        again = "next: the recorded command explain without --batch, which asks again what failed"
        assert result.out.splitlines()[-1] == again
    assert status["left"] == {"explain": {"refused": 1}}
    assert [f.kind for f in failures(recorded)] == ["refused"]
    assert len(server.questions) == len(set(server.questions)) == 4
    assert "next: autointerp score run" in mended.out


@pytest.mark.parametrize("step", ["upload", "look"])
def test_sigterm_ends_the_driving_as_ctrl_c_does(recorded: Path, server: Endpoint, step: str) -> None:
    """It comes while the file is sent, and while the batch is watched: exit code 3, and how to go on."""
    begun: Future[subprocess.Popen[str]] = Future()
    server.looks = 10_000
    server.on_step = lambda did: begun.result().send_signal(signal.SIGTERM) if did == step else None
    command = (sys.executable, "-m", "autointerp", "batch", "run", "run", "--poll", "0.01")

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        begun.set_result(process)
        out, err = process.communicate(timeout=300)
    server.on_step, server.looks = None, 1
    result = drive()

    assert process.returncode == 3, err
    assert "Traceback" not in err
    assert "stopped: interrupted" in out
    assert out.splitlines()[-1] == "next: autointerp batch run run"
    assert result.code == 0
    assert len(server.questions) == len(set(server.questions)) == 4


def test_sigterm_while_questions_are_written_keeps_those_that_are(
    recorded: Path, server: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes with the first of four questions: what is in flight is written, nothing is sent, the rest goes on."""
    complete = BatchClient.complete

    async def terminated(self: BatchClient, *args: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return await complete(self, *args)  # pyright: ignore[reportArgumentType]

    with monkeypatch.context() as patched:
        patched.setattr(BatchClient, "complete", terminated)
        patched.setattr(signal, "raise_signal", once(signal.raise_signal))
        stopped = drive()
    sent = dict(server.uploads)
    result = drive()

    assert stopped.code == 3, stopped.err
    assert "stopped: interrupted" in stopped.out
    assert stopped.out.splitlines()[-1] == "next: autointerp batch run run"
    assert sent == {}
    assert result.code == 0
    assert len(server.questions) == len(set(server.questions)) == 4


def once(function: Callable[[int], None]) -> Callable[[int], None]:
    """Calls the function the first time alone."""
    called: list[int] = []

    def call(number: int) -> None:
        called.append(number)
        if len(called) == 1:
            function(number)

    return call
