"""Records of table.json, and how figures over seeds become estimates."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import Field

from autointerp.schema import Record
from autointerp.statistics.rates import mean_interval
from benchmarks.ips.methods import Floats


class Estimate(Record):
    """Mean over `n` seeds with its 95 % t interval."""

    value: float
    low: float
    high: float
    n: int


class Row(Record):
    """One method in one setting."""

    setting: str
    method: str
    figures: dict[str, Estimate]


class Curve(Record):
    """A line of a plot; the band is the 95 % interval, empty where the values are exact."""

    panel: str
    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class Experiment(Record):
    """All that one experiment found."""

    rows: tuple[Row, ...] = ()
    curves: tuple[Curve, ...] = ()
    facts: dict[str, float] = Field(default_factory=dict)
    """Single numbers that come without seeds."""
    seconds: float = 0.0


class Findings(Record):
    """table.json."""

    settings: dict[str, str | int | bool]
    machine: str
    experiments: dict[str, Experiment]


def estimate(values: npt.ArrayLike, bounds: tuple[float, float] = (0.0, 1.0)) -> Estimate:
    """Of one figure a seed; rounded to six places, so that the file does not differ by the last bit.

    Args:
        values: shape [n_seeds].
        bounds: smallest and largest value of the figure.
    """
    array: Floats = np.asarray(values, float)
    found = mean_interval(array, bounds)
    return Estimate(value=round(found.value, 6), low=round(found.low, 6), high=round(found.high, 6), n=len(array))


def row(
    setting: str,
    method: str,
    figures: Mapping[str, npt.ArrayLike],
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Row:
    """A row of figures over seeds; those not in `bounds` are shares, 0 to 1."""
    limits = bounds or {}
    found = {name: estimate(values, limits.get(name, (0.0, 1.0))) for name, values in figures.items()}
    return Row(setting=setting, method=method, figures=found)


def curve(panel: str, label: str, x: Sequence[float] | Floats, over_seeds: Floats) -> Curve:
    """Mean over seeds at each x, with its interval.

    Args:
        panel: where it is drawn.
        label: in the legend.
        x: shape [n].
        over_seeds: shape [n, n_seeds], in [0, 1].
    """
    points = [estimate(values) for values in over_seeds]
    return Curve(
        panel=panel,
        label=label,
        x=tuple(float(v) for v in x),
        y=tuple(p.value for p in points),
        low=tuple(p.low for p in points),
        high=tuple(p.high for p in points),
    )


def exact(panel: str, label: str, x: Floats, y: Floats) -> Curve:
    """A line without an interval, rounded to six places."""
    return Curve(panel=panel, label=label, x=_rounded(x), y=_rounded(y))


def best(rows: Sequence[Row], figure: str) -> Row:
    """The row in which a figure's mean is highest."""
    return max(rows, key=lambda r: r.figures[figure].value)


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(v), 6) for v in values)
