"""Says where tokens to learn from come from, and cuts them into batches in an order that each epoch draws anew."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from autointerp.images.threads import worker_threads
from autointerp.transcoder.precision import is_cuda

AHEAD = 2
"""Batches that are made while one is learned from."""

Side = Literal["both", "inputs", "targets"]
"""What a coder learns from: both for a transcoder; for an autoencoder the inputs or the targets alone."""


class TokenBatch(NamedTuple):
    """Holds activations of some tokens, in raw units."""

    inputs: Tensor
    """[tokens, d_in]: what the layer reads."""
    targets: Tensor
    """[tokens, d_out]: what it writes; the same tensor for an autoencoder."""


def ahead(made: Iterator[TokenBatch], n: int = AHEAD) -> Iterator[TokenBatch]:
    """Yields the same batches, of which a thread makes the next `n` meanwhile."""
    with worker_threads(1) as aside:
        coming = deque(aside.submit(next, made, None) for _ in range(n))
        while (batch := coming.popleft().result()) is not None:
            coming.append(aside.submit(next, made, None))
            yield batch


def on_device(made: Iterator[TokenBatch], device: str) -> Iterator[TokenBatch]:
    """Yields the same batches where they are learned from.

    For a CUDA device a thread makes them ahead of time, and copies them from pinned memory, for which nobody waits.
    """
    if not is_cuda(device):
        return made
    pinned = (TokenBatch(*(t.pin_memory() for t in batch)) for batch in made)
    return ahead(TokenBatch(*(t.to(device, non_blocking=True) for t in batch)) for batch in pinned)


class TokenSource(Protocol):
    """Gives an endless sequence of batches, the same each time; keeps some groups of images from it, for measuring."""

    def batches(self, size: int, start: int) -> Iterator[TokenBatch]:
        """Yields batches of `size` tokens, from the `start`-th on: training that was stopped goes on there."""
        ...

    def held_out(self, size: int, most: int) -> Iterator[TokenBatch]:
        """Yields tokens that training never sees, `size` or fewer at a time, about `most`."""
        ...


class Window(NamedTuple):
    """Is a part of an epoch whose tokens lie in memory together."""

    n_tokens: int
    read: Callable[[], TokenBatch]
    """Gives the tokens, in the order in which they are learned from."""


def endless(epoch: Callable[[int], Iterable[Window]], n_tokens: int, size: int, start: int) -> Iterator[TokenBatch]:
    """Yields batches of one epoch after the other without end; an epoch's last, smaller batch is left out.

    Args:
        epoch: gives the windows of an epoch by its number, from 0.
        n_tokens: tokens of an epoch, at least `size`.
        size: tokens of a batch.
        start: number of the first batch.
    """
    per_epoch = n_tokens // size
    number, skip = divmod(start, per_epoch)
    while True:
        yield from _batches(epoch(number), size, skip, per_epoch)
        number, skip = number + 1, 0


def _batches(windows: Iterable[Window], size: int, skip: int, per_epoch: int) -> Iterator[TokenBatch]:
    """Yields an epoch's batches from the `skip`-th on; a window that lies before it is not read."""
    at, rest = 0, None
    for window in windows:
        if at + window.n_tokens > skip * size:
            made = window.read()
            rest = _joined(rest, TokenBatch(*(t[max(0, skip * size - at) :] for t in made)))
            n_whole = min(len(rest.inputs) // size, per_epoch - skip)
            for i in range(n_whole):
                yield TokenBatch(*(t[i * size : (i + 1) * size] for t in rest))
            # A copy, for a view would keep the whole window.
            rest = TokenBatch(*(t[n_whole * size :].clone() for t in rest))
            del made
            skip += n_whole
        at += window.n_tokens


def _joined(first: TokenBatch | None, second: TokenBatch) -> TokenBatch:
    if first is None or not len(first.inputs):
        return second
    return TokenBatch(*(torch.cat(pair) for pair in zip(first, second, strict=True)))
