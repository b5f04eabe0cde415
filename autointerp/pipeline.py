"""Drives many independent pieces of work: order, concurrency, stopping. Knows no prompt and no metric."""

import asyncio
import itertools
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_AHEAD = 16
STOPPING = (
    "stopping when what is in flight is done; Ctrl-C again ends at once; either way the same command goes on later"
)


class Stop:
    """A wish to end: what is in flight finishes, nothing new begins."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def ask(self, reason: str) -> None:
        """Keeps the first reason."""
        self.reason = self.reason or reason

    @contextmanager
    def on_interrupt(self, say: Callable[[str], None]) -> Iterator[None]:
        """The first Ctrl-C asks to stop and says so, the second one interrupts; for use inside a running loop."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals reach the main thread only
            return
        before = signal.getsignal(signal.SIGINT)
        loop = asyncio.get_running_loop()

        def asked(number: int, frame: object) -> None:
            self.ask("interrupted")
            signal.signal(signal.SIGINT, before)
            # Not from here: what was interrupted may be in the middle of writing a line itself.
            loop.call_soon_threadsafe(say, STOPPING)

        signal.signal(signal.SIGINT, asked)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


async def drive(items: Iterator[T], work: Callable[[T], Awaitable[None]], *, window: int, stop: Stop) -> None:
    """Works on the items, begun in their order, at most `window` at a time.

    The iterator is advanced in a thread, since it reads from disk. An exception of the work, or of the iterator,
    ends everything in flight and is raised.

    Args:
        items: what to work on.
        work: records its own outcome.
        window: pieces in flight, which bounds memory.
        stop: looked at before each new piece.
    """
    free = asyncio.Semaphore(window)
    async with asyncio.TaskGroup() as group:

        async def one(item: T) -> None:
            try:
                await work(item)
            finally:
                free.release()

        while stop.reason is None:
            ahead = await asyncio.to_thread(list, itertools.islice(items, min(_AHEAD, window)))
            if not ahead:
                return
            for item in ahead:
                await free.acquire()
                if stop.reason is not None:
                    return
                group.create_task(one(item))


def run_async(main: Callable[[], Coroutine[None, None, T]]) -> T:
    """Runs a coroutine to its end, on uvloop where there is one; also from inside a notebook's running loop.

    A group of exceptions with a single cause is raised as that cause, so that users see one line.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(main)
    box: list[T] = []
    problem: list[BaseException] = []

    def body() -> None:
        try:
            box.append(_run(main))
        except BaseException as e:  # noqa: BLE001 - handed to the caller's thread as it is
            problem.append(e)

    thread = threading.Thread(target=body, name="autointerp")
    thread.start()
    thread.join()
    if problem:
        raise problem[0]
    return box[0]


def _run(main: Callable[[], Coroutine[None, None, T]]) -> T:
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            return runner.run(main())
        except BaseExceptionGroup as e:
            raise first_cause(e) from None


def first_cause(error: BaseException) -> BaseException:
    """The first exception of a group, of groups of groups, or the exception itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
