"""A result on disk: result.json, a table of all images, and pictures; and how it is read."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from autointerp.errors import SettingsError, excerpt, one_line
from autointerp.generators.assembled import Study
from autointerp.generators.results import RESULT_FORMAT, Result
from autointerp.processes import draft_of

RESULT_FILE, IMAGES_FILE, PICTURES = "result.json", "images.parquet", "pictures"
MOST_TEXT = 256 << 20
"""Bytes of a result.json, at most."""
IMAGES = pa.schema(
    [
        pa.field("generator", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("prompt", pa.string()),
        pa.field("seed", pa.string()),
        pa.field("cluster", pa.int64(), nullable=False),
        pa.field("modes", pa.list_(pa.string()), nullable=False),
        pa.field("severities", pa.list_(pa.float32()), nullable=False),
    ]
)
"""images.parquet, one row an image: the modes that are on, and how strongly."""


class OpenedResult(NamedTuple):
    """A result that was read."""

    folder: Path
    result: Result
    digest: str
    """SHA-256, hex, of result.json."""


def write_result(folder: Path, result: Result) -> None:
    """Writes result.json, whole or not at all.

    Raises:
        SettingsError: it cannot be written.
    """
    path = folder / RESULT_FILE
    draft = draft_of(path)
    try:
        draft.write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as e:
        raise SettingsError(f"{path}: cannot be written: {e.strerror}") from e


def write_images(folder: Path, study: Study) -> None:
    """Writes images.parquet, whole or not at all, a generator at a time.

    Raises:
        SettingsError: it cannot be written.
    """
    path = folder / IMAGES_FILE
    draft = draft_of(path)
    try:
        with pq.ParquetWriter(draft, IMAGES, compression="zstd") as writer:
            for table in _tables(study):
                writer.write_table(table)
        draft.replace(path)
    except OSError as e:
        raise SettingsError(f"{path}: cannot be written: {e.strerror}") from e


def _tables(study: Study) -> Iterator[pa.Table]:
    names = [m.id for m in study.pack.modes]
    for one, images in zip(study.sets, study.images, strict=True):
        on = [[m for m in range(len(names)) if row[m]] for row in images.on]
        columns = {
            "generator": [one.name] * images.n,
            "path": [i.name for i in one.images],
            "sha256": [i.sha256 for i in one.images],
            "prompt": list(one.prompts),
            "seed": list(one.seeds),
            "cluster": images.clusters.tolist(),
            "modes": [[names[m] for m in own] for own in on],
            "severities": [[float(images.severity[i, m]) for m in own] for i, own in enumerate(on)],
        }
        yield pa.table(columns, schema=IMAGES)


def open_result(folder: Path) -> OpenedResult:
    """Reads a result.

    Raises:
        SettingsError: there is none, or it is of another version or damaged.
    """
    path = folder / RESULT_FILE
    try:
        if path.stat().st_size > MOST_TEXT:
            raise SettingsError(f"{path}: has more than {MOST_TEXT:,} bytes, and is no result of a benchmark")
        text = path.read_bytes()
    except FileNotFoundError:
        made = "that `autointerp benchmark run` wrote to its end"
        raise SettingsError(f"{path}: no such file; give the folder of a result {made}") from None
    except OSError as e:
        raise SettingsError(f"{path}: cannot be read: {e.strerror}") from e
    try:
        result = Result.model_validate_json(text)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = f"is not of the format {RESULT_FORMAT}" if where == "format" else f"{where}: {one_line(first['msg'])}"
        raise SettingsError(f"{path}: {said}; run the benchmark again") from e
    if (wrong := next(_disagreements(result), None)) is not None:
        raise SettingsError(f"{path}: {excerpt(wrong)}; run the benchmark again")
    return OpenedResult(folder, result, hashlib.sha256(text).hexdigest())


def _disagreements(result: Result) -> Iterator[str]:
    """What parts of a result that somebody has sent or changed say of others that are not there."""
    modes, categories = [m.id for m in result.modes], {m.category for m in result.modes}
    names = [s.name for s in result.sets]
    if not modes or len(set(modes)) < len(modes):
        yield "modes: there are none, or one stands twice"
    if not names or len(set(names)) < len(names):
        yield "sets: there are none, or one stands twice"
    for one in result.sets:
        if one.modes.keys() != set(modes) or one.categories.keys() != categories:
            yield f"sets: {one.name}: its modes and categories are not those of the result"
    for pair in result.pairs:
        if not {pair.a, pair.b} <= set(names) or (pair.kind == "mode" and pair.what not in modes):
            yield f"pairs: {pair.a}, {pair.b}, {pair.what}: is no pair of sets, or no mode"
