"""Tokens made on the way: images run through a backbone as training asks for them, and nothing kept on disk."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.protocol import Backbone, hookpoint_of
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.population import Population, PopulationImage
from autointerp.transcoder.splits import held_out_groups
from autointerp.transcoder.tokens import TokenBatch


class ImageSource:
    """The patches of a population's images, in an order of each epoch's own.

    An epoch draws the order of the images, cuts it into windows, and draws the order of the tokens in each. So the n-th
    batch follows from the seed and n alone: training that was stopped runs no image of the windows before again.

    Args:
        backbone: Makes the tokens.
        population: Images, whose near-duplicate groups stand on one side of the split.
        reads: Hookpoint of the inputs.
        writes: Hookpoint of the targets.
        seed: Of the split and every order.
        held_out: Share of the image groups that are kept for measuring, in [0, 1); at least one group if above 0.
        side: `both` for transcoders; else an autoencoder's, of the inputs or the targets.
        window: Images whose tokens are in memory and mixed.
        batch: Images run at once.

    Raises:
        SettingsError: there is no such hookpoint, the two have not as many tokens, or too few groups to hold any out.
    """

    def __init__(
        self,
        backbone: Backbone,
        population: Population,
        *,
        reads: str,
        writes: str,
        seed: int,
        held_out: float,
        side: Literal["both", "inputs", "targets"] = "both",
        window: int = 128,
        batch: int = 16,
    ) -> None:
        self._backbone = backbone
        self._hookpoints = {"inputs": (reads, reads), "targets": (writes, writes)}.get(side, (reads, writes))
        self._seed, self._window, self._batch = seed, window, batch
        first, last = (hookpoint_of(backbone, name) for name in self._hookpoints)
        if first.kind != last.kind:
            raise SettingsError(f"--reads {reads}, --writes {writes}: one is of each patch, the other of the image")
        rows, columns = backbone.patch_grid
        self._per_image = rows * columns if first.kind == "patches" else 1
        self.d_in, self.d_out = first.width, last.width
        held = held_out_groups(population.groups, share=held_out, seed=seed, where=population.root)
        away = np.isin(population.groups, held)
        self._training = [i for i, out in zip(population.images, away, strict=True) if not out]
        self._measuring = [i for i, out in zip(population.images, away, strict=True) if out]

    @property
    def n_training(self) -> int:
        """Tokens of an epoch."""
        return len(self._training) * self._per_image

    def batches(self, size: int, start: int) -> Iterator[TokenBatch]:
        """Batches of `size` tokens, from the `start`-th on, without end; an epoch's last, smaller batch is left out.

        Raises:
            SettingsError: an epoch has fewer tokens than a batch, or an image cannot be read any more.
        """
        per_epoch = self.n_training // size
        if not per_epoch:
            raise SettingsError(
                f"{self.n_training} tokens of {len(self._training)} images to learn from, fewer than a batch of "
                f"{size}; give more images or a smaller --batch"
            )
        epoch, skip = divmod(start, per_epoch)
        while True:
            yield from self._epoch(epoch, size, skip, per_epoch)
            epoch, skip = epoch + 1, 0

    def held_out(self, size: int, most: int) -> Iterator[TokenBatch]:
        """Tokens of the groups that training never sees, `size` or fewer at a time, of images that hold `most`."""
        drawn = np.random.default_rng((self._seed, 3)).permutation(len(self._measuring))
        chosen = [self._measuring[i] for i in drawn[: -(-most // self._per_image)].tolist()]
        for start in range(0, len(chosen), self._window):
            made = self._tokens(chosen[start : start + self._window])
            for first in range(0, len(made.inputs), size):
                yield TokenBatch(*(t[first : first + size] for t in made))

    def _epoch(self, epoch: int, size: int, skip: int, per_epoch: int) -> Iterator[TokenBatch]:
        """Batches of one epoch from the `skip`-th on; the images of a window that lies before it are not run."""
        order = np.random.default_rng((self._seed, 1, epoch)).permutation(len(self._training))
        step = self._window * self._per_image
        rest: list[Tensor] | None = None
        for number in range(skip * size // step, -(-len(order) // self._window)):
            mine = [self._training[i] for i in order[number * self._window : (number + 1) * self._window].tolist()]
            made = self._tokens(mine)
            mixed = np.random.default_rng((self._seed, 2, epoch, number)).permutation(len(made.inputs))
            found = [t[torch.from_numpy(mixed)] for t in made]
            if rest is None:
                found = [t[max(0, skip * size - number * step) :] for t in found]
            else:
                found = [torch.cat(pair) for pair in zip(rest, found, strict=True)]
            n_whole = min(len(found[0]) // size, per_epoch - skip)
            for i in range(n_whole):
                yield TokenBatch(*(t[i * size : (i + 1) * size] for t in found))
            rest = [t[n_whole * size :].clone() for t in found]
            skip += n_whole

    def _tokens(self, images: Sequence[PopulationImage]) -> TokenBatch:
        """All tokens of some images, on the CPU, float32."""
        sides: list[list[Tensor]] = [[], []]
        for _, pixels in prepared_batches(self._backbone, images, size=self._batch):
            taken = self._backbone.run(pixels, list(dict.fromkeys(self._hookpoints)))
            for side, name in zip(sides, self._hookpoints, strict=True):
                side.append(taken[name].float().cpu().reshape(-1, taken[name].shape[-1]))
        return TokenBatch(*(torch.cat(side) for side in sides))
