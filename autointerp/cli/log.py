"""A file that holds all that a command says on stderr, with times: `--log FILE`."""

import io
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from autointerp.errors import SettingsError

_BEGIN = re.compile(rb'(\{"time": ")?\d{4}-\d\d-\d\dT')
"""How the first line of a log begins, plain or as JSON."""
_MOST = 32
"""Bytes of a file that tell whether it is a log."""


class Logged(io.TextIOBase):
    """Stands in the place of stderr: passes on what is written, and adds each whole line to a file.

    The file is opened for each line, so that it may be moved away or emptied while the command works, and nothing is
    left to close. After a line that cannot be written, that is said once and nothing more is added.

    Args:
        shown: where everything goes as well.
        path: the file; what it holds stays.
        as_json: one JSON object a line. An event gains the field `time`; any other line becomes the event `line`.
    """

    def __init__(self, shown: TextIO, path: Path, *, as_json: bool) -> None:
        self.shown = shown
        self._path, self._as_json = path, as_json
        self._begun = ""
        self._broken = False

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride] - a plain attribute there
        """That of what is shown."""
        return self.shown.encoding

    def isatty(self) -> bool:
        """Whether a terminal shows it."""
        return self.shown.isatty()

    def fileno(self) -> int:
        """That of what is shown."""
        return self.shown.fileno()

    def flush(self) -> None:
        """Flushes what is shown; the file is written at once."""
        if not self.shown.closed:  # it is flushed once more when it is thrown away
            self.shown.flush()

    def write(self, text: str) -> int:
        """Shows the text, and adds the lines that it ends to the file."""
        self.shown.write(text)
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self.add(line)
        return len(text)

    def add(self, line: str) -> None:
        """Adds one line to the file without showing it."""
        if self._broken or not line:
            return
        try:
            with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(_stamped(line, as_json=self._as_json) + "\n")
        except OSError as e:
            self._broken = True
            self.shown.write(f"--log {self._path}: {e.strerror}; nothing more is written to it\n")


def _stamped(line: str, *, as_json: bool) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    if not as_json:
        return f"{now} {line}"
    event = json.loads(line) if line.startswith('{"event"') else {"event": "line", "text": line}
    return json.dumps({"time": now} | event, ensure_ascii=False)


def keep(path: Path, *, as_json: bool) -> None:
    """From here on all that is said on stderr, a traceback at the end included, is also added to a file.

    Folders on the way to it are made.

    Raises:
        SettingsError: the file cannot be written, or holds something else than a log.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0)
            begins = file.read(_MOST)
    except OSError as e:
        raise SettingsError(f"--log {path}: {e.strerror}; name a file that can be written") from e
    if begins and not _BEGIN.match(begins):
        raise SettingsError(f"--log {path}: holds something else than a log; name another file")
    shown = sys.stderr.shown if isinstance(sys.stderr, Logged) else sys.stderr
    sys.stderr = Logged(shown, path, as_json=as_json)


def log() -> Logged | None:
    """The log that is being kept, if there is one."""
    return sys.stderr if isinstance(sys.stderr, Logged) else None
