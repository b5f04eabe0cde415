"""An Images API on the loopback that draws what a function says, with faults by the call; a context manager."""

import base64
import io
from collections.abc import Callable, Mapping

from aiohttp import web
from PIL import Image
from standin.served import MOST, Served

Payload = Mapping[str, object]
Answer = tuple[int, object, Mapping[str, str]]
Fault = Callable[[Payload, int], Answer | None]
"""Is told what was asked and the number of the call from 0; None lets the call through."""
Draw = Callable[[Payload], Image.Image]


def plain(payload: Payload) -> Image.Image:
    """A grey picture of the size that was asked for, another grey for other words or another seed."""
    width, height = str(payload.get("size", "32x32")).split("x")
    shade = sum(str(payload["prompt"]).encode()) + int(str(payload.get("seed", 0)))
    return Image.new("RGB", (int(width), int(height)), (shade % 256,) * 3)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def made(data: bytes, **more: object) -> Answer:
    return 200, {"created": 1, "data": [{"b64_json": base64.b64encode(data).decode(), **more}]}, {}


def error(status: int, message: str, headers: Mapping[str, str] | None = None, **more: object) -> Answer:
    return status, {"error": {"message": message, **more}}, headers or {}


class Painting(Served):
    """The endpoint; `asked` has every body that came, `fetched` every picture that was asked for by its address."""

    def __init__(self, draw: Draw = plain, fault: Fault | None = None) -> None:
        self.draw, self.fault = draw, fault
        self.asked: list[Payload] = []
        self.keys: list[str | None] = []
        self.fetched: list[str] = []

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MOST)
        app.router.add_post("/v1/images/generations", self._answer)
        app.router.add_post("/v1/images/edits", self._edit)
        app.router.add_get("/made/{name}", self._fetch)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        return self._say(await request.json(), request)

    def _say(self, payload: Payload, request: web.Request) -> web.Response:
        self.asked.append(payload)
        self.keys.append(request.headers.get("Authorization"))
        wrong = self.fault(payload, len(self.asked) - 1) if self.fault is not None else None
        status, body, headers = wrong or made(png(self.draw(payload)))
        return web.json_response(body, status=status, headers=headers)

    async def _edit(self, request: web.Request) -> web.Response:
        form = await request.post()
        payload: dict[str, object] = {}
        for name, value in form.items():
            payload[name] = Image.open(value.file) if isinstance(value, web.FileField) else value
        return self._say(payload, request)

    async def _fetch(self, request: web.Request) -> web.Response:
        self.fetched.append(request.match_info["name"])
        return web.Response(body=png(plain({"prompt": "fetched"})), content_type="image/png")
