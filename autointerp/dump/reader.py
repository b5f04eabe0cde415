"""Opens a feature dump and reads features, one at a time or all in order, in memory bounded by a row group."""

import hashlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from functools import cached_property, partial
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from autointerp.arrays import among, as_arrow, ints
from autointerp.dump.checks import exemplar_faults, feature_faults, stop_at
from autointerp.dump.format import (
    EXEMPLARS,
    EXEMPLARS_FILE,
    FEATURES,
    FEATURES_FILE,
    IMAGES,
    IMAGES_FILE,
    INFO_FILE,
    POOL_FILE,
    DumpInfo,
    load_info,
    part_name,
)
from autointerp.dump.imagetable import ImageTable
from autointerp.dump.parts import N_CACHED_GROUPS, Parts
from autointerp.dump.pool import ImagePool
from autointerp.dump.records import exemplars_of, feature_rows_of, with_silent_activations
from autointerp.dump.selection import Selection
from autointerp.errors import DumpError
from autointerp.images.store import Store
from autointerp.interactive import Here, Shown
from autointerp.remote.path import AnyPath, Location, RemoteError, RemotePath, as_path
from autointerp.schema import Exemplar, Feature, FeatureRow, ImageRow

if TYPE_CHECKING:
    import pyarrow.dataset as ds


def exemplar_paths(folder: AnyPath) -> list[AnyPath]:
    """exemplars.parquet, or exemplars-00000.parquet and so on in their order.

    Raises:
        DumpError: both are there, or a part in between is not.
    """
    whole = folder / EXEMPLARS_FILE
    parts = _part_names(folder)
    if not parts:
        return [whole]
    if whole.exists():
        raise DumpError(f"{whole}: there is also {parts[0]}; expected one file or parts, so remove what is stale")
    for number, part in enumerate(parts):
        if part != part_name(number):
            raise DumpError(f"{folder / part_name(number)}: there is no such file, but {part} follows it")
    return [folder / part for part in parts]


def _part_names(folder: AnyPath) -> list[str]:
    """Returns the names of the exemplar files, ascending."""
    if not isinstance(folder, RemotePath):
        return sorted(part.name for part in folder.glob("exemplars-*.parquet"))
    try:
        names = folder.listing()
        if names is not None:
            return [name for name in names if fnmatch(name, "exemplars-*.parquet")]
        return _found_names(folder)
    except (FileNotFoundError, RemoteError) as error:
        raise DumpError(f"{folder}: its files cannot be listed: {error}") from error


def _found_names(folder: RemotePath) -> list[str]:
    """Where there is no list: parts as long as they follow each other, and one that is left after a gap."""
    names: list[str] = []
    number = 0
    while number < len(names) + 2:
        if (folder / part_name(number)).exists():
            names.append(part_name(number))
        number += 1
    return names


def dataset_of(paths: Sequence[AnyPath]) -> "ds.Dataset":
    """Parquet files as one table, not yet read."""
    # Imported here, since it imports pandas where that is installed, which nothing here uses.
    import pyarrow.dataset as ds

    remote = [path for path in paths if isinstance(path, RemotePath)]
    system = remote[0].filesystem() if remote else None
    # Without a file system PyArrow would take a URL for one of its own.
    return ds.dataset([str(path) for path in paths], format="parquet", filesystem=system)


Ints = npt.NDArray[np.int64]


def open_dump(path: Location, *, allow_outside: bool = False) -> "Dump":
    """Opens a dump for reading; checks dump.json, the columns of each table, and the image rows.

    Rows of features and exemplars are checked when they are read. Messages count rows from 0 in their file.

    Args:
        path: The dump's folder, or its URL, such as s3://bucket/dump.
        allow_outside: Whether image paths may be absolute or leave the folder. Only for dumps that you trust.

    Raises:
        DumpError: a file is missing or not as the format says.
    """
    return Dump(as_path(path), allow_outside=allow_outside)


class Dump(Shown):
    """A feature dump, read-only; safe to use from several threads."""

    def __init__(self, path: AnyPath, *, allow_outside: bool) -> None:
        self.path = path
        self.info: DumpInfo = load_info(path)
        self.feature_parts = Parts([path / FEATURES_FILE], FEATURES)
        self.exemplar_parts = Parts(exemplar_paths(path), EXEMPLARS)
        self.image_table = ImageTable(path, Parts([path / IMAGES_FILE], IMAGES), allow_outside=allow_outside)
        self.pool = ImagePool(path, self.info, self.image_table) if (path / POOL_FILE).exists() else None
        """The images drawn uniformly from the population, and what features do on them; None where there are none."""
        self._groups: Store[tuple[str, int], pa.Table] = Store(N_CACHED_GROUPS, lambda _: 1)

    def __enter__(self) -> "Dump":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files; reading again opens them again."""
        for parts in self._tables:
            parts.close()

    @property
    def _tables(self) -> list[Parts]:
        own = [self.feature_parts, self.exemplar_parts, self.image_table.parts]
        return own if self.pool is None else [*own, self.pool.parts]

    @cached_property
    def digest(self) -> str:
        """SHA-256, hex, over dump.json and the name, size and footer of each Parquet file.

        It stays cheap at any size. A footer holds the place and size of every column chunk and, in dumps that
        `DumpWriter` wrote, a digest of the rows; a byte changed later inside a data page does not show.
        """
        whole = hashlib.sha256((self.path / INFO_FILE).read_bytes())
        for parts in self._tables:
            for piece in parts.fingerprint():
                whole.update(piece)
        return whole.hexdigest()

    @property
    def n_features(self) -> int:
        """Returns the number of rows of features.parquet."""
        return self.feature_parts.n_rows

    @cached_property
    def feature_ids(self) -> Ints:
        """Numbers of the features in the dump, ascending; shape [n_features]."""
        ids = np.empty(self.n_features, np.int64)
        for rows, numbers in self.lots_of_features("feature"):
            ids[rows] = numbers
        ascends = ids[1:] > ids[:-1]
        if not (ascends.all() and (ids[:1] >= 0).all()):
            bad = 0 if ids[0] < 0 else int(np.argmin(ascends)) + 1
            where = f"{self.path / FEATURES_FILE}: row {bad}"
            raise DumpError(f"{where}: feature is {ids[bad]}; expected each feature once, ascending from 0")
        return ids

    def lots_of_features(self, name: str) -> Iterator[tuple[slice, Ints]]:
        """A column of integers of features.parquet: rows, counted from 0, and what stands there, nulls as -1."""
        start = 0
        for at, rows in enumerate(self.feature_parts.index.rows.tolist()):
            yield slice(start, start + rows), ints(self.feature_parts.read(at, [name])[name])
            start += rows

    def select(self, selection: Selection | None = None) -> Ints:
        """Numbers of the features chosen, ascending; all where None.

        Raises:
            SettingsError: the selection names a feature or a width that is not there.
        """
        return (selection or Selection()).resolve(self.feature_ids, self.info.widths)

    def features(self, selection: Selection | None = None) -> Iterator[Feature]:
        """The features chosen, ascending, each row group read once; a feature without exemplars has none.

        Raises:
            DumpError: a row that is met is not as the format says.
            SettingsError: as `select` says.
        """
        return self._stream(self.select(selection))

    def feature(self, number: int) -> Feature:
        """One feature; touches no other row group than its own.

        Raises:
            DumpError: it is not in the dump, or a row of its group is not as the format says.
        """
        row = self.feature_row(number)
        found = [self._checked(EXEMPLARS_FILE, at) for at in self.exemplar_parts.holding(number)]
        own = [table.slice(*_span(ints(table["feature"]), number)) for table in found]
        return self._feature(row, [e for table in own for e in exemplars_of(table)])

    def feature_row(self, number: int) -> FeatureRow:
        """What features.parquet says of one feature.

        Raises:
            DumpError: it is not in the dump.
        """
        for at in self.feature_parts.holding(number):
            table = self._checked(FEATURES_FILE, at)
            start, count = _span(ints(table["feature"]), number)
            if count:
                return next(feature_rows_of(table.slice(start, 1)))
        spans = self.feature_parts.index
        there = f"{self.n_features} features in {spans.first[0]} to {spans.last[-1]}" if self.n_features else "none"
        raise DumpError(f"{self.path}: there is no feature {number}; the dump has {there}")

    def image(self, image: int) -> ImageRow:
        """One row of images.parquet. Raises DumpError if it is not there."""
        return self.image_table.rows([image])[0]

    def images(self, images: Sequence[int]) -> list[ImageRow]:
        """Rows of images.parquet in the order asked for. Raises DumpError if one is not there."""
        return self.image_table.rows(images)

    def image_source(self, image: int) -> bytes | AnyPath:
        """The image file's bytes where the dump holds them, else its path, which may not exist.

        Raises:
            DumpError: there is no such image, or its path leaves the dump and must not.
        """
        return self.image_table.source(image)

    def features_table(self) -> pa.Table:
        """features.parquet as it is, in memory, with any columns beyond the format."""
        return dataset_of([self.path / FEATURES_FILE]).to_table()

    def exemplars_dataset(self) -> "ds.Dataset":
        """exemplars.parquet as it is, all parts as one, not yet read."""
        return dataset_of(self.exemplar_parts.paths)

    def images_table(self) -> pa.Table:
        """images.parquet without its bytes, in memory."""
        return self.image_table.table

    def _stream(self, chosen: Ints) -> Iterator[Feature]:
        evidence = self._evidence(chosen)
        ahead = next(evidence, None)
        for row in self.feature_rows(chosen):
            exemplars: tuple[Exemplar, ...] = ()
            if ahead is not None and ahead[0] == row.feature:
                exemplars = ahead[1]
                ahead = next(evidence, None)
            yield self._feature(row, exemplars)

    def feature_rows(self, chosen: Ints) -> Iterator[FeatureRow]:
        """What features.parquet says of the features chosen, ascending, each row group read once."""
        index = self.feature_parts.index
        for at in _overlapping(index.first, index.last, chosen):
            table = self._read_features(at)
            yield from feature_rows_of(table.filter(as_arrow(among(chosen, ints(table["feature"])))))

    def _feature(self, row: FeatureRow, exemplars: Sequence[Exemplar]) -> Feature:
        return Feature(row, with_silent_activations(exemplars), self.info.active_above, Here(self))

    def _evidence(self, chosen: Ints) -> Iterator[tuple[int, tuple[Exemplar, ...]]]:
        """Each chosen feature that has exemplars, with them."""
        for number, pieces in groupby(self._pieces(chosen), key=itemgetter(0)):
            yield number, tuple(chain.from_iterable(exemplars for _, exemplars in pieces))

    def _pieces(self, chosen: Ints) -> Iterator[tuple[int, tuple[Exemplar, ...]]]:
        """What each row group holds of each chosen feature."""
        index = self.exemplar_parts.index
        for at in _overlapping(index.first, index.last, chosen):
            table = self._read_exemplars(at)
            self._refuse_unknown(table, at)
            own = table.filter(as_arrow(among(chosen, ints(table["feature"]))))
            # A row group in range may hold no row of a chosen feature.
            numbers, starts, counts = np.unique(ints(own["feature"]), return_index=True, return_counts=True)
            for number, start, count in zip(numbers.tolist(), starts.tolist(), counts.tolist(), strict=True):
                yield number, exemplars_of(own.slice(start, count))

    def _checked(self, name: str, at: int) -> pa.Table:
        read = self._read_exemplars if name == EXEMPLARS_FILE else self._read_features
        return self._groups.get((name, at), partial(read, at))

    def _read_features(self, at: int) -> pa.Table:
        table = self.feature_parts.read(at)
        stop_at(feature_faults(table, self.info), partial(self.feature_parts.where, at))
        return table

    def _read_exemplars(self, at: int) -> pa.Table:
        table = self.exemplar_parts.read(at)
        stop_at(exemplar_faults(table, self.info, self.image_table.known), partial(self.exemplar_parts.where, at))
        return table

    def _refuse_unknown(self, table: pa.Table, at: int) -> None:
        known = among(self.feature_ids, ints(table["feature"]))
        if not known.all():
            row = int(np.argmin(known))
            where = self.exemplar_parts.where(at, row)
            raise DumpError(f"{where}: feature is {table['feature'][row]}; expected a feature of {FEATURES_FILE}")


def _overlapping(first: Ints, last: Ints, chosen: Ints) -> list[int]:
    """The row groups in whose span of features some chosen one lies."""
    begun = np.searchsorted(chosen, first, side="left")
    ended = np.searchsorted(chosen, last, side="right")
    return np.flatnonzero(ended > begun).tolist()


def _span(features: Ints, number: int) -> tuple[int, int]:
    """First row and number of rows of one feature; `features` ascends."""
    start, stop = np.searchsorted(features, [number, number + 1])
    return int(start), int(stop - start)
