from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.validate import validate
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError
from autointerp.schema import FeatureRow, PoolRow

INFO = DumpInfo(
    name="d",
    created="2026-01-01T00:00:00+00:00",
    created_by="test",
    model="m",
    hookpoint="h",
    n_latents=8,
    widths=(8,),
    n_images=100,
    active_above=1.0,
)
ROW = PoolRow({2: 1.5, 4: 0.75}, (6, 4, 8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of ten images, of which the even ones are the pool, and two features, of which one has a row in it."""
    pixel = tmp_path / "pixel.png"
    Image.new("RGB", (4, 4)).save(pixel)
    with DumpWriter(tmp_path / "dump", INFO, pooled=True) as writer:
        for image in range(10):
            writer.add_image(image, data=pixel.read_bytes(), pool=image % 2 == 0)
        writer.add_feature(FeatureRow(1, 8, 0, 0.0, None, None), ())
        writer.add_feature(FeatureRow(3, 8, 5, 2.0, None, None), (), ROW)
    return tmp_path / "dump"


def change(folder: Path, **columns: list[object]) -> None:
    """Writes the only row of pool.parquet anew with other values."""
    file = folder / "pool.parquet"
    table = pq.read_table(file)
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))
    pq.write_table(table, file)


def pool_row(dump: Dump, feature: int) -> PoolRow | None:
    assert dump.pool is not None
    return dump.pool.row(feature)


def test_a_pool_is_read_as_it_was_written(folder: Path):
    with open_dump(folder) as dump:
        assert dump.pool is not None
        assert dump.pool.images.tolist() == [0, 2, 4, 6, 8]
        assert pool_row(dump, 3) == ROW
        assert pool_row(dump, 1) is None
        assert list(dump.pool.rows()) == [(3, ROW)]


def test_a_dump_without_the_file_has_no_pool_and_another_digest(folder: Path):
    with open_dump(folder) as dump:
        before = dump.digest
    (folder / "pool.parquet").unlink()

    with open_dump(folder) as dump:
        assert dump.pool is None
        assert dump.digest != before


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"alike": [[6, 5]]}, "alike holds what is no image of the pool, or one twice"),
        ({"alike": [[6, 6]]}, "alike holds what is no image of the pool, or one twice"),
        ({"alike": [[2]]}, "alike holds image 2, on which the feature is not silent"),
        ({"images": [[2, 77]]}, "images holds what is no image of the pool, or one twice"),
        ({"activations": [[1.5]]}, "activations has 1 numbers; expected a finite one for each image"),
        ({"activations": [[1.5, float("nan")]]}, "activations has 2 numbers; expected a finite one for each image"),
    ],
)
def test_a_wrong_row_is_named(folder: Path, changed: dict[str, list[object]], said: str):
    change(folder, **changed)

    with open_dump(folder) as dump:
        with pytest.raises(DumpError) as error:
            pool_row(dump, 3)
        problems = [str(p) for p in validate(dump) if "pool" in p.where]
    assert str(error.value) == f"{folder / 'pool.parquet'}: row 0: {said}"
    assert problems == [f"error: {folder / 'pool.parquet'}: row 0: {said}"]


def test_a_feature_that_the_dump_lacks_is_found_by_the_check(folder: Path):
    change(folder, feature=[5])

    with open_dump(folder) as dump:
        assert "feature 5 is not in features.parquet" in "\n".join(map(str, validate(dump)))


def test_a_pool_without_images_is_refused(folder: Path):
    images = pq.read_table(folder / "images.parquet")
    at = images.schema.get_field_index("pool")
    pq.write_table(images.set_column(at, "pool", pa.array(np.zeros(10, bool))), folder / "images.parquet")

    with open_dump(folder) as dump, pytest.raises(DumpError, match="names no image of the pool"):
        pool_row(dump, 3)
