"""What a person has said of questions that are not settled yet, on disk as it is said (docs/human-judges.md)."""

from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from autointerp.record import Record
from autointerp.runs.jsonl import Appender, read_lines

FORMAT = "autointerp-answers/1"
FILE = "human.jsonl"
"""Its name in the folder of the cache."""

Value = bool | int | str
Given = dict[str, Value]
"""What was said of a question so far, by the name of the field, in the order in which it was said."""


class Line(Record):
    """One field that was filled in, or emptied."""

    format: Literal["autointerp-answers/1"] = FORMAT
    question: str
    """The key of the request."""
    field: str
    value: Value | None
    """None: it was taken back."""


_LINE = TypeAdapter(Line)


class Journal:
    """Keeps every answer from the moment it is given, so that a kill loses none.

    Args:
        folder: of the cache.

    Raises:
        RunError: the file cannot be read or written; the message names the line.
    """

    def __init__(self, folder: Path) -> None:
        self._lines = Appender(folder / FILE, _LINE)
        self._said: dict[str, Given] = {}
        for line in read_lines(folder / FILE, _LINE):
            _note(self._said.setdefault(line.question, {}), line.field, line.value)

    def said_of(self, question: str) -> Given:
        """What was said of a question, by its key."""
        return dict(self._said.get(question, {}))

    def note(self, question: str, field: str, value: Value | None) -> None:
        """Keeps that a field was filled in, or emptied.

        Raises:
            RunError: it cannot be written.
        """
        self._lines.append(Line(question=question, field=field, value=value))
        _note(self._said.setdefault(question, {}), field, value)

    def close(self) -> None:
        """Writes through to the disk."""
        self._lines.close()


def _note(given: Given, field: str, value: Value | None) -> None:
    given.pop(field, None)
    if value is not None:
        given[field] = value
