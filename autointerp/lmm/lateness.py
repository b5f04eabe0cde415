"""Measures how late this process notices what is ready, so that a slow client is not taken for a slow endpoint."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

BEAT = 0.05
"""Seconds between two looks at the clock."""
WEIGHT = 0.1
"""The share that the latest look has in the mean, which so covers about the last ten looks, half a second."""
LEAST = 0.001
"""Seconds that an answer is said to take at least, however late it was noticed."""


class Lateness:
    """Measures by how much the event loop is behind, by a timer that beats while something is waited for.

    Whatever the loop has to do first delays the timer and an answer by the same on average: other answers that are
    ready, long calls, and threads that hold the interpreter's lock.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        """The mean delay over the last looks."""
        self._waiting = 0
        self._beating = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Measures while the context lasts."""
        self._waiting += 1
        if not self._beating:
            self._beat()
        try:
            yield
        finally:
            self._waiting -= 1

    def taken(self, seconds: float) -> float:
        """What an answer really took that was noticed after so many seconds."""
        return max(LEAST, seconds - self.seconds)

    def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._beating, due = True, loop.time() + BEAT
        # Whoever waits for an answer is called one turn of the loop after it came, and so is this after its time.
        loop.call_at(due, loop.call_soon, self._came, due)

    def _came(self, due: float) -> None:
        self._beating = False
        self.seconds += WEIGHT * (asyncio.get_running_loop().time() - due - self.seconds)
        if self._waiting:
            self._beat()
