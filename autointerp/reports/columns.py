"""One figure a feature, as a few bytes each, however many features there are."""

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Column:
    """One figure a feature."""

    features: NDArray[np.int64]
    """Distinct, ascending."""
    values: NDArray[np.float64]
    """NaN where there is no verdict."""

    @property
    def known(self) -> NDArray[np.float64]:
        """The figures without the missing ones."""
        return self.values[np.isfinite(self.values)]


@dataclass(slots=True)
class Growing:
    """A column while it is read; a later figure for a feature replaces the earlier."""

    features: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, feature: int, value: float) -> None:
        """One more figure; NaN for none."""
        self.features.append(feature)
        self.values.append(value)

    def column(self) -> Column:
        """What was read, the last figure of each feature."""
        features = np.frombuffer(self.features, dtype=np.int64) if self.features else np.empty(0, np.int64)
        values = np.frombuffer(self.values, dtype=np.float64) if self.values else np.empty(0)
        distinct, first = np.unique(features[::-1], return_index=True)
        return Column(distinct, values[::-1][first])
