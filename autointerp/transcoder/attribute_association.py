"""Which latents fire on images that have an attribute: lift, Fisher's exact test, and the false discovery rate."""

from itertools import pairwise

import numpy as np

from autointerp.record import Record
from autointerp.statistics.exact import benjamini_hochberg, hypergeometric_tail
from autointerp.statistics.lift import lift_of
from autointerp.statistics.rates import Bools, Floats, Interval, Ints, wilson
from autointerp.transcoder.harvest.encode import Peaks, threshold

RELEVANT = 0.95
"""Share of carriers among the images that fire a latent from which it is relevant as published (arXiv 2511.10094)."""
N_SHUFFLES = 10
"""Times that labels are shuffled for the control."""


class AssociatedLatent(Record):
    """A latent whose firing goes with the attribute."""

    latent: int
    n_active: int
    """Images on which it fires."""
    n_active_attribute: int
    """Those of them that have the attribute."""
    lift: float
    """Share of carriers where it fires, over their share among all images."""
    lift_low: float
    lift_high: float
    """95 % interval, as `lift_of` has it."""
    p: float
    """Fisher's exact test, one-sided."""
    q: float
    """Smallest false discovery rate at which it would be named (Benjamini & Hochberg 1995)."""


class PrefixAssociation(Record):
    """How many of the latents that a prefix adds to the one before go with the attribute."""

    width: int
    """Of the prefix."""
    n_firing: int
    """Latents that fire on some image."""
    n_associated: int
    share: float
    """`n_associated` / `n_firing`; 0 where none fires."""
    low: float
    high: float
    """Wilson's 95 % interval, as if latents were independent."""
    n_relevant: int
    """Latents of whose images at least 95 % have the attribute: relevant as published, which needs few images."""


class Association(Record):
    """How many of a coder's latents go with the attribute."""

    n_images: int
    """Labelled ones; of near-duplicates with the same label, one."""
    n_attribute: int
    """Those of them that have the attribute."""
    active_above: float
    """Activation above which a latent fires on an image, found as the harvest does."""
    level: float
    """False discovery rate."""
    n_firing: int
    """Latents that fire on some image: those that are tested."""
    n_associated: int
    share: float
    """`n_associated` / `n_firing`; 0 where none fires."""
    low: float
    high: float
    """Wilson's 95 % interval, as if latents were independent."""
    shuffled: float
    """Mean share over labels shuffled among the images: what the test finds where there is nothing."""
    median_lift: float | None
    """Of the associated ones; None without any."""
    latents: tuple[AssociatedLatent, ...]
    """The associated ones, the surest first."""
    prefixes: tuple[PrefixAssociation, ...] = ()
    """In the order of the prefixes; a plain coder has one."""


def association(
    peaks: Peaks, attribute: Bools, *, density: float, level: float, seed: int, widths: tuple[int, ...] = ()
) -> Association:
    """Tests every latent that fires.

    Args:
        peaks: [n, n_latents], the maximum of each image.
        attribute: whether each image has it, shape [n].
        density: share of images that says where firing begins, as `autointerp harvest --density`.
        level: false discovery rate.
        seed: of the shuffled labels.
        widths: nested prefixes, ascending.
    """
    above = threshold(peaks, density)
    fires = peaks > np.float32(above)
    latents = np.flatnonzero(fires.any(axis=0))
    on = fires[:, latents]
    named, n_firing = _associated(latents, on, attribute, level), len(latents)
    relevant = latents[on[attribute].sum(axis=0) >= RELEVANT * on.sum(axis=0)]
    share = _share(len(named), n_firing)
    return Association(
        n_images=len(attribute),
        n_attribute=int(attribute.sum()),
        active_above=above,
        level=level,
        n_firing=n_firing,
        n_associated=len(named),
        share=share.value,
        low=share.low,
        high=share.high,
        shuffled=_shuffled(on, attribute, level, seed),
        median_lift=float(np.median([a.lift for a in named])) if named else None,
        latents=named,
        prefixes=_by_prefix(widths, latents, np.array([a.latent for a in named], np.int64), relevant),
    )


def _associated(latents: Ints, on: Bools, attribute: Bools, level: float) -> tuple[AssociatedLatent, ...]:
    """Tests latents, [n_firing], by the images on which each is on, [n, n_firing]; the surest come first."""
    found = _tested(on, attribute)
    q = benjamini_hochberg(found) if len(found) else found
    active, carriers = on.sum(axis=0), on[attribute].sum(axis=0)
    return tuple(
        _named(int(latents[i]), int(carriers[i]), int(active[i]), attribute, float(found[i]), float(q[i]))
        for i in np.lexsort((latents, found)).tolist()
        if q[i] <= level
    )


def _named(latent: int, k: int, n: int, attribute: Bools, p: float, q: float) -> AssociatedLatent:
    n_images = len(attribute)
    lift = lift_of(k, n, float(attribute.mean()), others=n_images - n, overlap=n / n_images)
    return AssociatedLatent(
        latent=latent,
        n_active=n,
        n_active_attribute=k,
        lift=lift.value,
        lift_low=lift.low,
        lift_high=lift.high,
        p=p,
        q=q,
    )


def _share(n_associated: int, n_firing: int) -> Interval:
    return wilson(n_associated, n_firing) if n_firing else Interval(0.0, 0.0, 1.0)


def _by_prefix(widths: tuple[int, ...], firing: Ints, named: Ints, relevant: Ints) -> tuple[PrefixAssociation, ...]:
    """Counts latents, each kind given by its numbers, between the widths of nested prefixes."""
    found = []
    for below, width in pairwise((0, *widths)):
        n, hits, published = (int(((one >= below) & (one < width)).sum()) for one in (firing, named, relevant))
        share = _share(hits, n)
        found.append(
            PrefixAssociation(
                width=width,
                n_firing=n,
                n_associated=hits,
                share=share.value,
                low=share.low,
                high=share.high,
                n_relevant=published,
            )
        )
    return tuple(found)


def one_of_each(groups: Ints, attribute: Bools) -> Ints:
    """Finds the first image of each group and label, ascending, since near-duplicates would count twice.

    Args:
        groups: shape [n].
        attribute: shape [n].
    """
    return np.sort(np.unique(groups * 2 + attribute, return_index=True)[1]).astype(np.int64)


def _tested(on: Bools, attribute: Bools) -> Floats:
    """Computes the p-value of each latent, [n_firing]; equal counts are tested once."""
    n, carriers = len(attribute), int(attribute.sum())
    known: dict[tuple[int, int], float] = {}
    counts = list(zip(on[attribute].sum(axis=0).tolist(), on.sum(axis=0).tolist(), strict=True))
    for k, drawn in counts:
        if (k, drawn) not in known:
            known[k, drawn] = hypergeometric_tail(k, drawn, carriers, n)
    return np.array([known[c] for c in counts], dtype=np.float64)


def _shuffled(on: Bools, attribute: Bools, level: float, seed: int) -> float:
    if not on.shape[1]:
        return 0.0
    chance = np.random.default_rng((0x54F, seed))
    shares = [
        np.mean(benjamini_hochberg(_tested(on, chance.permutation(attribute))) <= level) for _ in range(N_SHUFFLES)
    ]
    return float(np.mean(shares))
