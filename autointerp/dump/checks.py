"""What a row of each table must satisfy, checked a row group at a time."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from autointerp.arrays import Ints, Mask, floats, ints, texts, truths
from autointerp.dump.format import EXEMPLARS, FEATURES, HISTOGRAM_BINS, IMAGES, DumpInfo
from autointerp.errors import DumpError
from autointerp.schema import SILENT_STRATA, STRATA

SIDES = ("x0", "y0", "x1", "y1")


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that some rows of a table break."""

    row: int
    """The first of them, counted from 0 in the table that was checked."""
    field: str
    message: str
    """What the field holds there, and what is expected."""
    count: int


@dataclass(frozen=True, slots=True)
class KnownImages:
    """Ids of images.parquet, ascending, and their sizes in pixels; arrays of one length."""

    ids: Ints
    width: Ints
    height: Ints

    def find(self, images: Ints) -> tuple[Ints, Mask]:
        """Positions of `images`, and which of them are there at all; a position means nothing where one is not."""
        if not len(self.ids):
            return np.zeros(len(images), np.int64), np.zeros(len(images), np.bool_)
        at = np.minimum(np.searchsorted(self.ids, images), len(self.ids) - 1)
        return at, self.ids[at] == images

    def position(self, image: int) -> int | None:
        """Where one image is; None where it is not there."""
        # Not by `find`: NumPy lets go of the interpreter's lock, for which threads then wait.
        at = bisect_left(self.ids.data, image)
        return at if at < len(self.ids) and int(self.ids[at]) == image else None


def faults(bad: Mask, field: str, values: pa.ChunkedArray, expected: str) -> Iterator[Fault]:
    """One fault for the rows where `bad` is true, or none."""
    count = int(np.count_nonzero(bad))
    if count:
        row = int(np.argmax(bad))
        yield Fault(row, field, f"is {values[row].as_py()!r}; expected {expected}", count)


def stop_at(found: Iterator[Fault], where: Callable[[int], str]) -> None:
    """Raises DumpError for the first fault, if there is one."""
    for fault in found:
        raise DumpError(f"{where(fault.row)}: {fault.field} {fault.message}")


def matches(column: pa.ChunkedArray, pattern: str) -> Mask:
    """Where the text has the regular expression in it; false for nulls."""
    found = pc.call_function("match_substring_regex", [column], pc.MatchSubstringOptions(pattern))
    return truths(found)


def nulls(table: pa.Table, schema: pa.Schema) -> Iterator[Fault]:
    """Nulls where the format allows none."""
    for field in schema:
        if not field.nullable and table[field.name].null_count:
            bad = truths(table[field.name].is_null())
            yield from faults(bad, field.name, table[field.name], "a value")


def exemplar_faults(table: pa.Table, info: DumpInfo, images: KnownImages) -> Iterator[Fault]:
    """Every rule of exemplars.parquet that some row of `table` breaks; whole features, sorted by feature."""
    found = list(nulls(table, EXEMPLARS))
    yield from found
    if found:
        return
    feature, image = ints(table["feature"]), ints(table["image"])
    latents = f"0 to {info.n_latents - 1}"
    yield from faults((feature < 0) | (feature >= info.n_latents), "feature", table["feature"], latents)
    descends = np.diff(feature, prepend=feature[:1]) < 0
    yield from faults(descends, "feature", table["feature"], "rows sorted by feature")
    order = np.lexsort((image, feature))
    again = np.zeros(len(order), np.bool_)
    again[order[1:]] = (np.diff(feature[order]) == 0) & (np.diff(image[order]) == 0)
    yield from faults(again, "image", table["image"], "each image once a feature")
    yield from _evidence_faults(table, info)
    at, known = images.find(image)
    yield from faults(~known, "image", table["image"], "an image of images.parquet")
    yield from _box_faults(table, images, at, known)
    yield from _heat_faults(table, info)


def _evidence_faults(table: pa.Table, info: DumpInfo) -> Iterator[Fault]:
    stratum = texts(table["stratum"])
    yield from faults(~np.isin(stratum, STRATA), "stratum", table["stratum"], "top, q1 to q9, silent or guided")
    probability = floats(table["probability"])
    outside = ~((probability > 0) & (probability <= 1))
    yield from faults(outside, "probability", table["probability"], "more than 0 and at most 1")
    wrong_top = (stratum == "top") & (probability != 1)
    yield from faults(wrong_top, "probability", table["probability"], "1.0 where stratum is top")
    activation = floats(table["activation"])
    finite = np.isfinite(activation)
    yield from faults(~finite, "activation", table["activation"], "a finite number")
    # The threshold is rounded as the stored values were, else 0.1 would not equal 0.1.
    fires = activation > activation.dtype.type(info.active_above)
    silent = np.isin(stratum, SILENT_STRATA)
    above = f"{info.active_above} or less where stratum is silent or guided (active_above)"
    yield from faults(silent & fires & finite, "activation", table["activation"], above)
    below = f"more than {info.active_above} where stratum is not silent or guided (active_above)"
    active = np.isin(stratum, STRATA) & ~silent
    yield from faults(active & ~fires & finite, "activation", table["activation"], below)
    yield from _silent_activation_faults(table, info, silent)


def _silent_activation_faults(table: pa.Table, info: DumpInfo, silent: Mask) -> Iterator[Fault]:
    column = table["silent_activation"]
    # Other programs write NaN for null.
    number = floats(column)
    beyond = np.isinf(number) | (number > number.dtype.type(info.active_above))
    wanted = f"{info.active_above} or less where stratum is silent or guided (active_above), or null"
    yield from faults(silent & beyond, "silent_activation", column, wanted)
    yield from faults(~silent & ~np.isnan(number), "silent_activation", column, "null where the feature fires")


def _box_faults(table: pa.Table, images: KnownImages, at: Ints, known: Mask) -> Iterator[Fault]:
    sides = [table[side] for side in SIDES]
    absent = np.stack([truths(side.is_null()) for side in sides])
    partial: Mask = np.asarray(absent.any(axis=0) & ~absent.all(axis=0))
    yield from faults(partial, "x0 y0 x1 y1", _joined(sides), "four numbers or four nulls")
    x0, y0, x1, y1 = (ints(side) for side in sides)
    boxed: Mask = np.asarray(~absent.any(axis=0))
    yield from faults(boxed & ((x0 >= x1) | (y0 >= y1)), "x0 y0 x1 y1", _joined(sides), "x0 < x1 and y0 < y1")
    if not len(images.ids):
        return
    beyond = (x0 < 0) | (y0 < 0) | (x1 > images.width[at]) | (y1 > images.height[at])
    bad = np.asarray(boxed & known & beyond)
    if bad.any():
        first = at[int(np.argmax(bad))]
        inside = f"a box inside its image of {images.width[first]}x{images.height[first]} pixels"
        yield from faults(bad, "x0 y0 x1 y1", _joined(sides), inside)


def _joined(sides: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.StructArray.from_arrays([side.combine_chunks() for side in sides], SIDES)])


def _heat_faults(table: pa.Table, info: DumpInfo) -> Iterator[Fault]:
    lengths = pc.call_function("binary_length", [table["heat"]])
    size = ints(lengths)
    if info.heat_bytes is None:
        yield from faults(size >= 0, "heat", lengths, "null, since dump.json has no patch_grid (length in bytes shown)")
        return
    assert info.patch_grid is not None
    rows, columns = info.patch_grid
    wanted = f"{info.heat_bytes} bytes, {rows} rows of {columns} (patch_grid)"
    yield from faults((size >= 0) & (size != info.heat_bytes), "heat", lengths, wanted)


def feature_faults(table: pa.Table, info: DumpInfo) -> Iterator[Fault]:
    """Every rule of features.parquet that some row of `table` breaks."""
    found = list(nulls(table, FEATURES))
    yield from found
    if found:
        return
    feature, n_active = ints(table["feature"]), ints(table["n_active"])
    latents = f"0 to {info.n_latents - 1}"
    yield from faults((feature < 0) | (feature >= info.n_latents), "feature", table["feature"], latents)
    repeats = np.diff(feature, prepend=feature[:1] - 1) <= 0
    yield from faults(repeats, "feature", table["feature"], "each feature once, ascending")
    strange = ~np.isin(ints(table["width"]), info.widths)
    yield from faults(strange, "width", table["width"], f"one of the widths {list(info.widths)}")
    many = (n_active < 0) | (n_active > info.n_images)
    yield from faults(many, "n_active", table["n_active"], f"0 to n_images, {info.n_images}")
    endless = ~np.isfinite(floats(table["max_activation"]))
    yield from faults(endless, "max_activation", table["max_activation"], "a finite number")
    with_attribute = table["n_active_attribute"]
    part = ints(with_attribute)
    stated = truths(with_attribute.is_valid())
    yield from faults(
        stated & ((part < 0) | (part > n_active)), "n_active_attribute", with_attribute, "0 to n_active or null"
    )
    yield from _histogram_faults(table["histogram"])
    for name in ("parents", "duplicates"):
        yield from _parent_faults(feature, name, table[name], info)


def _histogram_faults(histogram: pa.ChunkedArray) -> Iterator[Fault]:
    lengths = pc.call_function("list_value_length", [histogram])
    bins = ints(lengths)
    stated = truths(histogram.is_valid())
    wanted = f"{HISTOGRAM_BINS} counts or null (number of counts shown)"
    wrong = stated & (bins != HISTOGRAM_BINS)
    yield from faults(wrong, "histogram", lengths, wanted)
    counts = ints(pc.call_function("list_flatten", [histogram]))
    owner = ints(pc.call_function("list_parent_indices", [histogram]))
    negative = np.zeros(len(histogram), np.bool_)
    negative[owner[counts < 0]] = True
    yield from faults(negative, "histogram", histogram, "counts of 0 or more")


def _parent_faults(feature: Ints, name: str, parents: pa.ChunkedArray, info: DumpInfo) -> Iterator[Fault]:
    named = ints(pc.call_function("list_flatten", [parents]))
    owner = ints(pc.call_function("list_parent_indices", [parents]))
    smaller = np.array([0, *info.widths])
    below = smaller[np.clip(np.searchsorted(smaller, feature, side="right") - 1, 0, len(smaller) - 1)]
    wrong = np.zeros(len(parents), np.bool_)
    wrong[owner[(named < 0) | (named >= below[owner])]] = True
    yield from faults(wrong, name, parents, "latents of prefixes smaller than the feature's own, or null")


def image_faults(table: pa.Table) -> Iterator[Fault]:
    """Every rule of images.parquet that some row of `table`, read without its bytes, breaks."""
    found = list(nulls(table, IMAGES))
    yield from found
    if found:
        return
    image = ints(table["image"])
    yield from faults(image < 0, "image", table["image"], "0 or more")
    repeats = np.diff(image, prepend=image[:1] - 1) <= 0
    yield from faults(repeats, "image", table["image"], "each image once, ascending")
    for side in ("width", "height"):
        yield from faults(ints(table[side]) < 1, side, table[side], "1 pixel or more")
    hexadecimal = matches(table["sha256"], "^[0-9a-f]{64}$")
    yield from faults(~hexadecimal, "sha256", table["sha256"], "64 hex digits in lower case")
