"""Encodes altered pictures of a dump's images as harvest encoded the images: decoding, frame, backbone, coder."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import PIL
import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.images.alteration import Alteration, Read, altered
from autointerp.transcoder.backbones.given import given_backbone
from autointerp.transcoder.backbones.protocol import Backbone, frame_of, grid_of, hookpoint_of
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.batches import enough_pixels
from autointerp.transcoder.coder_io import StoredCoder, load_coder
from autointerp.transcoder.coder_part import Renumbered
from autointerp.transcoder.coders.peer_names import UNKNOWN
from autointerp.transcoder.harvest.encode import Entries, activations_of, entries_of, heats_of, peaks_of
from autointerp.transcoder.harvest.framing import over_the_whole
from autointerp.transcoder.harvest.network import named_backbone
from autointerp.transcoder.harvest.source import RAW, Source, load_sources
from autointerp.transcoder.precision import products_in
from autointerp.transcoder.settings import UsedPrecision

_VERSION = 1
"""Raised whenever the same pictures would be encoded otherwise."""


class Peaks(NamedTuple):
    """What of a dictionary fires on a picture; arrays of one length."""

    latents: npt.NDArray[np.int32]
    """The numbers of the latents, ascending."""
    values: npt.NDArray[np.float32]
    """The maximum over the patches, above 0, raw units."""

    def of(self, latent: int) -> float:
        """The activation of a latent, 0 where it is not above 0."""
        at = int(np.searchsorted(self.latents, latent))
        return float(self.values[at]) if at < len(self.latents) and self.latents[at] == latent else 0.0


@dataclass(frozen=True)
class Encoding:
    """A backbone and a coder that encode pictures.

    Batches always have the same size, so that what a picture gives does not depend on what it is run with.
    """

    backbone: Backbone
    source: Source
    precision: UsedPrecision
    device: str
    batch: int
    _lock: Lock = field(default_factory=Lock, compare=False, repr=False)
    """One batch is run at a time: what is read from a network's modules is taken while they run."""

    @cached_property
    def digest(self) -> str:
        """SHA-256, hex, over all that activations depend on but the picture."""
        own = (_VERSION, PIL.__version__, self.backbone.digest, self.source.digest, self.source.reads, self.precision)
        # What a part gives says nothing of the other latents of the whole, whose digest it has.
        encoder = self.source.encoder
        part = encoder.whole.latents if isinstance(encoder, Renumbered) else None
        return hashlib.sha256(repr((*own, part)).encode()).hexdigest()

    def seen(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Returns left, top, right and bottom of what the backbone sees of an image of that size, in its pixels."""
        return frame_of(self.backbone).seen(size)

    def prepared(self, what: Alteration, read: Read) -> Tensor:
        """Returns [3, side, side]: the picture as the backbone takes it.

        Raises:
            ImageError: an image cannot be read.
        """
        frame = frame_of(self.backbone)
        return self.backbone.prepare(altered(what, read, lambda size: enough_pixels(frame, *size)))

    def peaks(self, prepared: Sequence[Tensor]) -> list[Peaks]:
        """Encodes pictures, at most `batch` of them.

        Raises:
            SettingsError: an activation is not finite.
        """
        table = peaks_of(self._entries(prepared), len(prepared), self.source.encoder.n_latents)
        found = (np.flatnonzero(row > 0) for row in table)
        return [Peaks(on.astype(np.int32), row[on]) for on, row in zip(found, table, strict=True)]

    def heats(self, prepared: Sequence[Tensor], sizes: Sequence[tuple[int, int]], latent: int) -> list[bytes] | None:
        """Draws the heat map of a latent over each of some pictures, at most `batch` of them, as a dump holds it.

        Args:
            prepared: the pictures as the backbone takes them.
            sizes: width and height of each, in pixels.
            latent: which fires on them; a map is 0 everywhere where it does not.

        Returns:
            One a picture; None where the coder reads one vector an image.

        Raises:
            SettingsError: an activation is not finite.
        """
        reads, n = self.source.reads, len(prepared)
        if hookpoint_of(self.backbone, reads).kind == "pooled":
            return None
        grid, frame = grid_of(self.backbone, reads), frame_of(self.backbone)
        shape = (n, grid[0] * grid[1], self.source.encoder.n_latents)
        drawn = heats_of(self._entries(prepared), shape, np.arange(n), np.full(n, latent))
        return [over_the_whole(heat, grid, size, frame).tobytes() for heat, size in zip(drawn, sizes, strict=True)]

    def _entries(self, prepared: Sequence[Tensor]) -> Entries:
        side, n = self.backbone.side, len(prepared)
        assert n <= self.batch
        pixels = torch.zeros(self.batch, 3, side, side)
        for row, one in zip(pixels, prepared, strict=False):
            row.copy_(one)
        reads, device = self.source.reads, self.device
        with self._lock, products_in(self.precision):
            taken = activations_of(self.backbone, pixels.to(device), [reads], self.precision, device)[reads]
            return entries_of(self.source.encoder, self.source.name, taken[:n])


def open_encoding(
    coder: str,
    backbone: object | None,
    *,
    typed: bool,
    hookpoint: str,
    precision: UsedPrecision,
    device: str,
    batch: int,
) -> Encoding:
    """Loads a coder and its backbone.

    Args:
        coder: folder, file or name on the hub, or `raw:HOOKPOINT` for the model's own units.
        backbone: a name, or a backbone that is loaded; None for the one that the coder's files name.
        typed: whether somebody typed the name; else it is written as files state it.
        hookpoint: that the dump states, for a coder whose files do not say what it reads.
        precision: in which numbers the backbone is run.
        device: where it runs.
        batch: pictures run at once.

    Raises:
        SettingsError: one cannot be used, or nobody says which backbone the coder reads.
    """
    if coder.startswith(RAW):
        if backbone is None:
            raise SettingsError(f"--coder {coder}: are a model's own units; name the model with --backbone")
        network = _backbone(backbone, coder, None, device, typed=typed)
        (source,) = load_sources([coder], {}, network, device)
        return Encoding(network, source, precision, device, batch)
    stored = load_coder(coder)
    if stored.info.reads == UNKNOWN:
        stored = load_coder(coder, reads=hookpoint.partition(" -> ")[0])
    if stored.info.classifier is not None:
        raise SettingsError(
            f"--coder {coder}: reads the network of a trained classifier, which pictures cannot be encoded by again"
        )
    network = _backbone(backbone, coder, stored, device, typed=typed)
    return Encoding(network, _source(coder, stored, network, device), precision, device, batch)


def _backbone(asked: object | None, coder: str, stored: StoredCoder | None, device: str, *, typed: bool) -> Backbone:
    known = {} if stored is None else {coder: stored}
    if asked is not None and not isinstance(asked, str):
        return given_backbone(asked)
    if asked is not None:
        return load_backbone(named_backbone(asked, known) if typed else asked, device=device)
    if stored is None or stored.info.model == UNKNOWN:
        raise SettingsError(f"--backbone: the files of {coder} do not say which model it reads; name it")
    return load_backbone(stored.info.model, device=device)


def _source(spec: str, stored: StoredCoder, backbone: Backbone, device: str) -> Source:
    (source,) = load_sources([spec], {spec: stored}, backbone, device)
    return source
