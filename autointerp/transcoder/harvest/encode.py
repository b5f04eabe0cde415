"""What a coder makes of a batch of images: its non-zero activations, their maxima over the patches, and heat maps."""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.transcoder.activation import Encoded
from autointerp.transcoder.harvest.hash_rng import Ints

Peaks = npt.NDArray[np.float32]
Heats = npt.NDArray[np.uint8]


class Encoder(Protocol):
    """Latents of tokens; what is not kept, or is below 0, counts as 0."""

    @property
    def n_latents(self) -> int:
        """Size of the dictionary."""
        ...

    @property
    def widths(self) -> tuple[int, ...]:
        """Nested prefixes, ascending; the last is `n_latents`."""
        ...

    def encode(self, inputs: Tensor, /) -> Encoded | Tensor:
        """Of [tokens, d_in]: the few latents of each token that are on, or all of them, [tokens, n_latents]."""
        ...


class Entries(NamedTuple):
    """Activations above 0 of a batch of images; arrays of one length."""

    images: Ints
    """Position in the batch."""
    patches: Ints
    latents: Ints
    values: Peaks


def entries_of(encoder: Encoder, name: str, inputs: Tensor) -> Entries:
    """Encodes a batch.

    Args:
        encoder: the coder.
        name: of it, for a message.
        inputs: [images, patches, d_in], raw units.

    Raises:
        SettingsError: an activation is not finite.
    """
    found = encoder.encode(inputs.flatten(0, 1))
    values = found if isinstance(found, Tensor) else found.values
    if not torch.isfinite(values).all():
        raise SettingsError(f"{name}: gives activations that are not finite numbers; train it again or leave it out")
    tokens, columns = (values > 0).nonzero(as_tuple=True)
    latents = columns if isinstance(found, Tensor) else found.indices[tokens, columns]
    token, n_patches = tokens.cpu().numpy(), inputs.shape[1]
    kept = values[tokens, columns].float().cpu().numpy()
    return Entries(token // n_patches, token % n_patches, latents.cpu().numpy(), kept)


def peaks_of(entries: Entries, n_images: int, n_latents: int) -> Peaks:
    """[n_images, n_latents]: the maximum over an image's patches; 0 where none is above 0."""
    peaks = np.zeros(n_images * n_latents, np.float32)
    np.maximum.at(peaks, entries.images * n_latents + entries.latents, entries.values)
    return peaks.reshape(n_images, n_latents)


def heats_of(entries: Entries, shape: tuple[int, int, int], images: Ints, latents: Ints) -> Heats:
    """[pairs, patches]: heat maps of some pairs of image and latent, 0–255 of each one's maximum.

    Args:
        entries: of the batch.
        shape: images of the batch, patches of an image, latents.
        images: [pairs], position in the batch; no pair twice.
        latents: [pairs].
    """
    n_images, n_patches, n_latents = shape
    which = np.full(n_images * n_latents, -1, np.int64)
    which[images * n_latents + latents] = np.arange(len(images))
    pair = which[entries.images * n_latents + entries.latents]
    wanted = pair >= 0
    maps = np.zeros((len(images), n_patches), np.float32)
    maps[pair[wanted], entries.patches[wanted]] = entries.values[wanted]
    highest = maps.max(axis=1, keepdims=True)
    return np.round(255 * (maps / np.maximum(highest, np.finfo(np.float32).tiny))).astype(np.uint8)
