"""An embeddings endpoint whose vectors say which kinds of planted object are seen, or meant."""

import asyncio
import base64
import threading
from types import TracebackType

from aiohttp import web
from standin.eyes import look, pixels
from standin.planted import PAIRS, kinds

COMMON = 2.0
"""What all vectors have in common, as those of most networks do."""


class Embeddings:
    """An endpoint whose vectors say which kinds of object are seen, or meant; a context manager."""

    def __init__(self, *, sees: bool = True) -> None:
        self.sees = sees
        self.asked: list[str] = []
        self.url = ""

    def __enter__(self) -> "Embeddings":
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), name="embeddings")
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
        app.router.add_post("/v1/embeddings", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._ready.set()
        await self._over.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        payload = await request.json()
        if "input" in payload:
            (text,) = payload["input"]
            self.asked.append("text")
            meant = kinds(text.lower())
        elif self.sees:
            url = payload["messages"][0]["content"][0]["image_url"]["url"]
            self.asked.append("picture")
            seen = look(pixels(base64.b64decode(url.partition(",")[2])))
            meant = seen.whole or {p for p in PAIRS if p[0] in seen.colours}
        else:
            return web.json_response({"error": {"message": "Missing required parameter: 'input'."}}, status=400)
        numbers = [COMMON, *(float(p in meant) for p in PAIRS)]
        return web.json_response({"data": [{"index": 0, "embedding": numbers}], "usage": {"prompt_tokens": 3}})
