"""A small dump whose every number a test can name, and a way to spoil it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autointerp.dump.format import EXEMPLARS, FEATURES, IMAGES, DumpInfo
from autointerp.dump.writer import DumpWriter
from autointerp.schema import Box, Exemplar, FeatureRow

SCHEMAS = {"exemplars.parquet": EXEMPLARS, "features.parquet": FEATURES, "images.parquet": IMAGES}


@pytest.fixture
def info() -> DumpInfo:
    """Eight latents in prefixes of 4 and 8; a feature fires above 0.5; heat maps of 2 by 2."""
    return DumpInfo(
        name="small",
        created="2026-01-31T12:00:00+00:00",
        created_by="a test",
        model="vit",
        hookpoint="layer.6",
        n_latents=8,
        widths=(4, 8),
        n_images=10,
        active_above=0.5,
        patch_grid=(2, 2),
    )


@pytest.fixture
def small(tmp_path: Path, info: DumpInfo) -> Path:
    """Images 0 to 3 of 16x12 pixels; features 0, 1, 2 with three exemplars each, and 5 with none."""
    folder = tmp_path / "small"
    exemplars = (
        Exemplar(0, 3.0, "top", 1.0, Box(0, 0, 8, 6), b"\xff\0\0\0"),
        Exemplar(1, 1.0, "q1", 0.5, Box(8, 6, 16, 12), b"\0\0\0\xff"),
        Exemplar(2, 0.25, "silent", 0.25, None, None),
    )
    with DumpWriter(folder, info) as writer:
        for image in range(4):
            writer.add_image(image, path=f"images/{image}.png", size=(16, 12), sha256=f"{image:064x}")
        for feature in (0, 1, 2):
            writer.add_feature(FeatureRow(feature, 4, 6, 3.0, None, (6, *[0] * 49)), exemplars)
        writer.add_feature(FeatureRow(5, 8, 0, 0.0, None, None), ())
    return folder


Spoil = Callable[[Path, str, int, Mapping[str, object]], None]


@pytest.fixture
def spoil() -> Spoil:
    """Sets columns of one row of a dump's file."""

    def change(folder: Path, file: str, row: int, columns: Mapping[str, object]) -> None:
        rows = pq.read_table(folder / file).to_pylist()
        rows[row].update(columns)
        schema = pa.schema([field.with_nullable(True) for field in SCHEMAS[file]])
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / file)

    return change
