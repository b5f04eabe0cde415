import asyncio
import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from autointerp.errors import EndpointError
from autointerp.pipeline import STOPPING, Stop, drive, run_async


class Worker:
    """Takes a few turns of the loop an item."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.done: list[int] = []
        self.busy = 0
        self.peak = 0

    async def __call__(self, item: int) -> None:
        self.begun.append(item)
        self.busy += 1
        self.peak = max(self.peak, self.busy)
        try:
            for _ in range(5):
                await asyncio.sleep(0)
            self.done.append(item)
        finally:
            self.busy -= 1


def driven(worker: Worker, items: Iterator[int], *, window: int = 4, stop: Stop | None = None) -> None:
    run_async(lambda: drive(items, worker, window=window, stop=stop or Stop()))


def test_every_item_is_worked_on_once_in_order_and_never_more_than_the_window():
    worker = Worker()

    driven(worker, iter(range(50)), window=4)

    assert worker.begun == list(range(50))
    assert sorted(worker.done) == list(range(50))
    assert worker.peak == 4


def test_the_iterator_is_read_only_a_little_ahead_of_the_work():
    worker = Worker()
    ahead: list[int] = []

    def items() -> Iterator[int]:
        for i in range(400):
            ahead.append(i - len(worker.done))
            yield i

    driven(worker, items(), window=8)

    assert len(worker.done) == 400
    assert max(ahead) <= 8 + 16


def test_nothing_to_do_is_done_at_once():
    worker = Worker()

    driven(worker, iter(()))

    assert worker.begun == []


def test_a_stop_lets_what_is_in_flight_finish_and_begins_nothing_new():
    worker, stop = Worker(), Stop()

    async def work(item: int) -> None:
        if item == 9:
            stop.ask("over budget")
            stop.ask("something later")
        await worker(item)

    run_async(lambda: drive(iter(range(100)), work, window=4, stop=stop))

    assert worker.done
    assert sorted(worker.done) == worker.begun == list(range(len(worker.begun)))
    assert 10 <= len(worker.begun) <= 14
    assert stop.reason == "over budget"


def test_an_error_of_the_work_ends_everything_and_is_raised_as_itself():
    worker = Worker()

    async def work(item: int) -> None:
        if item == 5:
            raise EndpointError("gone")
        await worker(item)

    with pytest.raises(EndpointError, match=r"^gone$"):
        run_async(lambda: drive(iter(range(1000)), work, window=4, stop=Stop()))

    assert len(worker.begun) < 10
    assert worker.busy == 0


def test_an_error_of_the_iterator_is_raised_as_itself():
    def items() -> Iterator[int]:
        yield 1
        raise EndpointError("unreadable")

    with pytest.raises(EndpointError, match=r"^unreadable$"):
        driven(Worker(), items())


def test_several_errors_at_once_are_raised_as_the_first():
    async def work(item: int) -> None:
        await asyncio.sleep(0)
        raise EndpointError("gone")

    with pytest.raises(EndpointError, match=r"^gone$"):
        run_async(lambda: drive(iter(range(8)), work, window=8, stop=Stop()))


def test_the_first_interrupt_asks_to_stop_and_what_is_in_flight_finishes():
    worker, stop = Worker(), Stop()
    before = signal.getsignal(signal.SIGINT)
    said: list[str] = []

    async def work(item: int) -> None:
        if item == 3:
            os.kill(os.getpid(), signal.SIGINT)
        await worker(item)

    async def main() -> None:
        with stop.on_interrupt(said.append):
            await drive(iter(range(1000)), work, window=4, stop=stop)

    run_async(main)

    assert said == [STOPPING]
    assert stop.reason == "interrupted"
    assert sorted(worker.done) == worker.begun
    assert 4 <= len(worker.begun) < 100
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def heeded() -> Iterator[None]:
    """SIGINT interrupts, also where the shell that began the tests has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def twice_at_once() -> None:
    """Two SIGINTs before Python sees the first: no step of Python lies between the two calls."""
    list(map(getattr(ctypes.CDLL(None), "raise"), (signal.SIGINT, signal.SIGINT)))


def one_after_the_other() -> None:
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)


INTERRUPTS = pytest.mark.parametrize("interrupts", [one_after_the_other, twice_at_once])
BEFORE = pytest.mark.parametrize(
    "before", [signal.default_int_handler, signal.SIG_IGN, signal.SIG_DFL], ids=["heeded", "ignored", "deadly"]
)


@INTERRUPTS
@BEFORE
def test_the_second_interrupt_interrupts_whatever_it_did_before(
    heeded: None, interrupts: Callable[[], None], before: Callable[..., object]
):
    stop = Stop()
    said: list[str] = []
    signal.signal(signal.SIGINT, before)

    async def main() -> None:
        with stop.on_interrupt(said.append):
            interrupts()
            await asyncio.sleep(30)

    with pytest.raises(KeyboardInterrupt):
        run_async(main)

    assert said == [STOPPING]
    assert stop.reason == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before


def test_the_third_interrupt_interrupts_what_does_not_return_to_the_loop(heeded: None):
    went_on: list[int] = []

    async def main() -> None:
        with Stop().on_interrupt(lambda text: None):
            for i in range(5):
                os.kill(os.getpid(), signal.SIGINT)
                went_on.append(i)

    with pytest.raises(KeyboardInterrupt):
        run_async(main)

    assert went_on == [0, 1]


def test_an_interrupt_does_not_wait_for_a_blocked_thread(heeded: None):
    go_on, over = threading.Event(), threading.Event()

    def blocked() -> None:
        go_on.wait(20)
        over.set()

    async def main() -> None:
        with Stop().on_interrupt(lambda text: None):
            work = asyncio.create_task(asyncio.to_thread(blocked))
            await asyncio.sleep(0)
            one_after_the_other()
            await work

    with pytest.raises(KeyboardInterrupt):
        run_async(main)

    assert not over.is_set()
    go_on.set()


def test_where_no_loop_runs_the_first_interrupt_asks_to_stop(heeded: None):
    stop = Stop()

    with stop.on_interrupt_without_loop():
        os.kill(os.getpid(), signal.SIGINT)
        reason = stop.reason

    assert reason == "interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@INTERRUPTS
@BEFORE
def test_where_no_loop_runs_the_second_interrupt_interrupts_too(
    heeded: None, interrupts: Callable[[], None], before: Callable[..., object]
):
    stop = Stop()
    signal.signal(signal.SIGINT, before)

    with pytest.raises(KeyboardInterrupt), stop.on_interrupt_without_loop():
        interrupts()

    assert stop.reason == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_in_a_notebook_ends_the_work(heeded: None):
    ended: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def notebook() -> None:
        with pytest.raises(KeyboardInterrupt):
            run_async(work)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(notebook())
    loop.close()

    assert ended == ["cancelled"]


def test_a_stop_in_another_thread_does_not_touch_signals():
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []
    said: list[str] = []

    def body() -> None:
        with Stop().on_interrupt(said.append):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()

    assert seen == [before]


def test_inside_a_running_loop_as_in_a_notebook_it_runs_too():
    async def inner() -> int:
        await asyncio.sleep(0)
        return 7

    async def failing() -> int:
        raise EndpointError("gone")

    async def notebook() -> int:
        with pytest.raises(EndpointError, match=r"^gone$"):
            run_async(failing)
        return run_async(inner)

    assert asyncio.run(notebook()) == 7
