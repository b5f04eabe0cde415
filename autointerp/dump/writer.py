"""Writes a feature dump: streaming, checked, and there as a whole or not at all."""

import hashlib
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import ParamSpec

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from autointerp.dump.checks import Fault, KnownImages, exemplar_faults, feature_faults, image_faults, stop_at
from autointerp.dump.format import (
    EXEMPLARS,
    EXEMPLARS_FILE,
    FEATURES,
    FEATURES_FILE,
    IMAGES,
    IMAGES_FILE,
    INFO_FILE,
    POOL,
    POOL_FILE,
    DumpInfo,
    part_name,
)
from autointerp.dump.records import exemplars_table, features_table, pool_table
from autointerp.errors import DumpError
from autointerp.images.decode import digest_of, displayed_size
from autointerp.schema import Exemplar, FeatureRow, PoolRow

DIGEST_KEY = "autointerp.rows"
"""Footer key of the SHA-256 over the rows, image bytes left out since their own digest is among the rows."""


class ParquetSink:
    """One file, written in row groups as they are handed in.

    Args:
        path: The file to write.
        schema: Its columns.
        statistics: The columns that statistics are kept for; by the key's, readers find a row group.
        plain: Columns whose values hardly repeat, so that a dictionary would only cost.
        raw: Columns that are compressed already.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        *,
        statistics: Sequence[str],
        plain: Sequence[str] = (),
        raw: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.n_rows = 0
        self._schema = schema
        self._raw = tuple(raw)
        self._digest = hashlib.sha256()
        leaves = [f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name for f in schema]
        self._writer = pq.ParquetWriter(
            path,
            schema,
            # PyArrow annotates these as one setting for all columns and documents one for each as well.
            compression={name: "none" if name in raw else "zstd" for name in leaves},  # pyright: ignore[reportArgumentType]
            use_dictionary=[name for name in leaves if name not in plain],  # pyright: ignore[reportArgumentType]
            write_statistics=list(statistics),  # pyright: ignore[reportArgumentType]
        )

    def write(self, table: pa.Table) -> None:
        """Writes `table` as one row group. Raises DumpError if the disk does not take it."""
        hashed = table.drop_columns(list(self._raw)) if self._raw else table
        for batch in hashed.combine_chunks().to_batches():
            self._digest.update(batch.serialize())
        try:
            self._writer.write_table(table, row_group_size=table.num_rows)
        except OSError as error:
            raise DumpError(f"{self.path}: cannot be written: {error}") from error
        self.n_rows += table.num_rows

    def close(self) -> None:
        """Writes the footer; closing again does nothing."""
        if self._writer.is_open:
            self._writer.add_key_value_metadata({DIGEST_KEY: self._digest.hexdigest()})
            self._writer.close()


N_GROUP_FEATURES = 4096
N_GROUP_EXEMPLARS = 6000
GROUP_HEAT_BYTES = 8 * 2**20
N_GROUP_PATHS = 65536
N_GROUP_POOL = 512
N_GROUP_IMAGES = 256
GROUP_IMAGE_BYTES = 4 * 2**20
"""A row group ends once it holds this much, so that reading one feature or one image stays cheap."""

N_PART_EXEMPLARS = 1_000_000
"""Rows after which the exemplars go on in another file, so that the footers of the few that are open stay small."""

COUNTED = ("feature", "x0", "heat")
"""Statistics of the first find a feature; those of the others tell how many boxes and heat maps there are."""

P = ParamSpec("P")

PLAIN = ("bytes", "heat", "sha256", "activation")
"""Columns whose values hardly repeat."""


class DumpWriter:
    """Writes into a hidden folder beside the target, which takes the target's name when the `with` block ends.

    An exception removes it; a kill leaves it under its hidden name and no target.

    Args:
        folder: The dump to write; must not exist yet.
        info: Content of dump.json.
        rows_per_part: Exemplar rows after which another part begins, at the end of a feature.
        pooled: Whether the dump has a pool: images say whether they are in it, and features what they do on it.
        sourced: Whether images say what they were made from.

    Raises:
        DumpError: the folder exists or cannot be made, or a row is not as the format says.
    """

    def __init__(
        self,
        folder: str | Path,
        info: DumpInfo,
        *,
        rows_per_part: int = N_PART_EXEMPLARS,
        pooled: bool = False,
        sourced: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.info = info
        self.rows_per_part = rows_per_part
        self.work = self.folder.parent / f".{self.folder.name}.{token_hex(4)}.tmp"
        """Where the files are until the block ends; image files that the dump shall hold go in here."""
        without = {name for name, has in (("pool", pooled), ("source", sourced)) if not has}
        self._image_schema = pa.schema([field for field in IMAGES if field.name not in without])
        self._pooled = pooled
        self._pool: dict[int, PoolRow] = {}
        self._rows: list[FeatureRow] = []
        self._features: list[int] = []
        self._exemplars: list[Exemplar] = []
        self._heat_bytes = 0
        self._images: list[dict[str, object]] = []
        self._image_bytes = 0
        self._image_ids = array("q")
        self._sizes = array("q")
        self._known: KnownImages | None = None
        self._n_parts = 1
        self._last_feature = -1

    def __enter__(self) -> "DumpWriter":
        try:
            taken = self.folder.exists() or self.folder.is_symlink()
            if not taken:
                self.work.mkdir(parents=True)
        except OSError as error:
            raise DumpError(f"{self.folder}: cannot be made: {error.strerror}") from error
        if taken:
            raise DumpError(f"{self.folder}: exists already; a dump is written once, so give another folder")
        self._feature_sink = ParquetSink(self.work / FEATURES_FILE, FEATURES, statistics=("feature",))
        self._image_sink = ParquetSink(
            self.work / IMAGES_FILE, self._image_schema, statistics=("image",), plain=PLAIN, raw=("bytes",)
        )
        self._exemplar_sink = ParquetSink(self.work / part_name(0), EXEMPLARS, statistics=COUNTED, plain=PLAIN)
        self._pool_sink = ParquetSink(self.work / POOL_FILE, POOL, statistics=("feature",)) if self._pooled else None
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            for sink in self._sinks:
                # A footer that a full disk does not take must not hide why the block was left.
                with suppress(OSError):
                    sink.close()
            shutil.rmtree(self.work, ignore_errors=True)

    @property
    def _sinks(self) -> list[ParquetSink]:
        own = [self._feature_sink, self._image_sink, self._exemplar_sink]
        return own if self._pool_sink is None else [*own, self._pool_sink]

    def add_image(
        self,
        image: int,
        *,
        path: str | Path | None = None,
        data: bytes | None = None,
        size: tuple[int, int] | None = None,
        sha256: str | None = None,
        attribute: bool | None = None,
        group: str | None = None,
        label: str | None = None,
        pool: bool = False,
        source: str | None = None,
    ) -> None:
        """Adds one image, in ascending order of `image` and before the features that show it.

        Args:
            image: Its number.
            path: The file: absolute, or relative to the dump (looked for in `work`, then in `folder`). This or `data`.
            data: The file's bytes, to be kept in the dump.
            size: Width and height in pixels as displayed; found from the file when None.
            sha256: Hex digest of the file; found from the file when None.
            attribute: The dump's boolean label.
            group: Name of its set of near-duplicates.
            label: Its class or caption.
            pool: Whether it is in the dump's pool, a uniform draw from the population.
            source: What it was made from, such as a prompt or a photograph; kept where the dump is `sourced`.

        Raises:
            DumpError: the order is broken, not exactly one of `path` and `data` is given, or the file is not there.
            ImageError: the file cannot be decoded and `size` was not given.
        """
        if (path is None) == (data is None):
            raise DumpError(f"image {image}: expected exactly one of path and data")
        if sha256 is None or size is None:
            file = data if data is not None else self._locate(image, Path(str(path)))
            sha256 = sha256 or digest_of(file)
            size = size or displayed_size(file)
        name = None if path is None else str(path)
        self._add_image_row(image, size, (image, name, data, *size, sha256, attribute, group, label, pool, source))

    def _add_image_row(self, image: int, size: tuple[int, int], columns: tuple[object, ...]) -> None:
        if self._image_ids and image <= self._image_ids[-1]:
            raise DumpError(f"image {image}: comes after {self._image_ids[-1]}; add each image once, ascending")
        row = dict(zip(IMAGES.names, columns, strict=True))
        self._images.append(row)
        self._image_ids.append(image)
        self._known = None
        self._sizes.extend(size)
        data = row["bytes"]
        self._image_bytes += len(data) if isinstance(data, bytes) else 0
        full = N_GROUP_IMAGES if self._image_bytes else N_GROUP_PATHS
        if len(self._images) >= full or self._image_bytes >= GROUP_IMAGE_BYTES:
            self._flush_images()

    def add_feature(self, row: FeatureRow, exemplars: Iterable[Exemplar], pool: PoolRow | None = None) -> None:
        """Adds one feature with its evidence, in ascending order of `row.feature`.

        Args:
            row: What the dump says of it as a whole.
            exemplars: Its evidence.
            pool: What it does on the images of the pool; None where that is not known.

        Raises:
            DumpError: the order, or (at the latest when the block ends) a value that the format does not allow.
        """
        if row.feature <= self._last_feature:
            raise DumpError(f"feature {row.feature}: comes after {self._last_feature}; add each once, ascending")
        self._last_feature = row.feature
        self._rows.append(row)
        if pool is not None:
            self._pool[row.feature] = pool
        if len(self._pool) >= N_GROUP_POOL:
            self._flush_pool()
        for exemplar in exemplars:
            self._features.append(row.feature)
            self._exemplars.append(exemplar)
            self._heat_bytes += len(exemplar.heat or b"")
        if len(self._rows) >= N_GROUP_FEATURES:
            self._flush_features()
        if len(self._exemplars) >= N_GROUP_EXEMPLARS or self._heat_bytes >= GROUP_HEAT_BYTES:
            self._flush_exemplars()

    def _locate(self, image: int, path: Path) -> Path:
        """The file now; an absolute `path` is itself."""
        for base in (self.work, self.folder):
            if (base / path).is_file():
                return base / path
        raise DumpError(f"image {image}: there is no file {path}")

    def _flush_features(self) -> None:
        if self._rows:
            table = _table(features_table, self.folder / FEATURES_FILE, self._rows)
            _write(self._feature_sink, self.folder / FEATURES_FILE, table, feature_faults(table, self.info))
            self._rows = []

    def _flush_exemplars(self) -> None:
        if not self._exemplars:
            return
        if self._exemplar_sink.n_rows >= self.rows_per_part:
            self._exemplar_sink.close()
            self._exemplar_sink = ParquetSink(
                self.work / part_name(self._n_parts), EXEMPLARS, statistics=COUNTED, plain=PLAIN
            )
            self._n_parts += 1
        name = self.folder / (EXEMPLARS_FILE if self._n_parts == 1 else self._exemplar_sink.path.name)
        table = _table(exemplars_table, name, self._features, self._exemplars)
        _write(self._exemplar_sink, name, table, exemplar_faults(table, self.info, self._known_images()))
        self._features, self._exemplars, self._heat_bytes = [], [], 0

    def _flush_pool(self) -> None:
        if self._pool_sink is not None and self._pool:
            self._pool_sink.write(_table(pool_table, self.folder / POOL_FILE, self._pool))
            self._pool = {}

    def _flush_images(self) -> None:
        if self._images:
            table = _table(pa.Table.from_pylist, self.folder / IMAGES_FILE, self._images, self._image_schema)
            _write(self._image_sink, self.folder / IMAGES_FILE, table, image_faults(table))
            self._images, self._image_bytes = [], 0

    def _known_images(self) -> KnownImages:
        if self._known is None:
            sizes = np.array(self._sizes, dtype=np.int64).reshape(-1, 2)
            self._known = KnownImages(np.array(self._image_ids, dtype=np.int64), sizes[:, 0], sizes[:, 1])
        return self._known

    def _finish(self) -> None:
        self._flush_features()
        self._flush_exemplars()
        self._flush_images()
        self._flush_pool()
        for sink in self._sinks:
            sink.close()
        if self._n_parts == 1:
            (self.work / part_name(0)).rename(self.work / EXEMPLARS_FILE)
        # A complete dump has the same dump.json, and so the same digest, as before there was this key.
        left_out = {"population"} if self.info.population == "complete" else None
        content = self.info.model_dump_json(indent=2, exclude=left_out) + "\n"
        (self.work / INFO_FILE).write_text(content, encoding="utf-8")
        if self.folder.exists():
            raise DumpError(f"{self.folder}: was made by another program meanwhile; give another folder")
        try:
            self.work.rename(self.folder)
        except OSError as error:
            raise DumpError(f"{self.folder}: cannot be made: {error}") from error


def _table(build: Callable[P, pa.Table], path: Path, *args: P.args, **kwargs: P.kwargs) -> pa.Table:
    try:
        return build(*args, **kwargs)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise DumpError(f"{path}: a value does not fit its column: {str(error).partition(chr(10))[0]}") from error


def _write(sink: ParquetSink, path: Path, table: pa.Table, found: Iterator[Fault]) -> None:
    stop_at(found, lambda row: f"{path}: row {sink.n_rows + row}")
    sink.write(table)
