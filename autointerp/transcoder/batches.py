"""Images from disk as prepared batches for a backbone, decoded ahead of time."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import torch
from torch import Tensor

from autointerp.errors import ImageError, SettingsError
from autointerp.images.decode import decoding, digest_of
from autointerp.images.threads import worker_threads
from autointerp.transcoder.backbones.protocol import Backbone, frame_of
from autointerp.transcoder.population import PopulationImage

AHEAD = 2
"""Batches that are decoded while one is run."""


def prepared_batches(
    backbone: Backbone, images: Sequence[PopulationImage], *, size: int
) -> Iterator[tuple[Sequence[PopulationImage], Tensor]]:
    """Yields batches in the order given: the images, and [n, 3, side, side].

    Args:
        backbone: that prepares them.
        images: of a population, which has found them readable.
        size: images a batch; the last may be smaller.

    Raises:
        SettingsError: a file is another than when the population was read.
    """
    parts = [images[i : i + size] for i in range(0, len(images), size)]
    with worker_threads(os.cpu_count() or 1) as pool:
        coming: deque[list[Future[Tensor]]] = deque()
        for i, part in enumerate(parts):
            while len(coming) <= AHEAD and i + len(coming) < len(parts):
                coming.append([pool.submit(_prepared, backbone, one) for one in parts[i + len(coming)]])
            yield part, torch.stack([f.result() for f in coming.popleft()])


def _prepared(backbone: Backbone, image: PopulationImage) -> Tensor:
    try:
        # A JPEG may be decoded smaller as long as neither side has to be enlarged again.
        shorter, longer = sorted((image.width, image.height))
        with decoding(image.path, at_most=-(-frame_of(backbone).least * longer // shorter)) as decoded:
            prepared = backbone.prepare(decoded.image)
        digest = digest_of(image.path)
    except ImageError as e:
        raise SettingsError(f"{e}; it could be read before") from e
    except OSError as e:
        raise SettingsError(f"{image.path}: cannot be read any more: {e.strerror}") from e
    if digest != image.sha256:
        # With the size and the time of before, a manifest takes it for the same.
        remedy = "put it back, or give it a new time (touch) and begin again"
        raise SettingsError(f"{image.path}: is not the file any more that was looked at; {remedy}")
    return prepared
