"""A summary counts what is there."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from autointerp.dump.format import Attribute, DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.summary import DumpSummary, StratumCount, WidthCount, summarise
from autointerp.dump.writer import DumpWriter
from autointerp.schema import FeatureRow


def summary_of(folder: Path) -> DumpSummary:
    with open_dump(folder) as dump:
        return summarise(dump)


def test_the_small_dump_is_counted(small: Path) -> None:
    found = summary_of(small)

    assert (found.n_latents, found.n_features, found.n_dead) == (8, 4, 1)
    assert found.widths == (WidthCount(width=4, n_features=3), WidthCount(width=8, n_features=1))
    assert (found.n_images, found.n_images_stored, found.n_images_as_bytes) == (10, 4, 0)
    assert (found.n_exemplars, found.n_exemplars_with_box, found.n_exemplars_with_heat) == (9, 6, 6)
    assert found.attribute is None
    assert found.odd == (
        "latents without a row in features.parquet: 4",
        "features that fire on no image: 1",
        "features without exemplars: 1",
        "features with exemplars, fewer than 20 of them active: 3",
    )


@pytest.mark.parametrize("group", [1, 2, 3, 9])
def test_strata_are_counted_a_feature_whatever_the_row_groups(small: Path, group: int) -> None:
    path = small / "exemplars.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=group)

    found = summary_of(small)

    # Feature 5 has none, so that one of each stratum a feature is at least 0.
    assert found.strata == tuple(
        StratumCount(stratum=stratum, n_exemplars=3, minimum=0, median=1.0, maximum=1)
        for stratum in ("top", "q1", "silent")
    )


def test_boxes_and_heat_maps_are_counted_without_statistics_too(small: Path) -> None:
    path = small / "exemplars.parquet"
    pq.write_table(pq.read_table(path), path, write_statistics=False)

    found = summary_of(small)

    assert (found.n_exemplars_with_box, found.n_exemplars_with_heat) == (6, 6)


def test_a_dump_without_a_heat_column_has_no_heat_maps(small: Path) -> None:
    path = small / "exemplars.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["heat"]), path)

    assert summary_of(small).n_exemplars_with_heat == 0


def test_density_is_the_share_of_images_that_fire(tmp_path: Path, info: DumpInfo) -> None:
    with DumpWriter(tmp_path / "dump", info.model_copy(update={"n_images": 1000})) as writer:
        for feature, n_active in enumerate((0, 1, 10, 1000)):
            writer.add_feature(FeatureRow(feature, 4, n_active, 1.0, None, None), [])

    found = summary_of(tmp_path / "dump")

    # log10 of the densities: none, -3, -2, 0.
    bins = dict(zip(found.density_edges[:-1], found.density_histogram, strict=True))
    assert {edge: n for edge, n in bins.items() if n} == {-3.0: 1, -2.0: 1, -0.5: 1}
    assert dict(found.density_quantiles)[0.0] == 0.0
    assert dict(found.density_quantiles)[0.5] == pytest.approx((0.001 + 0.01) / 2)
    assert dict(found.density_quantiles)[1.0] == 1.0


def test_there_is_no_density_where_nobody_knows_how_many_images_were_run(tmp_path: Path, info: DumpInfo) -> None:
    with DumpWriter(tmp_path / "dump", info.model_copy(update={"population": "unknown"})) as writer:
        writer.add_feature(FeatureRow(0, 4, 3, 1.0, None, None), [])

    found = summary_of(tmp_path / "dump")

    assert (found.population, found.density_quantiles, found.density_histogram) == ("unknown", (), ())


def test_images_are_counted_by_what_is_known_of_them(tmp_path: Path, info: DumpInfo) -> None:
    attribute = Attribute(name="broken", description="Shows a physical error.")
    with DumpWriter(tmp_path / "dump", info.model_copy(update={"attribute": attribute})) as writer:
        writer.add_image(0, data=b"a", size=(4, 4), sha256="0" * 64, attribute=True, group="a")
        writer.add_image(1, data=b"b", size=(4, 4), sha256="1" * 64, attribute=False, label="cat")
        writer.add_image(2, path="c.png", size=(4, 4), sha256="2" * 64, label="dog")

    found = summary_of(tmp_path / "dump")

    assert (found.attribute, found.n_images_with_attribute) == ("broken", 1)
    assert (found.n_images_as_bytes, found.n_images_grouped, found.n_images_labelled) == (2, 1, 2)
    assert (found.strata, found.density_quantiles) == ((), ())
