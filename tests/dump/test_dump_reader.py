"""A dump is read in order, at random, and no more of it than is needed."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.selection import parse_features
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError
from autointerp.schema import Exemplar, FeatureRow, ImageRow

Spoil = Callable[[Path, str, int, Mapping[str, object]], None]


def one_group_a_feature(folder: Path) -> None:
    path = folder / "exemplars.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=3)


def test_features_come_in_order_and_one_without_exemplars_has_none(small: Path) -> None:
    with open_dump(small) as dump:
        found = [(feature.id, len(feature.active), len(feature.negatives)) for feature in dump.features()]

    assert found == [(0, 2, 1), (1, 2, 1), (2, 2, 1), (5, 0, 0)]


def test_a_dump_that_goes_away_while_it_is_read_is_no_dump_of_broken_images(small: Path) -> None:
    with open_dump(small) as dump:
        small.rename(small.with_name("elsewhere"))

        with pytest.raises(DumpError, match="was removed or moved while it was being read; put it back"):
            dump.image_source(3)


def test_one_feature_touches_one_row_group_of_three(small: Path) -> None:
    one_group_a_feature(small)
    with open_dump(small) as dump:
        before = dump.exemplar_parts.row_groups_read

        feature = dump.feature(1)

        assert (feature.id, len(feature.exemplars)) == (1, 3)
        assert dump.exemplar_parts.row_groups_read - before == 1
        assert dump.feature_parts.row_groups_read == 1


def test_a_feature_without_exemplars_touches_none(small: Path) -> None:
    with open_dump(small) as dump:
        feature = dump.feature(5)

        assert feature.exemplars == ()
        assert dump.exemplar_parts.row_groups_read == 0


def test_a_selection_reads_only_the_row_groups_that_hold_it(small: Path) -> None:
    one_group_a_feature(small)
    with open_dump(small) as dump:
        found = [feature.id for feature in dump.features(parse_features("0,2,5", n_latents=8))]

        assert found == [0, 2, 5]
        assert dump.exemplar_parts.row_groups_read == 2


def test_all_features_read_each_row_group_once(small: Path) -> None:
    one_group_a_feature(small)
    with open_dump(small) as dump:
        list(dump.features())

        assert dump.exemplar_parts.row_groups_read == 3


def test_row_groups_without_statistics_are_found_by_their_column(small: Path) -> None:
    path = small / "exemplars.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=3, write_statistics=False)
    with open_dump(small) as dump:
        before = dump.exemplar_parts.row_groups_read

        assert len(dump.feature(2).exemplars) == 3
        assert dump.exemplar_parts.row_groups_read - before == 1


def test_a_feature_that_spans_row_groups_is_whole(small: Path) -> None:
    with open_dump(small) as dump:
        expected = list(dump.features())
    path = small / "exemplars.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=2)

    with open_dump(small) as dump:
        assert list(dump.features()) == expected
        assert [dump.feature(feature.id) for feature in expected] == expected


def test_an_unknown_feature_is_named_with_what_there_is(small: Path) -> None:
    with open_dump(small) as dump, pytest.raises(DumpError) as raised:
        dump.feature(3)

    assert str(raised.value) == f"{small}: there is no feature 3; the dump has 4 features in 0 to 5"


def test_wider_types_and_further_columns_are_read(small: Path) -> None:
    with open_dump(small) as dump:
        expected = list(dump.features())
    path = small / "exemplars.parquet"
    table = pq.read_table(path)
    wide = {
        "feature": pa.int64(),
        "image": pa.uint32(),
        "activation": pa.float64(),
        "stratum": pa.large_string(),
        "x0": pa.int8(),
        "heat": pa.large_binary(),
    }
    for name, kind in wide.items():
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    pq.write_table(table.append_column("note", pa.array(["x"] * len(table))), path)
    features = pq.read_table(small / "features.parquet")
    cousins = pa.array([[0]] * len(features), pa.list_(pa.int32()))
    pq.write_table(features.append_column("cousins", cousins), small / "features.parquet")

    with open_dump(small) as dump:
        assert list(dump.features()) == expected
        assert "cousins" in dump.features_table().column_names


def test_a_threshold_that_float32_rounds_keeps_silent_what_equals_it(tmp_path: Path, info: DumpInfo) -> None:
    folder = tmp_path / "dump"

    with DumpWriter(folder, info.model_copy(update={"active_above": 0.1})) as writer:
        writer.add_image(0, path="a.png", size=(4, 4), sha256="0" * 64)
        writer.add_feature(FeatureRow(0, 4, 1, 1.0, None, None), [Exemplar(0, 0.1, "silent", 1.0, None, None)])

    with open_dump(folder) as dump:
        assert dump.feature(0).negatives[0].image == 0


def test_image_rows_come_in_the_order_asked_for(small: Path) -> None:
    with open_dump(small) as dump:
        rows = dump.images([2, 0, 2])

    assert [row.image for row in rows] == [2, 0, 2]
    assert rows[1] == ImageRow(0, 16, 12, "0" * 64, None, None, None)


def test_an_unknown_image_is_named(small: Path) -> None:
    with open_dump(small) as dump:
        for ask in (dump.image, dump.image_source):
            with pytest.raises(DumpError) as raised:
                ask(4)

            assert str(raised.value) == f"{small}/images.parquet: there is no image 4"


def test_a_path_is_resolved_in_the_dump(small: Path) -> None:
    with open_dump(small) as dump:
        assert dump.image_source(3) == small.resolve() / "images" / "3.png"


def test_a_path_outside_is_read_only_if_allowed(small: Path, spoil: Spoil, tmp_path: Path) -> None:
    outside = str(tmp_path / "elsewhere.png")
    spoil(small, "images.parquet", 1, {"path": outside})

    with open_dump(small, allow_outside=True) as dump:
        assert dump.image_source(1) == Path(outside)
    with pytest.raises(DumpError, match="outside the dump"):
        open_dump(small)


def test_a_link_that_leaves_the_dump_is_refused(small: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    (small / "images").mkdir()
    (small / "images" / "0.png").symlink_to(secret)

    with open_dump(small) as dump, pytest.raises(DumpError, match=r"row 0: .*, outside the dump"):
        dump.image_source(0)


def test_an_image_with_neither_path_nor_bytes_is_named(small: Path, spoil: Spoil) -> None:
    spoil(small, "images.parquet", 2, {"path": None})

    with open_dump(small) as dump, pytest.raises(DumpError) as raised:
        dump.image_source(2)

    said = "row 2: path and bytes are null; expected one of them"
    assert str(raised.value) == f"{small}/images.parquet: {said}"


def test_bytes_are_read_by_many_threads_from_their_row_groups(tmp_path: Path, info: DumpInfo) -> None:
    folder = tmp_path / "dump"
    with DumpWriter(folder, info) as writer:
        for image in range(600):
            writer.add_image(2 * image, data=b"%d" % image, size=(4, 4), sha256="0" * 64)

    with open_dump(folder) as dump, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(dump.image_source, range(0, 1200, 2)))

        assert found == [b"%d" % image for image in range(600)]
        # 600 images in groups of 256 are three; each is read once for its rows and once for its bytes.
        assert dump.image_table.parts.row_groups_read == 6


def test_the_digest_changes_with_a_row_and_with_the_record(small: Path, spoil: Spoil) -> None:
    with open_dump(small) as dump:
        first = dump.digest
    with open_dump(small) as dump:
        again = dump.digest
    (small / "dump.json").write_text((small / "dump.json").read_text() + "\n")
    with open_dump(small) as dump:
        other_record = dump.digest
    spoil(small, "exemplars.parquet", 0, {"activation": 2.5})
    with open_dump(small) as dump:
        other_row = dump.digest

    assert again == first
    assert len({first, other_record, other_row}) == 3


def test_the_tables_are_there_as_arrow(small: Path) -> None:
    with open_dump(small) as dump:
        assert dump.features_table()["feature"].to_pylist() == [0, 1, 2, 5]
        assert dump.exemplars_dataset().count_rows() == 9
        assert dump.images_table()["image"].to_pylist() == [0, 1, 2, 3]


def test_a_closed_dump_opens_its_files_again(small: Path) -> None:
    dump = open_dump(small)
    dump.close()

    assert dump.feature(1).id == 1
    dump.close()


@pytest.mark.parametrize("image", [10**30, -(10**30)])
def test_a_number_that_no_image_can_have_is_no_image(small: Path, image: int):
    with open_dump(small) as dump, pytest.raises(DumpError, match=rf"images\.parquet: there is no image {image}$"):
        dump.image(image)
