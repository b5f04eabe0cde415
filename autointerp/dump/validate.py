"""Checks every row of a dump and names what is wrong or odd in it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from autointerp.arrays import Mask, ints
from autointerp.dump.checks import Fault, exemplar_faults, faults, feature_faults
from autointerp.dump.format import FEATURES_FILE
from autointerp.dump.reader import Dump
from autointerp.errors import DumpError, ImageError
from autointerp.images.decode import decoding, digest_of
from autointerp.images.threads import worker_threads
from autointerp.remote.path import RemotePath
from autointerp.schema import SILENT_STRATA

FEW_ACTIVE = 20
"""Active exemplars below which a feature cannot be both explained and scored on images held out."""

_ENOUGH = 64
"""Longest side, in pixels, at which a JPEG is decoded to see whether it is whole."""
EMPTY_HEAT = "has a heat map of zeros, which marks no region and counts as none; write null"

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that `count` rows or features of a dump share."""

    severity: Literal["error", "odd"]
    """`error`: not as the format says. `odd`: allowed, and seldom meant."""
    where: str
    """File and the first row, or the file."""
    message: str
    count: int

    def __str__(self) -> str:
        more = f" ({self.count} such)" if self.count > 1 else ""
        return f"{self.severity}: {self.where}: {self.message}{more}"


class _Findings:
    """Problems of one kind become one, with the first place and the number of them."""

    def __init__(self) -> None:
        self.problems: dict[tuple[str, ...], Problem] = {}

    def add(self, key: tuple[str, ...], problem: Problem) -> None:
        first = self.problems.get(key)
        self.problems[key] = problem if first is None else replace(first, count=first.count + problem.count)

    def add_faults(self, where: str, first_row: int, found: Iterator[Fault]) -> None:
        for fault in found:
            kind = fault.message.partition("; expected ")[2].partition(" of ")[0]
            place = f"{where}: row {first_row + fault.row}"
            self.add((where, fault.field, kind), Problem("error", place, f"{fault.field} {fault.message}", fault.count))

    def add_features(self, bad: Mask, ids: Counts, message: str, severity: Literal["error", "odd"] = "odd") -> None:
        """`message` about the features of `ids` where `bad` is true."""
        count = int(np.count_nonzero(bad))
        if count:
            place = f"feature {ids[int(np.argmax(bad))]}"
            self.add((severity, message), Problem(severity, place, message, count))


def validate(dump: Dump, *, content: bool = False) -> list[Problem]:
    """Reads every row; errors come before what is odd.

    Args:
        dump: The dump.
        content: Whether to decode each image file too and compare it with its row; else it only has to be there.

    Raises:
        DumpError: a file is damaged so that its rows cannot be read at all.
    """
    findings = _Findings()
    ids = dump.feature_ids
    # A value that is no number, or too large for its column, is found by name: numpy need not warn of it too.
    with np.errstate(invalid="ignore", over="ignore"):
        active, silent, highest = _check_exemplars(dump, findings)
        _check_features(dump, findings, active, highest)
    findings.add_features((active + silent) == 0, ids, "has no exemplars")
    findings.add_features((active + silent > 0) & (silent == 0), ids, "has no silent exemplars, so it cannot be scored")
    few = (active > 0) & (active < FEW_ACTIVE)
    findings.add_features(few, ids, f"has fewer than {FEW_ACTIVE} active exemplars")
    _check_pool(dump, findings)
    _check_images(dump, findings, content=content)
    return sorted(findings.problems.values(), key=lambda p: p.severity != "error")


def _check_exemplars(dump: Dump, findings: _Findings) -> tuple[Counts, Counts, npt.NDArray[np.float64]]:
    """Active and silent exemplars and the highest activation of each feature; shape [n_features] each."""
    parts, ids = dump.exemplar_parts, dump.feature_ids
    active, silent = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64)
    highest = np.full(len(ids), -np.inf)
    before: pa.Table | None = None
    for at in range(len(parts.index.rows)):
        table = parts.read(at)
        path, first_row = str(parts.paths[parts.index.part[at]]), int(parts.index.row[at])
        found = list(exemplar_faults(table, dump.info, dump.image_table.known))
        findings.add_faults(path, first_row, iter(found))
        if any(table[name].null_count for name in ("feature", "image", "stratum", "activation", "probability")):
            before = None
            continue
        feature = ints(table["feature"])
        place = np.minimum(np.searchsorted(ids, feature), max(len(ids) - 1, 0))
        known = ids[place] == feature if len(ids) else np.zeros(len(feature), np.bool_)
        findings.add_faults(path, first_row, faults(~known, "feature", table["feature"], f"one of {FEATURES_FILE}"))
        is_silent = np.isin(_text(table["stratum"]), SILENT_STRATA)
        np.add.at(silent, place[known & is_silent], 1)
        np.add.at(active, place[known & ~is_silent], 1)
        np.maximum.at(highest, place[known], np.asarray(table["activation"], np.float64)[known])
        _odd_evidence(table, feature, findings)
        if dump.info.heat_bytes is not None:
            nothing = pa.scalar(bytes(dump.info.heat_bytes), pa.binary())
            empty = pc.call_function("equal", [table["heat"], nothing]).fill_null(False)
            findings.add_features(np.asarray(empty), feature, EMPTY_HEAT)
        if before is not None:
            _check_seam(before, table, findings)
        before = table
    return active, silent, highest


def _odd_evidence(table: pa.Table, feature: Counts, findings: _Findings) -> None:
    stratum, activation = _text(table["stratum"]), np.asarray(table["activation"], np.float64)
    sure = (stratum == "silent") & (np.asarray(table["probability"]) == 1)
    findings.add_features(sure, feature, "has a silent exemplar of probability 1, as if no image had been left out")
    numbers, place = np.unique(feature, return_inverse=True)
    lowest_top, highest_other = np.full(len(numbers), np.inf), np.full(len(numbers), -np.inf)
    np.minimum.at(lowest_top, place[stratum == "top"], activation[stratum == "top"])
    np.maximum.at(highest_other, place[stratum != "top"], activation[stratum != "top"])
    findings.add_features(lowest_top < highest_other, numbers, "has an exemplar of another stratum above one of top")


def _check_seam(before: pa.Table, table: pa.Table, findings: _Findings) -> None:
    """What two neighbouring row groups must not share."""
    last, first = before["feature"][-1].as_py(), table["feature"][0].as_py()
    if last != first:
        return
    number = np.array([first])
    found = np.ones(1, np.bool_)
    findings.add_features(found, number, "spans row groups of exemplars; row groups hold whole features")
    mine = ints(before["image"])[ints(before["feature"]) == first]
    theirs = ints(table["image"])[ints(table["feature"]) == first]
    if len(np.intersect1d(mine, theirs)):
        findings.add_features(found, number, "has an image twice, in two row groups of exemplars", "error")


def _check_features(dump: Dump, findings: _Findings, active: Counts, highest: npt.NDArray[np.float64]) -> None:
    parts, info, done = dump.feature_parts, dump.info, 0
    widths = np.array(info.widths)
    for at in range(len(parts.index.rows)):
        table = parts.read(at)
        found = list(feature_faults(table, info))
        findings.add_faults(str(parts.paths[0]), int(parts.index.row[at]), iter(found))
        own = slice(done, done + table.num_rows)
        done = own.stop
        if found:
            continue
        ids, n_active = ints(table["feature"]), ints(table["n_active"])
        smallest = widths[np.searchsorted(widths, ids, side="right")]
        wide = ints(table["width"]) != smallest
        findings.add_features(wide, ids, "has a width that is not the smallest prefix holding it", "error")
        short = n_active < active[own]
        findings.add_features(short, ids, "has more active exemplars than n_active", "error")
        # Rounded as max_activation is stored.
        low = np.asarray(table["max_activation"], np.float32) < highest[own].astype(np.float32)
        findings.add_features(low & (active[own] > 0), ids, "has an exemplar above its max_activation", "error")
        histograms = zip(n_active.tolist(), table["histogram"].to_pylist(), strict=True)
        sums = np.array([n if bins is None else sum(bins) for n, bins in histograms])
        findings.add_features(sums != n_active, ids, "has a histogram whose counts do not add up to n_active")
        stated = np.asarray(table["n_active_attribute"].is_valid())
        if info.attribute is None:
            findings.add_features(stated, ids, "has n_active_attribute in a dump without an attribute")
        else:
            findings.add_features(~stated, ids, "has no n_active_attribute in a dump with an attribute")


def _check_pool(dump: Dump, findings: _Findings) -> None:
    if dump.pool is None:
        return
    where = str(dump.pool.parts.paths[0])
    try:
        features = [feature for feature, _ in dump.pool.rows()]
    except DumpError as error:
        findings.add(("pool",), Problem("error", where, str(error).removeprefix(f"{where}: "), 1))
        return
    unknown = ~np.isin(features, dump.feature_ids)
    if unknown.any():
        message = f"feature {features[int(np.argmax(unknown))]} is not in {FEATURES_FILE}"
        findings.add(("pool",), Problem("error", where, message, int(unknown.sum())))


def _check_images(dump: Dump, findings: _Findings, *, content: bool) -> None:
    images, parts = dump.image_table, dump.image_table.parts
    where = str(parts.paths[0])
    counts = images.table["sha256"].value_counts()
    twice = ints(pa.chunked_array([counts.field("counts")])) if len(counts) else np.zeros(0, np.int64)
    if (twice > 1).any():
        digest = counts.field("values")[int(np.argmax(twice > 1))].as_py()
        message = f"one file under several ids, sha256 {digest[:12]}…; give them one group or one id"
        findings.add(("twice",), Problem("odd", where, message, int((twice > 1).sum())))
    with_attribute = len(images.table) - images.table["attribute"].null_count
    if dump.info.attribute is None and with_attribute:
        findings.add(("attribute",), Problem("odd", where, "attribute in a dump without an attribute", with_attribute))
    if dump.info.attribute is not None and not with_attribute and len(images.table):
        findings.add(("attribute",), Problem("odd", where, "no image has the dump's attribute stated", 1))
    _check_sources(dump, findings, content=content)


class _Row(NamedTuple):
    """What images.parquet says of an image."""

    path: str | None
    sha256: str
    width: int
    height: int


def _check_sources(dump: Dump, findings: _Findings, *, content: bool) -> None:
    images, parts = dump.image_table, dump.image_table.parts
    with worker_threads(os.cpu_count() or 1) as pool:
        for at in range(len(parts.index.rows)):
            first = int(parts.index.row[at])
            column = parts.read(at, ["bytes"])["bytes"]
            table = images.table.slice(first, len(column))
            rows = [_Row(*cells) for cells in zip(*(table[name].to_pylist() for name in _Row._fields), strict=True)]
            look = partial(_fault_of, dump, content=content)
            positions = range(first, first + len(column))
            for offset, message in enumerate(pool.map(look, positions, rows, column)):
                if message is not None:
                    kind = message.partition(" ")[0]
                    findings.add(("source", kind), Problem("error", parts.where(at, offset), message, 1))


def _fault_of(dump: Dump, position: int, row: _Row, data: pa.Scalar, *, content: bool) -> str | None:
    """What is wrong with the file of one image, if anything is."""
    message = _source_fault(dump, position, row.path, data if data.is_valid else None)
    return _content_fault(dump, position, row, data) if message is None and content else message


def _source_fault(dump: Dump, row: int, path: str | None, data: pa.Scalar | None) -> str | None:
    if (path is None) == (data is None):
        return (
            "neither path nor bytes is there; expected one of them"
            if path is None
            else ("both path and bytes are there; expected one of them")
        )
    if path is None:
        return None
    try:
        missing = not dump.image_table.resolve(path, row).is_file()
    except DumpError as error:
        return str(error).partition(f": row {row}: ")[2]
    return f"there is no file {path}" if missing else None


def _content_fault(dump: Dump, position: int, row: _Row, data: pa.Scalar) -> str | None:
    try:
        source = data.as_py() if row.path is None else dump.image_table.resolve(row.path, position)
        if isinstance(source, RemotePath):
            source = source.read_bytes()
        found = digest_of(source)
        with decoding(source, at_most=_ENOUGH) as decoded:
            size = decoded.size
    except OSError as error:
        return f"cannot be read: {row.path}: {error.strerror or error}"
    except ImageError as error:
        return f"cannot be read: {error}"
    if found != row.sha256:
        return f"sha256 is {row.sha256[:12]}…; expected {found[:12]}…, that of the file"
    if size != (row.width, row.height):
        return f"width and height are {row.width}x{row.height}; expected {size[0]}x{size[1]}, those of the file"
    return None


def _text(column: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    return np.asarray(column.cast(pa.string()), dtype=np.str_)
