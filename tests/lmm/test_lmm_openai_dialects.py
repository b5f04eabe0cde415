import asyncio
import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from aiohttp import web
from builders import question
from exchange import KEY, Pictures, answered, answering, at, error, exchange, reply

from autointerp.lmm.cache import Cache
from autointerp.lmm.openai_client import OpenAIClient
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request carries a key that must not be seen again."""
    monkeypatch.setenv("AUTOINTERP_API_KEY", KEY)


COMPLAINTS = {
    "response_format": "response_format.type json_schema is not available",
    "temperature": "Unsupported value: 'temperature' does not support 0 with this model.",
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model.",
    "seed": "Unknown parameter: seed",
}


async def strict(request: web.Request, payload: dict[str, object]) -> web.Response:
    """Takes neither response_format nor temperature nor seed, and wants max_completion_tokens."""
    for name, complaint in COMPLAINTS.items():
        if name in payload:
            return web.json_response(error(complaint), status=400)
    return web.json_response(reply())


def test_what_the_server_does_not_take_is_found_out_once(tmp_path: Path):
    seen = exchange(tmp_path, strict, [question("a"), question("b")])

    answered(seen)
    formats = [at(p, "response_format", "type") if "response_format" in p else None for p in seen.payloads]
    assert formats == ["json_schema", "json_object", None, None, None, None, None]
    assert set(seen.payloads[-2]) == set(seen.payloads[-1]) == {"model", "messages", "stream", "max_completion_tokens"}
    assert seen.payloads[-1]["max_completion_tokens"] == 50


def test_what_was_found_out_is_remembered_over_reopening(tmp_path: Path):
    bodies: list[dict[str, object]] = []

    async def receive(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return await strict(request, bodies[-1])

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", receive)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        for text in ("first run", "second run"):
            with Cache(tmp_path) as cache:
                client = OpenAIClient(url, timeout=120, connections=4, cache=cache)
                await client.complete(question(text), Pictures(), nullcontext())
                await client.aclose()
        await runner.cleanup()

    asyncio.run(main())

    assert len(bodies) == 6 + 1
    assert set(bodies[-1]) == {"model", "messages", "stream", "max_completion_tokens"}


def test_a_complaint_about_something_else_costs_later_requests_nothing(tmp_path: Path):
    async def odd(request: web.Request, payload: dict[str, object]) -> web.Response:
        if "broken" in json.dumps(payload["messages"]):
            form = "response_format" if "response_format" in payload else "nothing that can be left out"
            return web.json_response(error(f"cannot do this; see {form}"), status=400)
        return web.json_response(reply())

    seen = exchange(tmp_path, odd, [question("good"), question("broken"), question("good again")])

    assert [type(o) for o in seen.outcomes] == [Completion, CallError, Completion]
    assert "json_schema" in str(seen.payloads[-1]["response_format"])


def test_a_server_that_refuses_everything_is_asked_a_bounded_number_of_times(tmp_path: Path):
    seen = exchange(tmp_path, answering(error("unsupported: max_tokens or max_completion_tokens"), 400))

    (outcome,) = seen.outcomes
    assert isinstance(outcome, CallError)
    assert (outcome.kind, outcome.again) == ("http_400", False)
    assert len(seen.bodies) == 6


def test_a_reply_that_the_endpoint_found_to_be_no_json_is_asked_for_without_the_schema_this_once(tmp_path: Path):
    async def picky(request: web.Request, payload: dict[str, object]) -> web.Response:
        if "response_format" in payload and "odd" in json.dumps(payload["messages"]):
            return web.json_response(error("Failed to generate JSON.", code="json_validate_failed"), status=400)
        return web.json_response(reply())

    seen = exchange(tmp_path, picky, [question("odd"), question("plain")])

    assert [type(o) for o in seen.outcomes] == [Completion, Completion]
    formats = [at(p, "response_format", "type") if "response_format" in p else None for p in seen.payloads]
    assert formats == ["json_schema", "json_object", None, "json_schema"]


def test_a_reply_that_is_never_json_is_malformed(tmp_path: Path):
    seen = exchange(tmp_path, answering(error("Failed to generate JSON."), 400))

    (outcome,) = seen.outcomes
    assert isinstance(outcome, CallError)
    assert (outcome.kind, outcome.again, len(seen.bodies)) == ("malformed", False, 3)


def test_a_format_that_is_unavailable_is_no_server_that_is(tmp_path: Path):
    async def strict(request: web.Request, payload: dict[str, object]) -> web.Response:
        if "response_format" in payload:
            return web.json_response(error("This response_format type is unavailable now"), status=400)
        return web.json_response(reply())

    seen = exchange(tmp_path, strict)

    answered(seen)
    assert len(seen.bodies) == 3
