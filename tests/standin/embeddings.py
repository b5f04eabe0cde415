"""An embeddings endpoint whose vectors say which kinds of planted object are seen, or meant."""

import base64

from aiohttp import web
from standin.eyes import look, pixels
from standin.planted import PAIRS, kinds
from standin.served import MOST, Served

COMMON = 2.0
"""What all vectors have in common, as those of most networks do."""


class Embeddings(Served):
    """An endpoint whose vectors say which kinds of object are seen, or meant; a context manager."""

    def __init__(self, *, sees: bool = True) -> None:
        self.sees = sees
        self.asked: list[str] = []

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MOST)
        app.router.add_post("/v1/embeddings", self._answer)
        return app

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
