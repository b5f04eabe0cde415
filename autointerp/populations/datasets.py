"""Folders that Hugging Face's `datasets` wrote: `save_to_disk`, or Parquet shards of one split."""

import re
from collections.abc import Sequence
from pathlib import Path

from autointerp.errors import SettingsError
from autointerp.populations.labels import Labelling
from autointerp.populations.listing import Found
from autointerp.populations.rows import ArrowRows, ParquetRows, in_rows
from autointerp.reading import in_short, read_json
from autointerp.remote.path import AnyPath
from autointerp.within import within

STATE, INFO, DICT = "state.json", "dataset_info.json", "dataset_dict.json"
_SPLIT = re.compile(r"(.+?)-\d+-of-\d+(?:-[0-9a-f]+)?\.(?:parquet|arrow)")


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder."""
    # Other programs have a state.json too.
    return all((folder / name).is_file() for name in (STATE, INFO)) or (folder / DICT).is_file()


def in_saved(folder: Path, how: Labelling) -> Found:
    """Lists the images of a dataset that `save_to_disk` wrote.

    Raises:
        SettingsError: it cannot be read, or has several splits.
    """
    splits = _read(folder / DICT).get("splits") if (folder / DICT).is_file() else None
    if isinstance(splits, list):
        if len(splits) != 1:
            names = ", ".join(map(str, splits))
            raise SettingsError(
                f"{folder}: holds the splits {names}; give the folder of one, such as {folder / 'train'}"
            )
        return in_saved(_within(folder, splits[0]), how)
    state = _read(folder / STATE)
    if state.get("_indices_files"):
        raise SettingsError(f"{folder}: holds a choice of rows; write it anew with flatten_indices().save_to_disk(…)")
    files = state.get("_data_files")
    names = [one.get("filename") for one in files if isinstance(one, dict)] if isinstance(files, list) else []
    if not names:
        raise SettingsError(f"{folder / STATE}: names no data files; write the dataset anew with save_to_disk")
    return in_rows(str(folder), [ArrowRows(_within(folder, name)) for name in names], how)


def in_parquets(root: str, files: Sequence[AnyPath], how: Labelling) -> Found:
    """Lists the images of the Parquet shards of one split.

    Raises:
        SettingsError: a shard cannot be read, or they are of several splits.
    """
    splits = sorted({found[1] for file in files if (found := _SPLIT.fullmatch(file.name))})
    if len(splits) > 1:
        raise SettingsError(
            f"{root}: holds the splits {', '.join(splits)}; name the files of one by a pattern, such as "
            f"'FOLDER/{splits[0]}-*.parquet'"
        )
    return in_rows(root, [ParquetRows(file) for file in files], how)


def _read(path: Path) -> dict[str, object]:
    try:
        found = read_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: expected a JSON object, found {in_short(found)}")
    return found


def _within(folder: Path, name: object) -> Path:
    try:
        return within(folder, str(name))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{folder}: names {str(name)[:80]!r} as its data: {error}") from error
