"""Which image files a folder holds and how they are labelled: by the folders they lie in, or by a CSV file."""

import csv
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from autointerp.errors import SettingsError
from autointerp.images.formats import LeftOut, left_out, why_no_image

UNLISTED = "images that the labels do not list"
"""Why an image of the folder is left out where a CSV file says which there are."""
ERROR_NAMES = frozenset({"implausible", "error", "errors", "violation", "violations"})
PLAUSIBLE_NAMES = frozenset({"plausible", "no-error", "no-errors", "ok"})
"""Folders that label their images where nothing else does; upper and lower case are the same."""
YES = frozenset({"1", "true", "yes", "implausible", "error"})
NO = frozenset({"0", "false", "no", "plausible"})
"""Labels of a CSV file."""
COLUMNS = frozenset({"path", "label", "group"})


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that should be an image, and what is said of it."""

    path: Path
    attribute: bool | None
    source: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a folder."""

    images: list[Listed]
    others: tuple[LeftOut, ...]
    """Those that are no images, or that nobody asked for."""


def listed_in_folders(root: Path, error_folders: Collection[str]) -> Listing:
    """All image files below a folder, ordered by path; the innermost folder with a telling name labels its images.

    Links to folders are followed, each folder once, except to those that hold this one.

    Args:
        root: the folder.
        error_folders: names that tell of errors, all other folders being plausible; empty for the usual names.

    Raises:
        SettingsError: a folder cannot be listed, or none has one of the `error_folders`' names.
    """
    below, others = _sorted_out(root)
    wanted = {name.strip("/").lower() for name in error_folders}
    seen = {part.lower() for path in below for part in path.relative_to(root).parts[:-1]}
    if absent := sorted(wanted - seen):
        raise SettingsError(f"--error-folders {absent[0]}: {root} has no folder of that name with images in it")
    images = [Listed(p, _by_folder(p.relative_to(root).parts[:-1], wanted), None, _words(p, root)) for p in below]
    return Listing(images, left_out(others))


def _sorted_out(root: Path) -> tuple[list[Path], list[tuple[str, Path]]]:
    """The images below a folder, ordered by path, and the other files, with why they are none."""
    files = sorted(_files(root), key=lambda p: p.relative_to(root).as_posix())
    told = [(why_no_image(path), path) for path in files]
    return [path for why, path in told if why is None], [(why, path) for why, path in told if why is not None]


def _files(root: Path) -> Iterator[Path]:
    def stop(e: OSError) -> NoReturn:
        # Images that cannot be seen must not be missing in silence.
        raise SettingsError(f"{e.filename or root}: cannot be listed: {e.strerror}") from e

    # A link to a folder above leads to whatever lies beside the images.
    seen = {root.resolve(), *root.resolve().parents}
    for folder, below, names in os.walk(root, onerror=stop, followlinks=True):
        seen.add(Path(folder).resolve())
        below[:] = [name for name in sorted(below) if Path(folder, name).resolve() not in seen]
        yield from (Path(folder, name) for name in names)


def _by_folder(folders: tuple[str, ...], wanted: Collection[str]) -> bool | None:
    names = [f.lower() for f in reversed(folders)]
    if wanted:
        return any(n in wanted for n in names)
    return next((n in ERROR_NAMES for n in names if n in ERROR_NAMES | PLAUSIBLE_NAMES), None)


def _words(path: Path, root: Path) -> str | None:
    folder = path.relative_to(root).parent.as_posix()
    return None if folder == "." else folder


def listed_in_csv(root: Path, labels: Path) -> Listing:
    """The images that a CSV file lists, in its order.

    Args:
        root: the folder of the images. Its paths are absolute, or start from there, from the working folder or from the
            file's own folder, and may have backslashes; each leads to a file in `root`.
        labels: has a header with the columns path, label and perhaps group.

    Raises:
        SettingsError: the file cannot be read, or a row of it is wrong; rows count from 1 below the header.
    """
    try:
        with labels.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_columns(labels, reader.fieldnames or ())
            rows = list(reader)
    except FileNotFoundError:
        raise SettingsError(f"--labels {labels}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise SettingsError(f"--labels {labels}: cannot be read: {e}") from e
    out: list[Listed] = []
    seen: dict[Path, int] = {}
    for number, row in enumerate(rows, start=1):
        one = _row(root, labels, number, row)
        if (first := seen.setdefault(one.path, number)) != number:
            raise SettingsError(f"{labels}: row {number}: path {row['path']!r} is that of row {first} too")
        out.append(one)
    images, _ = _sorted_out(root)
    unlisted = [path for path in images if path not in seen]
    return Listing(out, left_out((UNLISTED, path) for path in unlisted))


def _check_columns(labels: Path, columns: Collection[str]) -> None:
    if missing := {"path", "label"} - set(columns):
        raise SettingsError(
            f"{labels}: has no column {min(missing)!r}; the header should be path,label or path,label,group"
        )
    if unknown := set(columns) - COLUMNS:
        raise SettingsError(
            f"{labels}: has a column {min(unknown)!r}, which is not known; there is path, label and group"
        )


def _row(root: Path, labels: Path, number: int, row: Mapping[str | None, str | list[str] | None]) -> Listed:
    where = f"{labels}: row {number}"
    path, label, group = (row.get(name) for name in ("path", "label", "group"))
    if None in row or not isinstance(path, str) or not isinstance(label, str):
        raise SettingsError(f"{where}: has another number of fields than the header")
    text = label.strip().lower()
    if text and text not in YES | NO:
        raise SettingsError(f"{where}: label {label!r}: expected 1 (has a physical error), 0, or nothing")
    full = _located(root, labels, path, where)
    source = group if isinstance(group, str) and group else None
    return Listed(full, (text in YES) if text else None, source, _words(full, root))


def _located(root: Path, labels: Path, path: str, where: str) -> Path:
    """The file below `root` that a row means, written as a walk through `root` finds it."""
    outside = True
    for written in dict.fromkeys((path, path.replace("\\", "/"))):
        for base in (root, Path(), labels.parent):
            try:
                inside = _inside(root, base / written)
                outside = outside and inside is None
                if inside is not None and inside.is_file():
                    return inside
            except (OSError, ValueError) as error:
                raise SettingsError(f"{where}: path {path[:80]!r} cannot be looked for: {error}") from error
    if outside:
        raise SettingsError(f"{where}: path {path!r} leads out of {root}; move the image into it")
    raise SettingsError(f"{where}: path {path!r}: {root} holds no such file")


def _inside(root: Path, path: Path) -> Path | None:
    """The path as one below `root`; None if it is not there. A link in `root` counts as what it stands for."""
    as_written = Path(os.path.normpath(root.absolute())), Path(os.path.normpath(path.absolute()))
    as_it_is = root.resolve(), as_written[1].parent.resolve() / as_written[1].name
    for home, place in (as_written, as_it_is):
        if place.is_relative_to(home) and place != home:
            return root / place.relative_to(home)
    return None
