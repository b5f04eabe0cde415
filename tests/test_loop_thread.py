"""Something held open on a loop of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from autointerp.errors import EndpointError
from autointerp.pipeline import Background


class Log(list[str]):
    @asynccontextmanager
    async def opened(self) -> AsyncIterator[str]:
        self.append("in")
        try:
            yield "gateway"
        finally:
            self.append("out")


async def said(gateway: str) -> str:
    await asyncio.sleep(0)
    return f"through the {gateway}"


def test_work_is_done_while_it_is_open_and_it_is_closed_once():
    log = Log()

    with Background(log.opened) as background:
        answers = [background.run(said), background.run(said)]
        before = list(log)

    assert answers == ["through the gateway"] * 2
    assert (before, log) == (["in"], ["in", "out"])


def test_the_first_cause_of_a_group_of_exceptions_is_raised_and_it_is_closed():
    async def fails(gateway: str) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(refused())

    async def refused() -> None:
        raise EndpointError("no key")

    log = Log()

    with pytest.raises(EndpointError, match="no key"), Background(log.opened) as background:
        background.run(fails)

    assert log == ["in", "out"]


def test_what_cannot_be_opened_says_why():
    @asynccontextmanager
    async def opened() -> AsyncIterator[str]:
        raise EndpointError("not there")
        yield ""

    with pytest.raises(EndpointError, match="not there"), Background(opened):
        pass


def test_an_interrupt_does_not_wait_for_a_thread_that_is_blocked():
    begun, go_on, over = threading.Event(), threading.Event(), threading.Event()

    def blocked() -> None:
        begun.set()
        go_on.wait(20)
        over.set()

    @asynccontextmanager
    async def opened() -> AsyncIterator[str]:
        yield "gateway"
        await asyncio.to_thread(blocked)

    with pytest.raises(KeyboardInterrupt), Background(opened):
        raise KeyboardInterrupt

    begun.wait()
    assert not over.is_set()
    go_on.set()
