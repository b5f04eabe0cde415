"""The table as CSV and as Parquet, written row by row."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

import pyarrow.parquet as pq

from autointerp.errors import plain_cell
from autointerp.exports.table import FeatureTable, Written


def write_csv(table: FeatureTable, out: Path) -> Written:
    """Writes the table in UTF-8 with a header; null is an empty cell, a list is JSON.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    with out.open("w", encoding="utf-8", newline="") as file:
        return Written(sum(csv_rows(table, file)))


def csv_rows(table: FeatureTable, file: TextIO) -> Iterator[int]:
    """Writes the table to an open file, and yields the number of rows after each of its batches."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.schema.names)
    for batch in table.batches():
        columns = [map(_cell, column.to_pylist()) for column in batch.columns]
        writer.writerows(zip(*columns, strict=True))
        yield batch.num_rows


def write_parquet(table: FeatureTable, out: Path) -> Written:
    """Writes the table as it is."""
    with out.open("wb") as file:
        return Written(sum(parquet_rows(table, file)))


def parquet_rows(table: FeatureTable, file: BinaryIO) -> Iterator[int]:
    """Writes the table to an open file, and yields the number of rows after each of its batches."""
    with pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        for batch in table.batches():
            writer.write_batch(batch)
            yield batch.num_rows


def _cell(value: object) -> object:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return json.dumps(value, ensure_ascii=False)
        case str():
            return plain_cell(value)
        case _:
            return value
