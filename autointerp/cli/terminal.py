"""The one place where words leave for a terminal: foreign ones as text that cannot steer it, addresses without keys."""

import json
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from autointerp.errors import printable, without_secrets


def shown(text: str) -> str:
    """A line as a terminal may have it."""
    return printable(without_secrets(text))


def say(line: str) -> None:
    """Writes one line to stdout."""
    sys.stdout.write(shown(line) + "\n")


def say_aside(line: str) -> None:
    """One line on stderr, at once."""
    sys.stderr.write(shown(line) + "\n")
    sys.stderr.flush()


def as_json(value: object, indent: int | None = None) -> str:
    """A value as JSON in which every character that is not printable is escaped."""
    text = without_secrets(json.dumps(value, ensure_ascii=False, indent=indent, default=str))
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def say_json(value: object) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(as_json(value, indent=2) + "\n")


def say_json_aside(value: object) -> None:
    """One JSON object on stderr, in one line, at once."""
    sys.stderr.write(as_json(value) + "\n")
    sys.stderr.flush()


class Terminal(Console):
    """Draws tables and bars; what stands in them is text, and neither markup nor a word to the terminal.

    Args:
        stderr: whether it draws on stderr.
        highlight: whether numbers and the like are coloured.
        width: least characters of a line, since rich takes 80 where stdout is no terminal, which would cut figures.
    """

    def __init__(self, *, stderr: bool = False, highlight: bool = True, width: int = 0) -> None:
        super().__init__(stderr=stderr, highlight=highlight, markup=False, emoji=False)
        self.width = max(self.width, width)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is drawn, piece by piece."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment("\n".join(map(shown, piece.text.split("\n"))), piece.style)
