"""Arrow rows to records and back."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from autointerp.dump.format import EXEMPLARS, FEATURES, POOL
from autointerp.schema import Box, Exemplar, FeatureRow, PoolRow


def exemplars_of(table: pa.Table) -> tuple[Exemplar, ...]:
    """The rows of a checked piece of exemplars.parquet."""
    names = ("image", "activation", "stratum", "probability", "x0", "y0", "x1", "y1", "heat", "silent_activation")
    columns = [table[name].to_pylist() for name in names]
    return tuple(
        Exemplar(
            image, activation, stratum, probability, None if x0 is None else Box(x0, y0, x1, y1), heat, _known(own)
        )
        for image, activation, stratum, probability, x0, y0, x1, y1, heat, own in zip(*columns, strict=True)
    )


def _known(number: float | None) -> float | None:
    """The number; None where another program wrote NaN for null."""
    return None if number is None or math.isnan(number) else number


def with_silent_activations(exemplars: Sequence[Exemplar]) -> tuple[Exemplar, ...]:
    """A feature's exemplars; where none states its `silent_activation`, with what the activations say of it.

    Writers that know what a feature reaches on silent images have always put it in `activation`, and the others put 0
    there. So the activations of a feature's silent rows are taken for known where one of them is not 0.
    """
    silent = [e for e in exemplars if e.silent]
    if any(e.silent_activation is not None for e in silent) or not any(e.activation for e in silent):
        return tuple(exemplars)
    return tuple(replace(e, silent_activation=e.activation) if e.silent else e for e in exemplars)


def feature_rows_of(table: pa.Table) -> Iterator[FeatureRow]:
    """The rows of a checked piece of features.parquet."""
    names = (
        "feature",
        "width",
        "n_active",
        "max_activation",
        "n_active_attribute",
        "histogram",
        "parents",
        "duplicates",
    )
    columns = [table[name].to_pylist() for name in names]
    for feature, width, n_active, max_activation, attribute, *lists in zip(*columns, strict=True):
        bins, *others = (None if numbers is None else tuple(numbers) for numbers in lists)
        yield FeatureRow(feature, width, n_active, max_activation, attribute, bins, *others)


def exemplars_table(features: Sequence[int], exemplars: Sequence[Exemplar]) -> pa.Table:
    """Rows of exemplars.parquet; `features` is as long as `exemplars`."""
    boxes = [e.box for e in exemplars]
    columns = {
        "feature": features,
        "image": [e.image for e in exemplars],
        "activation": [e.activation for e in exemplars],
        "stratum": [e.stratum for e in exemplars],
        "probability": [e.probability for e in exemplars],
        "x0": [b and b.x0 for b in boxes],
        "y0": [b and b.y0 for b in boxes],
        "x1": [b and b.x1 for b in boxes],
        "y1": [b and b.y1 for b in boxes],
        "heat": [e.heat for e in exemplars],
        "silent_activation": [e.silent_activation for e in exemplars],
    }
    return pa.table(columns, schema=EXEMPLARS)


def features_table(rows: Sequence[FeatureRow]) -> pa.Table:
    """Returns the rows of features.parquet."""
    columns = {name: [getattr(row, name) for row in rows] for name in FEATURES.names}
    return pa.table(columns, schema=FEATURES)


def pool_table(rows: Mapping[int, PoolRow]) -> pa.Table:
    """Rows of pool.parquet, by feature, ascending."""
    columns = {
        "feature": list(rows),
        "images": [list(row.activations) for row in rows.values()],
        "activations": [list(row.activations.values()) for row in rows.values()],
        "alike": [row.alike for row in rows.values()],
    }
    return pa.table(columns, schema=POOL)
