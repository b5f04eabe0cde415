"""What a dump holds, in numbers."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from autointerp.arrays import among, ints
from autointerp.dump.format import Population
from autointerp.dump.reader import Dump
from autointerp.errors import DumpError
from autointerp.record import Record
from autointerp.schema import SILENT_STRATA, STRATA

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
DENSITY_EDGES = tuple(float(edge) for edge in np.arange(-8, 0.5, 0.5))
"""log10 of density; the first bin also takes what lies below it."""
FEW_ACTIVE = 20
_TAKEN = {"name", "model", "hookpoint", "created", "created_by", "n_latents", "n_images", "population"}
"""Keys of dump.json that stand in a summary as they are."""

Counts = npt.NDArray[np.int64]


class WidthCount(Record):
    """Features whose smallest nested prefix is this one."""

    width: int
    n_features: int


class StratumCount(Record):
    """Exemplars of one stratum, and how many of them a feature has."""

    stratum: str
    n_exemplars: int
    minimum: int
    median: float
    maximum: int


class DumpSummary(Record):
    """Describes a dump in numbers."""

    path: str
    name: str
    digest: str
    model: str
    hookpoint: str
    created: str
    created_by: str
    n_latents: int
    n_features: int
    """Rows of features.parquet."""
    n_dead: int
    """Features that fire on no image."""
    widths: tuple[WidthCount, ...]
    density_quantiles: tuple[tuple[float, float], ...]
    """(quantile, density) over all features, dead ones with density 0; density is n_active / n_images, 0 to 1. Empty
    where the population is not known."""
    density_histogram: tuple[int, ...]
    """Features that fire at all, counted between neighbouring `density_edges`; empty likewise."""
    density_edges: tuple[float, ...]
    """log10 of density, one more than the counts."""
    n_images: int
    """Size of the population that was run; where `population` is unknown, of the images that the dump speaks of."""
    population: Population
    """Whether the counts speak of all images that were run."""
    n_images_stored: int
    """Rows of images.parquet."""
    n_images_as_bytes: int
    """Those whose file the dump holds; the others are paths."""
    n_images_grouped: int
    n_images_labelled: int
    attribute: str | None
    """Name of the boolean image label."""
    n_images_with_attribute: int
    """Images on which it is true."""
    n_exemplars: int
    n_exemplars_with_box: int
    n_exemplars_with_heat: int
    n_silent_known: int
    """Silent exemplars of which it is known what the feature reached on them."""
    patch_grid: tuple[int, int] | None
    strata: tuple[StratumCount, ...]
    """Only strata that occur; a feature without any counts as 0."""
    notes: tuple[str, ...] = ()
    """What the dump does not say, one sentence each."""
    odd: tuple[str, ...]
    """What a user may not expect, one sentence each."""


def summarise(dump: Dump) -> DumpSummary:
    """Counts what is in a dump, a row group at a time.

    Raises:
        DumpError: a file is damaged, or a stratum is not one of the format's.
    """
    info, images = dump.info, dump.images_table()
    table = dump.feature_parts.read_all(["feature", "n_active", "width"])
    n_active, width = ints(table["n_active"]), ints(table["width"])
    known = np.array([info.density_of(n) is not None for n in n_active.tolist()], np.bool_)
    density = n_active[known] / max(info.n_images, 1)
    counts, parts = _counts(dump, np.unique(ints(table["feature"]))), dump.exemplar_parts
    n_silent_known = _silent_known(dump)
    # Heat maps are most of a dump, so they are counted without being read where that can be.
    no_box, no_heat = (sum(parts.n_null(at, name) for at in range(len(parts.index.rows))) for name in ("x0", "heat"))
    return DumpSummary(
        path=str(dump.path),
        digest=dump.digest,
        **info.model_dump(include=_TAKEN),
        n_features=dump.n_features,
        n_dead=int((n_active == 0).sum()),
        widths=tuple(WidthCount(width=w, n_features=int((width == w).sum())) for w in info.widths),
        density_quantiles=tuple((q, float(np.quantile(density, q))) for q in QUANTILES) if len(density) else (),
        density_histogram=_density_histogram(density[density > 0]) if len(density) else (),
        density_edges=DENSITY_EDGES,
        n_images_stored=len(images),
        n_images_as_bytes=images["path"].null_count,
        n_images_grouped=len(images) - images["group"].null_count,
        n_images_labelled=len(images) - images["label"].null_count,
        attribute=info.attribute.name if info.attribute else None,
        n_images_with_attribute=int((ints(images["attribute"].cast(pa.int8())) == 1).sum()),
        n_exemplars=parts.n_rows,
        n_exemplars_with_box=parts.n_rows - no_box,
        n_exemplars_with_heat=parts.n_rows - no_heat,
        n_silent_known=n_silent_known,
        patch_grid=info.patch_grid,
        strata=tuple(_stratum(name, own) for name, own in zip(STRATA, counts.T, strict=True) if own.any()),
        notes=dump.info.notes,
        odd=tuple(_odd(dump, counts, int((n_active == 0).sum()), n_silent_known)),
    )


def _density_histogram(density: npt.NDArray[np.float64]) -> tuple[int, ...]:
    inside = np.clip(np.log10(density), DENSITY_EDGES[0], DENSITY_EDGES[-1])
    return tuple(np.histogram(inside, DENSITY_EDGES)[0].tolist())


def _counts(dump: Dump, features: Counts) -> Counts:
    """Exemplars by feature and stratum, shape [features, strata]; `features` ascends."""
    parts, names = dump.exemplar_parts, pa.array(STRATA)
    counts = np.zeros((len(features), len(STRATA)), np.int64)
    for at in range(len(parts.index.rows)):
        table = parts.read(at, ["feature", "stratum"])
        stratum = ints(pc.call_function("index_in", [table["stratum"]], pc.SetLookupOptions(names)))
        if (stratum < 0).any():
            row = int(np.argmax(stratum < 0))
            raise DumpError(f"{parts.where(at, row)}: stratum is {table['stratum'][row].as_py()!r}; see validate")
        known = among(features, ints(table["feature"]))
        np.add.at(counts, (np.searchsorted(features, ints(table["feature"])[known]), stratum[known]), 1)
    return counts


def _silent_known(dump: Dump) -> int:
    """Silent exemplars of which it is known what the feature reached on them, as `with_silent_activations` has it."""
    parts, out = dump.exemplar_parts, 0
    for at in range(len(parts.index.rows)):
        table = parts.read(at, ["feature", "stratum", "activation", "silent_activation"])
        table = table.filter(pa.array(np.isin(np.asarray(table["stratum"]), SILENT_STRATA)))
        feature, activation = ints(table["feature"]), np.asarray(table["activation"], np.float64)
        stated = ~np.isnan(np.asarray(table["silent_activation"].fill_null(np.nan), np.float64))
        # Of a feature that states none, the activations count where one of them is not 0.
        silently = np.isin(feature, feature[activation != 0]) & ~np.isin(feature, feature[stated])
        out += int(np.count_nonzero(stated | silently))
    return out


def _stratum(name: str, counts: Counts) -> StratumCount:
    n, low, middle, high = int(counts.sum()), int(counts.min()), float(np.median(counts)), int(counts.max())
    return StratumCount(stratum=name, n_exemplars=n, minimum=low, median=middle, maximum=high)


def _odd(dump: Dump, counts: Counts, n_dead: int, n_silent_known: int) -> Iterator[str]:
    silent = counts[:, [STRATA.index(name) for name in SILENT_STRATA]].sum(axis=1)
    active = counts.sum(axis=1) - silent
    some = active + silent > 0
    said = (
        ("latents without a row in features.parquet", dump.info.n_latents - dump.n_features),
        ("features that fire on no image", n_dead),
        ("features without exemplars", (~some).sum()),
        ("features with exemplars but no silent ones, so that they cannot be scored", (some & (silent == 0)).sum()),
        (
            "silent exemplars that do not say what the feature reached on them, so none is known to nearly fire it",
            silent.sum() - n_silent_known,
        ),
        (f"features with exemplars, fewer than {FEW_ACTIVE} of them active", (some & (active < FEW_ACTIVE)).sum()),
    )
    yield from (f"{text}: {count}" for text, count in said if count)
