"""How far a job is, on stderr: one live line on a terminal, a plain line now and then elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from autointerp.lmm.calls import DEFERRED
from autointerp.lmm.door import Door

PLAIN_EVERY = 10.0
"""Seconds between plain lines."""


class Live:
    """Shows features done, rate, requests in flight, tokens, dollars, cache hits, failures, time left."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._advance: Callable[[], None] = _nothing

    @contextmanager
    def show(self, stage: str, door: Door, total: int, before: int) -> Iterator[None]:
        """Shows one stage while the context lasts."""
        shown = _rich(self._console, stage, door, total, before) if self._console.is_terminal else None
        with shown or _plain(stage, door, total, before) as advance:
            self._advance = advance
            yield
        self._advance = _nothing

    def advance(self, *, failed: bool) -> None:
        """One more feature is through."""
        self._advance()

    def note(self, text: str) -> None:
        """Says one line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _nothing() -> None:
    pass


def facts(door: Door, seconds: float) -> str:
    """The figures of a run so far, in one line."""
    tally, usage = door.tally, door.tally.usage
    parts = [
        f"{door.limiter.in_flight} in flight (limit {int(door.limiter.limit)})",
        f"{tally.answered / max(seconds, 0.001):.1f} answers/s",
        f"{(usage.input_tokens + usage.output_tokens) / 1000:,.0f}k tokens",
    ]
    if usage.dollars:
        parts.append(f"${usage.dollars:,.2f}")
    if tally.cached:
        parts.append(f"{tally.cached:,} from cache")
    if tally.retries.total():
        parts.append(f"{tally.retries.total():,} retries")
    if waiting := tally.failures[DEFERRED]:
        parts.append(f"{waiting:,} for a batch job")
    if tally.failures.total() > waiting:
        others = [(kind, n) for kind, n in tally.failures.most_common(4) if kind != DEFERRED][:3]
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in others)
        parts.append(f"failed: {kinds}")
    return " · ".join(parts)


class _Facts(ProgressColumn):
    def __init__(self, door: Door) -> None:
        super().__init__(table_column=Column(no_wrap=True, overflow="ellipsis"))
        self._door = door
        self._began = time.monotonic()

    def render(self, task: Task) -> Text:
        """The figures as they are now."""
        return Text(facts(self._door, time.monotonic() - self._began), style="dim")


@contextmanager
def _rich(console: Console, stage: str, door: Door, total: int, before: int) -> Iterator[Callable[[], None]]:
    left = TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(16),
        MofNCompleteColumn(),
        left,
        _Facts(door),
    )
    with RichProgress(*columns, console=console) as progress:
        task = progress.add_task(stage, total=total, completed=before)
        yield lambda: progress.advance(task)


@contextmanager
def _plain(stage: str, door: Door, total: int, before: int) -> Iterator[Callable[[], None]]:
    began, count, over = time.monotonic(), [before], threading.Event()

    def line() -> None:
        seconds = time.monotonic() - began
        now = count[0] - before
        left = f", {(total - count[0]) * seconds / now:,.0f} s left" if now and count[0] < total else ""
        sys.stderr.write(f"{stage}: {count[0]:,}/{total:,}{left} · {facts(door, seconds)}\n")
        sys.stderr.flush()

    def report() -> None:
        while not over.wait(PLAIN_EVERY):
            line()

    def advance() -> None:
        count[0] += 1

    reporter = threading.Thread(target=report, name="progress", daemon=True)
    reporter.start()
    try:
        yield advance
    finally:
        over.set()
        reporter.join()
    # Not after an error, whose one line then stands alone.
    line()
