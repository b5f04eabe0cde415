"""Parents of latents: which latents of smaller prefixes fire wherever a latent does."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

Floats = npt.NDArray[np.float32]
Parents = list[tuple[int, ...] | None]
"""For each latent its parents, the closest first; None where it fires too rarely to tell."""

FEWEST = 5
"""Images of the pool on which a child must fire."""
SHARE = 0.5
"""Part of them on which a parent fires, at least …"""
LIFT = 2.0
"""… and how many times as often as on any image, at least."""
LEVEL = 0.05
"""Chance of any false parent of a child, were firing independent: Bonferroni's bound over its candidates."""
MOST = 3
BLOCK = 512
"""Children compared at once."""


def parents_of(activations: Floats, above: float, widths: tuple[int, ...], decoder: Floats | None) -> Parents:
    """Returns at most `MOST` parents of each latent, among the latents of prefixes smaller than its own.

    A candidate p is a parent of c if it fires on at least `SHARE` of the images that fire c, at least `LIFT` times as
    often there as on any image, and more often than chance would have it (binomial tail, `LEVEL`). Parents are ordered
    by share · (1 + cosine)/2 with the cosine between what the two write: of latents that fire together, the one that
    writes in the same direction is closer than one that merely keeps it company. Firing together on an image does not
    mean in the same place of it.

    Args:
        activations: [n_images, n_latents], on images drawn uniformly.
        above: activation above which a latent fires.
        widths: nested prefixes, ascending.
        decoder: [n_latents, d_out]; None leaves the cosine at 0.

    Returns:
        For each latent; empty for the smallest prefix, which has no smaller ones.
    """
    found: Parents = [()] * widths[0]
    for below, width in pairwise(widths):
        for start in range(below, width, BLOCK):
            found += _parents_of_block(activations, above, below, np.arange(start, min(start + BLOCK, width)), decoder)
    return found


def _parents_of_block(
    activations: Floats, above: float, n_candidates: int, children: npt.NDArray[np.int64], decoder: Floats | None
) -> Parents:
    """Finds the parents of neighbouring latents among the first `n_candidates`."""
    fires = (activations[:, children] > np.float32(above)).astype(np.float32)
    candidates = (activations[:, :n_candidates] > np.float32(above)).astype(np.float32)
    both = (fires.T @ candidates).astype(np.float64)
    counts, chance = fires.sum(axis=0).astype(np.int64), candidates.mean(axis=0, dtype=np.float64)
    share = both / np.maximum(counts, 1)[:, None]
    close = (counts[:, None] >= FEWEST) & (share >= SHARE) & (share >= LIFT * chance)
    row, column = np.nonzero(close)
    # P[X > k - 1] of a binomial X.
    by_luck = bdtrc(both[row, column] - 1, counts[row], chance[column])
    kept = by_luck * n_candidates < LEVEL
    row, column = row[kept], column[kept]
    closeness = share[row, column] * (1 + _cosine(decoder, children[row], column)) / 2
    return [_closest(column[row == i], closeness[row == i], int(n)) for i, n in enumerate(counts)]


def _closest(candidates: npt.NDArray[np.int64], closeness: Floats, n_fires: int) -> tuple[int, ...] | None:
    if n_fires < FEWEST:
        return None
    order = np.lexsort((candidates, -closeness))[:MOST]
    return tuple(candidates[order].tolist())


def _cosine(decoder: Floats | None, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> Floats:
    """Returns [pairs], -1 to 1; 0 where a row is all zeros or there is no decoder."""
    if decoder is None:
        return np.zeros(len(one), np.float32)
    a, b = decoder[one], decoder[other]
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / np.where(lengths > 0, lengths, 1)
