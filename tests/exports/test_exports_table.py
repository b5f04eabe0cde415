"""The table of a run: one row a feature, and what every column says."""

import csv
import json
from io import StringIO
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from exports_world import HOSTILE, info_of, write_dump
from report.report_world import explained, failed, scored

from autointerp.commands.export import export
from autointerp.errors import AutointerpError, SettingsError
from autointerp.exports.table import N_ROWS
from autointerp.runs.folder import RunWriter, open_run
from autointerp.runs.parts import PartInfo, write_part
from autointerp.settings import ModelSettings


def test_each_feature_has_one_row_that_says_what_became_of_it(run: Path):
    rows = open_run(run).table().to_pylist()

    assert [(r["feature"], r["state"], r["reason"]) for r in rows] == [
        (0, "one", None),
        (1, "one", None),
        (2, "none", None),
        (3, "mixed", None),
        (4, "failed", "timeout: no answer in 120 s"),
        (5, "unexplainable", "never fired"),
    ]
    assert [r["text"] for r in rows] == ["a red wheel", HOSTILE, "", "sand or snow", None, None]


def test_what_is_not_scored_is_null_with_its_reason_and_never_zero(run: Path):
    rows = open_run(run).table().to_pylist()

    names = ("detection_status", "detection_value", "detection_reason")
    assert [tuple(r[name] for name in names) for r in rows] == [
        ("scored", 0.5, None),
        ("unscored", None, "too few held out"),
        (None, None, None),
        ("failed", None, "timeout: no answer"),
        (None, None, None),
        (None, None, None),
    ]
    assert (rows[0]["naming_status"], rows[0]["naming_value"], rows[0]["naming_reason"]) == (
        "failed",
        None,
        "refused: no",
    )


def test_a_score_has_its_interval_controls_and_details(run: Path):
    row = open_run(run).table().to_pylist()[0]

    assert (row["detection_low"], row["detection_high"], row["detection_n"]) == (0.4, 0.6, 20)
    assert (row["detection_judge"], row["detection_control_constant"]) == ("judge-1", 0.1)
    assert row["detection_detail_precision"] == 0.25
    assert "detection_detail_form" not in row


def test_the_dump_says_how_often_a_feature_fires(run: Path):
    rows = open_run(run).table().to_pylist()

    assert [(r["width"], r["n_active"], r["density"], r["max_activation"]) for r in rows][4:] == [
        (8, 5, 0.05, 3.0),
        (8, 0, 0.0, 0.0),
    ]


def twice_judged(path: Path, dump: Path) -> Path:
    """Feature 0 scored 0.5 by judge-1 and 0.25 by judge-2, who failed at feature 1."""
    info = info_of(dump)
    assert info.score is not None
    second = info.score.model_copy(update={"judge": ModelSettings(model="judge-2")})
    with RunWriter(path, info) as writer:
        for feature in (0, 1):
            writer.explanation(explained(feature))
        writer.score(scored(0, 0.5))
    with RunWriter(path, info.with_judging("abc", second), "abc") as writer:
        writer.score(scored(0, 0.25, judge="judge-2"))
        writer.failure(failed(1, "score:detection"))
    return path


def test_a_second_judge_has_columns_of_its_own_after_those_of_the_first(tmp_path: Path, dump: Path):
    run = open_run(twice_judged(tmp_path / "run", dump))

    table = run.table()

    rows, names = table.to_pylist(), table.column_names
    assert (rows[0]["detection_value"], rows[0]["detection@judge-2_value"]) == (0.5, 0.25)
    assert (rows[1]["detection_status"], rows[1]["detection@judge-2_status"]) == (None, "failed")
    assert names.index("detection_created") < names.index("detection@judge-2_status")
    assert [(s["judging"], s["value"]) for s in run.scores_table().to_pylist()] == [("", 0.5), ("abc", 0.25)]


def test_one_judge_alone_is_exported_where_it_is_named(tmp_path: Path, dump: Path):
    run = twice_judged(tmp_path / "run", dump)

    alone = pq.read_table(export(run, "parquet", judge="judge-2").out)

    assert alone["detection_value"].to_pylist() == [0.25, None]
    assert not any("@" in name for name in alone.column_names)
    with pytest.raises(SettingsError, match=r"judge guess: did not score .*; it was scored by judge-1, judge-2"):
        export(run, "csv", judge="guess")


def test_parquet_holds_the_table_as_it_is(run: Path):
    done = export(run, "parquet")

    assert (done.out, done.features) == (run / "features.parquet", 6)
    assert pq.read_table(done.out).equals(open_run(run).table())
    assert pq.read_schema(done.out).metadata[b"autointerp"] == b"autointerp-table/1"
    assert pd.read_parquet(done.out).set_index("feature").loc[3, "choice_value"] == 0.75


def test_csv_has_the_same_rows_with_empty_cells_for_null(run: Path):
    done = export(run, "csv")

    table = open_run(run).table()
    rows = list(csv.DictReader(done.out.read_text("utf-8").splitlines(keepends=True)))
    assert list(rows[0]) == table.column_names
    assert [row["detection_value"] for row in rows] == ["0.5", "", "", "", "", ""]
    assert [row["none"] for row in rows] == ["false", "false", "true", "false", "", ""]
    assert json.loads(rows[3]["concepts"]) == ["sand", "snow"]
    read = pd.read_csv(done.out)
    assert read["detection_low"].isna().tolist() == [False, True, True, True, True, True]


def test_csv_keeps_a_text_from_being_a_formula(run: Path):
    rows = list(csv.DictReader(StringIO(export(run, "csv").out.read_bytes().decode())))

    assert rows[1]["text"] == f"'{HOSTILE}"


def test_rows_come_in_pieces_and_none_is_lost_between_them(tmp_path: Path):
    dump = write_dump(tmp_path / "dump", n=N_ROWS + 2)
    with RunWriter(tmp_path / "run", info_of(dump)) as writer:
        for feature in range(N_ROWS + 2):
            writer.explanation(explained(feature, f"text {feature}"))

    table = pq.read_table(export(tmp_path / "run", "parquet").out)

    assert table["text"].to_pylist() == [f"text {n}" for n in range(N_ROWS + 2)]
    assert pq.ParquetFile(tmp_path / "run" / "features.parquet").num_row_groups == 2


def test_parts_that_are_not_merged_are_in_the_table(run: Path, dump: Path):
    part = run / "parts" / "explain-00000-of-00002"
    with RunWriter(part, info_of(dump)) as writer:
        writer.explanation(explained(0, "of the part"))
        writer.explanation(explained(7, "a late one"))
    write_part(part, PartInfo(selection="0" * 16, features=2, finished=True))

    done = export(run, "parquet")

    texts = dict(zip(*pq.read_table(done.out, columns=["feature", "text"]).to_pydict().values(), strict=True))
    assert (done.unmerged, texts[0], texts[7]) == (1, "a red wheel", "a late one")


def test_a_dump_that_was_moved_is_named(run: Path, dump: Path, tmp_path: Path):
    moved = dump.rename(tmp_path / "elsewhere")

    with pytest.raises(AutointerpError, match="say where it is with"):
        open_run(run).table()
    assert open_run(run).table(moved).num_rows == 6


def test_a_run_of_the_first_version_opens(tmp_path: Path):
    older = Path(__file__).parent.parent / "older" / "v0_1"

    out = export(older / "run", "parquet", tmp_path / "old.parquet", dump=older / "dump").out

    rows = pq.read_table(out).to_pylist()
    assert [row["state"] for row in rows] == ["one", "one", "mixed", "one"]
    assert all(row["reason"] is None and row["detection_value"] == 1 for row in rows)
