"""Which latents are kept: the largest of a token, of a batch or of each band, or all above a threshold."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from autointerp.transcoder.sparse import Places


class Encoded(NamedTuple):
    """Activations of a few latents a token."""

    values: Tensor
    """[tokens, k'], float, descending; 0 where fewer than k' latents are on."""
    indices: Tensor
    """[tokens, k'], int64: which latents; 0 beside a value of 0."""

    def dense(self, n_latents: int) -> Tensor:
        """Returns all latents of each token, [tokens, n_latents]."""
        made = torch.zeros(len(self.values), n_latents, dtype=self.values.dtype, device=self.values.device)
        # A latent of value 0 stands in for none, and must not overwrite what is there.
        return made.scatter_add_(1, self.indices, self.values)


def largest_of_token(z: Tensor, k: int, start: int = 0) -> Places:
    """Returns the `k` largest of each token, of those above 0.

    Args:
        z: [tokens, n]: activations before selection.
        k: At most n.
        start: Number of the first latent in `z`.
    """
    values, latents = z.topk(k, dim=1, sorted=False)
    latents, order = latents.sort(dim=1)
    on = values.gather(1, order) > 0
    tokens = torch.arange(len(z), device=z.device)[:, None].expand_as(latents)
    return Places(tokens[on], latents[on] + start)


def largest_of_batch(z: Tensor, k: int, likely: float = 0.0) -> Places:
    """Returns the `k`·tokens largest of a batch, of those above 0 (Bussmann et al. 2024, BatchTopK).

    Args:
        z: [tokens, n_latents]: activations before selection.
        k: On the mean, a token.
        likely: All of the largest are likely above this; where they are, only what is above it is ranked.
    """
    n_kept = k * len(z)
    places = above(z, likely)
    if len(places.tokens) < n_kept and likely > 0:
        places = above(z, 0.0)
    if len(places.tokens) <= n_kept:
        return places
    values = z[places]
    least = _largest(values, n_kept)
    keep = values >= least
    tied = (values == least).nonzero().squeeze(1)
    keep[tied[len(tied) - (int(keep.sum()) - n_kept) :]] = False
    return Places(places.tokens[keep], places.latents[keep])


def above(z: Tensor, threshold: float | Tensor) -> Places:
    """Returns all of `z`, [tokens, n_latents], greater than `threshold`, at least 0."""
    return Places(*(z > threshold).nonzero(as_tuple=True))


def largest_of_bands(z: Tensor, bands: Sequence[int], ks: Sequence[int]) -> Places:
    """Returns the `ks[i]` largest above 0 of a token in the i-th of consecutive bands of `bands[i]` latents."""
    parts = []
    start = 0
    for size, k in zip(bands, ks, strict=True):
        parts.append(largest_of_token(z[:, start : start + size], k, start))
        start += size
    tokens, latents = torch.cat([p.tokens for p in parts]), torch.cat([p.latents for p in parts])
    order = tokens.sort(stable=True).indices
    return Places(tokens[order], latents[order])


def packed(values: Tensor, places: Places, n_tokens: int) -> Encoded:
    """Packs entries into rows of equal length, the strongest first.

    Args:
        values: [n_entries], at `places`.
        places: Of one batch.
        n_tokens: Rows of the batch.
    """
    # By value first, then by token: a stable sort keeps the order of the first within the second.
    order = values.argsort(descending=True, stable=True)
    order = order[places.tokens[order].argsort(stable=True)]
    tokens = places.tokens[order]
    counts = torch.bincount(tokens, minlength=n_tokens)
    column = torch.arange(len(tokens), device=tokens.device) - (counts.cumsum(0) - counts)[tokens]
    width = int(counts.max()) if len(tokens) else 0
    out = Encoded(values.new_zeros(n_tokens, width), places.latents.new_zeros(n_tokens, width))
    out.values[tokens, column] = values[order]
    out.indices[tokens, column] = places.latents[order]
    return out


def stacked(parts: Sequence[Encoded]) -> Encoded:
    """Joins the tokens of several batches one after the other."""
    width = max((p.values.shape[1] for p in parts), default=0)
    padded = [[torch.nn.functional.pad(t, (0, width - t.shape[1])) for t in part] for part in parts]
    return Encoded(*(torch.cat(list(column)) for column in zip(*padded, strict=True)))


def _largest(flat: Tensor, rank: int) -> float:
    """Returns the `rank`-th largest value, from 1."""
    if flat.device.type == "cpu" and flat.dtype == torch.float32:
        at = flat.numel() - rank
        return float(np.partition(flat.numpy(), at)[at])  # twenty times faster than torch's topk on a processor
    return float(flat.topk(rank, sorted=False).values.min())
