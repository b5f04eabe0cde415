"""Encodes batches of images: activations above 0, their maxima over patches, heat maps, where firing begins."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.statistics.rates import Ints
from autointerp.transcoder.activation import Encoded
from autointerp.transcoder.backbones.protocol import Activations, Backbone
from autointerp.transcoder.precision import cast_to
from autointerp.transcoder.settings import UsedPrecision

Peaks = npt.NDArray[np.float32]
Heats = npt.NDArray[np.uint8]


class Encoder(Protocol):
    """Latents of tokens; what is not kept, or is below 0, counts as 0."""

    @property
    def n_latents(self) -> int:
        """Returns the size of the dictionary."""
        ...

    @property
    def widths(self) -> tuple[int, ...]:
        """Returns the widths of the nested prefixes, ascending; the last is `n_latents`."""
        ...

    def encode(self, inputs: Tensor, /) -> Encoded:
        """Encodes [tokens, d_in], wherever these are."""
        ...


class Entries(NamedTuple):
    """Activations above 0 of a batch of images; arrays of one length."""

    images: Ints
    """Position in the batch."""
    patches: Ints
    latents: Ints
    values: Peaks


def activations_of(
    backbone: Backbone, pixels: Tensor, reads: Sequence[str], precision: UsedPrecision, device: str
) -> Activations:
    """Runs a batch of prepared images.

    Args:
        backbone: the network.
        pixels: [n, 3, side, side].
        reads: names of the hookpoints to give.
        precision: of the network's numbers.
        device: where it runs.

    Returns:
        float32, by hookpoint.
    """
    with cast_to(precision, device):
        taken = backbone.run(pixels, reads)
    return {name: value.float() for name, value in taken.items()}


def entries_of(encoder: Encoder, name: str, inputs: Tensor) -> Entries:
    """Encodes a batch of tokens.

    Args:
        encoder: the coder.
        name: of it, for a message.
        inputs: [images, patches, d_in], or [images, d_in] as if each had one patch; raw units.

    Raises:
        SettingsError: an activation is not finite.
    """
    inputs = inputs[:, None] if inputs.ndim == 2 else inputs
    values, indices = encoder.encode(inputs.flatten(0, 1))
    if not torch.isfinite(values).all():
        raise SettingsError(f"{name}: gives activations that are not finite numbers; train it again or leave it out")
    tokens, columns = (values > 0).nonzero(as_tuple=True)
    token, n_patches = tokens.cpu().numpy(), inputs.shape[1]
    kept = values[tokens, columns].float().cpu().numpy()
    return Entries(token // n_patches, token % n_patches, indices[tokens, columns].cpu().numpy(), kept)


def peaks_of(entries: Entries, n_images: int, n_latents: int) -> Peaks:
    """Returns [n_images, n_latents]: the maximum over an image's patches; 0 where none is above 0."""
    peaks = np.zeros(n_images * n_latents, np.float32)
    np.maximum.at(peaks, entries.images * n_latents + entries.latents, entries.values)
    return peaks.reshape(n_images, n_latents)


def heats_of(entries: Entries, shape: tuple[int, int, int], images: Ints, latents: Ints) -> Heats:
    """Returns [pairs, patches]: heat maps of some pairs of image and latent, 0–255 of each one's maximum.

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


def threshold(peaks: Peaks, density: float) -> float:
    """Finds the activation above which half of the latents fire on about this share of the images or more.

    A sparse coder turns a few latents on in each of hundreds of patches, so that above 0 most latents fire on most
    images, mostly barely. A dump has one threshold for all its latents, whose scales differ: the median over latents of
    each one's own quantile leaves as many below as above, where a quantile of all activations pooled would be that of
    the few strongest latents and silence most others.

    Args:
        peaks: [n_images, n_latents], 0 or more, on images drawn uniformly.
        density: Share of the images, in (0, 1).

    Returns:
        A float32, 0 or more; latents that fire on none of the images are left out of the median.
    """
    living = peaks[:, peaks.max(axis=0) > 0]
    if not living.size:
        return 0.0
    return float(np.float32(np.median(np.quantile(living, 1 - density, axis=0, method="higher"))))
