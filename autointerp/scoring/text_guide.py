"""Draws silent images by how like they are to the images that fire a feature and to the words of its explanation.

A wrong explanation fits images that the feature is silent on. A uniform draw seldom meets them, and images that look
like the active ones are not always those that the words speak of. So the silent images of a uniform pool are ordered by
the better of two ranks, likeness to the active images and likeness to the text, and cut into classes that grow with
rank. From each class some are judged, which then stand for the whole class: two-phase sampling for stratification
(Neyman 1938; Särndal, Swensson & Wretman 1992, section 9.4). The estimate is unbiased whatever the embedder sees; a
good one narrows it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from autointerp.dump.format import NEAR
from autointerp.dump.near_copies import NearCopies
from autointerp.dump.reader import Dump
from autointerp.errors import DumpError
from autointerp.images.picture import Picture
from autointerp.job import images_of
from autointerp.lmm.outcomes import Failure
from autointerp.schema import Exemplar, Feature, ImageRow
from autointerp.scoring.embedder import Embedder, Vectors
from autointerp.scoring.judge import SETTLED
from autointerp.scoring.sampling import Pool, make_pool
from autointerp.settings import RegionSettings
from autointerp.statistics.rates import Floats, Ints
from autointerp.tiles import tile_of

FIRST = 8
"""Images of the first class, those that are most alike."""
GROWTH = 4
"""Each class reaches so many times as far as the one before."""
ALIKE = 0.25
"""Beyond this share of the silent images none is alike; they are the last class."""
AT_ONCE = 64
"""Images that are embedded together."""
N_VECTORS = 20_000
"""Vectors kept in memory."""


@dataclass
class TextGuide:
    """Embeds the images of a dump and the texts of explanations; one a run."""

    dump: Dump
    embedder: Embedder
    region: RegionSettings
    """How images are shown to the judge; the embedder sees them so as well."""
    silent_below: float = 1.0
    """The share of the threshold above which the margin begins."""
    near_copies: NearCopies | None = None
    _vectors: dict[int, Vectors | None] = field(default_factory=dict)
    """By image; None for one that cannot be embedded."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def guided(self, pool: Pool, seen: Sequence[int], texts: Sequence[str]) -> Pool | Failure:
        """The pool of a feature with its silent images in classes of likeness.

        They are those of the dump's pool where it has one in which enough are left to judge, else the feature's own
        silent rows.

        Args:
            pool: the feature's held-out images as the dump has them.
            seen: images that were seen when the explanation was made.
            texts: the explanation, or each of its parts; the likest one counts.

        Returns:
            The pool, or a failure that may pass.

        Raises:
            DumpError: the dump's pool is damaged.
            EndpointError: no request of this run can succeed.
        """
        drawn = self._drawn(pool.feature)
        found = None if drawn is None else await self._classed(*drawn, pool, seen, texts)
        if isinstance(found, Failure) or (found is not None and len(found.silent) >= pool.settings.min_silent):
            return found
        return await self._classed(*_own(pool.feature), pool, seen, texts)

    async def _classed(
        self, feature: Feature, alike: Sequence[int], pool: Pool, seen: Sequence[int], texts: Sequence[str]
    ) -> Pool | Failure:
        """The pool of a feature with these silent images, in classes by the better of two ranks."""
        images = images_of(self.dump, feature, seen, near_copies=self.near_copies)
        silent = [e.image for e in feature.negatives]
        likeness = await self._likeness([images[i] for i in silent], texts)
        if isinstance(likeness, Failure):
            return likeness
        classes = dict(zip(silent, classes_of(ranks(silent, alike), ranks_by(likeness)), strict=True))
        return make_pool(feature, seen, images, pool.settings, grid=pool.grid, n_images=pool.n_images, classes=classes)

    def _drawn(self, feature: Feature) -> tuple[Feature, Sequence[int]] | None:
        """The feature with the silent images of the dump's pool, and those most like its active ones in order."""
        pool = self.dump.pool
        row = pool.row(feature.id) if pool is not None else None
        if pool is None or row is None:
            return None
        chance, above = min(1.0, len(pool.images) / max(1, self.dump.info.n_images)), feature.active_above
        # What is not stated is below half the threshold: beyond any margin that begins there or above.
        unstated = 0.0 if self.silent_below >= NEAR else None
        reached = ((image, row.activations.get(image, unstated)) for image in pool.images.tolist())
        silent = [
            Exemplar(image, min(own or 0.0, above), "silent", chance, None, None, silent_activation=own)
            for image, own in reached
            if own is None or own <= np.float32(above)
        ]
        if odd := {e.image for e in feature.active} & {e.image for e in silent}:
            raise DumpError(
                f"{pool.parts.paths[0]}: feature {feature.id} is silent on image {min(odd)}, which exemplars.parquet "
                "says it fires on; harvest the dump again, or score without --guide text"
            )
        return replace(feature, exemplars=(*feature.active, *silent)), row.alike

    async def _likeness(self, images: Sequence[ImageRow], texts: Sequence[str]) -> Floats | Failure:
        """The cosine of each image with the text that it is most like, [images]; NaN where it cannot be embedded."""
        told = await self.embedder.texts(texts)
        if isinstance(told, Failure):
            return told
        async with self._turn:
            found = await self._embedded(images)
        if isinstance(found, Failure):
            return found
        if odd := {len(v) for v in found if v is not None} - {told.shape[1]}:
            # From a cache that another model of the same name filled.
            said = f"pictures have vectors of {min(odd)} numbers, and texts of {told.shape[1]}; name another --cache"
            return Failure("malformed", said, 1)
        nothing = np.full(told.shape[1], np.nan, np.float32)
        vectors = np.stack([nothing if v is None else v for v in found]) if found else told[:0]
        return np.max(vectors @ told.T, axis=1).astype(np.float64)

    async def _embedded(self, images: Sequence[ImageRow]) -> list[Vectors | None] | Failure:
        new = [row for row in images if row.image not in self._vectors]
        for start in range(0, len(new), AT_ONCE):
            failure = await self._embed(new[start : start + AT_ONCE])
            if failure is not None:
                return failure
        found = [self._vectors[row.image] for row in images]
        for image in list(self._vectors)[: max(0, len(self._vectors) - N_VECTORS)]:
            del self._vectors[image]
        return found

    async def _embed(self, rows: Sequence[ImageRow]) -> Failure | None:
        """Embeds images; each half of a batch that settles in a failure is tried by itself."""
        vectors = await self.embedder.pictures([self._picture(row) for row in rows])
        if not isinstance(vectors, Failure):
            self._vectors |= {row.image: vector for row, vector in zip(rows, vectors, strict=True)}
            return None
        if vectors.kind not in SETTLED:
            return vectors
        if len(rows) == 1:
            self._vectors[rows[0].image] = None
            return None
        middle = len(rows) // 2
        return await self._embed(rows[:middle]) or await self._embed(rows[middle:])

    def _picture(self, row: ImageRow) -> Picture:
        whole = Exemplar(row.image, 0.0, "silent", 1.0, None, None)
        return Picture((tile_of(whole, row, "full", None, None),), self.region.side, self.region.quality)


def _own(feature: Feature) -> tuple[Feature, Sequence[int]]:
    """The feature with its own silent rows as one stratum, and those most like its active ones in order."""
    drawn = [replace(e, stratum="silent") for e in feature.negatives]
    least = min((e.probability for e in drawn), default=1.0)
    # A look-alike was drawn with a higher chance, the more so the more alike it is.
    alike = sorted((e for e in drawn if e.probability > least), key=lambda e: (-e.probability, e.image))
    return replace(feature, exemplars=(*feature.active, *drawn)), [e.image for e in alike]


def ranks(images: Sequence[int], first: Sequence[int]) -> Floats:
    """The place of each image in an order, from 0, [images]; infinite for those that it leaves out."""
    place = {image: i for i, image in enumerate(first)}
    return np.array([place.get(image, np.inf) for image in images], float)


def ranks_by(likeness: Floats) -> Floats:
    """The place of each image by falling likeness, from 0, [images]; infinite where it is NaN."""
    out = np.full(len(likeness), np.inf)
    order = np.argsort(-likeness, kind="stable")
    known = order[: int(np.isfinite(likeness).sum())]
    out[known] = np.arange(len(known))
    return out


def classes_of(one: Floats, other: Floats) -> list[int]:
    """Cuts images into classes by the better of two ranks, [images] each, 0 for the class of those most alike.

    Of images of equal rank, those that are alike in both ways come first.
    """
    n = len(one)
    order = np.lexsort((np.maximum(one, other), np.minimum(one, other)))
    ends = class_ends(n)
    out = np.empty(n, np.int64)
    out[order] = np.searchsorted(ends, np.arange(n), side="right")
    return out.tolist()


def class_ends(n: int) -> Ints:
    """Where the classes of n images end, the last one left out: 8, 32, 128 and 512 of 2,048."""
    ends = [FIRST]
    while ends[-1] * GROWTH <= ALIKE * n:
        ends.append(ends[-1] * GROWTH)
    return np.array(ends, np.int64)
