"""Reads and writes files of coders, stores, checkpoints and tables; what fails is one line that names the file."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import filelock
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from autointerp.errors import SettingsError, one_line

R = TypeVar("R", bound=BaseModel)


def is_none(value: object) -> bool:
    """Tells `exclude_if` to leave a field without a value out of its file, which older versions can then read."""
    return value is None


def locked_folder(folder: Path, busy: str, patience: float = 0.0) -> filelock.BaseFileLock:
    """Makes a folder and takes its lock, which is to be released.

    Args:
        folder: to be kept from other processes.
        busy: what is said where another process holds it.
        patience: seconds to wait for that process.

    Raises:
        SettingsError: another process holds it, or it cannot be made.
    """
    lock = filelock.FileLock(folder / ".lock", timeout=patience)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as e:
        raise SettingsError(f"{folder}: {busy}") from e
    except OSError as e:
        raise SettingsError(f"{folder}: cannot be written: {e.strerror}") from e
    return lock


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Gives a hidden name beside `path` to write under; what lies there takes the name `path` once the block has ended.

    Folders on the way to it are made.

    Raises:
        SettingsError: the file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        unfinished.replace(path)
    except (OSError, SafetensorError) as error:
        raise SettingsError(f"{path}: cannot be written: {one_line(str(error))}") from error


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a CSV file.

    Raises:
        SettingsError: it cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows((columns, *rows))
    except OSError as e:
        raise SettingsError(f"{path}: cannot be written: {e.strerror}") from e


def read_record(path: Path, kind: type[R], *, missing: str) -> R:
    """Reads a record from a JSON file.

    Args:
        path: the file.
        kind: the type of the record.
        missing: the message where there is no such file.

    Raises:
        SettingsError: the file is missing, cannot be read, or is not as the type says.
    """
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(missing) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {one_line(str(error))}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"{part}." for part in first["loc"])[:-1]
        raise SettingsError(f"{path}: {where + ': ' if where else ''}{one_line(first['msg'])}") from error


def read_tensors(path: Path, *, beside: str, remedy: str) -> dict[str, Tensor]:
    """Reads all tensors of a safetensors file.

    Args:
        path: the file.
        beside: the name of the file that describes it.
        remedy: what to do where the file cannot be read.

    Raises:
        SettingsError: the file is missing or cannot be read.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise SettingsError(f"{path}: is missing; it belongs beside {beside}") from None
    except (OSError, SafetensorError) as error:
        raise SettingsError(f"{path}: cannot be read: {one_line(str(error))}; {remedy}") from error
