"""Every figure of a benchmark as tables: CSV, Parquet and JSON."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from autointerp.errors import plain_cell
from autointerp.generators.records import Estimated, Rate
from autointerp.generators.results import Compared, OfSet, Result

Cell = str | int | float | bool | None
Row = dict[str, Cell]


def tables_of(result: Result) -> dict[str, list[Row]]:
    """Makes the rows of all tables, by the names of their files."""
    return {
        "sets": [_set(one) for one in result.sets],
        "modes": [row for one in result.sets for row in _modes(result, one)],
        "categories": [
            {"set": one.name, "category": name, **_rate("rate", rate)}
            for one in result.sets
            for name, rate in one.categories.items()
        ],
        "differences": [
            {
                "a": p.a,
                "b": p.b,
                "what": p.what,
                "kind": p.kind,
                **_compared("difference", p.difference),
                "q": p.q,
                "n_shared": p.n_shared,
                "style_shift": p.shift,
                **_estimated("judged", p.judged),
                "judged_q": p.judged_q,
                "is_finding": p.is_finding(result.made.level),
            }
            for p in result.pairs
        ],
        "ranks": [
            {"generator": r.name, "mean_rank": r.rank, "rank": i, "share": share}
            for r in result.ranks
            for i, share in enumerate(r.shares, start=1)
        ],
    }


def _rate(name: str, rate: Rate | None) -> Row:
    fields = ("value", "low", "high", "hits", "n", "n_clusters", "n_effective")
    return {f"{name}_{f}": None if rate is None else getattr(rate, f) for f in fields}


def _estimated(name: str, one: Estimated | None) -> Row:
    return {f"{name}_{f}": None if one is None else getattr(one, f) for f in ("value", "low", "high")}


def _compared(name: str, one: Compared | None) -> Row:
    return {f"{name}_{f}": None if one is None else getattr(one, f) for f in ("value", "low", "high", "p", "p_plain")}


def _set(one: OfSet) -> Row:
    return {
        "set": one.name,
        "reference": one.reference,
        "ranked": one.ranked,
        "n_images": one.n_images,
        "n_prompts": one.n_prompts,
        "n_clusters": one.n_clusters,
        "n_broken": one.n_broken,
        **_rate("any", one.any),
        **_compared("any_against_reference", one.any_against_reference),
        **_estimated("modes_per_image", one.per_image),
        **_estimated("judged_per_image", one.judged_per_image),
        "controls": one.controls,
        "style_shift": one.shift,
        "warnings": "; ".join(one.warnings),
    }


def _modes(result: Result, one: OfSet) -> Iterator[Row]:
    for mode in result.modes:
        own = one.modes[mode.id]
        yield {
            "set": one.name,
            "mode": mode.id,
            "says": mode.name,
            "category": mode.category,
            **_rate("rate", own.rate),
            **_estimated("severity", own.severity),
            **_compared("against_reference", own.against_reference),
            **_estimated("judged", own.judged),
            **_rate("precision", own.precision),
            **_rate("missed", own.missed),
        }


def write_tables(result: Result, folder: Path) -> Iterator[str]:
    """Writes each table as CSV and Parquet, and all as one JSON; yields the names of the files."""
    tables = tables_of(result)
    for name, rows in tables.items():
        if not rows:
            continue
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: plain_cell(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows)
        yield f"{name}.csv"
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
        yield f"{name}.parquet"
    (folder / "figures.json").write_text(json.dumps(tables, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    yield "figures.json"
