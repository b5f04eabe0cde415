"""A process's display where it has none: it tells its parent how far it is."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy

from autointerp.job import Watched
from autointerp.shards.dealing import Report

EVERY = 0.25
"""Seconds between reports."""


class ProgressReporter:
    """Reports now and then, from the job's own event loop, and once more at the end.

    Args:
        send: takes a report; must not wait.
        every: seconds between reports.
    """

    def __init__(self, send: Callable[[Report], None], every: float = EVERY) -> None:
        self._send = send
        self._every = every
        self._done = 0
        self._failed = 0

    @contextmanager
    def show(self, stage: str, gateway: Watched, total: int, before: int) -> Iterator[None]:
        """Reports while the context lasts; for use inside a running loop."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            limiter = gateway.limiter
            tally = deepcopy(gateway.tally)
            report = Report(
                tally=tally,
                in_flight=limiter.in_flight,
                limit=limiter.limit,
                spent=gateway.spent,
                before=before,
                done=self._done,
                failed=self._failed,
                endpoints=limiter.endpoints,
                pause=limiter.pause,
            )
            self._send(report)

        def again() -> None:
            nonlocal handle
            tell()
            handle = loop.call_later(self._every, again)

        handle = loop.call_soon(again)
        try:
            yield
        finally:
            handle.cancel()
            tell()

    def advance(self, *, failed: bool) -> None:
        """One more feature is through."""
        if failed:
            self._failed += 1
        else:
            self._done += 1

    def note(self, text: str) -> None:
        """Nothing: what there is to say concerns all processes, and the parent says it."""
