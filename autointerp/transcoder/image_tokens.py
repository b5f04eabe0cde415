"""Tokens made on the way: images run through a backbone as training asks for them, and nothing kept on disk."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.protocol import Backbone, hookpoint_of
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.population import Population, PopulationImage
from autointerp.transcoder.splits import held_out_groups
from autointerp.transcoder.tokens import Side, TokenBatch, Window, endless


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
        side: Side = "both",
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
        """Returns the number of tokens of an epoch."""
        return len(self._training) * self._per_image

    def batches(self, size: int, start: int) -> Iterator[TokenBatch]:
        """Yields batches of `size` tokens without end, from the `start`-th on; smaller ones are left out.

        Raises:
            SettingsError: an epoch has fewer tokens than a batch, or an image cannot be read any more.
        """
        if self.n_training < size:
            raise SettingsError(
                f"{self.n_training} tokens of {len(self._training)} images to learn from, fewer than a batch of "
                f"{size}; give more images or a smaller --batch"
            )
        yield from endless(self._epoch, self.n_training, size, start)

    def held_out(self, size: int, most: int) -> Iterator[TokenBatch]:
        """Yields tokens of groups that training never sees, `size` or fewer at a time, of images that hold `most`."""
        drawn = np.random.default_rng((self._seed, 3)).permutation(len(self._measuring))
        chosen = [self._measuring[i] for i in drawn[: -(-most // self._per_image)].tolist()]
        for start in range(0, len(chosen), self._window):
            made = self._tokens(chosen[start : start + self._window])
            for first in range(0, len(made.inputs), size):
                yield TokenBatch(*(t[first : first + size] for t in made))

    def _epoch(self, epoch: int) -> Iterator[Window]:
        """Yields the windows of an epoch; the images of one that is not read are not run."""
        order = np.random.default_rng((self._seed, 1, epoch)).permutation(len(self._training))
        for number, start in enumerate(range(0, len(order), self._window)):
            mine = [self._training[i] for i in order[start : start + self._window].tolist()]
            rng = np.random.default_rng((self._seed, 2, epoch, number))
            yield Window(len(mine) * self._per_image, partial(self._mixed, mine, rng))

    def _mixed(self, images: Sequence[PopulationImage], rng: np.random.Generator) -> TokenBatch:
        """Returns all tokens of some images, in an order drawn."""
        made = self._tokens(images)
        order = torch.from_numpy(rng.permutation(len(made.inputs)))
        return TokenBatch(*(t[order] for t in made))

    def _tokens(self, images: Sequence[PopulationImage]) -> TokenBatch:
        """Returns all tokens of some images, on the CPU, float32."""
        sides: list[list[Tensor]] = [[], []]
        for _, pixels in prepared_batches(self._backbone, images, size=self._batch):
            taken = self._backbone.run(pixels, list(dict.fromkeys(self._hookpoints)))
            for side, name in zip(sides, self._hookpoints, strict=True):
                side.append(taken[name].float().cpu().reshape(-1, taken[name].shape[-1]))
        return TokenBatch(*(torch.cat(side) for side in sides))
