"""Which files a dump has, in a folder of this machine or at a URL."""

from collections.abc import Sequence
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from autointerp.dump.format import EXEMPLARS_FILE, part_name
from autointerp.errors import DumpError
from autointerp.remote.errors import RemoteError
from autointerp.remote.path import AnyPath, RemotePath

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
    # Imported here, since it imports pandas where that is installed, which takes as long as all other imports.
    import pyarrow.dataset as ds

    remote = [path for path in paths if isinstance(path, RemotePath)]
    system = remote[0].filesystem() if remote else None
    # Without a file system PyArrow would take a URL for one of its own.
    return ds.dataset([str(path) for path in paths], format="parquet", filesystem=system)
