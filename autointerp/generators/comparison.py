"""The arithmetic of a result: rates, differences, ranks, of sets of images in which modes and controls fire or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt

from autointerp.generators.records import Estimated, Pack, Rate
from autointerp.generators.results import ANY, Compared, Pair, Ranked
from autointerp.statistics.clusters import (
    Angles,
    Difference,
    Sample,
    angles_of,
    average_of,
    difference_of,
    difference_of_shares,
    rank_shares,
    replicated,
    shift_between,
    systematic_variance,
)
from autointerp.statistics.exact import benjamini_hochberg
from autointerp.statistics.rates import Bools, Floats, Interval, Ints

LEAST = 100
"""Images with which a generator has a rank, at least."""


@dataclass(frozen=True, eq=False)
class Images:
    """A set of images, and what fires on each."""

    name: str
    reference: bool
    on: Bools
    """[n, modes]."""
    severity: npt.NDArray[np.float32]
    """Strength of each mode, in units of what is typical, [n, modes]."""
    controls: Bools
    """Which negative controls fire, [n, controls]."""
    clusters: Ints
    """[n]; the same number in two sets is the same prompt or a near-duplicate."""

    @property
    def n(self) -> int:
        """Returns the number of images."""
        return len(self.clusters)

    @cached_property
    def angles(self) -> Angles:
        """Returns the shares of the negative controls."""
        return angles_of(self.controls, self.clusters)

    def of(self, columns: Sequence[int]) -> Sample:
        """Returns which images any of some modes is on."""
        return Sample(np.any(self.on[:, list(columns)], axis=1).astype(np.bool_), self.clusters)

    def severity_of(self, mode: int) -> Estimated | None:
        """Returns the mean strength of a mode on the images on which it is on."""
        on = self.on[:, mode]
        return estimated(average_of(self.severity[on, mode].astype(np.float64), self.clusters[on]))

    @property
    def per_image(self) -> Estimated | None:
        """Returns the modes that are on, a mean image."""
        return estimated(average_of(self.on.sum(axis=1).astype(np.float64), self.clusters))


def estimated(found: Interval | None) -> Estimated | None:
    """Makes the record of an interval of what is never below 0."""
    return None if found is None else Estimated(value=found.value, low=max(0.0, found.low), high=found.high)


@dataclass(frozen=True)
class Thing:
    """Something that is compared: all modes together, one of them, or those of a category."""

    what: str
    kind: str
    columns: tuple[int, ...]


def things_of(pack: Pack) -> tuple[Thing, ...]:
    """Lists what is compared; a category of a single mode is that mode and left out."""
    names = list(dict.fromkeys(m.category for m in pack.modes))
    of_category = {c: tuple(i for i, m in enumerate(pack.modes) if m.category == c) for c in names}
    return (
        Thing(ANY, "any", tuple(range(len(pack.modes)))),
        *(Thing(m.id, "mode", (i,)) for i, m in enumerate(pack.modes)),
        *(Thing(c, "category", columns) for c, columns in of_category.items() if len(columns) > 1),
    )


def shifts_of(sets: Sequence[Images]) -> dict[tuple[str, str], float]:
    """Computes for each pair of sets the variance of what style moves their shares apart by."""
    return {(a.name, b.name): shift_between(a.angles, b.angles) for a, b in combinations(sets, 2)}


def own_shifts(sets: Sequence[Images], shifts: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Computes the variance of what style moves each set's shares by: half of that of its median pair.

    The lower of two middle pairs counts, so that a set does not pay for others that are unlike all.
    """
    own = {s.name: sorted(v for pair, v in shifts.items() if s.name in pair) for s in sets}
    return {name: found[(len(found) - 1) // 2] / 2 if found else 0.0 for name, found in own.items()}


def compared(plain: Difference, allowing: Difference) -> Compared:
    """Makes the record of a difference, with and without what style explains."""
    return Compared(value=plain.value, low=allowing.low, high=allowing.high, p=allowing.p, p_plain=plain.p)


def pairs_of(
    sets: Sequence[Images], things: Sequence[Thing], shifts: Mapping[tuple[str, str], float]
) -> tuple[Pair, ...]:
    """Compares all generators with each other in all things, with the false discovery rate controlled over all.

    Args:
        sets: the generators.
        things: what is compared.
        shifts: of each pair, as `shifts_of` gives them.
    """
    found: list[tuple[Images, Images, Thing, Difference, Difference]] = []
    for a, b in combinations(sets, 2):
        for thing in things:
            one, other = a.of(thing.columns), b.of(thing.columns)
            plain = difference_of(one, other)
            found.append((a, b, thing, plain, difference_of(one, other, shifts[a.name, b.name])))
    q = benjamini_hochberg(np.array([allowing.p for *_, allowing in found]))
    return tuple(
        Pair(
            a=a.name,
            b=b.name,
            what=thing.what,
            kind=thing.kind,  # pyright: ignore[reportArgumentType] - one of the three
            difference=compared(plain, allowing),
            q=float(own),
            n_shared=plain.n_shared,
            shift=float(np.sqrt(shifts[a.name, b.name])),
        )
        for (a, b, thing, plain, allowing), own in zip(found, q, strict=True)
    )


def against_set(own: Images, reference: Images, thing: Thing, shift: float) -> Compared:
    """Compares a set with the reference set."""
    one, other = reference.of(thing.columns), own.of(thing.columns)
    return compared(difference_of(one, other), difference_of(one, other, shift))


def against_pack(own: Images, rate: Rate, thing: Thing, shift: float) -> Compared:
    """Compares a set with what the pack says of its held-out images without the attribute."""
    one, other = rate.share, own.of(thing.columns).share
    return compared(difference_of_shares(one, other), difference_of_shares(one, other, shift))


def shift_from_pack(own: Images, pack: Pack) -> float:
    """Estimates from negative controls how far style moves a set's shares from those of the pack's images."""
    value = np.array([c.value for c in pack.controls])
    n = pack.held_out.n_choosing + pack.held_out.n_measuring
    there = np.arcsin(np.sqrt((n * value + 0.375) / (n + 0.75)))
    return systematic_variance(own.angles.angle - there, own.angles.variance + 1 / (4 * n + 2))


def any_draws(sets: Sequence[Images], shifts: Mapping[str, float], *, replicates: int, seed: int) -> Floats:
    """Draws each set's share of images with at least one mode, [replicates, sets].

    Clusters are drawn with replacement; what style may have moved is drawn on the scale of angles.
    """
    rng = np.random.default_rng((0xD4A3, seed))
    every = [s.of(range(s.on.shape[1])) for s in sets]
    angle = np.arcsin(np.sqrt(replicated(every, replicates, rng)))
    moved = angle + rng.normal(size=angle.shape) * np.sqrt([shifts[s.name] for s in sets])
    return np.sin(np.clip(moved, 0, np.pi / 2)) ** 2


def ranks_of(names: Sequence[str], draws: Floats) -> tuple[Ranked, ...]:
    """Ranks sets by draws of how often they fail, [replicates, sets]; the one with the fewest failures first."""
    if not names:
        return ()
    shares = rank_shares(draws)
    mean = shares @ np.arange(1, len(names) + 1)
    order: list[int] = np.argsort(mean, kind="stable").tolist()
    return tuple(Ranked(name=names[i], rank=float(mean[i]), shares=tuple(shares[i].tolist())) for i in order)


def images_of(
    pack: Pack,
    name: str,
    peaks: npt.NDArray[np.float32],
    controls: Bools,
    clusters: Ints,
    *,
    reference: bool = False,
) -> Images:
    """Says which modes are on in each image.

    Args:
        pack: whose features were looked at.
        name: of the set.
        peaks: of each feature of the pack, [n, features].
        controls: which controls fire, [n, controls].
        clusters: [n].
        reference: whether the set is the reference.
    """
    place = {f.feature: (i, f) for i, f in enumerate(pack.features)}
    on, severity = [], []
    for mode in pack.modes:
        own = [place[f] for f in mode.features]
        strength = np.max([peaks[:, i] / np.float32(f.threshold) for i, f in own], axis=0)
        on.append(strength > np.float32(mode.level))
        severity.append(np.max([peaks[:, i] / np.float32(f.typical) for i, f in own], axis=0))
    return Images(name, reference, np.stack(on, axis=1), np.stack(severity, axis=1), controls, clusters)
