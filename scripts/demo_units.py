"""Which units of the layer the demo dump shows: a fixed rule that knows nothing of how well anything explains them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from demo_population import GENERATORS, DemoImage

Floats = npt.NDArray[np.float32]

DENSITY = (0.008, 0.08)
"""Shares of the population; at least 20 images fire every unit, so that it can be both explained and scored."""
MIN_GROUPS = 16
"""Different near-duplicate groups among the images that fire a unit; among its 24 strongest at least half so many."""
N_OBJECT = 24
N_GENERATED = 3
N_VISUAL = 5
MANY_GENERATED = 0.3
"""Share of generated pictures from which a unit counts as one of theirs; else they would take most places."""
MAX_OVERLAP = 0.2
"""Shared firing images over all firing images (Jaccard) of two chosen units."""
MAX_COSINE = 0.6
"""Between the mean vectors of the images that fire two chosen units: else a third of them would be about flags."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A unit in the density range, with what the rule goes by."""

    unit: int
    fires: npt.NDArray[np.bool_]
    centre: Floats
    """Weighted mean vector of the images that fire it, unit length."""
    likeness: float
    """Mean cosine of the pictures that fire it, in the transformer's centred last-layer space, weighted by activation;
    near-duplicates weigh as one."""
    names: float
    """The same over the sentence vectors of the pictures' names: high where they show one kind of thing."""
    colour: float
    """How far its two most shifted colour statistics are from those of all images, in standard deviations."""
    generated: float
    """Share of generated pictures among those that fire it."""


def coherence(vectors: Floats, weight: Floats) -> float:
    """Mean cosine over pairs of different rows, weighted by the product of their weights; rows of unit length."""
    total = weight[:, None] * vectors
    summed = float((total.sum(axis=0) ** 2).sum())
    own, whole = float((weight**2).sum()), float(weight.sum() ** 2)
    return (summed - own) / (whole - own)


def unit_rows(vectors: Floats) -> Floats:
    """Centred and scaled to unit length."""
    centred = vectors - vectors.mean(axis=0)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)


def candidates(
    images: Sequence[DemoImage], peak: Floats, threshold: float, pooled: Floats, names: Floats
) -> list[Candidate]:
    """All units that fire often enough, rarely enough, and on enough different pictures."""
    space, words = unit_rows(pooled), unit_rows(names)
    colours = colour_statistics(images)
    generated = np.array([image.source in GENERATORS for image in images])
    scaled = (colours - colours.mean(axis=0)) / np.maximum(colours.std(axis=0), 1e-6)
    found: list[Candidate] = []
    for unit in range(peak.shape[1]):
        fires = peak[:, unit] > threshold
        if not DENSITY[0] <= fires.mean() <= DENSITY[1]:
            continue
        members = np.flatnonzero(fires)
        sizes = Counter(images[i].group for i in members)
        strongest = np.argsort(-peak[:, unit], kind="stable")[:24]
        if len(sizes) < MIN_GROUPS or len({images[i].group for i in strongest}) < MIN_GROUPS // 2:
            continue
        # Squared excess: what fires it strongly says more of a unit than what barely does.
        weight = (peak[members, unit] - threshold) ** 2 / np.array(
            [sizes[images[i].group] for i in members], dtype=np.float32
        )
        shift = np.abs(np.average(scaled[members], axis=0, weights=weight))
        found.append(
            Candidate(
                unit,
                fires,
                _direction(space[members], weight),
                coherence(space[members], weight),
                coherence(words[members], weight),
                float(np.sort(shift)[-2:].mean()),
                float(generated[members].mean()),
            )
        )
    return found


class Choice(NamedTuple):
    """The chosen units by what they were chosen for."""

    objects: list[Candidate]
    generated: list[Candidate]
    visual: list[Candidate]


def choose(found: Sequence[Candidate]) -> Choice:
    """Object-like units, some that fire on generated pictures, and visual ones.

    The first two are ranked by likeness x names; visual ones by colour, among those whose names agree no more than for
    the middle unit. Each list is walked from its best; a unit that shares too many images with one already chosen is
    passed over.
    """
    by_content = sorted(found, key=lambda c: -_product(c.likeness, c.names))
    objects = _distinct([c for c in by_content if c.generated < MANY_GENERATED], [], N_OBJECT)
    generated = _distinct([c for c in by_content if c.generated >= MANY_GENERATED], objects, N_GENERATED)
    drawn = [c for c in found if c.generated < MANY_GENERATED]
    middle = float(np.median([c.names for c in drawn]))
    by_colour = sorted((c for c in drawn if c.names <= middle), key=lambda c: -c.colour)
    return Choice(objects, generated, _distinct(by_colour, [*objects, *generated], N_VISUAL))


def _product(a: float, b: float) -> float:
    return max(a, 0.0) * max(b, 0.0)


def _distinct(ranked: Sequence[Candidate], taken: Sequence[Candidate], count: int) -> list[Candidate]:
    chosen: list[Candidate] = []
    for one in ranked:
        if len(chosen) == count:
            break
        others = (*taken, *chosen)
        if all(_overlap(one, o) <= MAX_OVERLAP and float(one.centre @ o.centre) <= MAX_COSINE for o in others):
            chosen.append(one)
    return chosen


def _direction(vectors: Floats, weight: Floats) -> Floats:
    mean = (weight[:, None] * vectors).sum(axis=0)
    return mean / np.linalg.norm(mean)


def _overlap(a: Candidate, b: Candidate) -> float:
    return float((a.fires & b.fires).sum() / (a.fires | b.fires).sum())


def colour_statistics(images: Sequence[DemoImage]) -> Floats:
    """[images, 8]: mean, spread and share of white of simple channels."""
    rows: list[list[float]] = []
    for image in images:
        rgb = np.asarray(image.decoded().resize((48, 48)), dtype=np.float32) / 255
        grey, spread = rgb.mean(axis=2), np.ptp(rgb, axis=2)
        edge = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
        fine = np.median(np.abs(np.diff(grey, axis=1)))
        rows.append(
            [*rgb.mean(axis=(0, 1)), grey.std(), spread.mean(), float((grey > 0.95).mean()), float(edge), float(fine)]
        )
    return np.array(rows, dtype=np.float32)
