"""How a job that counts files, images or steps says how far it is."""

from collections.abc import Callable
from typing import Protocol


class Counting(Protocol):
    """Whoever shows how far such a job is."""

    def count(self, stage: str, done: int, total: int | None, words: str = "") -> None:
        """So much of a stage is done, of how much if that is known, and what else there is to say of it now."""
        ...

    def note(self, text: str) -> None:
        """Shows one line of text."""
        ...


class Uncounted:
    """Counts without showing anything."""

    def count(self, stage: str, done: int, total: int | None, words: str = "") -> None:
        """Does nothing."""

    def note(self, text: str) -> None:
        """Does nothing."""


def counted(progress: Counting, stage: str) -> Callable[[int, int], None]:
    """Tells of one stage, as passes over images tell: done, and all."""
    return lambda done, total: progress.count(stage, done, total)
