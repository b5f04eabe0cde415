"""Settings that tools write beside their activations, as JSON: numbers and texts of the names that are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autointerp.dump.importers.tensors import read_json
from autointerp.errors import DumpError


@dataclass(frozen=True, slots=True)
class Metadata:
    """A JSON object; empty where there is no file."""

    path: Path
    content: Mapping[str, object]

    def number(self, *names: str) -> int | None:
        """Returns the positive whole number under the first of the names that is there; None without any.

        Raises:
            DumpError: it is something else.
        """
        for name in names:
            if name in self.content and self.content[name] is not None:
                value = self.content[name]
                if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**62:
                    raise DumpError(f"{self.path}: {name} is {str(value)[:40]!r}; expected a whole number above 0")
                return value
        return None

    def text(self, *names: str) -> str | None:
        """Returns the text under the first of the names that is there; None without any.

        Raises:
            DumpError: it is something else.
        """
        for name in names:
            if name in self.content and self.content[name] is not None:
                value = self.content[name]
                if not isinstance(value, str):
                    raise DumpError(f"{self.path}: {name} is {str(value)[:40]!r}; expected a text")
                return value
        return None

    def inner(self, name: str) -> "Metadata":
        """Returns the object under a name; an empty one where there is none."""
        value = self.content.get(name)
        return Metadata(self.path, value if isinstance(value, dict) else {})


def read_metadata(path: Path) -> Metadata:
    """Reads a JSON object; a file that is not there says nothing.

    Raises:
        DumpError: it cannot be read, or is none.
    """
    return Metadata(path, read_json(path) if path.exists() else {})
