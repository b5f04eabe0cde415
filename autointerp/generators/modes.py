"""Failure features of one meaning as one failure mode, each with a category of the domain."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from autointerp.explanation.meanings import linked
from autointerp.generators.records import Mode, Overall, PackFeature
from autointerp.generators.selection import Evidence
from autointerp.prompts import Prompt
from autointerp.scoring.embedder import Vectors
from autointerp.statistics.clusters import best_threshold
from autointerp.statistics.rates import Bools

OTHER = "other"
LIKE = 0.2
"""The cosine to a category's description below which an explanation is of no category but `other`."""
_CATEGORY = re.compile(r"^- ([a-z][a-z0-9-]*): (.+)$", re.MULTILINE)


def categories_of(domain: Prompt) -> dict[str, str]:
    """Reads a domain template's checklist: each category and what it is about."""
    return dict(_CATEGORY.findall(domain.source))


def closest_categories(texts: Vectors, categories: Sequence[str], described: Vectors) -> list[str]:
    """Finds the category whose description is most like each text.

    Args:
        texts: unit vectors, [n, d].
        categories: their names.
        described: unit vectors of their descriptions, [categories, d].
    """
    cosine = texts.astype(np.float64) @ described.astype(np.float64).T
    return [categories[int(np.argmax(row))] if row.max() >= LIKE else OTHER for row in cosine]


def merged(features: Sequence[PackFeature], vectors: Vectors, same: float) -> list[list[PackFeature]]:
    """Puts features of one category together whose explanations mean the same.

    Args:
        features: at least one.
        vectors: unit vectors of their explanations, [n, d].
        same: the cosine from which two mean the same.
    """
    cosine = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    kinds = np.array([f.category for f in features])
    alike = (cosine >= same) & (kinds[:, None] == kinds[None])
    np.fill_diagonal(alike, val=True)
    groups: dict[int, list[PackFeature]] = {}
    for feature, label in zip(features, linked(alike.astype(np.float64)), strict=True):
        groups.setdefault(label, []).append(feature)
    return list(groups.values())


def modes_of(groups: Sequence[Sequence[PackFeature]], choosing: Evidence, measuring: Evidence) -> tuple[Mode, ...]:
    """Makes the modes, those first that are on most often on images with the attribute.

    Any of several features would fire on most images together. So of a mode's features those are taken, the best first,
    with which it tells images with the attribute better (Youden's J), and then all their thresholds are raised by one
    factor as far as that helps.

    Args:
        groups: the features of each.
        choosing: held-out images by which that is chosen.
        measuring: the other held-out images, of which figures are stated.
    """
    taken: set[str] = set()
    made: list[Mode] = []
    for group in groups:
        own = _useful(group, choosing)
        level = best_threshold(strength(own, choosing), choosing.attribute, 1.0)
        first = max(own, key=lambda f: (f.with_attribute.value, -f.feature))
        having, others = measuring.rates(strength(own, measuring) > level)
        made.append(
            Mode(
                id=_slug(first.explanation, taken),
                name=first.explanation,
                category=first.category,
                features=tuple(f.feature for f in own),
                others=tuple(f.feature for f in group if f not in own),
                level=level,
                with_attribute=having,
                without_attribute=others,
            )
        )
    return tuple(sorted(made, key=lambda m: (-m.with_attribute.value, m.id)))


def _useful(group: Sequence[PackFeature], choosing: Evidence) -> list[PackFeature]:
    """The features with which a mode tells the attribute best, found one by one."""
    ordered = sorted(group, key=lambda f: (-_youden(strength([f], choosing) > 1, choosing), f.feature))
    own = ordered[:1]
    for feature in ordered[1:]:
        more = [*own, feature]
        if _youden(strength(more, choosing) > 1, choosing) > _youden(strength(own, choosing) > 1, choosing):
            own = more
    return own


def _youden(on: Bools, images: Evidence) -> float:
    return float(on[images.attribute].mean() - on[~images.attribute].mean())


def strength(features: Sequence[PackFeature], images: Evidence) -> npt.NDArray[np.float32]:
    """Returns how many times its threshold the strongest of some features reaches on each image, [n]."""
    ratios = [images.column(f.feature) / np.float32(f.threshold) for f in features]
    return np.max(ratios, axis=0)


def fired(modes: Sequence[Mode], features: Mapping[int, PackFeature], images: Evidence) -> Bools:
    """Says on which images any of some modes is on, [n]."""
    return np.any([strength([features[f] for f in m.features], images) > m.level for m in modes], axis=0)


def overall_of(modes: Sequence[Mode], features: Sequence[PackFeature], measuring: Evidence) -> Overall:
    """States how often any of some modes is on."""
    having, others = measuring.rates(fired(modes, {f.feature: f for f in features}, measuring))
    return Overall(with_attribute=having, without_attribute=others)


def by_category(modes: Sequence[Mode], features: Sequence[PackFeature], measuring: Evidence) -> Mapping[str, Overall]:
    """States how often any mode of each category is on."""
    names = sorted({m.category for m in modes})
    return {name: overall_of([m for m in modes if m.category == name], features, measuring) for name in names}


def _slug(text: str, taken: set[str]) -> str:
    """A short plain name that no other mode has."""
    words = re.findall(r"[a-z0-9]+", text.lower())[:6] or ["mode"]
    base = "-".join(words)[:48].strip("-")
    name = next(n for n in (base, *(f"{base}-{i}" for i in range(2, 10_000))) if n not in taken)
    taken.add(name)
    return name
