"""Figures of a run's record files, from their lines or, where a folder has not these, from what stands for them.

Such a file holds figures of some lines: `figures/scores-0000000000004096-0000000000008192-5f0c2a9b.npz` those of the
bytes 4096 to 8191 of `scores.jsonl`, as the writer 5f0c2a9b sent them to a URL (`runs/sent_figures.py`).
"""

import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from autointerp.errors import RunError
from autointerp.runs.figures import (
    CONTROLLED,
    EXPLAINED,
    EXPLANATION_LINE,
    JUDGED,
    SCORE_LINE,
    Rows,
    ScoreFigures,
    could_be_of_lines,
    explained,
    judged,
    together,
)
from autointerp.runs.index import judging_of
from autointerp.runs.jsonl import read_lines

T = TypeVar("T")
FOLDER = "figures"
"""Beside the file whose lines they are of."""
EXPLANATIONS, SCORES = "explanations.jsonl", "scores.jsonl"
_NAME = re.compile(rf"(.*/)?{FOLDER}/(explanations|scores)-(\d{{16,}})-(\d{{16,}})-([0-9a-f]{{8}})\.npz")
_WITH_FIGURES = re.compile(r"(parts/[^/]+/)?(explanations|scores)\.jsonl")
"""Those of the run and of its parts."""
_LOT = 1 << 14
"""Lines that are held at once."""
_MOST, _ROOM = 8, 1 << 20
"""Bytes that figures may unpack to: so many times those of their lines, and this besides."""


class UnusableFiguresError(RunError):
    """Figures that cannot be used; the lines have to be read instead."""


class FigureFile(NamedTuple):
    """Names figures of lines."""

    file: str
    """Whose lines they are of, as a path below the run."""
    start: int
    """The byte of it at which the first of these begins."""
    end: int
    """The byte behind the last."""
    writer: str
    """Eight hex digits."""

    @property
    def name(self) -> str:
        """Its path below the run."""
        folder, _, file = self.file.rpartition("/")
        own = f"{FOLDER}/{file.removesuffix('.jsonl')}-{self.start:016d}-{self.end:016d}-{self.writer}.npz"
        return f"{folder}/{own}" if folder else own


def figure_file(name: str) -> FigureFile | None:
    """Which figures a path below the run names; None where it names none."""
    match = _NAME.fullmatch(name)
    return FigureFile(f"{match[1] or ''}{match[2]}.jsonl", int(match[3]), int(match[4]), match[5]) if match else None


def has_figures(file: str) -> bool:
    """Whether a file of a run, as a path below it, has figures."""
    return _WITH_FIGURES.fullmatch(file) is not None


def packed(file: str, lots: Iterable[bytes]) -> tuple[bytes, int]:
    """The figures of whole lines of a file, which come in lots, as they are sent; and how many bytes the lines have.

    Raises:
        ValueError: a line is not one of such a file.
    """
    size, found = 0, list[Rows | ScoreFigures]()
    for lot in lots:
        size += len(lot)
        found.append(_figures_of(file, lot.split(b"\n")[:-1]))
    target = BytesIO()
    np.savez_compressed(target, allow_pickle=False, **_as_arrays(found))
    return target.getvalue(), size


def _figures_of(file: str, lines: Sequence[bytes]) -> Rows | ScoreFigures:
    if file.endswith(EXPLANATIONS):
        return explained(map(EXPLANATION_LINE.validate_json, lines))
    return judged(map(SCORE_LINE.validate_json, lines))


def _as_arrays(found: Sequence[Rows | ScoreFigures]) -> dict[str, npt.NDArray[np.generic]]:
    scores = [own for own in found if isinstance(own, ScoreFigures)]
    if not scores:
        return {
            "rows": np.concatenate([np.zeros(0, EXPLAINED), *(own for own in found if isinstance(own, np.ndarray))])
        }
    whole = together(scores)
    names, control_names = (np.array(own, np.str_) for own in (whole.names, whole.control_names))
    return {"rows": whole.rows, "controls": whole.controls, "names": names, "control_names": control_names}


def explanation_figures(folders: Sequence[Path]) -> Rows:
    """Figures of the explanations of a run, and of its parts those of features that the run itself has not.

    Args:
        folders: the run, then its parts, as `Run.folders` has them.

    Raises:
        RunError: a line is no explanation.
        UnusableFiguresError: figures that stand for a file cannot be used.
    """
    own, *parts = (np.concatenate([np.zeros(0, EXPLAINED), *_explained(folder)]) for folder in folders)
    return np.concatenate([own, *(part[~np.isin(part["feature"], own["feature"])] for part in parts)])


def score_figures(folders: Sequence[Path]) -> ScoreFigures:
    """Figures of the scores of all judgings, of parts those by a scorer and judging that the run has not; as above."""
    pieces = [list(_judged(folder)) for folder in folders]
    whole = together([piece for own in pieces for piece in own])
    if len(folders) == 1:
        return whole
    first = np.arange(len(whole.rows)) < sum(len(piece.rows) for piece in pieces[0])
    own = whole.where(first)
    return together([own, whole.where(~first).without(own)])


def judgings_in(folder: Path) -> set[str]:
    """The judgings of the scores that a folder has figures of and no lines. Raises UnusableFiguresError."""
    return set() if (folder / SCORES).exists() else {judging_of(n) for own in _judged(folder) for n in own.names}


def forget_figures(run: Path) -> None:
    """Removes the figures from a copy of all objects of a run at a URL, whose lines are files now."""
    for path in list(run.rglob(f"{FOLDER}/*.npz")):
        if figure_file(path.relative_to(run).as_posix()) is not None:
            path.unlink()
            with suppress(OSError):
                path.parent.rmdir()


def _explained(folder: Path) -> Iterator[Rows]:
    if not (folder / EXPLANATIONS).exists():
        for path, most in _files(folder, EXPLANATIONS):
            (rows,) = _arrays(path, most, "rows")
            _check(path, rows.dtype == EXPLAINED and could_be_of_lines(rows))
            yield rows
    for lot in _lots(read_lines(folder / EXPLANATIONS, EXPLANATION_LINE)):
        yield explained(lot)


def _judged(folder: Path) -> Iterator[ScoreFigures]:
    if not (folder / SCORES).exists():
        for path, most in _files(folder, SCORES):
            rows, controls, names, control_names = _arrays(path, most, "rows", "controls", "names", "control_names")
            _check(path, rows.dtype == JUDGED and controls.dtype == CONTROLLED)
            _check(path, could_be_of_lines(rows) and _are_texts(names) and _are_texts(control_names))
            places = ((rows["name"], names), (controls["name"], control_names), (controls["row"], rows))
            _check(path, all((place < len(among)).all() for place, among in places))
            yield ScoreFigures(rows, tuple(names.tolist()), controls, tuple(control_names.tolist()))
    for lot in _lots(read_lines(folder / SCORES, SCORE_LINE)):
        yield judged(lot)


def _files(folder: Path, file: str) -> Iterator[tuple[Path, int]]:
    """What stands for a file, and to how many bytes each may unpack. Raises UnusableFiguresError for a gap."""
    end = 0
    for path in sorted((folder / FOLDER).glob(f"{file.removesuffix('.jsonl')}-*.npz")):
        own = figure_file(f"{FOLDER}/{path.name}")
        _check(path, own is not None and own.start == end < own.end)
        assert own is not None
        yield path, _MOST * (own.end - own.start) + _ROOM
        end = own.end


def _arrays(path: Path, most: int, *names: str) -> list[npt.NDArray[np.void]]:
    """Arrays of a file, each with one axis."""
    try:
        with zipfile.ZipFile(path) as whole:
            _check(path, sum(member.file_size for member in whole.infolist()) <= most)
        with np.load(path, allow_pickle=False) as stored:
            found = [stored[name] for name in names]
    # Of bytes that anyone may have written, NumPy, and what it reads them with, raise nearly anything.
    except Exception as error:
        raise UnusableFiguresError(f"{path}: cannot be read: {error}") from error
    _check(path, all(isinstance(array, np.ndarray) and array.ndim == 1 for array in found))
    return found


def _check(path: Path, right: bool) -> None:
    if not right:
        raise UnusableFiguresError(f"{path}: is not what its name says")


def _are_texts(names: npt.NDArray[np.generic]) -> bool:
    """Whether an array holds texts of characters that there are; NumPy takes any numbers for such."""
    if names.dtype.kind != "U" or not names.dtype.itemsize:
        return False
    codes = np.ascontiguousarray(names).view("<u4")
    return bool(((codes < 0xD800) | ((codes > 0xDFFF) & (codes <= sys.maxunicode))).all())


def _lots(lines: Iterator[T]) -> Iterator[list[T]]:
    while lot := list(islice(lines, _LOT)):
        yield lot
