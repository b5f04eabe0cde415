"""Reads a store in shuffled order through a bounded buffer: any batch of the sequence is found without those before."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.populations.images import Population, PopulationImage
from autointerp.statistics.rates import Ints
from autointerp.transcoder.backbones.protocol import Backbone, check_tokens, grid_of, hookpoint_of
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.splits import held_out_groups
from autointerp.transcoder.store import ActivationStore
from autointerp.transcoder.tokens import Side, TokenBatch, Window, endless

PIECE = 256
"""Neighbouring rows that are read at once."""


class StoreSource:
    """The tokens of a store that training may see, in an order of each epoch's own, or those that it may not.

    An epoch draws the order of the pieces, cuts it into windows of about `buffer` tokens, and draws the order of the
    tokens in each. So the n-th batch follows from the seed and n alone, and one window is in memory at a time.

    Args:
        store: On disk.
        seed: Of the split and every order.
        held_out: Share of the image groups that are kept for measuring, in [0, 1); at least one group if above 0.
        side: `both` for transcoders; else an autoencoder's, of the inputs or the targets.
        buffer: Tokens in memory.

    Raises:
        SettingsError: the store does not hold that side, or too few groups to hold any out.
    """

    def __init__(
        self,
        store: ActivationStore,
        *,
        seed: int,
        held_out: float,
        side: Side = "both",
        buffer: int = 32_768,
    ) -> None:
        if side != "inputs" and store.about.d_out is None:
            raise SettingsError(f"{store.folder}: holds inputs alone, so only an sae can learn from it")
        self._store = store
        self._seed = seed
        self._side = side
        self._buffer = buffer
        self._held_groups = _held_groups(store, seed, held_out)
        self._training, self._measuring = self._pieces()
        if not len(self._training):
            raise SettingsError(f"{store.folder}: no tokens to learn from are left; hold less out")

    @property
    def d_in(self) -> int:
        """Returns the number of channels of the inputs."""
        about = self._store.about
        return about.d_out if self._side == "targets" and about.d_out else about.d_in

    @property
    def d_out(self) -> int:
        """Returns the number of channels of the targets."""
        about = self._store.about
        return about.d_in if self._side == "inputs" or not about.d_out else about.d_out

    @property
    def n_training(self) -> int:
        """Returns the number of tokens of an epoch."""
        return int(self._training[:, 2].sum())

    def batches(self, size: int, start: int) -> Iterator[TokenBatch]:
        """Yields batches of `size` tokens without end, from the `start`-th on; smaller ones are left out.

        Raises:
            SettingsError: an epoch has fewer tokens than a batch.
        """
        if self.n_training < size:
            raise SettingsError(
                f"{self._store.folder}: {self.n_training} tokens to learn from, fewer than a batch of {size}; "
                "give a store of more images or a smaller --batch"
            )
        for batch in endless(self._epoch, self.n_training, size, start):
            yield self._sided(batch)

    def held_out(self, size: int, most: int) -> Iterator[TokenBatch]:
        """Yields tokens of groups that training never sees, `size` or fewer at a time, about `most` from anywhere."""
        drawn = np.random.default_rng((self._seed, 3)).permutation(len(self._measuring))
        pieces = self._measuring[drawn]
        for shard, at, _ in pieces[pieces[:, 2].cumsum() - pieces[:, 2] < most].tolist():
            batch, held = self._read(shard, np.array([at]))
            for rows in torch.nonzero(held).squeeze(1).split(size):
                yield self._sided(TokenBatch(batch.inputs[rows], batch.targets[rows]))

    def _epoch(self, epoch: int) -> Iterator[Window]:
        """Yields the windows of an epoch, each of about `buffer` tokens."""
        rng = np.random.default_rng((self._seed, 1, epoch))
        pieces = self._training[rng.permutation(len(self._training))]
        window = (pieces[:, 2].cumsum() - 1) // self._buffer
        for number in range(int(window[-1]) + 1):
            mine = pieces[window == number]
            order = np.random.default_rng((self._seed, 2, epoch, number))
            yield Window(int(mine[:, 2].sum()), partial(self._window, mine, order))

    def _window(self, pieces: Ints, rng: np.random.Generator) -> TokenBatch:
        """Returns the training tokens of some pieces, in an order drawn."""
        parts = []
        for shard in np.unique(pieces[:, 0]):
            batch, held = self._read(int(shard), np.sort(pieces[pieces[:, 0] == shard, 1]))
            parts.append(TokenBatch(*(t[~held] for t in batch)) if held.any() else batch)
        order = torch.from_numpy(rng.permutation(sum(len(p.inputs) for p in parts)))
        return TokenBatch(*(torch.cat(column)[order] for column in zip(*parts, strict=True)))

    def _read(self, shard: int, starts: Ints) -> tuple[TokenBatch, Tensor]:
        """Returns the rows of the pieces at `starts`, and which of them are held out."""
        n_rows = self._store.manifest.shards[shard].tokens
        slices = [(int(a), min(int(a) + PIECE, n_rows)) for a in starts]
        batch = self._store.rows(shard, slices)
        if not len(self._held_groups):
            return batch, torch.zeros(len(batch.inputs), dtype=torch.bool)
        groups = self._store.column(shard, "groups").numpy()
        held = np.isin(np.concatenate([groups[a:b] for a, b in slices]), self._held_groups)
        return batch, torch.from_numpy(held)

    def _sided(self, batch: TokenBatch) -> TokenBatch:
        if self._side == "both":
            return batch
        one = batch.inputs if self._side == "inputs" else batch.targets
        return TokenBatch(one, one)

    def _pieces(self) -> tuple[Ints, Ints]:
        """Returns shard, first row and tokens, [n, 3], of pieces with tokens to learn from, and of those held out."""
        sides: tuple[list[Ints], list[Ints]] = ([], [])
        for number in range(len(self._store.manifest.shards)):
            held = np.isin(self._store.column(number, "groups").numpy(), self._held_groups)
            starts = np.arange(0, len(held), PIECE)
            for side, which in zip(sides, (~held, held), strict=True):
                counts = np.add.reduceat(which, starts, dtype=np.int64)
                rows = np.stack([np.full_like(starts, number), starts, counts], axis=1)
                side.append(rows[counts > 0])
        return np.concatenate(sides[0]), np.concatenate(sides[1])


def _held_groups(store: ActivationStore, seed: int, share: float) -> Ints:
    """Returns the groups that are held out, ascending."""
    found = np.zeros(0, dtype=np.int64)
    for number in range(len(store.manifest.shards)):
        found = np.union1d(found, store.column(number, "groups").numpy())
    return held_out_groups(found, share=share, seed=seed, where=store.folder)


class ImageSource:
    """The patches of a population's images, in an order of each epoch's own.

    An epoch draws the order of the images, cuts it into windows, and draws the order of the tokens in each. So the n-th
    batch follows from the seed and n alone: training that was stopped runs no image of the windows before again.

    Args:
        backbone: Makes the tokens.
        population: Images, whose near-duplicate groups stand on one side of the split.
        hookpoints: Of the inputs and the targets; the same for an autoencoder.
        seed: Of the split and every order.
        held_out: Share of the image groups that are kept for measuring, in [0, 1); at least one group if above 0.
        window: Images whose tokens are in memory and mixed.
        batch: Images run at once.
        device: Where the backbone runs.

    Raises:
        SettingsError: there is no such hookpoint, the two have not as many tokens, or too few groups to hold any out.
    """

    def __init__(
        self,
        backbone: Backbone,
        population: Population,
        *,
        hookpoints: tuple[str, str],
        seed: int,
        held_out: float,
        window: int = 128,
        batch: int = 16,
        device: str = "cpu",
    ) -> None:
        self._backbone = backbone
        self._hookpoints = hookpoints
        self._device = device
        self._seed, self._window, self._batch = seed, window, batch
        first, last = (hookpoint_of(backbone, name) for name in self._hookpoints)
        reads, writes = hookpoints
        check_tokens(backbone, reads, writes)
        rows, columns = grid_of(backbone, reads)
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
        for _, pixels in prepared_batches(self._backbone, images, size=self._batch, device=self._device):
            taken = self._backbone.run(pixels, list(dict.fromkeys(self._hookpoints)))
            for side, name in zip(sides, self._hookpoints, strict=True):
                side.append(taken[name].float().cpu().reshape(-1, taken[name].shape[-1]))
        return TokenBatch(*(torch.cat(side) for side in sides))
