"""The explanations and scores of a run as Arrow tables, a row each; docs/python.md lists the columns."""

from collections.abc import Iterable, Mapping

import pyarrow as pa

from autointerp.schema import Explanation, Scored, Unscored

_INTS = pa.list_(pa.int64())

EXPLANATIONS = pa.schema(
    {
        "feature": pa.int64(),
        "text": pa.string(),
        "none": pa.bool_(),
        "mixed": pa.bool_(),
        "concepts": pa.list_(pa.string()),
        "parts": pa.list_(pa.string()),
        "parents": _INTS,
        "domain": pa.string(),
        "domain_found": pa.bool_(),
        "domain_text": pa.string(),
        "domain_category": pa.string(),
        "images": _INTS,
        "contrast": _INTS,
        "model": pa.string(),
        "prompt": pa.string(),
        "input_tokens": pa.int64(),
        "output_tokens": pa.int64(),
        "dollars": pa.float64(),
        "created": pa.string(),
    }
)
"""Of a feature explained twice the last explanation holds."""

SCORES = pa.schema(
    {
        "feature": pa.int64(),
        "scorer": pa.string(),
        "judge": pa.string(),
        "judging": pa.string(),
        "value": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "n": pa.int64(),
        "undetermined": pa.bool_(),
        "reason": pa.string(),
        "prompt": pa.string(),
        "created": pa.string(),
    }
)
"""The columns that every score has; after them comes one for each control, and for each detail that is a number."""


def explanations_table(explanations: Iterable[Explanation]) -> pa.Table:
    """A row a feature, ascending; of a feature explained twice the last one."""
    last = {e.feature: explained_row(e) for e in explanations}
    return pa.Table.from_pylist([last[feature] for feature in sorted(last)], schema=EXPLANATIONS)


def scores_table(scores: Iterable[Scored | Unscored]) -> pa.Table:
    """A row for each feature, scorer and judging, ascending; the last score of the three holds."""
    last = {(s.feature, s.scorer, s.judging): scored_row(s) for s in scores}
    rows = [last[key] for key in sorted(last)]
    more = further_columns(rows)
    schema = pa.schema([*SCORES, *(pa.field(name, pa.float64()) for name in more)])
    return pa.Table.from_pylist(rows, schema=schema)


def further_columns(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """The columns that only some scores have: controls, then details."""
    return sorted({name for row in rows for name in row} - set(SCORES.names))


def explained_row(e: Explanation) -> dict[str, object]:
    """The row of an explanation, with the columns of `EXPLANATIONS`."""
    domain = e.domain
    return {
        "parts": e.parts,
        "domain": domain.domain if domain else None,
        "domain_found": domain.found if domain else None,
        "domain_text": domain.text if domain else None,
        "domain_category": domain.category if domain else None,
        "input_tokens": e.usage.input_tokens,
        "output_tokens": e.usage.output_tokens,
        "dollars": e.usage.dollars,
        **e.model_dump(include=set(EXPLANATIONS.names) - {"domain"}),
    }


def scored_row(s: Scored | Unscored) -> dict[str, object]:
    """The row of a score, with those columns of `SCORES` that it has, and its controls and details."""
    row: dict[str, object] = s.model_dump(include=set(SCORES.names) - {"undetermined"})
    if isinstance(s, Unscored):
        return row
    numbers = {name: s.number(name) for name, value in s.details.items() if not isinstance(value, str | bool)}
    details = {f"detail_{name}": value for name, value in numbers.items() if value is not None}
    return row | {"undetermined": s.undetermined} | {f"control_{n}": c.value for n, c in s.controls.items()} | details
