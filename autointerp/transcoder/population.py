"""A population of images on disk: which files there are, how they are labelled, and which of them are broken."""

import csv
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from autointerp.errors import SettingsError, one_line
from autointerp.images.formats import UNREADABLE, LeftOut, left_out, why_no_image
from autointerp.images.manifest import Manifest, seen_files
from autointerp.images.near_duplicates import Look, joined, near_duplicates, shared_names
from autointerp.statistics.rates import Ints

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
    columns, rows = _read_csv(labels, "--labels")
    _check_columns(labels, columns)
    return _listed(root, labels, rows, lambda number, row: _row(root, labels, number, row))


def listed_in_table(root: Path, table: Path, by: str) -> Listing:
    """Lists the images of a CSV file, in its order, without attributes; what a column says of each is its label.

    Args:
        root: the folder of the images.
        table: has a header with the column path, as `listed_in_csv` has it, and the one that is asked for.
        by: name of that column; empty fields are None.

    Raises:
        SettingsError: as `listed_in_csv`.
    """
    columns, rows = _read_csv(table, "--table")
    if missing := [name for name in ("path", by) if name not in columns]:
        raise SettingsError(f"{table}: has no column {missing[0]!r}; it has {', '.join(columns) or 'none'}")

    def listed(number: int, row: Row) -> Listed:
        where, path, value = f"{table}: row {number}", row.get("path"), row.get(by)
        if None in row or not isinstance(path, str) or not isinstance(value, str):
            raise SettingsError(f"{where}: has another number of fields than the header")
        return Listed(_located(root, table, path, where), None, None, value or None)

    return _listed(root, table, rows, listed)


Row = Mapping[str | None, str | list[str] | None]


def _read_csv(path: Path, option: str) -> tuple[Sequence[str], list[Row]]:
    """Returns the header and the rows."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            return reader.fieldnames or (), list(reader)
    except FileNotFoundError:
        raise SettingsError(f"{option} {path}: no such file") from None
    except UnicodeDecodeError as e:
        raise SettingsError(f"{option} {path}: is not UTF-8; save it as CSV in UTF-8 ({e})") from e
    except (OSError, csv.Error) as e:
        raise SettingsError(f"{option} {path}: cannot be read: {e}") from e


def _listed(root: Path, table: Path, rows: Sequence[Row], read: Callable[[int, Row], Listed]) -> Listing:
    out: list[Listed] = []
    seen: dict[Path, int] = {}
    for number, row in enumerate(rows, start=1):
        one = read(number, row)
        if (first := seen.setdefault(one.path, number)) != number:
            raise SettingsError(f"{table}: row {number}: path {row['path']!r} is that of row {first} too")
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


def _row(root: Path, labels: Path, number: int, row: Row) -> Listed:
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


@dataclass(frozen=True, slots=True)
class PopulationImage:
    """One image that can be read."""

    image: int
    """Its id: the position among the images that can be read, from 0."""
    path: Path
    width: int
    """Pixels as displayed."""
    height: int
    sha256: str
    """Hex digest of the file's bytes."""
    attribute: bool | None
    """Whether it shows a physical error, or whatever the labels are about; None if nobody said."""
    source: str | None
    """The group that the labels name: e.g. the prompt or the photograph that it was made from."""
    label: str | None
    """In words: the folder in which it lies."""
    look: Look


@dataclass(frozen=True)
class Population:
    """Images in a fixed order."""

    root: Path
    images: tuple[PopulationImage, ...]
    broken: tuple[str, ...]
    """One line for each file that was passed over."""
    others: tuple[LeftOut, ...] = ()
    """Files of the folder that are no images, and images that the labels do not list."""

    @cached_property
    def groups(self) -> Ints:
        """Returns the group of each image, shape [n]: near-duplicates, and whatever the labels put together."""
        sources = [i.source for i in self.images]
        return joined(len(self.images), near_duplicates([i.look for i in self.images]).tolist(), sources)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """All files that were passed over, by kind."""
        broken = LeftOut(UNREADABLE, len(self.broken), one_line(self.broken[0])) if self.broken else None
        return (*filter(None, [broken]), *self.others)

    @property
    def group_names(self) -> list[str | None]:
        """Returns the groups as a dump states them: a name where an image shares its group, else None."""
        return shared_names(self.groups, "group")

    def name_of(self, image: PopulationImage) -> str:
        """Returns the path of an image below the folder, with slashes, as tables of images state it."""
        return image.path.relative_to(self.root).as_posix()

    def labelled(self) -> "Population":
        """Returns only the images that have an attribute; ids stay."""
        kept = tuple(i for i in self.images if i.attribute is not None)
        return replace(self, images=kept)


def _folder(root: Path) -> Path:
    if not os.path.isdir(root):  # noqa: PTH112 - which has no error for a name that is too long
        raise SettingsError(f"{root}: no such folder; give one with images")
    return root


def _listing(root: Path, labels: Path | None, error_folders: Collection[str]) -> Listing:
    _folder(root)
    if labels is None:
        return listed_in_folders(root, error_folders)
    if error_folders:
        raise SettingsError("--labels and --error-folders both say what is labelled; give one of them")
    return listed_in_csv(root, labels)


def read_population(
    root: Path,
    *,
    labels: Path | None = None,
    error_folders: Collection[str] = (),
    draw: Callable[[int], Sequence[int]] | None = None,
    manifest: Manifest | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Population:
    """Lists, decodes and labels the images of a folder.

    Each file is decoded once, upright, so that what is broken is known here and not later. The order is that of the
    paths below the folder, or of the CSV's rows, and does not depend on the machine.

    Args:
        root: the folder; all images below it belong to the population, or those that `labels` lists.
        labels: a CSV file with a header and the columns path (of a file below `root`), label (1 or 0, or empty) and, if
            wanted, group.
        error_folders: names of folders whose images show a physical error; all others do not. Without them and without
            `labels`, folders named plausible and implausible decide, and images in neither have no attribute.
        draw: is told how many images are listed, and returns the ascending positions of those that are read; the others
            are not opened. All are read without it.
        manifest: remembers what is decoded here; images that it knows are not read again.
        progress: is told files read and all files.

    Raises:
        SettingsError: the folder or the CSV file cannot be read, or no image can.
    """
    listing = _listing(root, labels, error_folders)
    if draw is not None:
        listing = replace(listing, images=[listing.images[i] for i in draw(len(listing.images))])
    return _seen(root, listing, manifest, progress)


def read_tabled(
    root: Path,
    table: Path,
    by: str,
    *,
    manifest: Manifest | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Population:
    """Lists and decodes the images of a folder that a CSV file lists, labelled by one of its columns.

    Raises:
        SettingsError: as `listed_in_table`, or no image can be read.
    """
    return _seen(root, listed_in_table(_folder(root), table, by), manifest, progress)


def _seen(root: Path, listing: Listing, manifest: Manifest | None, progress: Callable[[int, int], None]) -> Population:
    listed = listing.images
    images: list[PopulationImage] = []
    broken: list[str] = []
    for one, found in zip(listed, seen_files((one.path for one in listed), manifest), strict=True):
        if isinstance(found, str):
            broken.append(found)
        else:
            told, said = (one.attribute, one.source, one.label), (*found.size, found.digest)
            images.append(PopulationImage(len(images), one.path, *said, *told, found.look))
        progress(len(images) + len(broken), len(listed))
    if not images:
        none = f"holds no images{''.join(f'; left out: {one}' for one in listing.others[:1])}"
        what = f"none of its {len(listed)} images can be read; the first: {broken[0]}" if broken else none
        raise SettingsError(f"{root}: {what}")
    return Population(root, tuple(images), tuple(broken), listing.others)
