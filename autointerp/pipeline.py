"""Drives many independent pieces of work: order, concurrency, stopping, event loops. Knows no prompt and no metric."""

import asyncio
import itertools
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from types import FrameType, TracebackType
from typing import Generic, TypeVar

from autointerp.signals import Ending

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 16
STOPPING = (
    "stopping when what is in flight is done; Ctrl-C again ends at once; either way the same command goes on later"
)


class Stop:
    """A wish to end: what is in flight finishes, nothing new begins."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._told: list[Callable[[], None]] = []
        self.saying = STOPPING
        """What the first Ctrl-C has said."""

    def ask(self, reason: str) -> None:
        """Asks the work to stop; the first reason is kept."""
        self.reason = self.reason or reason
        for tell in self._told:
            tell()

    def tells(self, whom: Callable[[], None]) -> None:
        """Has somebody told whose work nobody should wait for; a call for each time that it is asked to stop."""
        self._told.append(whom)
        if self.reason is not None:
            whom()

    @contextmanager
    def on_interrupt(self, say: Callable[[str], None]) -> Iterator[None]:
        """The first Ctrl-C asks to stop and says so, the second one interrupts; for use inside a running loop."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals reach the main thread only
            return
        loop, before, heard, seen = asyncio.get_running_loop(), signal.getsignal(signal.SIGINT), 0, 0

        def asked() -> None:
            nonlocal heard
            heard += 1
            if heard == 1:
                self.ask("interrupted")
                say(self.saying)
            else:
                _interrupt(before, None)

        def came(number: int, frame: FrameType | None) -> None:
            nonlocal seen
            seen += 1
            if not counted:
                loop.call_soon_threadsafe(asked)
            if seen > 2:  # the loop itself is held up
                Ending.at_once = True
                raise KeyboardInterrupt

        counted = _counts(loop, asked)
        signal.signal(signal.SIGINT, came)
        try:
            yield
        finally:
            if counted:
                loop.remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def on_interrupt_without_loop(self) -> Iterator[None]:
        """The first Ctrl-C asks to stop and says so, the second one interrupts; where the main thread runs no loop."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals reach the main thread only
            return
        before, seen, sent = signal.getsignal(signal.SIGINT), 0, 0
        reading, writing = socket.socketpair()

        def came(number: int, frame: FrameType | None) -> None:
            nonlocal seen, sent
            seen += 1
            # During one long call, Python sees two as one; here is a byte for each.
            with suppress(BlockingIOError):
                sent += reading.recv(4096).count(number)
            if seen == 1:
                # Not by way of sys.stderr, in the middle of whose writing the signal may have come.
                with suppress(OSError):
                    os.write(2, f"{self.saying}\n".encode())
            self.ask("interrupted")
            if max(seen, sent) > 1:
                _interrupt(before, frame)

        with reading, writing:
            reading.setblocking(False)
            writing.setblocking(False)
            other = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
            signal.signal(signal.SIGINT, came)
            try:
                yield
            finally:
                signal.signal(signal.SIGINT, before)
                signal.set_wakeup_fd(other)


def _counts(loop: asyncio.AbstractEventLoop, asked: Callable[[], None]) -> bool:
    """Has the loop call `asked` for each Ctrl-C, also for two that come before Python sees the first; if it can."""
    try:
        loop.add_signal_handler(signal.SIGINT, asked)
    except NotImplementedError:  # on Windows
        return False
    return True


def _interrupt(before: Callable[[int, FrameType | None], object] | int | None, frame: FrameType | None) -> None:
    """Interrupts as it was before, and where it was ignored, as it was in the background of a script, all the same."""
    Ending.at_once = True
    if not callable(before):
        raise KeyboardInterrupt
    before(signal.SIGINT, frame)


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
    return _run_apart(main)


def _run_apart(main: Callable[[], Coroutine[None, None, T]]) -> T:
    """Runs it on a loop in a thread of its own, which an interrupt of the caller's thread ends too."""
    box: list[T] = []
    problem: list[BaseException] = []
    cancel: list[Callable[[], object]] = []
    interrupted, over = threading.Event(), threading.Event()

    async def whole() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
        if interrupted.is_set():
            raise asyncio.CancelledError
        return await main()

    def body() -> None:
        try:
            box.append(_run(whole))
        except BaseException as e:  # noqa: BLE001 - handed to the caller's thread as it is
            problem.append(e)
        finally:
            over.set()

    try:
        threading.Thread(target=body, name="autointerp", daemon=True).start()
        over.wait()
    except KeyboardInterrupt:
        interrupted.set()
        with suppress(RuntimeError):  # its loop is closed
            for one in cancel:
                one()
        over.wait()
        raise
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
        except (KeyboardInterrupt, asyncio.CancelledError):
            # The loop's end would wait for its threads, of which one may be blocked in a read or a long decode.
            runner.get_loop().set_default_executor(ThreadPoolExecutor(1))
            raise


def first_cause(error: BaseException) -> BaseException:
    """The first exception of a group, of groups of groups, or the exception itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


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
