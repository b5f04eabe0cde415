"""Files of delphi's shape: for a range of latents, where they fire and how strongly, as safetensors.

Each holds `locations`, [n, 3] (image, position, latent), and `activations`, [n], of latents `a` to `b` inclusive and is
called `a_b.safetensors`. No file is loaded whole: where each image lies in it is found in a first pass over it, which
remembers the lowest and the highest image of each part of `PART` activations.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from autointerp.dump.importers.tensors import Stored, read_safetensors
from autointerp.errors import DumpError, SettingsError
from autointerp.statistics.rates import Ints
from autointerp.transcoder.recorded.events import MOST_LATENTS, Events, check, images_at_once, joined

NAME = re.compile(r"(?:Rank\d+_)?(\d{1,9})_(\d{1,9})\.safetensors")
PART = 2**16
"""Activations that are read at once; the index has 16 bytes for so many."""
MOST = 2**22
"""Activations of a batch on the mean, at most."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One file that was opened, and what its name says."""

    path: Path
    first: int
    """Its first latent."""
    last: int
    """Its last latent."""
    locations: Stored
    """[n, 3]: image, position, latent."""
    activations: Stored
    """[n]."""
    tokens: tuple[int, int] | None
    """Shape of what was run, [images, positions], if the file holds it."""

    @property
    def n(self) -> int:
        """Returns the number of activations."""
        return self.locations.shape[0]


def module_folder(source: Path, wanted: str | None) -> Path:
    """Finds the folder with the files of one hookpoint, in `source` or up to three folders below it.

    Args:
        source: the folder that was named.
        wanted: name of the hookpoint, if several are there.

    Raises:
        DumpError: there is none.
        SettingsError: there are several, or none of that name.
    """
    if not source.is_dir():
        raise DumpError(f"{source}: there is no such folder; give the one with files such as 0_511.safetensors")
    if _named(source):
        return source
    found = sorted({path.parent for depth in ("*", "*/*", "*/*/*") for path in source.glob(f"{depth}/*_*.safetensors")})
    folders = [folder for folder in found if _named(folder)]
    if not folders:
        raise DumpError(f"{source}: holds no files such as 0_511.safetensors; give the folder of a hookpoint")
    names = [folder.name for folder in folders]
    if wanted is None and len(folders) == 1:
        return folders[0]
    if wanted is None or names.count(wanted) != 1:
        typed = "--hookpoint" if wanted is None else f"--hookpoint {wanted}"
        raise SettingsError(f"{typed}: {source} has {', '.join(names)}; name one of them, or give its folder")
    return folders[names.index(wanted)]


def _named(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if NAME.fullmatch(path.name)]


def open_shards(folder: Path) -> tuple[Shard, ...]:
    """Opens all files of a hookpoint, by their latents.

    Raises:
        DumpError: one is not as this format says, or two hold the same latents.
    """
    shards = sorted((_open(path) for path in _named(folder)), key=lambda s: (s.first, s.last, s.path.name))
    for before, after in pairwise(shards):
        if after.first <= before.last and (after.first, after.last) != (before.first, before.last):
            raise DumpError(
                f"{after.path}: begins with latent {after.first}, and {before.path.name} ends with {before.last}; "
                "remove the files of another recording"
            )
    return tuple(shards)


def _open(path: Path) -> Shard:
    found = NAME.fullmatch(path.name)
    assert found is not None, "files are listed by this name"
    first, last = int(found[1]), int(found[2])
    if last < first or last >= MOST_LATENTS:
        raise DumpError(f"{path}: its name says latents {first} to {last}; give it the name it was written under")
    tensors, _ = read_safetensors(path)
    if missing := [name for name in ("locations", "activations") if name not in tensors]:
        raise DumpError(f"{path}: has no {missing[0]}; expected locations and activations, so record it again")
    locations = tensors["locations"].check(None, 3)
    if locations.bf16 or locations.raw.dtype.kind not in "iu":
        raise DumpError(f"{locations.where}: holds {locations.raw.dtype}; expected whole numbers")
    activations = tensors["activations"].check(locations.shape[0])
    return Shard(path, first, last, locations, activations, _tokens(path, tensors.get("tokens")))


def _tokens(path: Path, tokens: Stored | None) -> tuple[int, int] | None:
    if tokens is None:
        return None
    n_images, n_positions = tokens.check(None, None).shape
    if not n_images or not n_positions:
        raise DumpError(f"{path}: tokens: its sizes are {n_images} x {n_positions}; expected images and positions")
    return n_images, n_positions


class Located:
    """The activations of all files of a hookpoint.

    Args:
        shards: The files.
        n_images: That there may be.
        n_positions: Of an image; None for any number.
        n_latents: Of the dictionary.
        relative: Whether a latent's number counts from the first of its file.
    """

    def __init__(
        self, shards: Sequence[Shard], n_images: int, n_positions: int | None, n_latents: int, *, relative: bool
    ) -> None:
        self._shards = shards
        self._limits = (n_images, n_positions, n_latents)
        self._relative = relative
        self._reach: list[tuple[Ints, Ints]] = []
        """For each file [parts]: the lowest and the highest image of each part."""

    def whole(self) -> Iterator[Events]:
        """Yields everything once, in the order of the files.

        Raises:
            DumpError: an activation is not finite, or is of an image, position or latent that there is not.
        """
        reach: list[tuple[Ints, Ints]] = []
        for shard in self._shards:
            starts = range(0, shard.n, PART)
            low, high = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
            for part, start in enumerate(starts):
                events = self._read(shard, start)
                self._check(shard, start, events)
                low[part], high[part] = events.images.min(), events.images.max()
                yield events
            reach.append((low, high))
        self._reach = reach

    def batches(self, first: int) -> Iterator[tuple[int, Events]]:
        """Yields everything from image `first` on, by image, once `whole` has been through.

        Only the parts that hold an image of the batch are read, whichever order the images have in a file.
        """
        assert len(self._reach) == len(self._shards), "the first pass makes the index"
        n_images, _, n_latents = self._limits
        n = max(1, sum(shard.n for shard in self._shards))
        size = max(1, min(images_at_once(n_latents), MOST * n_images // n))
        for start in range(first, n_images, size):
            stop = min(start + size, n_images)
            near = self._near(start, stop)
            yield stop, joined([e.at((e.images >= start) & (e.images < stop)) for e in near])

    def _near(self, start: int, stop: int) -> Iterator[Events]:
        for shard, (low, high) in zip(self._shards, self._reach, strict=True):
            for part in np.flatnonzero((low < stop) & (high >= start)).tolist():
                yield self._read(shard, part * PART)

    def _read(self, shard: Shard, start: int) -> Events:
        rows = slice(start, min(start + PART, shard.n))
        image, position, latent = shard.locations.ints(rows).T
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            values = shard.activations.floats(rows)
        return Events(image, position, latent + shard.first if self._relative else latent, values)

    def _check(self, shard: Shard, start: int, events: Events) -> None:
        wrong = np.flatnonzero((events.latents < shard.first) | (events.latents > shard.last))
        if len(wrong):
            i = int(wrong[0])
            other, counted = ("multimodal-sae", "0") if self._relative else ("delphi", "the first of its file")
            raise DumpError(
                f"{shard.path}: locations row {start + i}: latent {events.latents[i]} is not one of {shard.first} … "
                f"{shard.last}; if its numbers count from {counted}, `autointerp import {other}` reads it"
            )
        check(events, *self._limits, lambda i: f"{shard.path}: row {start + i}")


def width_of(shards: Sequence[Shard]) -> tuple[int, Ints]:
    """Returns the size of the dictionary, and the latents below it that no file is for."""
    n_latents = shards[-1].last + 1
    there = np.zeros(n_latents, np.bool_)
    for shard in shards:
        there[shard.first : shard.last + 1] = True
    return n_latents, np.flatnonzero(~there)
