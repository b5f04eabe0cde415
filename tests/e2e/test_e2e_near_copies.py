"""A dump that states no groups is explained and scored as if it stated its near-duplicates."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from standin.commands import Command
from standin.planted import Population
from standin.records import explanations, scores

from autointerp.dump.near_copies import FILE, NearCopies
from autointerp.dump.reader import open_dump
from autointerp.job import images_of
from autointerp.schema import Scored


def test_no_image_that_looks_like_a_shown_one_is_judged(
    planted: Population, explain: Command, score: Command, tmp_path: Path
):
    bare = tmp_path / "bare"
    shutil.copytree(planted.folder, bare)
    table = pq.read_table(bare / "images.parquet")
    at = table.schema.get_field_index("group")
    pq.write_table(
        table.set_column(at, table.schema.field(at), pa.nulls(len(table), pa.string())), bare / "images.parquet"
    )

    assert explain("--features", "0-5", "--top", "12", dump=bare).code == 0
    assert score("--scorers", "detection", "--active", "200", "--silent", "200").code == 0

    held_back = 0
    assert (bare / FILE).is_file()
    with open_dump(bare) as dump:
        copies = NearCopies(dump, None)
        for feature, said in explanations(tmp_path / "run").items():
            rows = images_of(dump, dump.feature(feature), near_copies=copies)
            shown = {rows[i].group for i in (*said.images, *said.contrast)} - {None}
            record = scores(tmp_path / "run")[feature]
            assert isinstance(record, Scored)
            judged = {v.image for v in record.verdicts}
            assert not shown & {rows[i].group for i in judged}
            held_back += sum(row.group in shown for row in rows.values()) - len(shown)
    assert held_back > 3
