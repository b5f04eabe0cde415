"""Files and folders that are made on this machine and then sent to a URL."""

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from autointerp.errors import SettingsError
from autointerp.remote.path import AnyPath, RemoteError, RemotePath

_AT_ONCE = 8
"""Files sent at the same time."""


@contextmanager
def sent_file(target: AnyPath, option: str) -> Iterator[Path]:
    """Where to write a file: the place itself, or for a URL a file of this machine that is sent at the end.

    Args:
        target: the place.
        option: how it was named, for messages.

    Raises:
        SettingsError: the store cannot be asked, which is found out first, or does not take the file.
    """
    if isinstance(target, Path):
        yield target
        return
    remedy = f"mend that, or give another place with {option}"
    with _told(target, remedy):
        target.exists()
    with tempfile.TemporaryDirectory(prefix="autointerp-") as folder:
        file = Path(folder) / target.name
        yield file
        if file.exists():
            with _told(target, remedy):
                _put(file, target)


def send_folder(folder: Path, target: RemotePath, *, last: str) -> None:
    """Sends all files of a folder, those of one name at the end, by which a reader knows that all are there.

    Raises:
        SettingsError: the store does not take one; the folder stays.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    places = {file: target / file.relative_to(folder).as_posix() for file in files}
    remedy = f"it is whole in {folder}: mend that, then copy it there, {last} at the end"
    with _told(target, remedy), ThreadPoolExecutor(_AT_ONCE) as pool:
        for wave in ([f for f in files if f.name != last], [f for f in files if f.name == last]):
            list(pool.map(lambda file: _put(file, places[file]), wave))
    shutil.rmtree(folder)


def _put(file: Path, target: RemotePath) -> None:
    target.run(lambda fs: fs.put_file(str(file), target.url))


@contextmanager
def _told(target: RemotePath, remedy: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, RemoteError, NotImplementedError) as error:
        raise SettingsError(f"{target}: cannot be written: {error or 'no such URL can'}; {remedy}") from error
