"""Images from disk as prepared batches for a backbone, decoded ahead of time."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import torch
from torch import Tensor

from autointerp.errors import ImageError, SettingsError
from autointerp.images.decode import decoding
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
        SettingsError: a file has changed since the population was read and cannot be decoded any more.
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
            return backbone.prepare(decoded.image)
    except ImageError as e:
        raise SettingsError(f"{e}; it could be read before") from e
