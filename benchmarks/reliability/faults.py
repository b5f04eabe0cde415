"""The faults of an endpoint: what a client gets in the place of an answer, or around one."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

JSON = "application/json"
DRAFT = '<think>First idea: {"explanation": "a draft", "verdict": "one", "image_1": "no"} but is it'
"""Thinking that is cut before the answer."""


@dataclass(frozen=True)
class Fault:
    """One kind.

    Args:
        send: gives the reply, from the request, the right completion, and how long this client waits.
        spoil: turns the right completion into what stands in its line of a batch's results; None where a fault is not
            of one line but of the connection or the server.
        answers: whether the client gets a usable answer, which it should use.
        transport: whether the endpoint failed, so that no judgement may settle without an answer.
        timeout: seconds that the client waits.
    """

    send: Callable[[web.Request, dict, float], Awaitable[web.StreamResponse]]
    spoil: Callable[[dict], tuple[int, object]] | None = None
    answers: bool = False
    transport: bool = True
    timeout: float = 60.0


def _status(status: int, message: str, **headers: str) -> Fault:
    body = {"error": {"message": message, "type": "x", "param": None, "code": None}}
    names = {name.replace("_", "-"): value for name, value in headers.items()}

    async def send(request: web.Request, completion: dict, patience: float) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=names)

    return Fault(send, lambda completion: (status, body))


def _body(content: str, kind: str = JSON, *, transport: bool = True) -> Fault:
    async def send(request: web.Request, completion: dict, patience: float) -> web.StreamResponse:
        return web.Response(text=content, content_type=kind)

    return Fault(send, lambda completion: (200, content), transport=transport)


def _said(change: Callable[[str], Mapping[str, object]], finish: str = "stop", *, answers: bool = False) -> Fault:
    """The model itself says something else."""

    def changed(completion: dict) -> dict:
        (choice,) = completion["choices"]
        text = choice["message"]["content"]
        message = {"role": "assistant"} | dict(change(text))
        return completion | {"choices": [choice | {"message": message, "finish_reason": finish}]}

    async def send(request: web.Request, completion: dict, patience: float) -> web.StreamResponse:
        return web.json_response(changed(completion))

    return Fault(send, lambda completion: (200, changed(completion)), answers=answers, transport=False)


async def _hang(request: web.Request, completion: dict, patience: float) -> web.StreamResponse:
    await asyncio.sleep(patience + 30)
    return web.json_response(completion)


async def _late(request: web.Request, completion: dict, patience: float) -> web.StreamResponse:
    await asyncio.sleep(patience + 0.5)
    return web.json_response(completion)


async def _drip(request: web.Request, completion: dict, patience: float) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": JSON})
    await response.prepare(request)
    # Until the client has gone.
    while request.transport is not None and not request.transport.is_closing():
        await response.write(b" ")
        await asyncio.sleep(patience / 20)
    return response


def _broken(begin: bytes | None, *, reset: bool) -> Fault:
    """A connection that ends before the body, or inside it."""

    async def send(request: web.Request, completion: dict, patience: float) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        response = web.StreamResponse(headers={"Content-Type": JSON, "Content-Length": "4000"})
        if begin is not None:
            await response.prepare(request)
            await response.write(begin)
        if reset:
            transport.abort()
        else:
            transport.close()
        return response

    return Fault(send)


async def _wrong_type(request: web.Request, completion: dict, patience: float) -> web.StreamResponse:
    return web.Response(text=json.dumps(completion), content_type="text/plain")


async def _redirect(request: web.Request, completion: dict, patience: float) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": "http://127.0.0.1:9/v1/chat/completions"})


async def _twice(request: web.Request, completion: dict, patience: float) -> web.StreamResponse:
    """The whole response a second time on the same connection, which nobody asked for."""
    content = json.dumps(completion).encode()
    whole = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        JSON.encode(),
        len(content),
        content,
    )
    assert request.transport is not None
    response = web.Response(body=content, content_type=JSON)
    await response.prepare(request)
    await response.write_eof()
    request.transport.write(whole)
    return response


PART = b'{"choices": [{"message": {"content": "'
SHORT = 2.0
"""Seconds that a client waits where it must give up."""

FAULTS: Mapping[str, Fault] = {
    "429": _status(429, "Rate limit reached"),
    "429 with Retry-After": _status(429, "Rate limit reached", Retry_After="0"),
    "500": _status(500, "The server had an error"),
    "502": _status(502, "Bad gateway"),
    "503": _status(503, "Overloaded"),
    "529": _status(529, "Overloaded"),
    "no answer in time": Fault(_hang, timeout=SHORT),
    "answer after the timeout": Fault(_late, timeout=SHORT),
    "slow drip": Fault(_drip, timeout=SHORT),
    "reset before the body": _broken(None, reset=True),
    "reset inside the body": _broken(PART, reset=True),
    "closed inside the body": _broken(PART, reset=False),
    "empty body": _body(""),
    "HTML with status 200": _body("<html><body>gateway</body></html>", "text/html"),
    "error inside a 200": _body('{"error": {"code": 502, "message": "upstream"}}'),
    "body that is not whole JSON": _body(PART.decode()),
    "redirect": Fault(_redirect),
    "wrong content type": Fault(_wrong_type, answers=True),
    "reply sent twice": Fault(_twice, answers=True),
    "prose for an answer": _said(lambda text: {"content": "These are shapes. Some of them {perhaps all} fire."}),
    "refusal": _said(lambda text: {"content": None, "refusal": "I can't help with shapes."}),
    "refusal in prose": _said(lambda text: {"content": "I'm sorry, but I can't describe these images."}),
    "content filter": _said(lambda text: {"content": ""}, "content_filter"),
    "cut at its length": _said(lambda text: {"content": text[: len(text) // 2]}, "length"),
    "draft in cut thinking": _said(lambda text: {"content": DRAFT}, "length"),
    "thinking before the answer": _said(
        lambda text: {"content": f'<think>{{"explanation": "no"}} or so?</think>\n{text}'}, answers=True
    ),
}
