"""sae-for-vlm: `{data}_{split}_activations_{model}_{layer}_{place}_part{n}.pt`, a dense matrix each, a row an image.

Parts follow one another by their number (`ActivationsDataset`). `hai_indices_k.npy` beside them names the strongest
images of each latent, the strongest last, which tells whether these are the parts it was made of. Where each row is a
token (without --cls_only and --mean_pool), the rows of an image follow one another.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autointerp.dump.importers.tensors import Stored, read_npy
from autointerp.dump.importers.torch_arrays import read_torch
from autointerp.errors import DumpError, SettingsError
from autointerp.transcoder.recorded.covered import n_covered, rest_note
from autointerp.transcoder.recorded.events import Asked, Events, Layout, Recording, check, joined, layout_of

PART = re.compile(r"(?P<before>.*)_part(?P<number>\d{1,9})\.pth?")
NAME = re.compile(r".*_activations_(?P<model>.+)_(?P<layer>-?\d+)_(?P<place>[a-z][a-z_]*)")
INDICES = re.compile(r"hai_indices_\d+\.npy")
N_NAMED = 8
"""So many folders are named in a message."""
DENSE = 2**22
"""Numbers that are read at once, at most, but those of a row."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a recording, opened."""

    path: Path
    numbers: Stored
    """[rows, latents]."""


@dataclass(frozen=True, slots=True)
class SaeForVlm:
    """The parts of a recording, by number."""

    parts: tuple[Part, ...]
    strongest: Stored | None
    """[latents, k]: images of each latent, the strongest last."""
    images: Path | None = None
    """Where the files say that the images lie; they do not."""

    def recording(self, asked: Asked) -> Recording:
        """Returns what they hold.

        Raises:
            SettingsError: it cannot be told which image a row is of.
        """
        folder, n_latents = self.parts[0].path.parent, self.parts[0].numbers.shape[1]
        n_rows = sum(part.numbers.shape[0] for part in self.parts)
        layout = self._layout(n_rows, asked)
        assert layout.n_positions is not None, "rows are counted"
        n_images = n_covered(n_rows // layout.n_positions, asked, str(folder))
        assert n_images is not None, "the files say it"
        found = NAME.fullmatch(_before(self.parts[0].path))
        return Recording(
            tool="sae-for-vlm",
            model=found["model"] if found else "unknown",
            hookpoint=f"{found['place']} {found['layer']}" if found else "unknown",
            n_images=n_images,
            n_latents=n_latents,
            layout=layout,
            chunks=Dense(self.parts, n_images, layout.n_positions, n_latents, self.strongest),
            files=tuple(part.path for part in self.parts),
            notes=rest_note(n_images, asked, "were not run"),
        )

    def _layout(self, n_rows: int, asked: Asked) -> Layout:
        """Returns one position an image, or several where a grid says that each row is a patch."""
        n_run = asked.n_run or asked.n_images
        n_positions, rest = divmod(n_rows, n_run)
        if n_rows <= n_run or (rest and not isinstance(asked.grid, tuple)):
            return Layout(1, 0, 1, None)
        if rest or asked.grid == "auto":
            raise SettingsError(
                f"--images: {self.parts[0].path.parent} has {n_rows:,} rows for {n_run:,} images, {n_rows / n_run:.6g} "
                "each; give the images that were run, and if each row is a patch, --patch-grid "
                "ROWSxCOLUMNS, or none for no heat maps"
            )
        return layout_of(n_positions, asked.grid, str(self.parts[0].path.parent))


def open_sae_for_vlm(source: Path) -> SaeForVlm:
    """Opens the parts in a folder.

    Raises:
        DumpError: one is missing, is of another recording, or is not as the format says.
    """
    if not source.is_dir():
        raise DumpError(f"{source}: there is no such folder; give the one with files such as ..._part1.pt")
    source = _folder(source)
    paths = sorted(_parts(source), key=lambda path: (_number(path), path.name))
    if other := next((path for path in paths if _before(path) != _before(paths[0])), None):
        raise DumpError(f"{source}: holds {paths[0].name} and {other.name}; put each recording into its own folder")
    for expected, path in enumerate(paths, start=1):
        if _number(path) != expected:
            raise DumpError(f"{path}: part {expected} should come here; copy the missing part, since rows are counted")
    parts = tuple(Part(path, _matrix(path)) for path in paths)
    for part in parts:
        part.numbers.check(None, parts[0].numbers.shape[1])
    indices = sorted(path for path in source.iterdir() if INDICES.fullmatch(path.name))
    strongest = read_npy(indices[0]).check(parts[0].numbers.shape[1], None) if indices else None
    return SaeForVlm(parts, strongest)


def _folder(source: Path) -> Path:
    """Returns the folder with the parts, which is `source` or the only one up to three folders below it."""
    inside = [source, *(path for depth in ("*", "*/*", "*/*/*") for path in source.glob(depth) if path.is_dir())]
    found = [folder for folder in inside if _parts(folder)]
    if source in found or len(found) == 1:
        return found[0]
    if not found:
        raise DumpError(f"{source}: has no files such as ..._part1.pt; give the folder that save_activations.py wrote")
    names = ", ".join(str(folder.relative_to(source)) for folder in found[:N_NAMED])
    raise SettingsError(f"{source}: has activations in {names}; give one of these folders")


def _parts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if PART.fullmatch(path.name) and not path.name.startswith(("all", "."))]


def _number(path: Path) -> int:
    found = PART.fullmatch(path.name)
    return int(found["number"]) if found else 0


def _before(path: Path) -> str:
    found = PART.fullmatch(path.name)
    return found["before"] if found else ""


def _matrix(path: Path) -> Stored:
    saved = read_torch(path)
    if not isinstance(saved, Stored) or len(saved.shape) != 2 or 0 in saved.shape:
        sizes = list(saved.shape) if isinstance(saved, Stored) else type(saved).__name__
        raise DumpError(f"{path}: holds {sizes}; expected one tensor [images, latents]")
    return saved


class Dense:
    """The rows of all parts, one after the other.

    Args:
        parts: The files.
        n_images: That there are.
        n_positions: Rows of each.
        n_latents: Columns.
        strongest: The strongest images of each latent as the tool found them, the strongest last.
    """

    def __init__(
        self, parts: tuple[Part, ...], n_images: int, n_positions: int, n_latents: int, strongest: Stored | None
    ) -> None:
        self._parts = parts
        self._limits = (n_images, n_positions, n_latents)
        self._strongest = strongest

    def whole(self) -> Iterator[Events]:
        """Yields everything once, in order.

        Raises:
            DumpError: an activation is not finite, or the tool found another image strongest than these parts say.
        """
        n_latents = self._limits[2]
        top, there = np.full(n_latents, 0.0, np.float32), np.full(n_latents, 0.0, np.float32)
        named = None if self._strongest is None else self._strongest.ints()[:, -1]
        for _, events in self.batches(0):
            np.maximum.at(top, events.latents, events.values)
            if named is not None:
                row = events.images * self._limits[1] + events.positions
                same = named[events.latents] == row
                np.maximum.at(there, events.latents[same], events.values[same])
            yield events
        if self._strongest is not None and len(wrong := np.flatnonzero((top > 0) & (there < top))):
            raise DumpError(
                f"{self._strongest.where}: the strongest row of latent {wrong[0]} is another in the parts; copy the "
                "parts that it was made of, or remove it if it is of others"
            )

    def batches(self, first: int) -> Iterator[tuple[int, Events]]:
        """Yields everything from image `first` on."""
        n_images, n_positions, n_latents = self._limits
        size = max(1, DENSE // (n_latents * n_positions))
        for start in range(first, n_images, size):
            stop = min(start + size, n_images)
            found: list[Events] = []
            begin = 0
            for part in self._parts:
                rows = slice(max(0, start * n_positions - begin), max(0, stop * n_positions - begin))
                found.append(self._events(part, rows, begin))
                begin += part.numbers.shape[0]
            yield stop, joined(found)

    def _events(self, part: Part, rows: slice, begin: int) -> Events:
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            values = part.numbers.floats(rows)
        row, latents = np.nonzero(values)
        at = begin + rows.start + row
        n_positions = self._limits[1]
        events = Events(at // n_positions, at % n_positions, latents, values[row, latents])
        check(events, *self._limits, lambda i: f"{part.path}: row {rows.start + row[i]}, column {latents[i]}")
        return events
