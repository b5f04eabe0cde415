"""Writes what was gathered as a feature dump."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from autointerp.dump.format import HISTOGRAM_BINS, Attribute, BackboneOrigin, DumpInfo
from autointerp.dump.pool import least_stated
from autointerp.dump.writer import DumpWriter
from autointerp.errors import ImageError, SettingsError
from autointerp.images.decode import digest_of
from autointerp.images.region import box_from_heat
from autointerp.populations.images import Population, PopulationImage
from autointerp.schema import Box, Exemplar, FeatureRow, PoolRow
from autointerp.transcoder.backbones.protocol import Frame
from autointerp.transcoder.harvest.collector import Collector
from autointerp.transcoder.harvest.encode import Peaks
from autointerp.transcoder.harvest.framing import over_the_whole
from autointerp.transcoder.harvest.parents import Hierarchy, hierarchy_of
from autointerp.transcoder.harvest.silent_sampling import Likeness, cut, draw_silent
from autointerp.transcoder.settings import HarvestSettings

Floats = npt.NDArray[np.float32]
ALIKE = 512
"""Images of the pool that are named as most alike."""
BLOCK = 256
"""Latents whose pool activations are read from disk at once."""
MASS, MARGIN = 0.9, 0.15
"""Boxes hold so much of a region's activation, and so much context on each side."""

Store = Literal["bytes", "paths"]
SilentRow = tuple[int, float, str, float]
"""Image, activation, stratum, probability."""


@dataclass(frozen=True)
class Harvest:
    """Holds the complete harvest of one coder."""

    collector: Collector
    population: Population
    settings: HarvestSettings
    grid: tuple[int, int] | None
    """Rows and columns of the heat maps."""
    frame: Frame | None = None
    """What of a picture the backbone saw; None for all of it."""
    absent: frozenset[int] = frozenset()
    """Latents of which nothing is known, so that the dump leaves them out."""


def write_dump(harvest: Harvest, info: DumpInfo, folder: Path, store: Store) -> int:
    """Writes the dump, with what is found of parents; returns how many images it holds.

    Raises:
        DumpError: the folder exists or cannot be made.
        SettingsError: an image is not the file any more that was run.
    """
    evidence, collector = Evidence(harvest), harvest.collector
    hierarchy = hierarchy_of(collector.placed(), info.widths, collector.source.decoder, seed=harvest.settings.seed)
    if len(info.widths) > 1:
        info = info.model_copy(update={"hierarchy": hierarchy.info})
    pool = set(collector.lot.images.tolist())
    used = sorted(evidence.images() | pool)
    sourced = any(image.source is not None for image in harvest.population.images)
    with DumpWriter(folder, info, pooled=True, sourced=sourced) as writer:
        groups = harvest.population.group_names
        for number in used:
            image = harvest.population.images[number]
            data, path = _stored(image, store)
            writer.add_image(
                number,
                path=path,
                data=data,
                size=(image.width, image.height),
                sha256=image.sha256,
                attribute=image.attribute,
                group=groups[number],
                label=image.label,
                pool=number in pool,
                source=image.source,
            )
        for row, exemplars, on_pool in evidence.features(info, hierarchy):
            if row.feature not in harvest.absent:
                writer.add_feature(row, exemplars, on_pool)
    return len(used)


def _stored(image: PopulationImage, store: Store) -> tuple[bytes | None, Path | None]:
    """Returns the file's bytes or its path; always bytes where no file holds this image alone."""
    try:
        if store == "paths" and image.path is not None:
            same, data, path = digest_of(image.path) == image.sha256, None, image.path.resolve()
        else:
            data, path = image.content.read(), None
            same = digest_of(data) == image.sha256
    except OSError as e:
        raise SettingsError(f"{image.path}: cannot be read any more: {e.strerror}; put it back and go on") from e
    except ImageError as e:
        raise SettingsError(f"{e}; it could be read before; put it back and go on") from e
    if not same:
        raise SettingsError(f"{image.content}: is not the file any more that was run; put it back and go on")
    return data, path


def dump_info(
    harvest: Harvest,
    *,
    name: str,
    created: str,
    created_by: str,
    model: str,
    classifier: str | None = None,
    backbone: BackboneOrigin | None = None,
) -> DumpInfo:
    """Makes the content of dump.json.

    Args:
        harvest: what was gathered.
        name: of the dump.
        created: ISO time.
        created_by: program and version.
        model: name of the backbone.
        classifier: the digest of a classifier's network that was run.
        backbone: what the images were run through, where it can be run again by that alone.
    """
    source, labelled = harvest.collector.source, has_attribute(harvest.population)
    about = f"1: has it, 0: has not; the harvest's labels name it {harvest.settings.attribute!r}"
    return DumpInfo(
        name=name,
        created=created,
        created_by=created_by,
        model=f"{model}{f' with classifier {classifier[:12]}' if classifier else ''}, {source.about}",
        hookpoint=source.hookpoint,
        n_latents=source.encoder.n_latents,
        widths=tuple(source.encoder.widths),
        n_images=len(harvest.population.images),
        active_above=harvest.collector.above,
        patch_grid=harvest.grid,
        attribute=Attribute(name=harvest.settings.attribute, description=about) if labelled else None,
        classifier=classifier,
        coder=source.origin,
        backbone=backbone,
    )


def has_attribute(population: Population) -> bool:
    """Says whether any image is labelled."""
    return any(i.attribute is not None for i in population.images)


class Evidence:
    """Rows of all latents, drawn from what was gathered; the same each time."""

    def __init__(self, harvest: Harvest) -> None:
        self._harvest = harvest
        self._collector = harvest.collector
        self._settings = harvest.settings
        self._labelled = has_attribute(harvest.population)
        self._lot = harvest.collector.lot
        self._vectors = harvest.collector.vectors.read()
        self._likeness = Likeness(self._vectors[self._lot.images].astype(np.float32))

    def images(self) -> set[int]:
        """Returns all images that some row uses."""
        found: set[int] = set()
        for latent, silent, _ in self._latents():
            found.update(image for image, *_ in self._active(latent))
            found.update(image for image, *_ in silent)
        return found

    def features(
        self, info: DumpInfo, hierarchy: Hierarchy
    ) -> Iterator[tuple[FeatureRow, list[Exemplar], PoolRow | None]]:
        """Yields each latent with its rows and with what it does on the pool, ascending."""
        for latent, silent, on_pool in self._latents(least_stated(info)):
            yield self._row(latent, info, hierarchy), self._exemplars(latent, silent), on_pool

    def _latents(self, least: float = np.inf) -> Iterator[tuple[int, list[SilentRow], PoolRow | None]]:
        """Yields each latent, its silent rows, and its activations above `least` on the pool."""
        pool = self._collector.pool.read()
        for start, stop in pairwise([*range(0, pool.shape[1], BLOCK), pool.shape[1]]):
            block = np.ascontiguousarray(pool[:, start:stop].T, np.float32)
            cosine = self._likeness.to(np.stack([self._mean(latent) for latent in range(start, stop)]))
            for latent in range(start, stop):
                here = block[latent - start], cosine[latent - start]
                yield latent, self._silent(latent, *here), self._on_pool(latent, *here, least)

    def _on_pool(self, latent: int, pool: Peaks, cosine: Peaks, least: float) -> PoolRow | None:
        """What a latent does on the pool, by activations on it and likeness, [n_pool]; None if it never fires."""
        if not self._collector.n_active[latent]:
            return None
        by_image = np.argsort(self._lot.images)
        stated = by_image[pool[by_image] > np.float32(least)]
        silent = by_image[pool[by_image] <= np.float32(self._collector.above)]
        alike = silent[np.argsort(-cosine[silent], kind="stable")[:ALIKE]]
        images = self._lot.images
        return PoolRow(
            dict(zip(images[stated].tolist(), pool[stated].tolist(), strict=True)), tuple(images[alike].tolist())
        )

    def _mean(self, latent: int) -> Peaks:
        """Returns [d]: mean vector of the latent's active rows' images; zeros where it never fires."""
        images = sorted(image for image, *_ in self._active(latent))
        return self._vectors[images].astype(np.float32).sum(axis=0) / max(1, len(images))

    def _row(self, latent: int, info: DumpInfo, hierarchy: Hierarchy) -> FeatureRow:
        gathered = self._collector
        n_active, highest = int(gathered.n_active[latent]), float(gathered.highest[latent])
        return FeatureRow(
            feature=latent,
            width=info.width_of(latent),
            n_active=n_active,
            max_activation=highest,
            n_active_attribute=int(gathered.n_active_attribute[latent]) if self._labelled else None,
            histogram=self._histogram(latent, n_active, highest) if n_active else None,
            parents=hierarchy.parents[latent],
            duplicates=hierarchy.duplicates[latent],
        )

    def _histogram(self, latent: int, n_active: int, highest: float) -> tuple[int, ...]:
        """Counts exactly where heap and reservoir hold every image that fires it, else from fine bins."""
        active, above = self._collector.active, self._collector.above
        kept = np.concatenate([active.top_activation[latent], active.rest_activation[latent]])
        kept = kept[np.isfinite(kept)]
        if len(kept) == n_active:
            counts, _ = np.histogram(kept.astype(np.float64), bins=HISTOGRAM_BINS, range=(above, highest))
        else:
            counts = self._collector.levels.coarse(latent, highest, HISTOGRAM_BINS)
        return tuple(counts.tolist())

    def _active(self, latent: int) -> list[tuple[int, float, str, float, int]]:
        """Returns the image, activation, stratum, probability and slot of each active row."""
        active = self._collector.active
        n_top, n_rest = (int((i[latent] >= 0).sum()) for i in (active.top_image, active.rest_image))
        found = [
            (int(image), float(activation), "top", 1.0, int(slot))
            for image, activation, slot in zip(
                active.top_image[latent, :n_top],
                active.top_activation[latent, :n_top],
                active.top_slot[latent, :n_top],
                strict=True,
            )
        ]
        image, activation = active.rest_image[latent, :n_rest], active.rest_activation[latent, :n_rest]
        for band in cut(
            activation,
            image,
            active.rest_key[latent, :n_rest],
            n_rest=int(self._collector.n_active[latent]) - n_top,
            n_bands=self._settings.n_bands,
            n_per_band=self._settings.n_per_band,
        ):
            for p in band.places.tolist():
                slot = int(active.rest_slot[latent, p])
                found.append((int(image[p]), float(activation[p]), band.stratum, band.probability, slot))
        return found

    def _silent(self, latent: int, pool: Peaks, cosine: Peaks) -> list[SilentRow]:
        """Draws silent rows by the activations on the pool and its likeness, [n_pool]; none if it never fires."""
        if not self._collector.n_active[latent]:
            return []
        silent = pool <= np.float32(self._collector.above)
        n_guided, seed = self._settings.n_guided, self._settings.seed
        drawn = draw_silent(self._lot, latent, silent=silent, cosine=cosine, n_guided=n_guided, seed=seed)
        return [
            (int(self._lot.images[p]), float(pool[p]), stratum, float(drawn.chance[p]))
            for stratum, places in (("silent", drawn.base), ("guided", drawn.guided))
            for p in places.tolist()
        ]

    def _exemplars(self, latent: int, silent: list[SilentRow]) -> list[Exemplar]:
        rows = []
        for image, activation, stratum, probability, slot in self._active(latent):
            heat = self._heat(latent, slot, image)
            rows.append(Exemplar(image, activation, stratum, probability, self._box(image, heat), heat))
        return rows + [Exemplar(*row, None, None, silent_activation=row[1]) for row in silent]

    def _heat(self, latent: int, slot: int, image: int) -> bytes | None:
        """Returns a heat map over the whole image, whatever of it the backbone saw."""
        if self._harvest.grid is None:
            return None
        heat, one = self._collector.active.heat[latent, slot], self._harvest.population.images[image]
        if self._harvest.frame is not None:
            heat = over_the_whole(heat, self._harvest.grid, (one.width, one.height), self._harvest.frame)
        return heat.tobytes()

    def _box(self, image: int, heat: bytes | None) -> Box | None:
        if heat is None or self._harvest.grid is None:
            return None
        one = self._harvest.population.images[image]
        return box_from_heat(heat, self._harvest.grid, (one.width, one.height), mass=MASS, margin=MARGIN)
