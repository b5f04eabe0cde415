"""The evidence of features as pages ask for it; what was asked for last is kept."""

import math
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from autointerp.arrays import Ints, floats, ints
from autointerp.dump.reader import Dump
from autointerp.images.store import Store
from autointerp.runs.folder import Run
from autointerp.runs.index import NONE, holds
from autointerp.schema import Exemplar, Feature, ImageRow
from autointerp.settings import RegionSettings

KEPT_BYTES = 32 << 20
"""Evidence that is kept: a page of one feature asks for it once a picture."""
PER_ROW = 500
"""Bytes of a row besides its heat map, roughly."""


class Known(NamedTuple):
    """Holds what features.parquet says of all features; arrays of one length."""

    ids: Ints
    """Ascending."""
    n_active: Ints
    """Images on which each fires."""
    highest: npt.NDArray[np.float64]
    """The largest activation of each."""

    def at(self, feature: int) -> int:
        """Where a feature of the dump stands."""
        return int(np.searchsorted(self.ids, feature))


class Evidence:
    """Reads features and images of a dump; safe to use from several threads.

    Args:
        dump: what is viewed.
        runs: its runs; the first one says how regions are shown.
    """

    def __init__(self, dump: Dump, runs: tuple[Run, ...]) -> None:
        self._dump = dump
        self._kept: Store[int, Feature] = Store(KEPT_BYTES, _weight)
        self.region = runs[0].info.explain.settings.region if runs else RegionSettings()
        """Where a feature is taken to fire in an image."""

    @cached_property
    def stamp(self) -> str:
        """What stands in the address of every picture, so that a browser takes none for that of another dump."""
        return self._dump.digest[:12]

    @cached_property
    def known(self) -> Known:
        """What the dump says of all its features."""
        table = self._dump.feature_parts.read_all(["feature", "n_active", "max_activation"])
        highest = floats(table["max_activation"]).astype(np.float64)
        return Known(ints(table["feature"]), ints(table["n_active"]), highest)

    @cached_property
    def _families(self) -> tuple[Ints, Ints]:
        """Every pair of a parent and a child that the dump states, by parent."""
        table = self._dump.feature_parts.read_all(["feature", "parents"])
        owner = ints(pc.call_function("list_parent_indices", [table["parents"]]))
        parents, children = ints(pc.call_function("list_flatten", [table["parents"]])), ints(table["feature"])[owner]
        order = np.argsort(parents, kind="stable")
        return parents[order], children[order]

    def children(self, feature: int) -> Ints:
        """The features that name one as a parent, ascending."""
        if len(self._dump.info.widths) < 2:
            return NONE
        parents, children = self._families
        return children[np.searchsorted(parents, feature, "left") : np.searchsorted(parents, feature, "right")]

    def has_feature(self, number: int) -> bool:
        """Whether the dump has a feature."""
        return holds(self._dump.feature_ids, number)

    def feature(self, number: int) -> Feature | None:
        """The feature; None where the dump has none of that number."""
        if not self.has_feature(number):
            return None
        return self._kept.get(number, partial(self._dump.feature, number))

    def image(self, number: int) -> ImageRow | None:
        """The image; None where the dump has none of that number."""
        known = self._dump.image_table.known
        return self._dump.image(number) if known.position(number) is not None else None

    def exemplar(self, feature: Feature, image: int) -> Exemplar:
        """What a feature does on an image; a bare record where the dump does not list it with the feature."""
        found = next((e for e in feature.exemplars if e.image == image), None)
        return found or Exemplar(image, math.nan, "", 1.0, None, None)


def _weight(feature: Feature) -> int:
    return PER_ROW + sum(PER_ROW + len(e.heat or b"") for e in feature.exemplars)
