"""Images from disk as prepared batches for a backbone, decoded ahead of time."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import torch
from torch import Tensor

from autointerp.errors import ImageError, SettingsError
from autointerp.images.content import source_of
from autointerp.images.decode import decoding, digest_of
from autointerp.images.threads import worker_threads
from autointerp.populations.images import PopulationImage
from autointerp.transcoder.backbones.protocol import Backbone, Frame, frame_of
from autointerp.transcoder.precision import is_cuda

AHEAD = 2
"""Batches that are decoded while one is run."""


def prepared_batches(
    backbone: Backbone, images: Sequence[PopulationImage], *, size: int, device: str = "cpu"
) -> Iterator[tuple[Sequence[PopulationImage], Tensor]]:
    """Yields batches in the order given: the images, and [n, 3, side, side].

    Args:
        backbone: that prepares them.
        images: of a population, which has found them readable.
        size: images a batch; the last may be smaller.
        device: where they are wanted, as for `prepared`.

    Raises:
        SettingsError: a file is another than when the population was read.
    """
    return prepared(backbone, [images[i : i + size] for i in range(0, len(images), size)], device=device)


def prepared(
    backbone: Backbone, parts: Sequence[Sequence[PopulationImage]], *, device: str = "cpu", ahead: int = AHEAD
) -> Iterator[tuple[Sequence[PopulationImage], Tensor]]:
    """Yields each part: its images, and [n, 3, side, side].

    Args:
        backbone: that prepares them.
        parts: images of a population, which has found them readable; those of each part make a batch.
        device: where they are wanted. To a CUDA device each batch is copied while the one before it is run; on others
            it stays in memory, and the backbone fetches it.
        ahead: batches that are decoded while one is run.

    Raises:
        SettingsError: a file is another than when the population was read.
    """
    on_cuda = is_cuda(device)
    made = _decoded(backbone, parts, pinned=on_cuda, ahead=ahead)
    return _copied(made, device) if on_cuda else made


def _decoded(
    backbone: Backbone, parts: Sequence[Sequence[PopulationImage]], *, pinned: bool, ahead: int
) -> Iterator[tuple[Sequence[PopulationImage], Tensor]]:
    side = backbone.side
    with worker_threads(os.cpu_count() or 1) as pool:
        coming: deque[tuple[Tensor, list[Future[None]]]] = deque()
        for i, part in enumerate(parts):
            while len(coming) <= ahead and i + len(coming) < len(parts):
                images = parts[i + len(coming)]
                # Whoever asks may be in inference mode, which the threads that fill it are not.
                with torch.inference_mode(mode=False):
                    batch = torch.empty(len(images), 3, side, side, pin_memory=pinned)
                coming.append((batch, [pool.submit(_put, backbone, *one) for one in zip(images, batch, strict=True)]))
            batch, rows = coming.popleft()
            for row in rows:
                row.result()
            yield part, batch


def _copied(
    batches: Iterator[tuple[Sequence[PopulationImage], Tensor]], device: str
) -> Iterator[tuple[Sequence[PopulationImage], Tensor]]:
    """Copies each batch to a CUDA device by a stream of its own, before the one ahead of it is handed on."""
    stream = torch.cuda.Stream(device)
    waiting: deque[tuple[Sequence[PopulationImage], Tensor, torch.cuda.Event]] = deque()

    def first() -> tuple[Sequence[PopulationImage], Tensor]:
        part, copied, there = waiting.popleft()
        current = torch.cuda.current_stream(device)
        current.wait_event(there)
        # Its memory is not given to another tensor before what runs on it now is done.
        copied.record_stream(current)
        return part, copied

    for part, pixels in batches:
        with torch.cuda.stream(stream):
            copied = pixels.to(device, non_blocking=True)
        there = torch.cuda.Event()
        stream.record_event(there)
        waiting.append((part, copied, there))
        if len(waiting) > 1:
            yield first()
    if waiting:
        yield first()


def enough_pixels(frame: Frame, width: int, height: int) -> int:
    """Returns the longest side at which an image may be decoded, so that neither side has to be enlarged again."""
    shorter, longer = sorted((width, height))
    return -(-frame.least * longer // shorter)


def prepared_one(backbone: Backbone, source: bytes | Path, size: tuple[int, int]) -> Tensor:
    """Decodes one image and prepares it: [3, side, side].

    Args:
        backbone: that prepares it.
        source: the image's file, or its bytes.
        size: its width and height in pixels, as displayed.

    Raises:
        ImageError: it cannot be decoded.
    """
    with decoding(source, at_most=enough_pixels(frame_of(backbone), *size)) as decoded:
        return backbone.prepare(decoded.image)


def _put(backbone: Backbone, image: PopulationImage, row: Tensor) -> None:
    row.copy_(_prepared(backbone, image))


def _prepared(backbone: Backbone, image: PopulationImage) -> Tensor:
    try:
        source = source_of(image.content)
        prepared = prepared_one(backbone, source, (image.width, image.height))
        digest = digest_of(source)
    except ImageError as e:
        raise SettingsError(f"{e}; it could be read before") from e
    except OSError as e:
        raise SettingsError(f"{image.content}: cannot be read any more: {e.strerror}") from e
    if digest != image.sha256:
        # With the size and the time of before, a manifest takes it for the same.
        remedy = "put it back, or give it a new time (touch) and begin again"
        raise SettingsError(f"{image.content}: is not the file any more that was looked at; {remedy}")
    return prepared
