"""The SQLite file, read as Datasette reads it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from exports_world import HOSTILE, info_of, write_dump, write_run
from PIL import Image
from report.report_world import calibration, explained, run_info

from autointerp.commands.export import export
from autointerp.runs.folder import RunWriter
from autointerp.scoring.calibration import save_calibration


@pytest.fixture
def file(run: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(export(run, "datasette").out)) as opened:
        yield opened


def test_features_have_the_columns_of_the_table_and_their_strongest_picture(file: sqlite3.Connection):
    found = file.execute('SELECT feature, state, reason, "text", detection_value, detection_reason FROM features')

    assert found.fetchall() == [
        (0, "one", None, "a red wheel", 0.5, None),
        (1, "one", None, HOSTILE, None, "too few held out"),
        (2, "none", None, "", None, None),
        (3, "mixed", None, "sand or snow", None, "timeout: no answer"),
        (4, "failed", "timeout: no answer in 120 s", None, None, None),
        (5, "unexplainable", "never fired", None, None, None),
    ]
    (picture,) = file.execute("SELECT picture FROM features WHERE feature = 0").fetchone()
    assert Image.open(BytesIO(picture)).getpixel((10, 10))[0] > 200  # image 0 is red
    assert file.execute("SELECT picture FROM features WHERE feature = 5").fetchone() == (None,)


def test_scores_are_rows_with_their_controls(file: sqlite3.Connection):
    rows = file.execute(
        "SELECT feature, scorer, judge, status, value, reason, controls, details FROM scores"
    ).fetchall()

    assert [row[:6] for row in rows] == [
        (0, "detection", "judge-1", "scored", 0.5, None),
        (1, "detection", "judge-1", "unscored", None, "too few held out"),
        (3, "choice", "judge-1", "scored", 0.75, None),
    ]
    assert json.loads(rows[0][6])["constant"]["value"] == 0.1
    assert json.loads(rows[0][7]) == {"precision": 0.25, "form": "x"}


def test_images_are_pictures_with_what_they_are_of(file: sqlite3.Connection):
    rows = file.execute("SELECT feature, rank, image, activation, label FROM images WHERE feature IN (0, 5)").fetchall()

    assert rows == [(0, rank, rank, 3.0 - rank, "<b>wheel</b>") for rank in range(3)]
    assert all(picture[:2] == b"\xff\xd8" for (picture,) in file.execute("SELECT picture FROM images"))


def test_explanations_are_searched_by_word(file: sqlite3.Connection):
    search = "SELECT rowid FROM features_fts WHERE features_fts MATCH ?"

    assert file.execute(search, ("wheel",)).fetchall() == [(0,)]
    assert file.execute(search, ("snow",)).fetchall() == [(3,)]
    assert file.execute("PRAGMA foreign_key_check").fetchall() == []
    assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_datasette_finds_the_search_of_features(file: sqlite3.Connection):
    # As its `detect_fts` looks for it.
    sql = '%VIRTUAL TABLE%USING FTS%content="features"%'
    found = "SELECT name FROM sqlite_master WHERE rootpage = 0 AND sql LIKE ?"

    assert file.execute(found, (sql,)).fetchall() == [("features_fts",)]


def test_the_run_says_how_its_judge_was_calibrated(tmp_path: Path, dump: Path):
    info = run_info("seer-1", "judge-1", "c" * 12).model_copy(update={"dump": info_of(dump).dump})
    with RunWriter(tmp_path / "run", info) as writer:
        writer.explanation(explained(0))
    save_calibration(calibration(), tmp_path / "run" / "calibration.json")

    with closing(sqlite3.connect(export(tmp_path / "run", "datasette").out)) as file:
        told = dict(file.execute("SELECT name, value FROM run"))

    assert (told["Judge"], "500 judgements of known truth" in told["Judge calibrated"]) == ("judge-1", True)


def test_a_picture_that_cannot_be_made_is_null_and_counted(tmp_path: Path):
    run = write_run(tmp_path / "run", write_dump(tmp_path / "dump", broken=True))

    done = export(run, "datasette", pictures=3)

    assert done.broken == 5  # image 2 of the five features that have images
    with closing(sqlite3.connect(done.out)) as file:
        assert file.execute("SELECT DISTINCT image FROM images WHERE picture IS NULL").fetchall() == [(2,)]


def test_no_more_pictures_than_asked_for(run: Path):
    done = export(run, "datasette", pictures=1)

    with closing(sqlite3.connect(done.out)) as file:
        assert file.execute("SELECT count(*) FROM images").fetchone() == (5,)
