"""A store of activations that several processes write: each runs its own images, and what they wrote is one's store.

Where the tokens of an image lie in the store follows from its number alone. So a process writes those shards of the
store that hold only tokens of its images; of a shard that holds others too it writes a part, and parts are joined.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from pydantic import PositiveInt
from safetensors.torch import save_file
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.populations.images import Population
from autointerp.record import Record
from autointerp.remote.objects import fetch, made, reached
from autointerp.remote.path import AnyPath
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.files import read_tensors
from autointerp.transcoder.settings import StoreSettings
from autointerp.transcoder.store import Activations, Manifest, Shard, TokenBuffer, record, shard_file


@dataclass(frozen=True, slots=True)
class Places:
    """Where a store is written by several."""

    out: AnyPath
    """The store."""
    parts: AnyPath
    """The folder of its parts."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens that one process writes as one file: a shard of the store, or a part of one."""

    first: int
    """The first token, of the store."""
    stop: int
    shard: int | None
    """The shard that it is; None for a part."""

    def place(self, at: Places) -> AnyPath:
        """Returns its file: of the store, or among the parts."""
        name = f"part-{self.first:015d}-{self.stop:015d}.safetensors"
        return at.parts / name if self.shard is None else at.out / shard_file(self.shard)


class StorePlan(Record):
    """plan.json beside the parts: what all of them are of."""

    format: Literal["autointerp-activations-parts/1"] = "autointerp-activations-parts/1"
    version: str
    """Of this package."""
    of: PositiveInt
    """Processes that share the images."""
    n_images: PositiveInt
    per_image: PositiveInt
    """Tokens of an image."""
    shard_tokens: PositiveInt
    about: Activations
    settings: StoreSettings
    population: str
    """Digest of the images and their labels."""
    backbone: str
    """Digest."""

    @property
    def tokens(self) -> int:
        """Returns the tokens of the store."""
        return self.n_images * self.per_image

    def differs(self, other: "StorePlan") -> str | None:
        """Returns the first thing in which two stores differ, in words."""
        if self.version != other.version:
            return f"the version of autointerp was {self.version}"
        for name in StoreSettings.model_fields:
            if getattr(self.settings, name) != getattr(other.settings, name):
                return f"{name.replace('_', '-')} was {getattr(self.settings, name)}"
        if self.population != other.population:
            return "the images or their labels were others"
        if (self.about, self.backbone, self.per_image) != (other.about, other.backbone, other.per_image):
            return "the backbone or its classifier was another"
        return f"there were {self.of} actors" if self.of != other.of else None

    def images_of(self, index: int) -> range:
        """Returns the images of one process: a run of the very batches that one process alone would run."""
        batch = self.settings.batch
        n_batches = -(-self.n_images // batch)
        first, stop = (n_batches * i // self.of * batch for i in (index, index + 1))
        return range(min(first, self.n_images), min(stop, self.n_images))

    def pieces_of(self, index: int) -> list[Piece]:
        """Returns the files that one process writes, in the order of their tokens."""
        images = self.images_of(index)
        first, stop = images.start * self.per_image, images.stop * self.per_image
        edges = [first, *range((first // self.shard_tokens + 1) * self.shard_tokens, stop, self.shard_tokens), stop]
        return [self._piece(a, b) for a, b in pairwise(edges) if a < b]

    def _piece(self, first: int, stop: int) -> Piece:
        number, into = divmod(first, self.shard_tokens)
        whole = not into and stop == min((number + 1) * self.shard_tokens, self.tokens)
        return Piece(first, stop, number if whole else None)

    def pieces(self) -> list[Piece]:
        """Returns the files of all processes, in the order of their tokens."""
        return [piece for i in range(self.of) for piece in self.pieces_of(i)]


class _PieceWriter(TokenBuffer):
    """Writes tokens as pieces, which follow on one another; what is before the first is passed over."""

    def __init__(self, at: Places, about: Activations, pieces: Sequence[Piece], first: int) -> None:
        super().__init__(at.out, about)
        self._at = at
        self._left = list(pieces)
        self._before = pieces[0].first - first

    def add(self, inputs: Tensor, targets: Tensor | None, images: Tensor, groups: Tensor) -> None:
        """Adds tokens, as `TokenBuffer.add`, and writes what is whole."""
        super().add(inputs, targets, images, groups)
        if passed := min(self._before, self.held):
            self.take(passed)
            self._before -= passed
        while self._left and self.held >= (n := self._left[0].stop - self._left[0].first):
            place = self._left.pop(0).place(self._at)
            with reached(place), made(place) as file:
                save_file(self.take(n), file)


def missing_of(plan: StorePlan, index: int, at: Places) -> list[Piece]:
    """Returns the files of one process from the first on that is not there. Raises SettingsError as `reached`."""
    pieces = plan.pieces_of(index)
    with reached(at.parts):
        for i, piece in enumerate(pieces):
            if not piece.place(at).exists():
                return pieces[i:]
    return []


def write_pieces(
    plan: StorePlan,
    index: int,
    at: Places,
    backbone: Backbone,
    population: Population,
    progress: Callable[[int, int], None],
    device: str,
) -> None:
    """Runs the images of one process from where a lost one has ended, and writes their files.

    Args:
        plan: of the store.
        index: which process, from 0.
        at: where the store is written.
        backbone: whose activations they are.
        population: all images.
        progress: is told images done and all images of this process.
        device: where the backbone runs.

    Raises:
        SettingsError: an image has changed, an activation does not fit, or a place cannot be written.
    """
    images, left = plan.images_of(index), missing_of(plan, index, at)
    if not left:
        progress(len(images), len(images))
        return
    # Batches begin where those of one process do.
    start = left[0].first // plan.per_image // plan.settings.batch * plan.settings.batch
    before = start - images.start
    record(
        backbone,
        population,
        _PieceWriter(at, plan.about, left, start * plan.per_image),
        plan.settings,
        progress=lambda done, total: progress(before + done, len(images)),
        device=device,
        only=slice(start, images.stop),
    )


def join(plan: StorePlan, at: Places, progress: Callable[[int, int], None]) -> Manifest:
    """Joins the parts of those shards that several processes wrote; returns the store's manifest, which is to be put.

    Args:
        plan: of the store.
        at: where the store is written.
        progress: is told shards that are whole and all shards.

    Raises:
        SettingsError: a part is missing or damaged, or a place cannot be read or written.
    """
    pieces, edges = plan.pieces(), [*range(0, plan.tokens, plan.shard_tokens), plan.tokens]
    shards: list[Shard] = []
    for number, (first, stop) in enumerate(pairwise(edges)):
        mine = [p for p in pieces if p.shard is None and first <= p.first < stop]
        place = at.out / shard_file(number)
        if mine and not _is_there(place):
            tensors = [_part(piece, piece.place(at)) for piece in mine]
            with reached(place), made(place) as file:
                save_file({name: torch.cat([t[name] for t in tensors]) for name in tensors[0]}, file)
        shards.append(Shard(file=shard_file(number), tokens=stop - first))
        progress(number + 1, len(edges) - 1)
    return Manifest(about=plan.about, tokens=plan.tokens, shards=tuple(shards))


def _is_there(place: AnyPath) -> bool:
    with reached(place):
        return place.exists()


def _part(piece: Piece, place: AnyPath) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory(prefix="autointerp-") as folder:
        file = Path(folder) / place.name
        with reached(place):
            fetch(place, file)
        remedy = f"remove {place}, and give the same command again"
        tensors = read_tensors(file, beside="plan.json", remedy=remedy)
    if any(len(tensor) != piece.stop - piece.first for tensor in tensors.values()):
        raise SettingsError(f"{place}: is cut off; remove it, and give the same command again")
    return tensors
