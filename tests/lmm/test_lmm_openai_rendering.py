"""How many requests have their pictures made at once."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from PIL import Image

from autointerp.errors import ImageError
from autointerp.images.picture import Picture, Tile
from autointerp.lmm.cache import Cache
from autointerp.lmm.openai_client import OpenAIClient
from autointerp.lmm.request import Message, Request, TextPart


class Busy:
    """Takes a moment for each request's pictures, fails, and knows how many waited at once."""

    def __init__(self) -> None:
        self.now = self.most = self.asked = 0

    async def jpeg(self, picture: Picture) -> bytes:
        raise NotImplementedError

    async def jpegs(self, pictures: Sequence[Picture]) -> list[bytes]:
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001)
        self.now -= 1
        raise ImageError("broken")

    async def tile(self, tile: Tile, side: int) -> Image.Image:
        raise NotImplementedError


def test_as_many_requests_render_as_there_are_cores(tmp_path: Path) -> None:
    """Of 100 requests with 36 pictures of 0.6 MB each, all at once would hold 2 GB of pixels."""
    images = Busy()
    request = Request("any", "explain", "", (Message("user", (TextPart("hi"),)),), "{}", 0.0, 12, 0)

    async def ask_all() -> list[object]:
        with Cache(tmp_path / "cache") as store:
            client = OpenAIClient("http://127.0.0.1:1/v1", timeout=1.0, connections=100, cache=store)
            asked = [client.complete(request, images, AsyncExitStack()) for _ in range(100)]
            return list(await asyncio.gather(*asked, return_exceptions=True))

    outcomes = asyncio.run(ask_all())

    assert all(isinstance(outcome, ImageError) for outcome in outcomes)
    assert images.asked == 100
    assert images.most == max(2, os.cpu_count() or 2)
