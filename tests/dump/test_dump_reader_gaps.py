"""Features without rows in exemplars.parquet are read as by a reader that reads all rows and filters them."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.selection import parse_features
from autointerp.dump.writer import DumpWriter
from autointerp.schema import Exemplar, FeatureRow

N = 8
"""Features of each dump."""


def written(folder: Path, rows: Sequence[int], *, group: int) -> Path:
    """A dump whose feature i has rows[i] exemplars, in row groups of `group` rows."""
    info = DumpInfo(
        name="gaps",
        created="2026-01-31T12:00:00+00:00",
        created_by="a test",
        model="m",
        hookpoint="h",
        n_latents=N,
        widths=(N,),
        n_images=10,
        active_above=0.0,
    )
    with DumpWriter(folder, info) as writer:
        for image in range(max(rows)):
            writer.add_image(image, path="x.png", size=(4, 4), sha256="0" * 64)
        for number, n in enumerate(rows):
            own = [Exemplar(image, 1.0 + number, "top", 1.0, None, None) for image in range(n)]
            writer.add_feature(FeatureRow(number, N, n, 1.0, None, None), own)
    path = folder / "exemplars.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=group)
    return folder


def by_filter(folder: Path, chosen: Sequence[int]) -> list[tuple[int, list[tuple[int, float]]]]:
    """Each chosen feature with image and activation of its rows."""
    rows = pq.read_table(folder / "exemplars.parquet").to_pylist()
    return [(f, [(r["image"], r["activation"]) for r in rows if r["feature"] == f]) for f in chosen]


def by_reader(dump: Dump, chosen: Sequence[int]) -> list[tuple[int, list[tuple[int, float]]]]:
    """The same by the dump's own reader."""
    selection = parse_features(",".join(map(str, chosen)), n_latents=N)
    return [(f.id, [(e.image, e.activation) for e in f.exemplars]) for f in dump.features(selection)]


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([0, 0, 2, 2, 2, 2, 2, 2], [0, 1]),
        ([2, 2, 2, 0, 0, 2, 2, 2], [3, 4]),
        ([2, 2, 2, 2, 2, 2, 0, 0], [6, 7]),
        ([2, 0, 2, 0, 2, 0, 2, 0], [1, 3, 5, 7]),
        ([0] * N, list(range(N))),
        ([2, 2, 2, 0, 2, 2, 2, 2], [2, 3]),
    ],
    ids=["at the start", "in the middle", "at the end", "in every row group", "in all", "beside one that has some"],
)
@pytest.mark.parametrize("group", [1, 3, 100])
def test_features_without_rows_are_read_as_such(tmp_path: Path, rows: list[int], chosen: list[int], group: int) -> None:
    folder = written(tmp_path / "dump", rows, group=group)

    with open_dump(folder) as dump:
        found = by_reader(dump, chosen)

        assert found == by_filter(folder, chosen)
        assert [len(dump.feature(f).exemplars) for f in chosen] == [rows[f] for f in chosen]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.integers(0, 3), min_size=N, max_size=N),
    chosen=st.sets(st.integers(0, N - 1), min_size=1).map(sorted),
    group=st.integers(1, 6),
)
@example(rows=[1, 0, 1, 0, 0, 0, 0, 0], chosen=[1], group=2)
def test_any_choice_reads_what_reading_all_and_filtering_finds(rows: list[int], chosen: list[int], group: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = written(Path(scratch, "dump"), rows, group=group)

        with open_dump(folder) as dump:
            assert by_reader(dump, chosen) == by_filter(folder, chosen)
