"""The files of a run that an index is made of, and how far each was read."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from autointerp.runs.parts import PART_FILE, PARTS, places

EDGE = 4096
"""Bytes at both ends of what was read by which a file is known again."""
MOST_FILES = 1 << 18
"""Places of lines in no more files fit into 64 bits."""
LINES = ("explanations.jsonl", "scores.jsonl", "failures.jsonl")
VOTES = "votes.jsonl"


@dataclass(frozen=True, slots=True)
class Source:
    """Is a file, as far as it was read."""

    number: int
    """0 for those of the run itself; a part's are higher. What has a lower number holds."""
    end: int = 0
    """Bytes that were read."""
    mark: str = ""
    """What stands at both ends of these."""
    size: int = 0
    changed: int = 0
    """Nanoseconds since 1970."""
    inode: int = 0

    @classmethod
    def loaded(cls, number: int, state: str) -> "Source":
        """What was saved. Raises ValueError or TypeError where it was not by `saved`."""
        said = json.loads(state)
        if not isinstance(said, dict) or not all(isinstance(v, str if n == "mark" else int) for n, v in said.items()):
            raise ValueError(state)
        source = cls(number=number, **said)
        if source.end < 0 or not 0 < number < MOST_FILES:
            raise ValueError(state)
        return source

    @property
    def saved(self) -> str:
        """Returns all but the number, as `loaded` reads it."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "number"})

    def is_as(self, stat: os.stat_result) -> bool:
        """Whether nothing has happened to the file."""
        return (self.size, self.changed, self.inode) == (stat.st_size, stat.st_mtime_ns, stat.st_ino)

    def goes_on(self, file: Path, stat: os.stat_result, *, copied: bool) -> bool:
        """Whether the file is what was read, perhaps with more at its end.

        Args:
            file: where it is.
            stat: of it.
            copied: whether it is fetched anew each time, so that only its content tells.
        """
        if stat.st_size < self.end or (self.end and not copied and stat.st_ino != self.inode):
            return False
        if not copied and stat.st_size == self.size and stat.st_mtime_ns != self.changed and self.end == self.size:
            return False  # written to without having grown
        return mark_of(file, self.end) == self.mark

    def read_to(self, file: Path, end: int, stat: os.stat_result, *, done: bool) -> "Source":
        """The same once it is read so far; where it is not done, the file is looked at again."""
        size = stat.st_size if done else -1
        mark = self.mark if end == self.end else mark_of(file, end)
        return replace(self, end=end, mark=mark, size=size, changed=stat.st_mtime_ns, inode=stat.st_ino)


def mark_of(file: Path, end: int) -> str:
    """Of the first and the last bytes of what stands before `end`."""
    if not end:
        return ""
    with file.open("rb") as stream:
        first = stream.read(min(EDGE, end))
        stream.seek(max(0, end - EDGE))
        return hashlib.sha256(first + stream.read(min(EDGE, end))).hexdigest()[:32]


def files_of(run: Path) -> Mapping[str, os.stat_result]:
    """The files that are there, by name below the run: its own first, then those of its parts that are not merged."""
    out = _found(run, "", (*LINES, VOTES))
    for place in places(run):
        folder = f"{PARTS}/{place.name}"
        if (run / folder / PART_FILE).exists() and (run / folder / "run.json").exists():
            out |= _found(run, f"{folder}/", LINES)
    return out


def _found(run: Path, folder: str, names: tuple[str, ...]) -> dict[str, os.stat_result]:
    out: dict[str, os.stat_result] = {}
    for name in names:
        try:
            out[f"{folder}{name}"] = (run / folder / name).stat()
        except FileNotFoundError:
            continue
    return out
