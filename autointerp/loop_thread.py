"""An event loop in a thread of its own, for work that is called from code that knows of no event loop."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Generic, TypeVar

from autointerp.pipeline import first_cause, run_async

T = TypeVar("T")
R = TypeVar("R")


class Background(Generic[T]):
    """Holds something open on a loop of its own while the context lasts.

    Args:
        opened: what is held open; entered and left on the loop.
    """

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._opened = opened
        self._ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, T]] = Future()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._body, name="autointerp-background", daemon=True)

    @property
    def value(self) -> T:
        """Returns what is held open."""
        return self._ready.result()[2]

    def run(self, work: Callable[[T], Awaitable[R]]) -> R:
        """Does a piece of work on the loop and waits for it; a group of exceptions is raised as its first cause."""
        loop, _, value = self._ready.result()

        async def whole() -> R:
            return await work(value)

        try:
            return asyncio.run_coroutine_threadsafe(whole(), loop).result()
        except BaseExceptionGroup as e:
            raise first_cause(e) from None

    def __enter__(self) -> "Background[T]":
        self._thread.start()
        self._ready.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop, leave, _ = self._ready.result()
        loop.call_soon_threadsafe(leave.set)
        if isinstance(error, KeyboardInterrupt):
            return  # a thread that makes a picture may be blocked, and would hold up the end
        self._thread.join()
        if self._problem is not None and error is None:
            raise self._problem

    def _body(self) -> None:
        try:
            run_async(self._main)
        except BaseException as e:  # noqa: BLE001 - handed to the caller's thread as it is
            if self._ready.done():
                self._problem = e
            else:
                self._ready.set_exception(e)

    async def _main(self) -> None:
        leave = asyncio.Event()
        async with self._opened() as value:
            self._ready.set_result((asyncio.get_running_loop(), leave, value))
            await leave.wait()
