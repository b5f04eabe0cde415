"""Estimates from a dump what share of all the images that it was made from carries its attribute."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from autointerp.arrays import as_arrow, floats, ints, texts, truths
from autointerp.dump.reader import Dump
from autointerp.schema import SILENT_STRATA
from autointerp.scoring.case import Population
from autointerp.statistics.rates import Bools, Floats, Ints

N_GROUPS = 16
"""The number of row groups of exemplars that are read for an estimate, evenly spread over the dump."""


@dataclass(frozen=True, slots=True)
class AttributeCounts:
    """The counts of some features, and the silent rows drawn for them, as columns."""

    n_active: Ints
    """The number of images on which each feature fires, [features]."""
    carriers: Ints
    """The number of those images that carry the attribute, [features]."""
    image: Ints
    """The image of each silent row, [rows]; several features may have drawn the same."""
    attribute: Bools
    """Whether the image of each silent row carries the attribute, [rows]."""
    probability: Floats
    """The chance that each silent row was drawn for its feature, [rows]."""


def population_of(dump: Dump) -> Population:
    """Gives the size of the population, and the share of it that carries the dump's attribute.

    The share is exact where every image of the population is stored, with its attribute; else it is estimated from
    what was drawn.

    Raises:
        DumpError: a row group that is read is damaged.
    """
    n = dump.info.n_images
    if dump.info.attribute is None or not n:
        return Population(n)
    stored = dump.images_table()["attribute"]
    if len(stored) == n and not stored.null_count:
        return Population(n, float(np.mean(truths(stored))), exact=True)
    drawn = _drawn(dump)
    rate = base_rate(drawn, n)
    return Population(n) if rate is None else Population(n, rate, known_from=known_from(drawn, n))


def base_rate(drawn: AttributeCounts, n_images: int) -> float | None:
    """Estimates the attribute's share in the population from features, each of which splits it in active and silent.

    Among the active images of a feature the carriers are counted. Among its silent ones they are estimated from the
    rows drawn with known chances, (Σ carriers/probability) / (Σ 1/probability), summed over all features before
    dividing: the combined ratio estimate, whose bias falls with the rows of all features and not of one (Hájek 1971;
    Cochran 1977, section 6.11). The plain share of the stored images would not do: they are the strongest ones of every
    feature and the look-alikes of these, which carry what the features are about far more often than the population.

    Args:
        drawn: the counts and rows of at least one feature.
        n_images: the size of the population.

    Returns:
        The share in [0, 1]; None where nothing was drawn.
    """
    weight = 1 / drawn.probability
    if not len(weight) or not len(drawn.n_active):
        return None
    among_silent = float(np.sum(weight * drawn.attribute) / np.sum(weight))
    silent = float(np.sum(n_images - drawn.n_active))
    share = (float(np.sum(drawn.carriers)) + silent * among_silent) / (n_images * len(drawn.n_active))
    return min(1.0, max(0.0, share))


def known_from(drawn: AttributeCounts, n_images: int) -> int:
    """Computes the number of images of a uniform draw that the silent rows are worth, between 1 and `n_images`.

    It is (Σw)² / Σw² with w summed over each image's rows (Kish 1965, section 11.7), and needs at least one row.
    """
    _, at = np.unique(drawn.image, return_inverse=True)
    weight = np.bincount(at, 1 / drawn.probability)
    return max(1, min(n_images, int(weight.sum() ** 2 / np.sum(weight**2))))


def _drawn(dump: Dump) -> AttributeCounts:
    parts = dump.exemplar_parts
    n = len(parts.index.rows)
    groups = np.unique(np.linspace(0, n - 1, min(n, N_GROUPS)).round().astype(np.int64)) if n else np.zeros(0, np.int64)
    tables = [parts.read(at, ["feature", "image", "stratum", "probability"]) for at in groups.tolist()]
    empty = np.zeros(0, np.int64)
    rows = [_silent_rows(dump, table) for table in tables]
    counts = [_counts(dump, np.unique(ints(table["feature"]))) for table in tables]
    # A feature that a group's end cuts in two is counted once.
    active = dict(pair for found in counts for pair in found.items())
    return AttributeCounts(
        n_active=np.array([a for a, _ in active.values()], np.int64),
        carriers=np.array([c for _, c in active.values()], np.int64),
        image=np.concatenate([i for i, _, _ in rows]) if rows else empty,
        attribute=np.concatenate([a for _, a, _ in rows]) if rows else empty.astype(bool),
        probability=np.concatenate([p for _, _, p in rows]) if rows else empty.astype(float),
    )


def _silent_rows(dump: Dump, table: pa.Table) -> tuple[Ints, Bools, Floats]:
    """Reads image, attribute and probability of the silent rows whose attribute is known."""
    silent = np.isin(texts(table["stratum"]), SILENT_STRATA)
    images = ints(table["image"])[silent]
    at, known = dump.image_table.known.find(images)
    labels = dump.images_table()["attribute"].take(as_arrow(at[known]))
    stated = truths(labels.is_valid())
    carries = truths(labels)
    return (
        images[known][stated],
        carries[stated],
        floats(table["probability"]).astype(np.float64)[silent][known][stated],
    )


def _counts(dump: Dump, features: Ints) -> dict[int, tuple[int, int]]:
    """Reads the active images and the carriers among them, of the features that state both."""
    out: dict[int, tuple[int, int]] = {}
    if not len(features):
        return out
    first, last = dump.feature_parts.holding(int(features[0])), dump.feature_parts.holding(int(features[-1]))
    for at in range(first.start, last.stop):
        table = dump.feature_parts.read(at, ["feature", "n_active", "n_active_attribute"])
        own = np.isin(ints(table["feature"]), features) & truths(table["n_active_attribute"].is_valid())
        rows = (ints(table[name])[own].tolist() for name in ("feature", "n_active", "n_active_attribute"))
        out |= {feature: (active, carriers) for feature, active, carriers in zip(*rows, strict=True)}
    return out
