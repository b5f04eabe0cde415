"""Which features of a run are failure features, where they fire, and which features serve as negative controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from autointerp.generators.records import MOST_TEXT, Estimated, PackControl, PackFeature, Rate, Sifted
from autointerp.statistics.clusters import Sample, best_threshold, difference_of, share_of
from autointerp.statistics.exact import benjamini_hochberg
from autointerp.statistics.lift import lift_of
from autointerp.statistics.rates import Bools, Ints

PROMISING = 0.1
"""One-sided p-value in the choosing half from which a feature is not tested in the other half."""
FEWEST = 5
"""Images of the choosing half with the attribute that fire a feature, at least."""
LEAST = 1e-6
"""Thresholds are above 0, since strengths are in units of them."""
UNASSOCIATED = 0.2
"""Two-sided p-value above which a feature may be a negative control."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Labelled held-out images, and how strongly some features fire on them."""

    latents: Ints
    """Of the columns, [columns]."""
    peaks: npt.NDArray[np.float32]
    """Maximum over each image, raw units, [n, columns]."""
    attribute: Bools
    """[n]."""
    clusters: Ints
    """What was made from one prompt or is a near-duplicate, [n]."""
    floor: float
    """Below this, `peaks` may say 0 instead."""

    def column(self, latent: int) -> npt.NDArray[np.float32]:
        """Returns what a feature does, [n]."""
        return self.peaks[:, int(np.flatnonzero(self.latents == latent)[0])]

    def part(self, rows: Bools) -> "Evidence":
        """Returns the same of some images."""
        kept = {"peaks": self.peaks[rows], "attribute": self.attribute[rows], "clusters": self.clusters[rows]}
        return replace(self, **kept)

    def rates(self, on: Bools) -> tuple[Rate, Rate]:
        """Returns the shares of the images with and without the attribute that are `on`, [n]."""
        has = self.attribute
        return tuple(Rate.of(share_of(on[side], self.clusters[side])) for side in (has, ~has))  # pyright: ignore[reportReturnType]

    def compared(self, on: Bools) -> tuple[float, float]:
        """Returns how much more often images with the attribute are `on`, and the two-sided p-value."""
        has = self.attribute
        others, having = (Sample(on[side], self.clusters[side]) for side in (~has, has))
        found = difference_of(others, having)
        return found.value, found.p


@dataclass(frozen=True, slots=True)
class Candidate:
    """An explained feature whose explanation beats its controls."""

    feature: int
    text: str
    category: str
    detection: Estimated
    controls: Mapping[str, float]


def halves(clusters: Ints, seed: int) -> Bools:
    """Draws which images choose, [n]; the others measure, and no cluster is on both sides."""
    names, which = np.unique(clusters, return_inverse=True)
    order = np.random.default_rng((0x6E7A, seed)).permutation(len(names))
    return (order < (len(names) + 1) // 2)[which]


def failure_features(
    candidates: Sequence[Candidate], evidence: Evidence, *, active_above: float, level: float, seed: int
) -> tuple[tuple[PackFeature, ...], tuple[int, int]]:
    """Chooses the features that go with the attribute on images that had no part in choosing their thresholds.

    In one half of the images each feature gets the threshold that tells the attribute best, at least that of the dump,
    and those that do not look promising there are dropped. In the other half the rest are tested, with the false
    discovery rate controlled over them (Benjamini & Hochberg 1995).

    Args:
        candidates: among which is chosen.
        evidence: with a column for each.
        active_above: the dump's threshold.
        level: the false discovery rate.
        seed: of the halves.

    Returns:
        The features, in the order of the candidates; how many were tested and found.
    """
    first = halves(evidence.clusters, seed)
    choosing, measuring = evidence.part(first), evidence.part(~first)
    above: list[tuple[Candidate, float]] = []
    for one in candidates:
        threshold = best_threshold(choosing.column(one.feature), choosing.attribute, max(active_above, LEAST))
        on = choosing.column(one.feature) > threshold
        more, p = choosing.compared(on)
        if more > 0 and p / 2 < PROMISING and int((on & choosing.attribute).sum()) >= FEWEST:
            above.append((one, threshold))
    tested = [measuring.compared(measuring.column(c.feature) > t) for c, t in above]
    one_sided = np.array([p / 2 if more > 0 else 1 - p / 2 for more, p in tested])
    q = benjamini_hochberg(one_sided) if len(tested) else one_sided
    kept = [
        _described(c, t, evidence, measuring, float(own)) for (c, t), own in zip(above, q, strict=True) if own <= level
    ]
    return tuple(kept), (len(above), len(kept))


def _described(one: Candidate, threshold: float, evidence: Evidence, measuring: Evidence, q: float) -> PackFeature:
    own = evidence.column(one.feature)
    fired = own[(own > threshold) & evidence.attribute]
    on = measuring.column(one.feature) > threshold
    having, others = measuring.rates(on)
    return PackFeature(
        feature=one.feature,
        threshold=threshold,
        typical=float(np.median(fired)),
        explanation=one.text[:MOST_TEXT],
        category=one.category,
        detection=one.detection,
        controls=dict(one.controls),
        with_attribute=having,
        without_attribute=others,
        lift=_lift(measuring, on),
        q=q,
    )


def _lift(measuring: Evidence, on: Bools) -> Estimated:
    """The lift with its interval; images that fire it count as their effective number."""
    share, n = share_of(measuring.attribute[on], measuring.clusters[on]), len(on)
    fired, less = int(on.sum()), share.n_effective / int(on.sum())
    base = float(measuring.attribute.mean())
    found = lift_of(share.value * fired * less, fired * less, base, others=(n - fired) * less, overlap=fired / n)
    return Estimated(value=found.value, low=found.low, high=found.high)


def negative_controls(
    evidence: Evidence, features: Sequence[PackFeature], *, n: int, seed: int
) -> tuple[PackControl, ...]:
    """Chooses features that have nothing to do with the attribute, with thresholds at which they fire as often.

    Each is given the rate of a failure feature drawn at random; those that cannot reach it, or that fire more or less
    often on images with the attribute, are left out.

    Args:
        evidence: with columns of further features, which alone are chosen.
        features: the failure features.
        n: how many at most.
        seed: of the draw.
    """
    rng = np.random.default_rng((0xC0274, seed))
    chosen = {f.feature: float((evidence.column(f.feature) > f.threshold).mean()) for f in features}
    rates = np.array(list(chosen.values()))
    out: list[PackControl] = []
    for column in rng.permutation(len(evidence.latents)).tolist():
        if len(out) == n:
            break
        rate = float(rng.choice(rates))
        own = evidence.peaks[:, column]
        threshold = float(np.quantile(own, 1 - rate, method="higher"))
        on = own > threshold
        if int(evidence.latents[column]) in chosen or threshold <= max(LEAST, evidence.floor) or not on.any():
            continue
        if evidence.compared(on)[1] > UNASSOCIATED:
            out.append(PackControl(feature=int(evidence.latents[column]), threshold=threshold, value=float(on.mean())))
    return tuple(out)


def sifted(explained: int, detected: int, counts: tuple[int, int]) -> Sifted:
    """Makes the record of how many features were left."""
    return Sifted(explained=explained, detected=detected, tested=counts[0], associated=counts[1])
