"""A SQLite file of a run, which Datasette opens with pictures and full-text search; docs/exports.md has its tables."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from autointerp.exports.crops import Crops, strongest
from autointerp.exports.table import FeatureTable, Found, Row, Written
from autointerp.runs.by_feature import Verdicts
from autointerp.runs.judgings import labels
from autointerp.schema import Feature, Scored, Unscored

SEARCHED = ("text", "concepts", "domain_text")
"""Columns of `features` that full-text search looks in."""
KINDS: Mapping[pa.DataType, str] = {pa.int64(): "INTEGER", pa.bool_(): "INTEGER", pa.float64(): "REAL"}
"""What SQLite calls a type; every other one is text."""
TABLES = """
CREATE TABLE scores (
  feature INTEGER NOT NULL REFERENCES features(feature), scorer TEXT NOT NULL, judge TEXT NOT NULL,
  status TEXT NOT NULL, value REAL, low REAL, high REAL, n INTEGER, undetermined INTEGER, reason TEXT,
  controls TEXT, details TEXT, prompt TEXT, created TEXT, PRIMARY KEY (feature, scorer, judge)) WITHOUT ROWID;
CREATE TABLE images (
  id INTEGER PRIMARY KEY, feature INTEGER NOT NULL REFERENCES features(feature), rank INTEGER NOT NULL,
  picture BLOB, image INTEGER NOT NULL, activation REAL, stratum TEXT, label TEXT);
CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT);
"""
INDEXES = """
CREATE INDEX features_by_state ON features(state);
CREATE INDEX scores_by_value ON scores(scorer, value);
CREATE INDEX images_by_feature ON images(feature, rank);
"""


def write_datasette(
    table: FeatureTable, out: Path, crops: Crops, *, n_images: int, facts: Mapping[str, str]
) -> Written:
    """Writes the file.

    Args:
        table: of the run.
        out: the file, which is not there.
        crops: makes the pictures.
        n_images: the most pictures of a feature.
        facts: how the run was made.
    """
    # Nothing reads the file before it is whole, so that it needs no journal.
    with closing(sqlite3.connect(out, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = OFF")
        file.execute("PRAGMA synchronous = OFF")
        file.executescript(_features(table.schema) + TABLES)
        file.execute("BEGIN")
        n = 0
        for found, feature in table.evidence():
            _add(file, table, found, list(_pictures(table, feature, crops, n_images)))
            n += 1
        file.executemany("INSERT INTO run VALUES (?, ?)", facts.items())
        file.execute("COMMIT")
        file.executescript(INDEXES + _search())
    return Written(n, broken=crops.broken)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _features(schema: pa.Schema) -> str:
    columns = [f"{_quoted(f.name)} {KINDS.get(f.type, 'TEXT')}" for f in schema if f.name != "feature"]
    first = ["feature INTEGER PRIMARY KEY", "picture BLOB"]
    return f"CREATE TABLE features ({', '.join(first + columns)});"


def _search() -> str:
    columns = ", ".join(SEARCHED)
    # Datasette finds the index of a table by `content="…"` in its SQL, with these very quotes.
    return (
        f'CREATE VIRTUAL TABLE features_fts USING fts5({columns}, content="features", content_rowid="feature");'
        "INSERT INTO features_fts(features_fts) VALUES ('rebuild');"
    )


def _pictures(table: FeatureTable, feature: Feature, crops: Crops, n: int) -> Iterator[tuple[object, ...]]:
    """The rows of a feature's pictures, without the number of each."""
    shown = strongest(feature, n)
    for rank, (exemplar, jpeg) in enumerate(zip(shown, crops.jpegs(shown), strict=True)):
        label = table.dump.image(exemplar.image).label
        yield feature.id, rank, jpeg, exemplar.image, exemplar.activation, exemplar.stratum, label


def _add(file: sqlite3.Connection, table: FeatureTable, found: Found, pictures: Sequence[tuple[object, ...]]) -> None:
    row: Row = {**found.row, "picture": pictures[0][2] if pictures else None}
    names = ["feature", "picture", *(name for name in table.schema.names if name != "feature")]
    _insert(file, "features", names, [[_value(row.get(name)) for name in names]])
    judges = labels(table.run.judged)
    told = [_score(key, judges.get(key.judging, score.judge), score) for key, score in found.scores.items()]
    _insert(file, "scores", None, told)
    columns = ("feature", "rank", "picture", "image", "activation", "stratum", "label")
    _insert(file, "images", columns, pictures)


def _insert(
    file: sqlite3.Connection, table: str, names: Sequence[str] | None, rows: Iterable[Sequence[object]]
) -> None:
    for row in rows:
        into = "" if names is None else f"({', '.join(map(_quoted, names))})"
        file.execute(f"INSERT INTO {table} {into} VALUES ({', '.join('?' * len(row))})", row)


def _score(key: Verdicts, judge: str, score: Scored | Unscored) -> list[object]:
    own = [score.feature, key.scorer, judge, score.status]
    if isinstance(score, Unscored):
        return [*own, *[None] * 5, score.reason, None, None, None, score.created]
    figures = [score.value, score.low, score.high, score.n, score.undetermined, None]
    controls = {name: control.model_dump() for name, control in score.controls.items()}
    return [*own, *figures, json.dumps(controls), json.dumps(score.details), score.prompt, score.created]


def _value(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | tuple) else value
