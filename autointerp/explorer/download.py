"""The list as a file: the columns of `autointerp export`, of the features that the list finds, by number."""

import io
from collections.abc import Callable, Iterator

import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from autointerp.explorer.index_records import IndexedRecords
from autointerp.explorer.query import Query
from autointerp.explorer.viewed import Viewed
from autointerp.exports.flat_files import csv_rows, parquet_rows
from autointerp.exports.table import FeatureTable


def downloads(viewed: Viewed) -> list[Route]:
    """The files, for a run."""
    if not viewed.runs:
        return []

    def answer(request: Request, write: Callable[[FeatureTable, io.BytesIO], Iterator[int]], kind: str) -> Response:
        index = viewed.index
        index.refresh()
        features = np.sort(viewed.listing.numbers(Query.of(request.query_params)))
        assert index.run is not None
        table = FeatureTable(index.run, viewed.dump, records=IndexedRecords(index), features=features)
        name = request.url.path.rpartition("/")[2]
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return StreamingResponse(streamed(table, write), media_type=kind, headers=headers)

    def as_csv(request: Request) -> Response:
        return answer(request, _csv, "text/csv; charset=utf-8")

    def as_parquet(request: Request) -> Response:
        return answer(request, parquet_rows, "application/vnd.apache.parquet")

    return [Route("/features.csv", as_csv), Route("/features.parquet", as_parquet)]


def streamed(table: FeatureTable, write: Callable[[FeatureTable, io.BytesIO], Iterator[int]]) -> Iterator[bytes]:
    """What a writer writes, a batch at a time."""
    kept = _Drained()
    for _ in write(table, kept):
        yield kept.taken()
    yield kept.taken()


def _csv(table: FeatureTable, out: io.BytesIO) -> Iterator[int]:
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", errors="replace", write_through=True)
    yield from csv_rows(table, text)
    text.detach()


class _Drained(io.BytesIO):
    """Holds what was written since it was last taken, and knows how much that was in all."""

    def __init__(self) -> None:
        super().__init__()
        self._before = 0

    def tell(self) -> int:
        return self._before + super().tell()

    def seekable(self) -> bool:
        return False

    def taken(self) -> bytes:
        out = self.getvalue()
        self._before += len(out)
        super().seek(0)
        super().truncate()
        return out
