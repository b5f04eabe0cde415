import asyncio
import re
from contextlib import nullcontext
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web
from builders import question
from exchange import KEY, Pictures, answering, error, failed
from stopped_clock import NOON, Noon

from autointerp.lmm.cache import Cache
from autointerp.lmm.openai_client import OpenAIClient
from autointerp.lmm.outcomes import CallError


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request carries a key that must not be seen again."""
    monkeypatch.setenv("AUTOINTERP_API_KEY", KEY)


@pytest.mark.parametrize(
    ("status", "kind", "again", "overload"),
    [
        (400, "http_400", False, False),
        (408, "http_408", True, False),
        (429, "rate_limited", True, True),
        (500, "http_500", True, False),
        (502, "http_502", True, False),
        (503, "http_503", True, True),
        (529, "http_529", True, True),
    ],
)
def test_a_status_says_whether_to_try_again(tmp_path: Path, status: int, kind: str, again: bool, overload: bool):
    e = failed(tmp_path, answering(error("because\nof this"), status))

    assert (e.kind, e.message, e.again, e.overload, e.remedy) == (kind, "because of this", again, overload, None)


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (401, error("bad key"), r"refuses the API key \(bad key\); set AUTOINTERP_API_KEY"),
        (404, error("no model m"), r"no such model or path \(no model m\); check --model and --base-url"),
        (429, error("pay", code="insufficient_quota"), r"no credit left \(pay\)"),
        (402, error("pay"), r"no credit left \(pay\)"),
        (400, error("m is not a multimodal model"), "does not see images"),
        (500, error("image input is not supported - hint: mmproj"), "does not see images"),
        (403, error("not yours"), r"refuses access \(not yours\)"),
        (413, b"<html><h1>413 Request Entity Too Large</h1></html>", r"body of a request is too large .*--top.*--side"),
        (200, error("At most 1 image(s) may be provided", code=400), r"too many images .*--limit-mm-per-prompt"),
    ],
)
def test_what_no_request_can_mend_comes_with_a_remedy(tmp_path: Path, status: int, body: object, remedy: str):
    e = failed(tmp_path, answering(body, status))

    assert e.remedy is not None
    assert not e.again
    assert re.search(remedy, e.remedy)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "300"}, 300.0),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After": "soon"}, None),
        ({"retry-after-ms": "soon", "Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "inf"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "2678401"}, None),
        ({"Retry-After": "1.2.3"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read(tmp_path: Path, headers: dict[str, str], seconds: float | None):
    assert failed(tmp_path, answering(error("slow"), 429, headers)).retry_after == seconds


def test_retry_after_may_be_a_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.lmm.response.datetime", Noon)
    date = format_datetime(NOON + timedelta(seconds=100), usegmt=True)

    assert failed(tmp_path, answering(error("slow"), 429, {"Retry-After": date})).retry_after == 100.0


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"", "http_200", "an empty body"),
        (b" \n", "http_200", "an empty body"),
        (b"<html>", "http_200", "a web page, not JSON"),
        (b"[" * 100_000, "http_200", "not JSON"),
        (b'{"choices": [{"message": {"content": "half', "http_200", "not JSON"),
        (b"\xff\xfe\x00", "http_200", "not JSON"),
        (b"[]", "http_200", "without a message"),
        (b"{}", "http_200", "without a message"),
        (b"7", "http_200", "without a message"),
        (b'{"choices": []}', "http_200", "without a message"),
        (b'{"choices": [{"message": {}}], "usage": {"prompt_tokens": "many"}}', "http_200", "without a message"),
        (b'data: {"choices": [{"delta": {"content": "half"}}]}\n\n', "http_200", "not JSON"),
        (b'{"choices": [{"error": {"message": "gone", "code": 502}, "finish_reason": "error"}]}', "http_502", "gone"),
        (b'{"choices": [{"message": {"content": "x"}, "finish_reason": "error"}]}', "http_502", "'error'"),
        (b'{"object": "error", "message": "too busy", "code": 503}', "http_503", "too busy"),
        (b'{"detail": "upstream"}', "http_502", "upstream"),
        (b'{"error": {"message": "upstream", "code": 503}}', "http_503", "upstream"),
        (b'{"error": {"message": "upstream", "code": "odd"}}', "http_502", "upstream"),
        (b'{"error": "upstream"}', "http_502", "upstream"),
        (b'{"error": {"message": "slow", "code": 429}}', "rate_limited", "slow"),
    ],
)
def test_a_200_without_an_answer_is_tried_again(tmp_path: Path, body: bytes, kind: str, message: str):
    e = failed(tmp_path, answering(body))

    assert (e.kind, e.again) == (kind, True)
    assert message in e.message


@pytest.mark.parametrize("before", [0, 290])
@pytest.mark.parametrize("status", [200, 400, 401])
def test_a_key_that_the_server_repeats_is_never_passed_on(tmp_path: Path, before: int, status: int):
    e = failed(tmp_path, answering(error("x" * before + KEY + " refused"), status))

    assert "sk-very" not in f"{e} {e.remedy}"


def test_a_server_that_does_not_answer_in_time_is_overloaded(tmp_path: Path):
    async def hang(request: web.Request, payload: object) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    e = failed(tmp_path, hang, timeout=0.3)

    assert (e.kind, e.message, e.again, e.overload) == ("timeout", "no answer within 0.3 s", True, True)


def test_a_server_that_drips_bytes_does_not_hold_the_slot_for_ever(tmp_path: Path):
    async def drip(request: web.Request, payload: object) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(300):
            await response.write(b" ")
            await asyncio.sleep(0.1)
        return response

    assert failed(tmp_path, drip, timeout=0.5).kind == "timeout"


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", b"HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\n"]
)
def test_a_cut_connection_is_tried_again(tmp_path: Path, sent: bytes):
    async def cut(request: web.Request, payload: object) -> web.Response:
        assert request.transport is not None
        request.transport.write(sent)
        await asyncio.sleep(0.05)
        request.transport.abort()
        return web.Response()

    e = failed(tmp_path, cut)

    assert (e.kind, e.again, e.remedy) == ("connection", True, None)
    assert e.message.startswith("http://127.0.0.1:")


def test_a_server_that_is_not_there_is_named(tmp_path: Path):
    async def main(cache: Cache) -> None:
        client = OpenAIClient("http://127.0.0.1:9/v1", timeout=5, connections=1, cache=cache)
        try:
            await client.complete(question(), Pictures(), nullcontext())
        finally:
            await client.aclose()

    with Cache(tmp_path) as cache, pytest.raises(CallError, match=r"connection: http://127\.0\.0\.1:9/v1: ."):
        asyncio.run(main(cache))
