"""The pool of a dump: images drawn uniformly from the population, and what each feature does on them."""

from collections.abc import Iterator
from functools import cached_property, partial

import numpy as np
import pyarrow as pa

from autointerp.arrays import Ints, ints, truths
from autointerp.dump.checks import nulls, stop_at
from autointerp.dump.format import NEAR, POOL, POOL_FILE, DumpInfo
from autointerp.dump.imagetable import ImageTable
from autointerp.dump.parts import N_CACHED_GROUPS, Parts
from autointerp.errors import DumpError
from autointerp.images.store import Store
from autointerp.remote.path import AnyPath
from autointerp.schema import PoolRow


class ImagePool:
    """Reads pool.parquet; safe to use from several threads.

    Args:
        folder: The dump.
        info: Content of its dump.json.
        images: Its images.

    Raises:
        DumpError: the file is not as the format says.
    """

    def __init__(self, folder: AnyPath, info: DumpInfo, images: ImageTable) -> None:
        self.parts = Parts([folder / POOL_FILE], POOL)
        self._info = info
        self._table = images.table
        self._groups: Store[int, pa.Table] = Store(N_CACHED_GROUPS, lambda _: 1)

    @cached_property
    def images(self) -> Ints:
        """Numbers of the images of the pool, ascending.

        Raises:
            DumpError: images.parquet says of no image that it is in the pool.
        """
        drawn = truths(self._table["pool"])
        if not drawn.any():
            raise DumpError(f"{self.parts.paths[0]}: images.parquet names no image of the pool; harvest the dump again")
        return ints(self._table["image"])[drawn]

    def row(self, feature: int) -> PoolRow | None:
        """What a feature does on the images of the pool; None where the file does not say.

        Raises:
            DumpError: the row is not as the format says.
        """
        for at in self.parts.holding(feature):
            table = self._checked(at)
            place = int(np.searchsorted(ints(table["feature"]), feature))
            if place < table.num_rows and table["feature"][place].as_py() == feature:
                return self._row(at, table, place)
        return None

    def rows(self) -> Iterator[tuple[int, PoolRow]]:
        """Every feature of the file with its row, ascending.

        Raises:
            DumpError: a row is not as the format says.
        """
        for at in range(len(self.parts.index.rows)):
            table = self._checked(at)
            for place in range(table.num_rows):
                yield table["feature"][place].as_py(), self._row(at, table, place)

    def _checked(self, at: int) -> pa.Table:
        return self._groups.get(at, partial(self._read, at))

    def _read(self, at: int) -> pa.Table:
        table = self.parts.read(at)
        stop_at(nulls(table, POOL), partial(self.parts.where, at))
        if np.any(np.diff(ints(table["feature"])) <= 0):
            raise DumpError(f"{self.parts.where(at, 0)}: expected each feature once, ascending")
        return table

    def _row(self, at: int, table: pa.Table, place: int) -> PoolRow:
        images, activations, alike = (table[name][place].as_py() for name in POOL.names[1:])
        where = self.parts.where(at, place)
        for name, own in (("images", images), ("alike", alike)):
            if None in own or len(set(own)) < len(own) or not np.isin(own, self.images).all():
                raise DumpError(f"{where}: {name} holds what is no image of the pool, or one twice")
        if len(images) != len(activations) or None in activations or not np.isfinite(activations).all():
            raise DumpError(
                f"{where}: activations has {len(activations)} numbers; expected a finite one for each image"
            )
        row = PoolRow(dict(zip(images, activations, strict=True)), tuple(alike))
        above = np.float32(self._info.active_above)
        if fires := [i for i in alike if np.float32(row.activations.get(i, -np.inf)) > above]:
            raise DumpError(f"{where}: alike holds image {fires[0]}, on which the feature is not silent")
        return row


def least_stated(info: DumpInfo) -> float:
    """The activation above which pool.parquet states it."""
    return info.active_above * NEAR if info.active_above > 0 else info.active_above
