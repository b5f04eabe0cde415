"""An Images API on the loopback that draws what a function says, with faults by the call; a context manager."""

import asyncio
import base64
import io
import threading
from collections.abc import Callable, Mapping
from types import TracebackType

from aiohttp import web
from PIL import Image

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


class Painting:
    """The endpoint; `asked` has every body that came, `fetched` every picture that was asked for by its address."""

    def __init__(self, draw: Draw = plain, fault: Fault | None = None) -> None:
        self.draw, self.fault = draw, fault
        self.asked: list[Payload] = []
        self.keys: list[str | None] = []
        self.fetched: list[str] = []
        self.url = ""

    def __enter__(self) -> "Painting":
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), name="painting")
        self._thread.start()
        assert self._ready.wait(300)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/images/generations", self._answer)
        app.router.add_post("/v1/images/edits", self._edit)
        app.router.add_get("/made/{name}", self._fetch)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._ready.set()
        await self._over.wait()
        await runner.cleanup()

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
