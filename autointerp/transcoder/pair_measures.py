"""How latents respond to held-out pairs that differ in one attribute: shares, intervals, tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, log2
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.statistics.exact import benjamini_hochberg, sign_tail
from autointerp.statistics.rates import Bools, Floats, Ints
from autointerp.statistics.resampling import times_drawn
from autointerp.transcoder.estimate import Estimate
from autointerp.transcoder.pair_figures import Response

Votes = npt.NDArray[np.int8]
"""1 where a latent responds upwards to a pair, -1 downwards, 0 not at all."""

N_DRAWS = 1000
"""Bootstrap samples behind an interval."""
ROOM = 0.5
"""The part of an imagined group is drawn from Beta(ROOM, n + ROOM), as in `statistics.resampling`."""


@dataclass(frozen=True)
class PairTable:
    """What is known of pairs apart from what latents do."""

    names: tuple[str, ...]
    """Of the attributes."""
    attribute: Ints
    """Number of each pair's attribute, shape [n]."""
    groups: Ints
    """Shape [n]; pairs of one group are not independent."""
    training: Bools
    """Whether latents are chosen on it, shape [n]; a group is on one side."""

    def part(self, on: Bools) -> "PairTable":
        """Returns some of the pairs."""
        return PairTable(self.names, self.attribute[on], self.groups[on], self.training[on])

    def counts(self, *, training: bool) -> Ints:
        """Returns how many pairs each attribute has on one side."""
        return np.bincount(self.attribute[self.training == training], minlength=len(self.names))


class Measured(NamedTuple):
    """All of a response but what depends on other ones."""

    raised: Estimate
    lowered: float
    others: float | None
    selectivity: Estimate
    n_up: int
    n_down: int
    drawn: Floats
    """Selectivity in each bootstrap sample, [draws]; not a number where a sample lacks the attribute."""


class HeldOut:
    """Held-out pairs, and bootstrap samples of their groups."""

    def __init__(self, table: PairTable, seed: int) -> None:
        self.table, self.seed = table, seed
        _, self.group = np.unique(table.groups, return_inverse=True)
        self.n_groups = int(self.group.max()) + 1

    @cached_property
    def drawn(self) -> Floats:
        """Returns [draws, n]: how often each pair is in a sample of as many groups, drawn with replacement."""
        rng = np.random.default_rng((0xB007, self.seed))
        return times_drawn(self.n_groups, self.n_groups, N_DRAWS, rng)[:, self.group].astype(np.float64)

    def groups_of(self, a: int) -> Ints:
        """Returns the number of the group of each pair of one attribute, from 0 without gaps."""
        return np.unique(self.group[self.table.attribute == a], return_inverse=True)[1]

    def measure(self, votes: Votes, members: tuple[int, ...], a: int) -> Measured:
        """Measures latents together on the pairs of one attribute and on the others."""
        signs = np.sign(votes[:, list(members)].sum(axis=1, dtype=np.int64))
        drawn = self._shares(signs, a, self.drawn)
        (raised,), (lowered,), others = self._shares(signs, a, np.ones((1, len(signs))))
        all_others = None if others is None else float(others[0])
        value = float(raised) - float(lowered) - (all_others or 0.0)
        selectivity = drawn[0] - drawn[1] - (0.0 if drawn[2] is None else drawn[2])
        of = self.groups_of(a)
        n, sums = int(of.max()) + 1, np.bincount(of, signs[self.table.attribute == a])
        return Measured(
            raised=bounded(float(raised), drawn[0], n, (0.0, 1.0), self.seed),
            lowered=float(lowered),
            others=all_others,
            selectivity=bounded(value, selectivity, n, (-1.0, 1.0), self.seed),
            n_up=int((sums > 0).sum()),
            n_down=int((sums < 0).sum()),
            drawn=selectivity,
        )

    def _shares(self, signs: Ints, a: int, weights: Floats) -> tuple[Floats, Floats, Floats | None]:
        """Computes shares raised, lowered, and of others changed, each [samples], by weights [samples, n]."""
        own, n = self.table.attribute == a, len(self.table.names)
        raised, lowered = (_share(sign[own], weights[:, own]) for sign in (signs > 0, signs < 0))
        beside = [self.table.attribute == b for b in range(n) if b != a]
        if not beside:
            return raised, lowered, None
        each = np.stack([_share(signs[on] != 0, weights[:, on]) for on in beside])
        known = np.isfinite(each)
        mean = np.where(known, each, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return raised, lowered, mean


def _share(on: Bools, weights: Floats) -> Floats:
    """Returns [samples]; not a number where a sample has none of the pairs."""
    whole = weights.sum(axis=1)
    return np.divide(weights @ on, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def bounded(value: float, drawn: Floats, n_groups: int, ends: tuple[float, float], seed: int) -> Estimate:
    """Makes an interval of bootstrap samples.

    Equal groups throughout would give one of no width, so that a group that was never seen takes a part of each sample,
    as bad as can be for the lower bound and as good as can be for the upper one (see `statistics.resampling.resample`).
    """
    part = np.random.default_rng((0x1A61, seed)).beta(ROOM, n_groups + ROOM, size=len(drawn))
    low, high = ((1 - part) * drawn + part * end for end in ends)
    bounds = float(np.nanquantile(low, 0.025)), float(np.nanquantile(high, 0.975))
    return Estimate(value=value, low=min(value, bounds[0]), high=max(value, bounds[1]))


class SignTests(NamedTuple):
    """Sign tests of latents on one attribute."""

    attribute: int
    latents: Ints
    p: Floats
    votes: Votes
    """Of the latents, [n, tested], as only those with a small p-value are needed."""


def tested(votes: Votes, held: HeldOut, a: int, level: float) -> SignTests:
    """SignTests every latent that responds in enough groups to be found: of n signs the least p-value is 2^-n.

    The number of signs says nothing of their direction, so that the tests that are left stay exact (Tarone 1990).
    """
    own, of = held.table.attribute == a, held.groups_of(a)
    sums = np.zeros((int(of.max()) + 1, votes.shape[1]), np.int32)
    np.add.at(sums, of, votes[own])
    up, down = (sums > 0).sum(axis=0), (sums < 0).sum(axis=0)
    latents = np.flatnonzero(up + down >= ceil(log2(1 / level)))
    signs = zip(up[latents].tolist(), down[latents].tolist(), strict=True)
    p = np.array([sign_tail(*one) for one in signs], np.float64)
    return SignTests(a, latents, p, votes[:, latents])


def named_latents(tests: Sequence[SignTests], held: HeldOut, level: float) -> Iterator[Response]:
    """Yields the latents that are found by themselves, the surest first."""
    p = np.concatenate([t.p for t in tests])
    q = benjamini_hochberg(p)
    places = [(t, i) for t in tests for i in range(len(t.p))]
    for at in np.lexsort((np.arange(len(p)), p)).tolist():
        if q[at] > level:
            return
        t, i = places[at]
        made = held.measure(t.votes, (i,), t.attribute)
        latents = (int(t.latents[i]),)
        response = response_of(held.table.names[t.attribute], latents, made, float(q[at]), level)
        if response.found:
            yield response


def response_of(attribute: str, latents: tuple[int, ...], made: Measured, q: float, level: float) -> Response:
    """Puts together a response and what its q-value, among all that were tested, says."""
    return Response(
        attribute=attribute,
        latents=latents,
        raised=made.raised,
        lowered=made.lowered,
        others=made.others,
        selectivity=made.selectivity,
        n_up=made.n_up,
        n_down=made.n_down,
        p=sign_tail(made.n_up, made.n_down),
        q=q,
        found=q <= level and made.selectivity.low > 0,
    )
