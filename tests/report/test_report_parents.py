from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from report_world import World

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError
from autointerp.reports.hierarchy import Parents, parent_pairs, read_parents
from autointerp.schema import FeatureRow

PARENTS = {0: None, 1: (), 4: (1, 0), 5: (), 9: (4,), 12: (5, 0, 1)}
"""Of prefixes 4, 8 and 16."""


@pytest.fixture
def dump_path(tmp_path: Path) -> Path:
    info = DumpInfo(
        name="nested",
        created="2026-11-23T12:00:00+00:00",
        created_by="a test",
        model="ViT",
        hookpoint="block 3",
        n_latents=16,
        widths=(4, 8, 16),
        n_images=100,
        active_above=0.0,
    )
    picture = tmp_path / "red.png"
    Image.new("RGB", (8, 8), "red").save(picture)
    with DumpWriter(tmp_path / "dump", info) as writer:
        writer.add_image(0, data=picture.read_bytes())
        for feature, parents in PARENTS.items():
            writer.add_feature(FeatureRow(feature, info.width_of(feature), 5, 3.0, None, (0,) * 50, parents), [])
    return tmp_path / "dump"


def read(world: World, known: list[int], chosen: list[int]) -> Parents:
    return read_parents(world.data(), known, chosen)


def family(*, widths: tuple[int, ...] = (4, 8, 16), **parents: tuple[int, ...]) -> World:
    """Parents by `f<feature>`."""
    return World(widths=widths, parents={int(name[1:]): found for name, found in parents.items()})


def rewritten(path: Path, parents: list[list[int] | None], rows: int) -> None:
    """features.parquet with other parents and `rows` to a row group."""
    file = path / "features.parquet"
    table = pq.read_table(file)
    at = table.schema.get_field_index("parents")
    changed = table.set_column(at, table.schema.field(at), pa.array(parents, table.schema.field(at).type))
    pq.write_table(changed, file, row_group_size=rows)


def test_a_dumps_pairs_come_in_order_the_closest_parent_first(dump_path: Path):
    with open_dump(dump_path) as dump:
        (pairs,) = parent_pairs(dump)

    assert pairs.child.tolist() == [4, 4, 9, 12, 12, 12]
    assert pairs.parent.tolist() == [1, 0, 4, 5, 0, 1]


def test_the_pairs_are_read_a_row_group_at_a_time(dump_path: Path):
    rewritten(dump_path, [None, [], [1, 0], [], [4], [5]], rows=2)

    with open_dump(dump_path) as dump:
        before = dump.feature_parts.row_groups_read
        first = next(parent_pairs(dump))
        read = dump.feature_parts.row_groups_read - before
        parts = [pairs.child.tolist() for pairs in parent_pairs(dump)]

    assert (first.child.tolist(), read) == ([], 1)
    assert parts == [[], [4, 4], [9, 12]]


def test_a_parent_that_is_no_smaller_is_refused_with_its_file_and_row(dump_path: Path):
    rewritten(dump_path, [None, [], [5], [], [4], [5]], rows=6)

    with open_dump(dump_path) as dump, pytest.raises(DumpError, match=r"features\.parquet: row 2: parents is \[5\]"):
        list(parent_pairs(dump))


def test_a_feature_stands_under_its_closest_parent_only():
    found = read(family(f4=(1, 0), f9=(4,), f12=(5, 0)), [0, 1, 4, 9, 12], [])

    assert found.closest == {4: 1, 9: 4, 12: 5}


def test_features_beyond_the_run_stay_only_where_they_lead_to_one_in_it():
    # 9 is in the run and leads over 4 to 1; neither 5, which leads to nothing, nor 12 is.
    found = read(family(f4=(1,), f5=(0,), f9=(4,), f12=(5,)), [9], [])

    assert found.closest == {4: 1, 9: 4}


def test_all_parents_are_kept_of_features_with_a_card_and_children_in_the_run_are_counted():
    # 0 is a parent of 4, 5 and 12, of which the run lacks 5.
    found = read(family(f4=(1, 0), f5=(0,), f12=(5, 0)), [0, 1, 4, 12], [0, 4])

    assert found.of_cards == {4: (1, 0)}
    assert found.n_children == {0: 2}


def test_a_dump_of_one_prefix_has_no_parents():
    found = read(family(widths=(16,)), [0, 1], [0, 1])

    assert found.closest == {}
    assert found.of_cards == {}
