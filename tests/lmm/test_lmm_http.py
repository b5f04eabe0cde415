"""Bodies reach the endpoint whole, with the key, whatever their size; what comes back is told as it is."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from aiohttp import web

from autointerp.lmm.http import Sent, Wire

Handler = Callable[[web.Request], Coroutine[None, None, web.StreamResponse]]


def post(handler: Handler, body: bytes, *, timeout: float = 120.0) -> Sent:
    """What a server that answers with `handler` makes of one body."""

    async def main() -> Sent:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        wire = Wire(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", "sk-secret", timeout=timeout, connections=2)
        try:
            return await wire.post("chat/completions", body)
        finally:
            await wire.aclose()
            await runner.cleanup()

    return asyncio.run(main())


@pytest.mark.parametrize("size", [10, 2**20, 2**20 + 1, 3 * 2**20])
def test_a_body_of_any_size_arrives_whole(size: int):
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    assert post(echo, body).content == body


def test_the_key_and_the_type_go_along():
    async def told(request: web.Request) -> web.Response:
        names = ("Authorization", "Content-Type", "Content-Length")
        return web.Response(text="|".join(request.headers[name] for name in names))

    assert post(told, b"{}").text == "Bearer sk-secret|application/json|2"


def test_an_error_comes_back_with_its_status_headers_and_words():
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "7"}, text="slower")

    sent = post(refuse, b"{}")

    assert (sent.status, sent.headers["retry-after"], sent.text) == (429, "7", "slower")
    assert (b"Retry-After", b"7") in sent.raw_headers


def test_a_redirect_is_not_followed():
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://192.0.2.1/"})

    assert post(elsewhere, b"{}").status == 307


def test_an_answer_that_drips_is_given_up_in_time():
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.02)
        return response

    with pytest.raises(TimeoutError):
        post(drip, b"{}", timeout=0.1)
