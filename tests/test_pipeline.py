import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from autointerp.errors import EndpointError
from autointerp.pipeline import STOPPING, Stop, drive, run_async


class Worker:
    """Takes a second an item."""

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
            await asyncio.sleep(0.002)
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
        await asyncio.sleep(0.01)
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


def test_the_second_interrupt_interrupts():
    stop = Stop()
    said: list[str] = []

    async def main() -> None:
        with stop.on_interrupt(said.append):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(0.05)
            await asyncio.sleep(30)

    with pytest.raises(KeyboardInterrupt):
        run_async(main)

    assert said == [STOPPING]
    assert stop.reason == "interrupted"


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
