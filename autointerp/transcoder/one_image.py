"""Encodes one image as a harvest does, for whoever wants to see what fires on it."""

from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from autointerp.images.decode import displayed_size
from autointerp.transcoder.backbones.protocol import Backbone, frame_of, grid_of, hookpoint_of
from autointerp.transcoder.backbones.registry import check_device
from autointerp.transcoder.batches import prepared_one
from autointerp.transcoder.fired import FiredLatent, FiredOn
from autointerp.transcoder.harvest.encode import Entries, activations_of, entries_of, heats_of, peaks_of
from autointerp.transcoder.harvest.framing import over_the_whole
from autointerp.transcoder.harvest.network import open_network
from autointerp.transcoder.harvest.source import Source, load_sources, stored_coders
from autointerp.transcoder.precision import products_in, used_precision
from autointerp.transcoder.settings import BackboneName, UsedPrecision


def open_encoder(
    coder: str, backbone: BackboneName | None, *, reads: str | None, classifier: Path | None, device: str
) -> "OneImageEncoder":
    """Opens a coder and the network that it reads, as a harvest does.

    Args:
        coder: its folder or file, its name on the hub, or `raw:HOOKPOINT`.
        backbone: the model; None for the one that the coder names.
        reads: the hookpoint; None for the one that the coder names.
        classifier: the folder of the classifier whose network it reads.
        device: where both run, as torch names it.

    Raises:
        SettingsError: one of them cannot be had, or they do not fit together.
    """
    check_device(device)
    stored = stored_coders([coder], reads)
    network = open_network(backbone, stored, classifier=classifier, device=device)
    (source,) = load_sources([coder], stored, network.model, device)
    return OneImageEncoder(network.model, source, used_precision("auto", device), device)


class OneImageEncoder:
    """Says which latents of a coder fire on an image.

    Args:
        backbone: the network.
        source: the coder.
        precision: of the network's numbers.
        device: where it runs.
    """

    def __init__(self, backbone: Backbone, source: Source, precision: UsedPrecision, device: str) -> None:
        self.source = source
        self._backbone, self._device = backbone, device
        self._precision: UsedPrecision = precision
        self._directions = None if source.decoder is None else _unit(source.decoder)
        self._lock = Lock()

    @property
    def name(self) -> str:
        """Returns the coder and the network, in words."""
        return f"{self.source.name} ({self.source.about}) on {self._backbone.name}, {self.source.reads}"

    @property
    def n_latents(self) -> int:
        """Returns the size of the dictionary."""
        return self.source.encoder.n_latents

    @property
    def directions(self) -> npt.NDArray[np.float32] | None:
        """Returns the decoder's vectors, [n_latents, d], each of length 1 or 0; None where latents write nothing."""
        return self._directions

    def encode(self, data: bytes, /, *, above: float, most: int) -> FiredOn:
        """Says which latents fire on an image; arguments and errors as `explorer.encoding.ImageEncoder` states them."""
        size, reads = displayed_size(data), self.source.reads
        pixels = prepared_one(self._backbone, data, size)[None].to(self._device)
        with self._lock, products_in(self._precision):
            taken = activations_of(self._backbone, pixels, [reads], self._precision, self._device)[reads]
            entries = entries_of(self.source.encoder, self.source.name, taken)
        peaks = peaks_of(entries, 1, self.n_latents)[0]
        fired = np.flatnonzero(peaks > np.float32(above))
        shown = fired[np.argsort(-peaks[fired], kind="stable")][:most]
        heats = self._heats(entries, shown, size)
        grid = grid_of(self._backbone, reads) if heats is not None else None
        latents = (
            FiredLatent(int(latent), float(peaks[latent]), None if heats is None else heats[i])
            for i, latent in enumerate(shown.tolist())
        )
        return FiredOn(size, grid, tuple(latents), len(fired))

    def _heats(self, entries: Entries, latents: npt.NDArray[np.int64], size: tuple[int, int]) -> list[bytes] | None:
        """Draws heat maps over the whole image; None where the coder reads one vector an image."""
        backbone, reads = self._backbone, self.source.reads
        if hookpoint_of(backbone, reads).kind == "pooled":
            return None
        grid, frame = grid_of(backbone, reads), frame_of(backbone)
        drawn = heats_of(entries, (1, grid[0] * grid[1], self.n_latents), np.zeros_like(latents), latents)
        return [over_the_whole(heat, grid, size, frame).tobytes() for heat in drawn]


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Brings each row to length 1, but for rows of zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
