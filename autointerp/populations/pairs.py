"""Pairs of images that differ in one attribute, as a table lists them."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.errors import SettingsError
from autointerp.images.manifest import Manifest
from autointerp.images.near_duplicates import joined
from autointerp.populations.images import PopulationImage, look_at
from autointerp.populations.labels import text_of
from autointerp.populations.listing import Entry, Listing
from autointerp.populations.lists import content_of
from autointerp.populations.tables import Table, read_table

Ints = npt.NDArray[np.int64]
COLUMNS = ("image_a", "image_b", "attribute", "direction")
GROUP = "group"
"""The column that may be there besides."""
IN_B = {"+": True, "+1": True, "1": True, "-": False, "-1": False}
"""Whether image_b has the attribute, by what stands in `direction`."""


@dataclass(frozen=True)
class Pairs:
    """Pairs in the order of the table; ids of images and attributes are positions in `images` and `attributes`."""

    root: str
    """The table."""
    images: tuple[PopulationImage, ...]
    """Each once."""
    attributes: tuple[str, ...]
    """In the order of their names."""
    having: Ints
    """The image that has the attribute, shape [n]."""
    lacking: Ints
    """The image that lacks it, shape [n]."""
    attribute: Ints
    """Shape [n]."""
    groups: Ints
    """Pairs that share a picture, or that the table puts together, shape [n]."""


class _Named(NamedTuple):
    entry: Entry
    where: str
    """Table, row and column that name it first."""


class _Row(NamedTuple):
    number: int
    having: str
    lacking: str
    attribute: str
    group: str | None


def read_pairs(path: Path, *, manifest: Manifest | None = None) -> Pairs:
    """Reads a table of pairs, and looks at their images.

    Args:
        path: CSV, TSV or Parquet with the columns image_a, image_b, attribute and direction: `+` where image_b has the
            attribute, `-` where image_a has it; and perhaps group. Paths start from the table's folder or from the
            working folder.
        manifest: remembers the images that are decoded here.

    Raises:
        SettingsError: the table, a row or an image cannot be used, or an attribute has pairs of one group only.
    """
    table = read_table(path, "--pairs")
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise SettingsError(
            f"--pairs {table}: has no column {missing[0]!r}; it has {', '.join(table.columns) or 'none'}; "
            f"the header should be {','.join(COLUMNS)}"
        )
    named: dict[str, _Named] = {}
    rows = _rows(table, named)
    if not rows:
        raise SettingsError(f"--pairs {table}: has no rows; list at least two pairs of each attribute")
    found = look_at(Listing(str(table), tuple(one.entry for one in named.values())), manifest=manifest)
    ids = {image.name: image.image for image in found.images}
    if (first := next((place for place in named if place not in ids), None)) is not None:
        raise SettingsError(f"{named[first].where}: {found.broken[0]}")
    return _checked(table, rows, found.images, ids)


def _rows(table: Table, named: dict[str, _Named]) -> list[_Row]:
    """Reads the rows, and fills in each picture that they name."""
    with_group = GROUP in table.columns
    rows: list[_Row] = []
    first: dict[tuple[frozenset[str], str], _Row] = {}
    for number, values in enumerate(table.rows((*COLUMNS, *([GROUP] if with_group else []))), start=1):
        row = _row(table, number, values, named)
        # A pair and its mirror are one question, which has one answer.
        key = frozenset((row.having, row.lacking)), row.attribute
        before = first.setdefault(key, row)
        if before is not row:
            same = "says the same as" if before.having == row.having else "says the opposite of"
            raise SettingsError(f"{table}: row {number}: direction: {same} row {before.number}; leave one of them out")
        rows.append(row)
    return rows


def _row(table: Table, number: int, values: tuple[object, ...], named: dict[str, _Named]) -> _Row:
    where = f"{table}: row {number}"
    places = [_place(table, f"{where}: {name}", value, named) for name, value in zip(COLUMNS, values[:2], strict=False)]
    if places[0] == places[1]:
        raise SettingsError(f"{where}: image_b: is the file of image_a; a pair needs two pictures")
    attribute = text_of(values[2])
    if attribute is None:
        raise SettingsError(f"{where}: attribute: is empty; name what the two pictures differ in")
    direction = str(values[3]).strip()
    if direction not in IN_B:
        raise SettingsError(
            f"{where}: direction: {direction[:40]!r} is neither + (image_b has the attribute) nor - (image_a has it)"
        )
    lacking, having = places if IN_B[direction] else places[::-1]
    return _Row(number, having, lacking, attribute.strip(), text_of(values[4]) if len(values) > 4 else None)


def _place(table: Table, where: str, value: object, named: dict[str, _Named]) -> str:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{where}: is empty; name a picture")
    place, content = content_of(table.folder, value, where)
    named.setdefault(place, _Named(Entry(place, content), where))
    return place


def _checked(table: Table, rows: list[_Row], images: tuple[PopulationImage, ...], ids: dict[str, int]) -> Pairs:
    having, lacking = (np.array([ids[place] for place in of], np.int64) for of in _sides(rows))
    digests = [image.sha256 for image in images]
    for row, one, other in zip(rows, having.tolist(), lacking.tolist(), strict=True):
        if digests[one] == digests[other]:
            raise SettingsError(f"{table}: row {row.number}: image_b: has the very content of image_a")
    names = sorted({row.attribute for row in rows})
    attribute = np.array([names.index(row.attribute) for row in rows], np.int64)
    groups = _groups(rows, [digests[i] for i in having], [digests[i] for i in lacking])
    for i, name in enumerate(names):
        if len(np.unique(groups[attribute == i])) < 2:
            raise SettingsError(
                f"--pairs {table}: {name!r}: its pairs share their pictures or have one group, so that none can be "
                "held out; give pairs of at least two scenes, better of twenty"
            )
    return Pairs(str(table), images, tuple(names), having, lacking, attribute, groups)


def _sides(rows: list[_Row]) -> tuple[list[str], list[str]]:
    return [row.having for row in rows], [row.lacking for row in rows]


def _groups(rows: list[_Row], having: list[str], lacking: list[str]) -> Ints:
    """Joins pairs by the content of either picture, and by the table's own groups."""
    ends = [*range(len(rows))] * 2
    return joined(2 * len(rows), ends, having + lacking, [row.group for row in rows] * 2)[: len(rows)]
