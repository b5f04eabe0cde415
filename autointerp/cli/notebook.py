"""How far a job is, below the cell of a notebook: a bar for each stage, which is drawn again as it moves."""

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from autointerp.cli.counts import Counted, Counts
from autointerp.cli.printing import say, shown
from autointerp.cli.progress import Watch, plain, regularly
from autointerp.job import Watched
from autointerp.notebook.html import escaped, framed

EVERY = 1.0
"""Seconds after which a bar is drawn again."""


class _Handle(Protocol):
    """What IPython gives for something that is displayed, so that it can be displayed anew."""

    def update(self, bundle: dict[str, str], *, raw: bool) -> None: ...


class _Bar:
    """One stage as it is displayed."""

    def __init__(self) -> None:
        self._handle: _Handle | None = None

    def draw(self, done: int, total: int | None, text: str) -> None:
        """Shows it, in the place where it was shown before."""
        bar = "" if not total else f'<progress max="{total}" value="{min(done, total)}" style="width:12em"></progress> '
        bundle = {"text/plain": shown(text), "text/html": framed(bar, escaped(text))}
        if self._handle is None:
            # IPython is no dependency: it is there where there is a notebook.
            self._handle = importlib.import_module("IPython.display").display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


class InNotebook:
    """Shows what `autointerp.cli.progress.Live` shows on a terminal.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._watch: Watch | None = None
        self._bars: dict[str, _Bar] = {}
        self._counts = Counts(None, self._counted, clock)

    @contextmanager
    def show(self, stage: str, gateway: Watched, total: int, before: int) -> Iterator[None]:
        """Shows one stage while the context lasts."""
        watch = self._watch = Watch(stage, gateway, total, before, self._clock)
        bar = _Bar()

        def draw() -> None:
            bar.draw(watch.through, watch.total, plain(watch))

        draw()
        try:
            with regularly(draw, EVERY):
                yield
        finally:
            self._watch = None
            draw()

    def advance(self, *, failed: bool) -> None:
        """One more feature is through."""
        if self._watch is not None:
            self._watch.advance(failed=failed)

    def count(self, stage: str, done: int, total: int | None, words: str = "") -> None:
        """So much of a stage that counts files, images or steps is done."""
        self._counts.count(stage, done, total, words)

    def _counted(self, told: Counted) -> None:
        self._bars.setdefault(told.stage, _Bar()).draw(told.done, told.total, str(told))

    def note(self, text: str) -> None:
        """Shows one line of text."""
        say(text)

    def close(self) -> None:
        """Leaves the bars as they are."""
