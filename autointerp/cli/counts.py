"""Stages that count files, images or steps: a bar for each on a terminal, elsewhere a line now and then."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

EVERY = 5.0
"""Seconds between two lines; the last line of a stage is said in any case."""


class Counted(NamedTuple):
    """How far a stage is."""

    stage: str
    done: int
    total: int | None
    """None where it is not known."""
    words: str
    """What else there is to say of it; may be empty."""
    per_second: float | None
    """None where there is no rate yet."""

    @property
    def left(self) -> float | None:
        """Seconds that the rest takes at this rate."""
        return (self.total - self.done) / self.per_second if self.per_second and self.total is not None else None

    def __str__(self) -> str:
        """All of it as one line."""
        of = "" if self.total is None else f"/{self.total:,}"
        ahead = f", {self.left:,.0f} s left" if self.left else ""
        rate = f"{self.per_second:,.1f} a second" if self.per_second else ""
        return " · ".join(part for part in (f"{self.stage}: {self.done:,}{of}{ahead}", rate, self.words) if part)


class Counts:
    """Shows how far each stage is.

    Args:
        terminal: where bars are drawn; None where `say` is told now and then.
        say: takes what there is to say.
        clock: seconds, monotonic.
    """

    def __init__(self, terminal: "Console | None", say: Callable[[Counted], None], clock: Callable[[], float]) -> None:
        self._bars = None if terminal is None else _bars(terminal)
        self._say = say
        self._clock = clock
        self._tasks: dict[str, TaskID] = {}
        self._last: dict[str, int] = {}
        self._began, self._said = (0.0, 0), 0.0

    def count(self, stage: str, done: int, total: int | None, words: str = "") -> None:
        """So much of a stage is done."""
        if self._bars is not None:
            if stage not in self._tasks:
                self._bars.start()
                self._tasks[stage] = self._bars.add_task(stage, words="")
            self._bars.update(self._tasks[stage], completed=done, total=total, words=words)
            return
        at = self._clock()
        if done <= self._last.get(stage, done):  # it begins, perhaps once more
            self._began, self._said = (at, done), at
        self._last[stage] = done
        if done == total or at - self._said >= EVERY:
            self._said = at
            since, before = self._began
            rate = (done - before) / (at - since) if done > before and at > since else None
            self._say(Counted(stage, done, total, words, rate))

    def close(self) -> None:
        """Leaves the bars as they are."""
        if self._bars is not None:
            self._bars.stop()


def _bars(terminal: "Console") -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(16),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        console=terminal,
    )
