"""Where tokens to learn from come: one method, whether they lie on disk or a backbone makes them on the way."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from torch import Tensor


class TokenBatch(NamedTuple):
    """Activations of some tokens, in raw units."""

    inputs: Tensor
    """[tokens, d_in]: what the layer reads."""
    targets: Tensor
    """[tokens, d_out]: what it writes; the same tensor for an autoencoder."""


class TokenSource(Protocol):
    """An endless sequence of batches, the same each time that it is asked for."""

    def batches(self, size: int, start: int) -> Iterator[TokenBatch]:
        """Batches of `size` tokens, from the `start`-th of the sequence on: training that was stopped goes on there."""
        ...


class Splitting(TokenSource, Protocol):
    """A source that keeps some groups of images from training, for measuring."""

    def held_out(self, size: int, most: int) -> Iterator[TokenBatch]:
        """Tokens that training never sees, `size` or fewer at a time, about `most`."""
        ...
