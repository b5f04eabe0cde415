"""An event loop whose clock jumps over every wait, so that minutes of pacing take milliseconds."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; where nothing is and a timer is due next, the clock is put to it."""
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: _Jumping) -> None:
        super().__init__(clock)
        self._jumping = clock

    def time(self) -> float:
        """Simulated seconds."""
        return self._jumping.now


def simulate(main: Coroutine[None, None, T]) -> T:
    """Runs a coroutine to its end in simulated time."""
    with asyncio.Runner(loop_factory=lambda: _Loop(_Jumping())) as runner:
        return runner.run(main)


def clock() -> float:
    """Simulated seconds since the loop began."""
    return asyncio.get_running_loop().time()
