"""Bodies reach the endpoint whole, with the key, whatever their size; what comes back is told as it is."""

import asyncio
import zlib
from collections.abc import Callable, Coroutine

import aiohttp
import pytest
from aiohttp import web

from autointerp.lmm.http import MOST_ANSWERED, Sent, Wire, unpacked

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


def packed(content: bytes, how: str) -> bytes:
    """The content as a body of the named encoding; `bare` is deflate without its frame."""
    bits = {"gzip": 31, "deflate": 15, "bare": -15}[how]
    packer = zlib.compressobj(9, wbits=bits)
    return packer.compress(content) + packer.flush()


def sending(content: bytes, packing: str) -> Handler:
    async def send(request: web.Request) -> web.Response:
        return web.Response(body=content, headers={"Content-Encoding": packing})

    return send


@pytest.mark.parametrize(
    ("how", "name"), [("gzip", "gzip"), ("gzip", "X-GZIP"), ("deflate", "deflate"), ("bare", "deflate")]
)
def test_a_packed_answer_is_unpacked(how: str, name: str):
    assert post(sending(packed(b"hello " * 1000, how), name), b"{}").content == b"hello " * 1000


@pytest.mark.parametrize(
    ("content", "packings", "why"),
    [
        (packed(bytes(MOST_ANSWERED + 1), "gzip"), "gzip", "longer than 16 MB"),
        (packed(bytes(MOST_ANSWERED + 1), "bare"), "deflate", "longer than 16 MB"),
        (packed(packed(bytes(MOST_ANSWERED + 1), "gzip"), "gzip"), "gzip, gzip", "longer than 16 MB"),
        (packed(b"hello" * 99, "gzip")[:-9], "gzip", "was cut"),
        (b"hello", "gzip", "cannot be unpacked"),
        (b"hello", "br", "'br', which was not asked for"),
        (b"hello", "zstd", "'zstd', which was not asked for"),
    ],
)
def test_an_answer_that_unpacks_to_too_much_or_to_nothing_is_refused(content: bytes, packings: str, why: str):
    with pytest.raises(ValueError, match=why):
        unpacked(content, packings)


@pytest.mark.parametrize("packings", ["utf-8", "none", "binary", "utf-8, gzip"])
def test_a_header_that_names_no_packing_costs_no_answer(packings: str):
    content = packed(b"hello", "gzip") if "gzip" in packings else b"hello"

    assert unpacked(content, packings) == b"hello"


def test_an_answer_that_is_too_long_is_not_read_to_its_end():
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(2**20))

    with pytest.raises(aiohttp.ClientPayloadError, match="longer than 16 MB"):
        post(endless, b"{}")


def test_an_answer_that_came_before_its_question_is_not_taken_for_its_answer():
    """The server sends its first answer a second time, unasked; the second question gets its own all the same."""
    connections: list[asyncio.StreamWriter] = []

    def answer(text: str) -> bytes:
        return f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while head := await reader.read(4096):
            body = head.partition(b"\r\n\r\n")[2] or await reader.read(4096)
            writer.write(answer(f"to {body.decode()}"))
        writer.close()

    async def main() -> list[str]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        wire = Wire(f"http://127.0.0.1:{port}/v1", "sk-secret", timeout=60, connections=2)
        try:
            first = await wire.post("chat/completions", b"one")
            connections[0].write(answer("to one"))
            await connections[0].drain()
            await asyncio.sleep(0.05)  # it lies in the client's buffer before the next question is sent
            return [first.text, (await wire.post("chat/completions", b"two")).text]
        finally:
            await wire.aclose()
            await asyncio.gather(*(writer.wait_closed() for writer in connections))
            server.close()

    assert asyncio.run(main()) == ["to one", "to two"]
    assert len(connections) == 2
