"""Segments: the lines that a run at a URL has got since its record files were sent whole.

An object store cannot append. So each flush of a writer puts its new lines into an object of their own, which is never
changed: `segments/scores-0000000000004096-5f0c2a9b.jsonl` begins at byte 4096 of `scores.jsonl` and is of the writer
5f0c2a9b. The whole file, where there is one, then the segments by their names are the file.
"""

import os
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

SEGMENTS = "segments"
"""Folder beside the record files."""
INDEX = "segments.json"
"""Lists them at the URL, for servers that have no lists."""
GROWING = (
    *(f"{name}.jsonl" for name in ("explanations", "scores", "failures", "exchanges", "votes")),
    "manifest.jsonl",
)
"""Files that are sent in segments."""
_NAME = re.compile(rf"(.*/)?{SEGMENTS}/([a-z]+)-(\d{{16,}})-([0-9a-f]{{8}})\.jsonl")


class Segment(NamedTuple):
    """Names a segment."""

    file: str
    """Whose lines it holds, as a path below the run."""
    at: int
    """The byte of it at which they begin."""
    writer: str
    """Eight hex digits."""

    @property
    def name(self) -> str:
        """Its path below the run."""
        folder, _, file = self.file.rpartition("/")
        own = f"{SEGMENTS}/{file.removesuffix('.jsonl')}-{self.at:016d}-{self.writer}.jsonl"
        return f"{folder}/{own}" if folder else own


def is_growing(name: str) -> bool:
    """Whether a file of a run is sent in segments."""
    return name.rpartition("/")[2] in GROWING


def segment_of(name: str) -> Segment | None:
    """Which segment a path below the run is; None where it is none."""
    match = _NAME.fullmatch(name)
    if match is None or f"{match[2]}.jsonl" not in GROWING:
        return None
    return Segment(f"{match[1] or ''}{match[2]}.jsonl", int(match[3]), match[4])


def file_of(name: str) -> str:
    """The file that an object is of: that of a segment, else itself."""
    segment = segment_of(name)
    return name if segment is None else segment.file


def join(folder: Path) -> None:
    """Puts the segments in a folder, and in those below it, behind their files; may be killed at any time.

    A segment that stands in its file already, as one does that was taken into the whole file and not removed, adds
    nothing; one that another writer put at the same byte stands behind the first.
    """
    found = (segment_of(p.relative_to(folder).as_posix()) for p in folder.rglob(f"{SEGMENTS}/*.jsonl"))
    for segment in sorted(s for s in found if s is not None):
        own = folder / segment.name
        with (folder / segment.file).open("ab+") as file:
            _add(file, segment.at, own.read_bytes())
        own.unlink()
    for empty in list(folder.rglob(SEGMENTS)):
        if empty.is_dir() and not any(empty.iterdir()):
            empty.rmdir()


def _add(file: BinaryIO, at: int, lines: bytes) -> None:
    end = file.seek(0, os.SEEK_END)
    file.seek(at)
    there = file.read(len(lines)) if at <= end else b""
    if there == lines:
        return
    if at + len(there) == end and lines.startswith(there):
        # Nothing, or what an interrupted joining has left.
        file.truncate(at)
    file.seek(0, os.SEEK_END)
    file.write(lines)
