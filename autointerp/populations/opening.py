"""Opens a population, whatever form it has, which its content tells."""

import glob
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from autointerp.errors import SettingsError
from autointerp.images.formats import why_no_image
from autointerp.populations.datasets import in_parquets, in_saved, is_saved
from autointerp.populations.files import head_of, several
from autointerp.populations.folders import in_folder, in_folder_by_table, walked
from autointerp.populations.hub import HUB, in_hub
from autointerp.populations.iterables import in_iterable
from autointerp.populations.labels import Labelling, labelled, text_of
from autointerp.populations.listing import Found, Listing
from autointerp.populations.lists import by_name, in_list
from autointerp.populations.members import in_archives
from autointerp.populations.rows import ArrowRows, ParquetRows, image_column, in_rows
from autointerp.populations.tables import PARQUET, Table, read_table
from autointerp.populations.tars import is_tar, tar_members
from autointerp.populations.urls import files_below, in_url, is_one_file
from autointerp.populations.zips import is_zip, zip_members
from autointerp.remote.path import AnyPath, RemotePath, as_path

Source = object
"""Where a population is: a path, a URL or a name, or an iterable of images; anything else is told it is none."""
ARCHIVES = (".tar", ".zip", ".parquet")
"""What a folder without images may hold instead of them, by suffix."""
PACKED = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}
"""How compressed files begin, and what unpacks them: they cannot be read at any place."""


def open_population(
    source: Source,
    *,
    labels: Path | None = None,
    label_column: str | None = None,
    attribute: str | None = None,
    group_column: str | None = None,
    error_folders: Collection[str] = (),
) -> Listing:
    """Lists the images of a population; none is decoded, and the order does not depend on the machine.

    Args:
        source: a folder of images; a CSV, TSV or Parquet file or a text that lists their paths; Parquet files with a
            column of images, or what `datasets` saved; a tar or a zip; a pattern such as `train-{000..127}.tar` or a
            folder of these; any of them at a URL; `hub-dataset:OWNER/NAME[@REVISION][:SPLIT]`. Or an iterable of paths,
            PIL images, bytes, or tuples (name, image) or (name, image, label) of them.
        labels: a table as above that lists images of `source` and says what they are; the others are left out.
        label_column: the column of the labels; by default `label`, `cls` or `class`. 0 and 1 say which images have the
            attribute, anything else names classes.
        attribute: `COLUMN=VALUE`, the images that have the attribute; without `=` it is a name and decides nothing.
        group_column: the column of the groups; by default `group`.
        error_folders: names of folders whose images have the attribute; all others have not. Without them and without
            a column, folders named plausible and implausible decide, and images in neither have no attribute.

    Raises:
        SettingsError: the population or the table cannot be read, or does not hold what was asked for.
    """
    how = Labelling(label_column, attribute, group_column, error_folders)
    if labels is not None and error_folders:
        raise SettingsError("--labels and --error-folders both say what is labelled; give one of them")
    return labelled(_found(source, None if labels is None else read_table(labels, "--labels"), how), how)


def anywhere(source: str) -> str:
    """Returns what names the same population in any working folder; paths and patterns of paths become absolute.

    Raises:
        SettingsError: it is a URL that carries a password or a query.
    """
    where = as_path(source)
    if source.startswith(HUB) or isinstance(where, RemotePath):
        return source
    here = str(Path.cwd())
    return str(Path(glob.escape(here) if _is_pattern(source, where) else here, where))


def open_tabled(source: Source, table: Path, by: str) -> Listing:
    """Lists the images that a table lists, in its order; what a column says of each is its label, not an attribute.

    Raises:
        SettingsError: as `open_population`.
    """
    how = Labelling(label_column=by, words=True)
    return labelled(_found(source, read_table(table, "--table"), how), how)


def open_manifest(table: Path, by: str, group: str | None) -> Listing:
    """Lists the images of a table, in its order; what one column says of each is its label, and another its group.

    Args:
        table: CSV, TSV or Parquet with a column of paths.
        by: the column of the labels, which are words whatever they are.
        group: the column of the groups; None for none.

    Raises:
        SettingsError: as `open_population`, or a row says no label.
    """
    how = Labelling(label_column=by, group_column=group, words=True)
    read = read_table(table, "--manifest")
    found = in_list(read, how)
    for number, item in enumerate(found.items, start=1):
        if text_of(item.said.label) is None:
            raise SettingsError(f"{read}: row {number}: has nothing in {by!r}")
    return labelled(found, how)


def _found(source: Source, table: Table | None, how: Labelling) -> Found:
    own = how if table is None else Labelling()
    if not isinstance(source, (str, os.PathLike, RemotePath)):
        found = in_iterable(source, own)
    elif isinstance(source, str) and source.startswith(HUB):
        found = in_hub(source, own)
    else:
        where = _only(source)
        if table is not None and isinstance(where, Path) and _is_folder(where) and not is_saved(where):
            there = walked(where)
            if there.images:
                return in_folder_by_table(there, table, how)
        found = _of_files(str(source), where, own)
    return found if table is None else by_name(found, table, how)


def _only(source: str | os.PathLike[str] | RemotePath) -> AnyPath | list[AnyPath]:
    """The file or folder that is named, or the files that a pattern means."""
    if isinstance(source, RemotePath):
        return source
    text, where = os.fspath(source), as_path(source if isinstance(source, str) else Path(source))
    return several(text) if _is_pattern(text, where) else where


def _is_pattern(text: str, where: AnyPath) -> bool:
    # A folder may well be called `images [new]`.
    return bool(set(text) & set("*?[{")) and not (isinstance(where, Path) and _exists(where))


def _of_files(root: str, where: AnyPath | list[AnyPath], how: Labelling) -> Found:
    if isinstance(where, list):
        return _of_kind(root, where, how)
    if isinstance(where, Path):
        return _in_folder(where, how) if _is_folder(where) else _of_kind(root, [_there(where)], how)
    if is_one_file(where):
        return _of_kind(root, [where], how)
    files = files_below(where)
    inside = _instead([name for name, _ in files], lambda name: where / name)
    found = in_url(where, files, how)
    return _of_kind(root, inside, how) if inside and not found.items else found


def _in_folder(folder: Path, how: Labelling) -> Found:
    if is_saved(folder):
        return in_saved(folder, how)
    there = walked(folder)
    if there.images:
        return in_folder(there, how)
    inside = _instead([str(path) for _, path in there.others], Path)
    return _of_kind(str(folder), inside, how) if inside else in_folder(there, how)


def _instead(names: Sequence[str], path: Callable[[str], AnyPath]) -> list[AnyPath]:
    """The archives of the kind of which a folder holds some, the first kind that it holds."""
    suffixes = [PurePosixPath(name).suffix.lower() for name in names]
    kind = next((kind for kind in ARCHIVES if kind in suffixes), None)
    return [path(name) for name, suffix in zip(names, suffixes, strict=True) if suffix == kind]


def _of_kind(root: str, files: Sequence[AnyPath], how: Labelling) -> Found:
    """What files of one kind hold."""
    head = head_of(files[0])
    if (unpack := next((by for begin, by in PACKED.items() if head.startswith(begin)), None)) is not None:
        raise SettingsError(f"{files[0]}: is compressed, so that nothing in it can be found; run {unpack} on it first")
    if is_tar(head):
        return in_archives(root, files, tar_members, how)
    if is_zip(head):
        return in_archives(root, files, zip_members, how)
    if head.startswith(PARQUET) and image_column(ParquetRows(files[0]).schema, files[0]) is not None:
        return in_parquets(root, files, how)
    return _of_plain(root, files, how, head)


def _of_plain(root: str, files: Sequence[AnyPath], how: Labelling, head: bytes) -> Found:
    """What Arrow files, images or a list are."""
    local = [file for file in files if isinstance(file, Path)]
    if len(local) == len(files) and (head.startswith(b"ARROW1") or local[0].suffix == ".arrow"):
        return in_rows(root, [ArrowRows(file) for file in local], how)
    are_images = len(local) == len(files) and all(why_no_image(file) is None for file in local)
    if len(files) > 1:
        if are_images:
            return replace(in_iterable(local, how), root=root)
        raise SettingsError(f"{files[0]}: is no image, tar, zip or Parquet file of images, as several files have to be")
    if are_images:
        raise SettingsError(f"{files[0]}: is one image; give the folder of several, or a list of them")
    return in_list(read_table(files[0]), how)


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - which has no error for a name that is too long


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - as above


def _there(path: Path) -> Path:
    if not _exists(path):
        raise SettingsError(f"{path}: no such folder; give one with images")
    return path
