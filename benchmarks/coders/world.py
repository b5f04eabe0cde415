"""Tokens of images made of planted directions: parents with children, and lone ones that go with few images."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from autointerp.transcoder.tokens import TokenBatch

CHANNELS = 64
PARENTS = 16
CHILDREN = 4
"""Of each parent."""
LONE = 120
PARENT_ON = 0.1
"""The share of an image's tokens that a parent is on; so is, in four of five of them, exactly one of its children."""
CHILD_ON = 0.8
TOKENS = 64
"""Of one image."""
DRAWN = 4
"""Lone directions of one image, drawn by Zipf's law; the rarest are in one image of 160."""
LONE_ON = 0.5
"""The share of that image's tokens on which each of them is on."""
NOISE = 0.05
ON = PARENTS * PARENT_ON * (1 + CHILD_ON) + DRAWN * LONE_ON
"""Directions on in a token, on the mean: 4.9."""
SCALE = (ON * 13 / 12 / CHANNELS + NOISE**2) ** -0.5
"""Brings the mean square of a channel to about 1, for which the libraries are meant; a strength's is 13/12."""
WINDOW = 128
"""Images whose tokens are mixed, as `train transcoder` mixes them."""


APART = 1_000_003


class Part(NamedTuple):
    """Tokens with what is on in them."""

    inputs: Tensor
    """[tokens, CHANNELS], every channel of root mean square 1 on the mean."""
    targets: Tensor
    """[tokens, CHANNELS], likewise."""
    on: Tensor
    """[tokens, atoms], bool."""


class World:
    """A training part and a held-out part of one planted population.

    Args:
        seed: Of the directions and all draws.
        n_images: To learn from.
        n_held: To measure on.
    """

    def __init__(self, seed: int, n_images: int = 2048, n_held: int = 512) -> None:
        # With a library's own seed, its first weights would be the planted directions.
        draw = torch.Generator().manual_seed(APART + seed)
        n_atoms = PARENTS * (1 + CHILDREN) + LONE
        reads, writes = (functional.normalize(torch.randn(n_atoms, CHANNELS, generator=draw), dim=1) for _ in range(2))
        self.reads, self.writes = reads, writes
        """[atoms, CHANNELS]: directions of the inputs and of the targets; parents, children, lone ones."""
        self.parents = torch.arange(PARENTS)
        self.children = torch.arange(PARENTS, PARENTS * (1 + CHILDREN))
        self.lone = torch.arange(PARENTS * (1 + CHILDREN), n_atoms)
        self.parent_of = self.parents.repeat_interleave(CHILDREN)
        self._seed = APART + seed
        self.train = self._drawn(n_images, draw)
        self.held = self._drawn(n_held, draw)

    def _drawn(self, n_images: int, draw: torch.Generator) -> Part:
        n = n_images * TOKENS
        parents = torch.rand(n, PARENTS, generator=draw) < PARENT_ON
        children = torch.zeros(n, PARENTS, CHILDREN, dtype=torch.bool)
        which = torch.randint(0, CHILDREN, (n, PARENTS, 1), generator=draw)
        with_child = parents & (torch.rand(n, PARENTS, generator=draw) < CHILD_ON)
        children.scatter_(2, which, with_child[..., None])
        rates = 1 / torch.arange(1, LONE + 1)
        chosen = torch.multinomial(rates.expand(n_images, -1), DRAWN, generator=draw)
        of_image = torch.zeros(n_images, LONE, dtype=torch.bool).scatter_(1, chosen, value=True)
        lone = of_image.repeat_interleave(TOKENS, dim=0) & (torch.rand(n, LONE, generator=draw) < LONE_ON)
        on = torch.cat([parents, children.flatten(1), lone], dim=1)
        strength = on * (0.5 + torch.rand(on.shape, generator=draw))
        sides = []
        for directions in (self.reads, self.writes):
            tokens = strength @ directions + NOISE * torch.randn(n, CHANNELS, generator=draw)
            sides.append(tokens * SCALE)
        return Part(sides[0], sides[1], on)

    def stream(self, n_steps: int, size: int) -> Tensor:
        """Returns [n_steps, size], int64: which training tokens each step learns from, epoch after epoch."""
        draw = torch.Generator().manual_seed(2 * self._seed)
        n_images = len(self.train.inputs) // TOKENS
        rows, n_rows = [], 0
        while n_rows < n_steps * size:
            for images in torch.randperm(n_images, generator=draw).split(WINDOW):
                tokens = (images[:, None] * TOKENS + torch.arange(TOKENS)).flatten()
                rows.append(tokens[torch.randperm(len(tokens), generator=draw)])
                n_rows += len(tokens)
        return torch.cat(rows)[: n_steps * size].view(n_steps, size)


class Stream:
    """The same tokens in the same order for every library.

    Args:
        inputs: [tokens, channels].
        targets: [tokens, channels]; the inputs for an autoencoder.
        order: [n_steps, size], int64: which tokens each step learns from.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, order: Tensor) -> None:
        self.inputs, self.targets, self.order = inputs, targets, order
        self.channels = inputs.shape[1]

    def batches(self, size: int, start: int) -> Iterator[TokenBatch]:
        """Yields the batches from the `start`-th on, as a token source of ours does."""
        assert size == self.order.shape[1]
        for rows in self.order[start:]:
            yield TokenBatch(self.inputs[rows], self.targets[rows])

    def tokens(self) -> Iterator[Tensor]:
        """Yields the inputs alone."""
        for rows in self.order:
            yield self.inputs[rows]
