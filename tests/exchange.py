"""One HTTP exchange after another between the real client and a scripted server on the loopback."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from aiohttp import web
from builders import question

from autointerp.lmm.cache import Cache
from autointerp.lmm.openai_client import OpenAIClient
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion, Request

KEY = "sk-very-secret-0123456789"
JPEGS = [bytes(range(256)) * 3, b"\xff\xd8 second", b""]
Handler = Callable[[web.Request, dict[str, object]], Awaitable[web.StreamResponse]]


class Pictures:
    """Hands out fixed bytes in place of pixels."""

    async def jpeg(self, picture: object) -> bytes:
        raise NotImplementedError

    async def jpegs(self, pictures: Sequence[object]) -> list[bytes]:
        return JPEGS[: len(pictures)]

    async def tile(self, tile: object, side: int):
        raise NotImplementedError


def reply(text: object = "hello", **more: object) -> dict[str, object]:
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 64}}
    choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {"model": "m-2026", "choices": [choice], "usage": usage} | more


def error(message: str, **more: object) -> dict[str, object]:
    return {"error": {"message": message} | more}


def answering(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Handler:
    async def handle(request: web.Request, payload: dict[str, object]) -> web.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(body=raw, status=status, headers={"Content-Type": "application/json", **(headers or {})})

    return handle


def at(value: object, *path: str | int) -> object:
    """What stands at a place in a JSON value."""
    for step in path:
        if isinstance(step, int):
            assert isinstance(value, list)
            value = value[step]
        else:
            assert isinstance(value, dict)
            value = value[step]
    return value


class Exchange:
    """What the server got and the client made of it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []
        self.outcomes: list[Completion | CallError] = []

    @property
    def payloads(self) -> list[dict[str, object]]:
        return [json.loads(body) for body in self.bodies]


def exchange(
    folder: Path,
    handle: Handler,
    requests: Sequence[Request] = (question(),),
    *,
    timeout: float = 120.0,
    kind: type[OpenAIClient] = OpenAIClient,
) -> Exchange:
    """Asks each request of a server on the loopback, one after the other."""
    seen = Exchange()

    async def receive(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen.bodies.append(body)
        seen.headers.append(dict(request.headers))
        return await handle(request, json.loads(body))

    async def main(cache: Cache) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", receive)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        client = kind(url, timeout=timeout, connections=4, cache=cache)
        try:
            for request in requests:
                try:
                    seen.outcomes.append(await client.complete(request, Pictures(), nullcontext()))
                except CallError as e:
                    seen.outcomes.append(e)
        finally:
            await client.aclose()
            await runner.cleanup()

    with Cache(folder) as cache:
        asyncio.run(main(cache))
    return seen


def failed(folder: Path, handle: Handler, *, timeout: float = 120.0) -> CallError:
    (outcome,) = exchange(folder, handle, timeout=timeout).outcomes
    assert isinstance(outcome, CallError), outcome
    assert KEY not in str(outcome)
    assert KEY not in (outcome.remedy or "")
    return outcome


def answered(seen: Exchange) -> Completion:
    outcome = seen.outcomes[-1]
    assert isinstance(outcome, Completion), outcome
    return outcome
