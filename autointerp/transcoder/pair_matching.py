"""Which latents respond to pairs that differ in one attribute: chosen on training pairs, measured on held-out ones."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autointerp.statistics.exact import benjamini_hochberg, sign_tail
from autointerp.statistics.rates import Bools, Floats, Ints
from autointerp.transcoder.estimate import Estimate
from autointerp.transcoder.harvest.encode import Peaks
from autointerp.transcoder.pair_figures import AttributeMatch, PairFigures, PrefixMatch, Response
from autointerp.transcoder.pair_measures import (
    N_DRAWS,
    HeldOut,
    Measured,
    PairTable,
    SignTests,
    Votes,
    bounded,
    named_latents,
    response_of,
    tested,
)

BEYOND = 0.9
"""A latent responds to a pair where it changes more than in this share of the pairs of every other attribute."""
MOST = 8
"""Latents of a coalition at most."""
FOLDS = 5
"""Parts of the training pairs by which the size of a coalition is chosen."""
LEAST_GAIN = 0.02
"""Selectivity on training pairs that a latent must add to join a coalition."""
AT_ONCE = 2**23
"""Numbers of a chunk of latents, which bounds memory."""


class Matched(NamedTuple):
    """The figures of a coder, and what differences of them are made of."""

    figures: PairFigures
    means: Floats
    """[prefixes, draws]: mean selectivity in each bootstrap sample; of one table and seed all coders have the same."""


def split_pairs(attribute: Ints, groups: Ints, seed: int) -> Bools:
    """Deals groups to training and held-out pairs, so that each attribute has half of its groups on either side.

    Args:
        attribute: number of each pair's attribute, shape [n].
        groups: shape [n].
        seed: of the order in which they are dealt.

    Returns:
        Which pairs are for training, shape [n].
    """
    return dealt(attribute, groups, 2, seed) == 0


def dealt(attribute: Ints, groups: Ints, n_parts: int, seed: int) -> Ints:
    """Deals groups to parts, each to the one that has fewest groups with pairs of the same attributes.

    Args:
        attribute: number of each pair's attribute, shape [n].
        groups: shape [n].
        n_parts: how many parts.
        seed: of the order in which they are dealt.

    Returns:
        The part of each pair, shape [n].
    """
    own = {g: np.unique(attribute[groups == g]) for g in np.unique(groups).tolist()}
    n_groups = np.bincount(np.concatenate(list(own.values())))
    order = np.random.default_rng((0x9A17, seed)).permutation(sorted(own)).tolist()
    held, part = np.zeros((n_parts, len(n_groups))), np.empty(len(groups), np.int64)
    # Groups with rare attributes come first, and a rare attribute weighs more: it can least do without a part.
    for group in sorted(order, key=lambda g: int(n_groups[own[g]].min())):
        least = int(np.argmin((held[:, own[group]] / n_groups[own[group]]).sum(axis=1)))
        held[least, own[group]] += 1
        part[groups == group] = least
    return part


def changes(peaks: Peaks, having: Ints, lacking: Ints) -> Peaks:
    """Computes by how much each pair's attribute raises each latent, [n, n_latents].

    Args:
        peaks: [n_images, n_latents], the maximum over each image's patches.
        having: image of each pair that has the attribute, shape [n].
        lacking: image that lacks it, shape [n].
    """
    return peaks[having] - peaks[lacking]


def match_pairs(change: Peaks, table: PairTable, widths: Sequence[int], *, level: float, seed: int) -> Matched:
    """Finds for each attribute the latents that respond to it alone, in each prefix.

    A latent responds to a pair where it changes by more than in 90 % of the training pairs of every other attribute.
    On the training pairs the latent of highest selectivity is chosen, and others are added to it, as many as do best
    across five folds of these pairs; a coalition responds as the sum of its members' signs says (matching pursuit over
    binary responses, after TAPAScore, arXiv 2606.24716). All figures are of held-out pairs.

    Args:
        change: [n, n_latents], as `changes` gives it.
        table: of the same pairs; each attribute has some on both sides.
        widths: nested prefixes, ascending; the last is n_latents.
        level: false discovery rate.
        seed: of the bootstrap.
    """
    learned = table.part(table.training)
    told, shown = change[table.training], change[~table.training]
    limits, held = _limits(told, learned), HeldOut(table.part(~table.training), seed)
    folds = dealt(learned.attribute, learned.groups, FOLDS, seed)
    chosen: list[list[tuple[int, ...]]] = []
    tests: list[SignTests] = []
    measured: list[dict[tuple[int, ...], Measured]] = []
    for a in range(len(table.names)):
        learns, votes = (_votes(part, limits[a]) for part in (told, shown))
        chosen.append([_pursued(learns[:, :width], learned, a, folds) for width in widths])
        sets = {part for members in chosen[a] for part in (members[:1], members) if part}
        measured.append({members: held.measure(votes, members, a) for members in sets})
        tests.append(tested(votes, held, a, level))
    named = tuple(named_latents(tests, held, level))
    prefixes = tuple(
        _prefix(width, [of[at] for of in chosen], measured, named, held, level) for at, width in enumerate(widths)
    )
    means = np.stack([_mean_drawn([of[at] for of in chosen], measured) for at in range(len(widths))])
    return Matched(PairFigures(n_tested=sum(len(t.p) for t in tests), latents=named, prefixes=prefixes), means)


def difference(one: Matched, other: Matched, table: PairTable, *, at: int = -1, seed: int) -> Estimate:
    """Computes the mean selectivity of one coder less that of another on the same pairs, with its interval.

    Args:
        one: figures of a coder.
        other: of one that was asked about the same pairs with the same seed.
        table: of the pairs.
        at: which prefix of either; the last is the whole dictionary.
        seed: of the interval.
    """
    values = [m.figures.prefixes[at].selectivity.value for m in (one, other)]
    n_groups = len(np.unique(table.groups[~table.training]))
    return bounded(values[0] - values[1], one.means[at] - other.means[at], n_groups, (-1.0, 1.0), seed)


def _limits(change: Peaks, learned: PairTable) -> Peaks:
    """Returns [n_attributes, n_latents]: changes that 90 % of the pairs of every other attribute stay within."""
    each = np.stack(
        [
            np.quantile(np.abs(change[learned.attribute == a]), BEYOND, axis=0, method="higher")
            for a in range(len(learned.names))
        ]
    )
    if len(each) == 1:
        return np.zeros_like(each)
    return np.stack([np.delete(each, a, axis=0).max(axis=0) for a in range(len(each))])


def _votes(change: Peaks, limit: Peaks) -> Votes:
    """Returns [n, n_latents]."""
    return (change > limit).astype(np.int8) - (change < -limit)


def _weights(table: PairTable, a: int) -> tuple[Peaks, Peaks]:
    """Returns what each pair counts for, [n]: own pairs in `raised` and `lowered`, other ones in `others`."""
    counts = np.bincount(table.attribute, minlength=len(table.names))
    each = 1 / counts[table.attribute]
    own = table.attribute == a
    others = each / max(1, len(table.names) - 1)
    return np.where(own, each, 0).astype(np.float32), np.where(own, 0, others).astype(np.float32)


def _pursued(votes: Votes, learned: PairTable, a: int, folds: Ints) -> tuple[int, ...]:
    """Returns the latents that are chosen for an attribute, the best one first; none where none is better than nothing.

    How many is what does best on each fold of the training pairs with latents that were chosen on the other ones.

    Args:
        votes: [n, n_latents].
        learned: the training pairs.
        a: the attribute.
        folds: number of each one's fold, [n].
    """
    gained, own = np.zeros(MOST + 1), learned.attribute == a
    usable = np.unique(folds[own]).tolist()
    if len(usable) < 2:
        gained[1] = 1.0
    for fold in usable if len(usable) > 1 else ():
        on = folds != fold
        members = _path(votes[on], *_weights(learned.part(on), a))
        grown = np.sign(np.cumsum(votes[~on][:, list(members)], axis=1, dtype=np.int64))
        ups, others = _weights(learned.part(~on), a)
        scores = [float(ups @ signs - others @ np.abs(signs)) for signs in grown.T]
        gained[1:] += [*scores, *([scores[-1] if scores else 0.0] * (MOST - len(scores)))]
    return _path(votes, *_weights(learned, a))[: int(np.argmax(gained))]


def _path(votes: Votes, own: Peaks, others: Peaks) -> tuple[int, ...]:
    """Returns latents in the order in which each adds most to the ones before."""
    members: tuple[int, ...] = ()
    best, total = 0.0, np.zeros(len(votes), np.int8)
    while len(members) < min(MOST, votes.shape[1]):
        with_each = _selectivities(total, votes, own, others)
        with_each[list(members)] = -np.inf
        latent = int(np.argmax(with_each))
        if with_each[latent] < best + LEAST_GAIN:
            break
        members, best, total = (*members, latent), float(with_each[latent]), total + votes[:, latent]
    return members


def _selectivities(total: Votes, votes: Votes, own: Peaks, others: Peaks) -> Peaks:
    """Computes the selectivity of a coalition with each latent on top, [n_latents].

    Args:
        total: sum of the coalition's votes, [n].
        votes: [n, n_latents].
        own: what each own pair counts, [n].
        others: what each other pair counts, [n].
    """
    out, size = np.empty(votes.shape[1], np.float32), max(1, AT_ONCE // len(votes))
    for start in range(0, votes.shape[1], size):
        signs = np.sign(total[:, None] + votes[:, start : start + size]).astype(np.float32)
        out[start : start + size] = own @ signs - others @ np.abs(signs)
    return out


Sets = Sequence[dict[tuple[int, ...], Measured]]
"""By attribute, what was measured of some latents together."""


def _prefix(
    width: int,
    members: Sequence[tuple[int, ...]],
    measured: Sets,
    named: Sequence[Response],
    held: HeldOut,
    level: float,
) -> PrefixMatch:
    """Puts together what a prefix has for each attribute.

    Args:
        width: of the prefix.
        members: the coalition of each attribute.
        measured: of these and of their first latents.
        named: latents of the whole dictionary that are found by themselves.
        held: the held-out pairs.
        level: false discovery rate.
    """
    names = held.table.names
    singles = _responses(names, [m[:1] for m in members], measured, level)
    together = _responses(names, members, measured, level)
    counts = [sum(r.attribute == name and r.latents[0] < width for r in named) for name in names]
    parts = zip(names, counts, singles, together, strict=True)
    value = float(np.mean([0.0 if r is None else r.selectivity.value for r in together]))
    return PrefixMatch(
        width=width,
        selectivity=bounded(value, _mean_drawn(members, measured), held.n_groups, (-1.0, 1.0), held.seed),
        n_found=sum(r is not None and r.found for r in together),
        attributes=tuple(AttributeMatch(attribute=n, n_latents=c, single=s, coalition=t) for n, c, s, t in parts),
    )


def _responses(
    names: Sequence[str], members: Sequence[tuple[int, ...]], measured: Sets, level: float
) -> list[Response | None]:
    """Corrects for the number of attributes; one without latents has a p-value of 1."""
    made = [measured[a].get(m) for a, m in enumerate(members)]
    q = benjamini_hochberg(np.array([1.0 if m is None else sign_tail(m.n_up, m.n_down) for m in made]))
    return [
        None if one is None else response_of(names[a], members[a], one, float(q[a]), level)
        for a, one in enumerate(made)
    ]


def _mean_drawn(members: Sequence[tuple[int, ...]], measured: Sets) -> Floats:
    """Returns [draws]: mean over attributes of selectivity, 0 where there is no coalition."""
    each = np.stack([measured[a][m].drawn if m else np.zeros(N_DRAWS) for a, m in enumerate(members)])
    known = np.isfinite(each)
    return np.where(known, each, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
