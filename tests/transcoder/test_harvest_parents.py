from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError
from autointerp.schema import FeatureRow
from autointerp.transcoder.harvest.writing import parents_of

# 100 images; latents 0 to 3 are the smallest prefix, 4 to 7 the next.
FIRES = {
    0: range(40),
    1: range(60, 80),
    2: range(100),
    3: range(100),
    4: range(12),
    5: [*range(60, 70), *range(20)],
    6: range(3),
    7: range(80, 100),
}


def activations() -> np.ndarray:
    out = np.zeros((100, 8), np.float32)
    for latent, images in FIRES.items():
        out[list(images), latent] = 2.0
    out[:, 3] = 1.0  # does not reach the threshold
    return out


def test_a_parent_fires_where_the_child_does_and_more_often_than_elsewhere():
    parents = parents_of(activations(), 1.0, (4, 8), None)

    assert parents[:4] == [()] * 4
    # All 12 images of latent 4 are among the 40 of latent 0; latent 2 fires everywhere, which tells nothing.
    assert parents[4] == (0,)
    # Of the 30 images of latent 5, 20 are of latent 0 (lift 1.7) and 10 of latent 1 (a third).
    assert parents[5] == ()
    # Three images are too few to tell.
    assert parents[6] is None
    assert parents[7] == ()


def test_of_two_that_fire_alike_the_one_that_writes_alike_comes_first():
    fires = np.zeros((100, 4), np.float32)
    fires[:20, :3] = 1
    fires[:10, 3] = 1
    decoder = np.array([[1, 0], [0, 1], [-1, 0], [0, 2]], np.float32)

    parents = parents_of(fires, 0.0, (3, 4), decoder)

    # Shares are all 1: closeness is 1/2, 1 and 1/2 for cosines of 0, 1 and 0.
    assert parents[3] == (1, 0, 2)


def test_at_most_three_parents_are_named():
    fires = np.zeros((100, 6), np.float32)
    fires[:20, :5] = 1
    fires[:10, 5] = 1

    assert parents_of(fires, 0.0, (5, 6), None)[5] == (0, 1, 2)


def test_by_chance_hardly_any_latent_has_a_parent():
    fires = (np.random.default_rng(0).random((400, 600)) < 0.1).astype(np.float32)

    parents = parents_of(fires, 0.0, (100, 600), None)

    assert sum(bool(p) for p in parents) <= 5


INFO = DumpInfo(
    name="d",
    created="2026-01-31T12:00:00Z",
    created_by="a test",
    model="m",
    hookpoint="h",
    n_latents=8,
    widths=(4, 8),
    n_images=0,
    active_above=0.0,
)


def write(folder: Path, *parents: tuple[int, ...] | None) -> Path:
    with DumpWriter(folder, INFO) as writer:
        for i, own in enumerate(parents):
            writer.add_feature(FeatureRow(i + 3, 4 if i == 0 else 8, 0, 0.0, None, None, own), ())
    return folder


def test_parents_come_back_as_they_were_written(tmp_path: Path):
    folder = write(tmp_path / "d", (), (3, 0), None)

    with open_dump(folder) as dump:
        assert [f.row.parents for f in dump.features()] == [(), (3, 0), None]


def test_a_dump_without_the_column_has_no_parents(tmp_path: Path):
    folder = write(tmp_path / "d", (), (3,))
    table = pq.read_table(folder / "features.parquet")
    pq.write_table(table.drop_columns(["parents"]), folder / "features.parquet")

    with open_dump(folder) as dump:
        assert [f.row.parents for f in dump.features()] == [None, None]


def test_parents_of_any_integer_type_are_read(tmp_path: Path):
    folder = write(tmp_path / "d", (), (3,))
    table = pq.read_table(folder / "features.parquet")
    wide = table["parents"].cast(pa.large_list(pa.int64()))
    pq.write_table(table.set_column(6, "parents", wide), folder / "features.parquet")

    with open_dump(folder) as dump:
        assert dump.feature(4).row.parents == (3,)


@pytest.mark.parametrize("parents", [(4,), (3, -1), (7,)])
def test_a_parent_outside_the_smaller_prefixes_is_refused(tmp_path: Path, parents: tuple[int, ...]):
    with pytest.raises(DumpError) as caught:
        write(tmp_path / "d", (), parents)

    named = f"parents is {list(parents)}; expected latents of prefixes smaller than the feature's own, or null"
    assert str(caught.value).endswith(f"features.parquet: row 1: {named}")


def test_a_feature_of_the_smallest_prefix_has_no_parents(tmp_path: Path):
    with pytest.raises(DumpError, match=r"row 0: parents is \[0\]"):
        write(tmp_path / "d", (0,))
