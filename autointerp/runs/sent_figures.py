"""Figures beside the record files of a run at a URL: whoever sends new lines sends their figures after them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from autointerp.remote.path import RemotePath
from autointerp.runs.figure_files import FigureFile, figure_file, has_figures, packed
from autointerp.runs.jsonl import lots
from autointerp.runs.segments import segment_of

_MOST = 1 << 26
"""Bytes of lines, at least, of which one object with figures is made where there are as many."""


@dataclass
class SentFigures:
    """The figures of a run that are at its URL, as far as they are known."""

    place: RemotePath
    """The run."""
    writer: str
    """Names the figures that are sent from here; eight hex digits."""
    _there: dict[str, set[FigureFile]] = field(default_factory=dict)
    """By file."""

    def note(self, names: Iterable[str]) -> None:
        """Takes down which are there.

        Args:
            names: of all objects below the run.
        """
        self._there = {}
        for own in map(figure_file, names):
            if own is not None:
                self._there.setdefault(own.file, set()).add(own)

    def send(self, file: Path, name: str, before: int, end: int) -> None:
        """Sends figures of the lines that have none, of all where those there do not fit together.

        Args:
            file: where the lines are.
            name: of the file, as a path below the run; one that has no figures is passed over.
            before: how many of its bytes were at the URL already; figures of more are of other lines.
            end: how many of its bytes are at the URL now.
        """
        if not has_figures(name):
            return
        start = _covered(self._there.get(name, ()))
        if start is None or start > before:
            self.remove(name)
            start = 0
        while start < end:
            try:
                found, size = packed(name, _lines(file, start, end))
            except ValueError:
                return  # a line that nothing reads: whoever reads the lines names it
            if not size:
                return  # the file is shorter than it was
            own = FigureFile(name, start, start + size, self.writer)
            target = self.place / own.name
            target.run(lambda fs, url=target.url, found=found: fs.pipe_file(url, found))
            self._there.setdefault(name, set()).add(own)
            start += size

    def remove(self, name: str) -> None:
        """Removes the figures of a file."""
        for own in self._there.pop(name, ()):
            target = self.place / own.name
            with suppress(FileNotFoundError):
                target.run(lambda fs, url=target.url: fs.rm_file(url))

    def instead(self, sizes: Mapping[str, int]) -> dict[str, list[str]]:
        """The files whose lines all have figures: their objects, which need not be fetched then.

        Args:
            sizes: bytes of all objects below the run, by name.
        """
        objects: dict[str, list[tuple[int, str]]] = {}
        for name in sizes:
            segment = segment_of(name)
            file, at = (name, 0) if segment is None else (segment.file, segment.at)
            if has_figures(file):
                objects.setdefault(file, []).append((at, name))
        out: dict[str, list[str]] = {}
        for file, found in objects.items():
            end = 0
            for at, name in sorted(found):
                # Objects that overlap are made one file by their bytes, and those apart by their order.
                end = end + sizes[name] if at == end else -1
            if end == _covered(self._there.get(file, ())):
                out[file] = [name for _, name in found]
        return out

    def of(self, file: str) -> list[str]:
        """The objects with the figures of a file."""
        return sorted(own.name for own in self._there.get(file, ()))


def _lines(file: Path, start: int, end: int) -> Iterator[bytes]:
    """The lines from a byte on to another, or as many as figures are made of at once."""
    for at, lines in lots(file, start):
        if at >= end or at - start >= _MOST:
            return
        yield lines[: end - at]


def _covered(found: Iterable[FigureFile]) -> int | None:
    """The byte up to which figures cover a file, each line once; None where they do not fit together."""
    end = 0
    for own in sorted(found, key=lambda f: f.start):
        if own.start != end:
            return None
        end = own.end
    return end
