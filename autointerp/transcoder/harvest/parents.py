"""Which latents are broader ones of others: parents are on where their child is, and not merely on the same images."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array
from scipy.special import bdtrc

from autointerp.dump.format import HierarchyInfo
from autointerp.statistics.rates import Floats, Ints

Found = list[tuple[int, ...] | None]
"""For each latent others of smaller prefixes, the closest first; None where it fires too rarely to tell."""
Peaks = npt.NDArray[np.float32]

FEWEST = 5
"""Images on which a child must be strong; and images whose mean peak is a latent's level."""
STRONG = 0.5
"""Share of its level from which on a latent is strong at a patch."""
ON = 0.1
"""Share of its level above which a latent is on; each has its own level, since scales differ by orders of magnitude."""
SHARE = 0.5
"""Part of the child's strong patches at which a parent is on, at least."""
LIFT = 2.0
"""How many times as often it is on there, at least, as at the images' other patches and at these places anywhere."""
LEVEL = 0.05
"""Chance of any false parent of a child, were places independent: Bonferroni's bound over its candidates."""
EQUAL = 0.8
"""Two latents are duplicates if each is on at this part of the other's strong patches, at least."""
MOST = 3
"""Parents, or duplicates, that are named of a latent."""
ROUNDING = 1e-9
"""Sums of fractions may miss a bound by this much."""
CHILDREN = 512
"""Children compared at once."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Activations above 0 of images drawn uniformly, by patch; arrays of one length, no patch and latent twice."""

    image: Ints
    """From 0."""
    patch: Ints
    latent: Ints
    value: npt.NDArray[np.float32]
    n_images: int
    n_patches: int
    """Of an image; 1 where a coder reads one vector an image."""
    peaks: Peaks
    """[n_images, n_latents]: the maximum over an image's patches."""


class Hierarchy(NamedTuple):
    """Holds parents and duplicates of all latents, and how many there are."""

    parents: Found
    duplicates: Found
    info: HierarchyInfo


class _Maps(NamedTuple):
    """Where latents are on and where they are strong."""

    on: csc_array
    """[images · patches, n_latents], 1 where a latent is on."""
    strong: csc_array
    """[images · patches, n_latents], 1 / (strong patches of the latent in the image) where a latent is strong."""
    n_strong: csc_array
    """[images, n_latents]: strong patches of the latent in the image."""


class _Candidates(NamedTuple):
    """Latents among which parents are sought, and how often they are on."""

    maps: _Maps
    on: csc_array
    """[images · patches, n]."""
    by_image: Floats
    """[images, n]: patches at which each is on."""
    by_place: Floats
    """[patches, n]: share of all images on which each is on there."""


class _Pairs(NamedTuple):
    """Pairs of a child and a candidate, arrays of one length, with what is known of them."""

    child: Ints
    other: Ints
    share: Floats
    """Of the child's strong patches at which the other is on: the mean over the child's images."""
    back: Floats
    """The same with the two exchanged."""
    elsewhere: Floats
    """Share of the other patches of the child's images at which the other is on."""


def hierarchy_of(
    placed: Placed, widths: tuple[int, ...], decoder: npt.NDArray[np.float32] | None, *, seed: int
) -> Hierarchy:
    """Finds the parents and duplicates of each latent among those of prefixes smaller than its own.

    A latent's level is the mean of its `FEWEST` highest peaks; it is strong at a patch from `STRONG` of that on, and on
    above `ON` of it. A candidate p is a parent of c if, on the images on which c is strong, p is on at `SHARE` or more
    of c's strong patches, `LIFT` times as often as at the other patches of these images and as at the same places of
    any image, and on more of the images than chance would have it (binomial tail, `LEVEL`). If c is on at `EQUAL` of
    p's strong patches as well, the two are duplicates instead. All shares are means over images, whose patches are not
    independent. Parents are ordered by share · (1 + cosine)/2 with the cosine between what the two write.

    As a control, the patches of the candidates are shuffled within each image, which keeps who is on which image.

    Args:
        placed: activations on images drawn uniformly.
        widths: nested prefixes, ascending.
        decoder: [n_latents, d_out]; None leaves the cosine at 0.
        seed: of the shuffled places.

    Returns:
        For each latent; empty for the smallest prefix, which has no smaller ones.
    """
    first = cast("Found", [()] * widths[0])
    if len(widths) == 1:
        return Hierarchy(first, first.copy(), _info(first, first, [], None))
    level, parents, duplicates = _levels(placed.peaks), first.copy(), first.copy()
    maps = _maps(placed, level, None)
    kept: list[tuple[Floats, Floats]] = []
    for below, width in pairwise(widths):
        candidates = _candidates(maps, below, placed)
        for children in _children(below, width):
            pairs = _pairs(maps, candidates, children)
            equal = pairs.back >= EQUAL - ROUNDING
            often = np.diff(maps.n_strong[:, children].indptr) >= FEWEST
            parents += _named(pairs, ~equal, children, often, decoder)
            duplicates += _named(pairs, equal, children, often, decoder)
            kept.append((pairs.share[~equal], pairs.elsewhere[~equal]))
    by_chance = _n_by_chance(placed, level, maps, widths, seed) if placed.n_patches > 1 else None
    return Hierarchy(parents, duplicates, _info(parents, duplicates, kept, by_chance))


def _children(below: int, width: int) -> Iterator[Ints]:
    """Yields the latents that a prefix adds to the one before, as many at once as are compared at once."""
    for start in range(below, width, CHILDREN):
        yield np.arange(start, min(start + CHILDREN, width))


def _n_by_chance(
    placed: Placed, level: npt.NDArray[np.float32], maps: _Maps, widths: tuple[int, ...], seed: int
) -> int:
    """Counts pairs of a child and a parent where the patches of the candidates are shuffled within each image."""
    shuffled, found = _maps(placed, level, np.random.default_rng((0x91ACE5, seed))), 0
    for below, width in pairwise(widths):
        candidates = _candidates(shuffled, below, placed)
        for children in _children(below, width):
            found += int((_pairs(maps, candidates, children).back < EQUAL - ROUNDING).sum())
    return found


def _levels(peaks: Peaks) -> npt.NDArray[np.float32]:
    """Returns the level of each latent, [n_latents]; 0 where it never fires."""
    n = min(FEWEST, len(peaks))
    found = np.empty(peaks.shape[1], np.float32)
    for start in range(0, len(found), CHILDREN):
        block = np.asarray(peaks[:, start : start + CHILDREN])
        found[start : start + CHILDREN] = np.partition(block, len(peaks) - n, axis=0)[len(peaks) - n :].mean(axis=0)
    return found


def _maps(placed: Placed, level: npt.NDArray[np.float32], shuffle: np.random.Generator | None) -> _Maps:
    """Makes the maps of all latents, with the patches of each image shuffled if a generator is given."""
    patch = placed.patch
    if shuffle is not None:
        order = shuffle.random((placed.n_images, placed.n_patches)).argsort(axis=1)
        patch = order[placed.image, patch]
    n_latents = len(level)
    row, own = placed.image * placed.n_patches + patch, level[placed.latent]
    on, strong = placed.value > ON * own, placed.value >= STRONG * own
    shape = (placed.n_images * placed.n_patches, n_latents)
    ones = np.ones(int(on.sum()), np.float64)
    made = csc_array((ones, (row[on], placed.latent[on])), shape=shape)
    pair = placed.image[strong] * n_latents + placed.latent[strong]
    seen, which, counts = np.unique(pair, return_inverse=True, return_counts=True)
    weights = csc_array((1 / counts[which], (row[strong], placed.latent[strong])), shape=shape)
    per_image = (counts.astype(np.float64), (seen // n_latents, seen % n_latents))
    return _Maps(made, weights, csc_array(per_image, shape=(placed.n_images, n_latents)))


def _candidates(maps: _Maps, n: int, placed: Placed) -> _Candidates:
    on = maps.on[:, :n]
    column = np.repeat(np.arange(n), np.diff(on.indptr))
    by_image, by_place = (
        np.bincount(at * n + column, minlength=size * n).reshape(size, n).astype(np.float64)
        for at, size in (
            (on.indices // placed.n_patches, placed.n_images),
            (on.indices % placed.n_patches, placed.n_patches),
        )
    )
    return _Candidates(maps, on, by_image, by_place / placed.n_images)


def _pairs(of: _Maps, candidates: _Candidates, children: Ints) -> _Pairs:
    """Finds children and candidates of which the second is on where the first is strong."""
    strong, counts = of.strong[:, children], of.n_strong[:, children]
    n_patches, n_own = len(candidates.by_place), np.diff(counts.indptr)
    inside, n_of_pair = counts.toarray(), np.maximum(n_own, 1)[:, None]
    joint = (strong.T @ candidates.on).toarray() / n_of_pair
    # Each of the other patches of an image counts 1 / (their number), as each of the strong ones does.
    spare = np.where((inside > 0) & (inside < n_patches), 1 / np.maximum(n_patches - inside, 1), 0.0)
    column = np.repeat(np.arange(len(children)), np.diff(strong.indptr))
    again = strong.copy()
    again.data = spare[strong.indices // n_patches, column]
    outside = spare.T @ candidates.by_image - (again.T @ candidates.on).toarray()
    elsewhere = np.maximum(outside, 0) / np.maximum((spare > 0).sum(axis=0), 1)[:, None]
    at = (strong.indices % n_patches) * len(children) + column
    here = np.bincount(at, weights=strong.data, minlength=n_patches * len(children)).reshape(n_patches, -1)
    anywhere = here.T @ candidates.by_place / n_of_pair
    chance = np.maximum(elsewhere, anywhere)
    close = (n_own[:, None] >= FEWEST) & (joint >= SHARE - ROUNDING) & (joint >= LIFT * chance - ROUNDING)
    row, other = np.nonzero(close)
    share, n = joint[row, other], n_own[row].astype(np.int64)
    # P[X > k - 1] of a binomial X, with the whole images that the share comes to.
    by_luck = bdtrc(np.floor(share * n + ROUNDING) - 1, n, np.minimum(chance[row, other], 1.0))
    sure = by_luck * len(candidates.by_place[0]) < LEVEL
    row, other = row[sure], other[sure]
    back = _back(of, candidates.maps, children[row], other)
    return _Pairs(children[row], other, share[sure], back, elsewhere[row, other])


def _back(of: _Maps, others: _Maps, child: Ints, other: Ints) -> Floats:
    """Computes the part of each candidate's strong patches at which the child is on, the mean over its images."""
    found = np.empty(len(child))
    for i, (c, p) in enumerate(zip(child.tolist(), other.tolist(), strict=True)):
        strong, on = others.strong, of.on
        rows = slice(strong.indptr[p], strong.indptr[p + 1])
        both = np.isin(strong.indices[rows], on.indices[on.indptr[c] : on.indptr[c + 1]])
        n_images = others.n_strong.indptr[p + 1] - others.n_strong.indptr[p]
        found[i] = strong.data[rows][both].sum() / max(1, n_images)
    return found


def _named(
    pairs: _Pairs, which: npt.NDArray[np.bool_], children: Ints, often: npt.NDArray[np.bool_], decoder: Peaks | None
) -> Found:
    """Returns the closest of each child, None where it is not strong on enough images."""
    child, other = pairs.child[which], pairs.other[which]
    closeness = pairs.share[which] * (1 + _cosine(decoder, child, other)) / 2
    order = np.lexsort((other, -closeness, child))
    found: Found = []
    for c, enough in zip(children.tolist(), often.tolist(), strict=True):
        mine = order[np.searchsorted(child[order], c) : np.searchsorted(child[order], c, side="right")]
        found.append(tuple(other[mine[:MOST]].tolist()) if enough else None)
    return found


def _cosine(decoder: Peaks | None, one: Ints, other: Ints) -> Floats:
    """Returns [pairs], -1 to 1; 0 where a row is all zeros or there is no decoder."""
    if decoder is None:
        return np.zeros(len(one))
    a, b = decoder[one].astype(np.float64), decoder[other].astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / np.where(lengths > 0, lengths, 1)


def _info(
    parents: Found, duplicates: Found, pairs: list[tuple[Floats, Floats]], by_chance: int | None
) -> HierarchyInfo:
    """Counts latents and pairs; `pairs` holds share and elsewhere of each pair of a child and a parent."""
    n_pairs = sum(len(share) for share, _ in pairs)
    share, elsewhere = (np.concatenate([np.zeros(0), *(p[i] for p in pairs)]) for i in (0, 1))
    return HierarchyInfo(
        n_with_parents=sum(bool(p) for p in parents),
        n_with_duplicates=sum(bool(p) for p in duplicates),
        n_too_rare=sum(p is None for p in parents),
        n_pairs=n_pairs,
        n_pairs_shuffled=by_chance,
        share=float(share.mean()) if n_pairs else None,
        elsewhere=float(elsewhere.mean()) if n_pairs else None,
    )
