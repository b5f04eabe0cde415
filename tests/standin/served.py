"""An application of aiohttp on the loopback, in a thread of its own; a context manager."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from aiohttp import web

MOST = 1 << 28
"""Bytes of a request, at most."""


class Served:
    """Serves what `application` returns, at a free port, while the block lasts."""

    port: int = 0

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def application(self) -> web.Application:
        """What is served."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=type(self).__name__)
        self._thread.start()
        assert self._ready.wait(300)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_over())

    async def _until_over(self) -> None:
        self._over = asyncio.Event()
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._over.wait()
        await runner.cleanup()
