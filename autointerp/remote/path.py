"""Folders and files at a URL such as `s3://bucket/dump`, read through fsspec by the few calls that a Path has too."""

import atexit
import errno
import hashlib
import io
import os
import posixpath
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, unquote

from autointerp.errors import SettingsError, one_line
from autointerp.extras import how_to_install

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


_ABSENT = (403, 404, 410)
"""HTTP's words for a file that is not there: stores whose files one may read but not list say 403."""
_WEB_ERRORS = (("aiohttp", "ClientError"),)
_STORE_ERRORS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
)
"""What the libraries below fsspec raise besides OSError; looked up only where they are loaded."""


class RemoteError(OSError):
    """A file at a URL cannot be read; the message is one line without any key."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns what the libraries raise into FileNotFoundError or a RemoteError of one line."""
    try:
        yield
    except FileNotFoundError as error:
        # fsspec says so of every fault of a web server.
        cause = error.__cause__
        if cause is None or isinstance(cause, FileNotFoundError) or status_of(cause) in _ABSENT:
            raise FileNotFoundError("there is no such file") from None
        if not isinstance(cause, (OSError, *_loaded(_WEB_ERRORS))):
            raise FileNotFoundError("there is no such file") from error
        raise RemoteError(text_of(cause)) from cause
    except (OSError, ValueError, *_loaded((*_WEB_ERRORS, *_STORE_ERRORS))) as error:
        raise RemoteError(text_of(error)) from error


def _loaded(names: tuple[tuple[str, str], ...]) -> tuple[type[Exception], ...]:
    return tuple(getattr(sys.modules[m], name) for m, name in names if hasattr(sys.modules.get(m), name))


def status_of(error: BaseException | None) -> int | None:
    """The answer of a web server that an error tells of; None where it tells of none."""
    return getattr(error, "status", None)


def text_of(error: BaseException) -> str:
    """Words for an error; of a web server's, no address, since one that it sent us on to may be signed."""
    if (status := status_of(error)) is not None:
        return f"HTTP {status} {getattr(error, 'message', '')}".strip()
    said = one_line(str(error)) or type(error).__name__
    return re.sub(r"\?\S*", "?…", said)[:200]


T = TypeVar("T")

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_LOST = re.compile(r"(s3|gs|gcs|http|https|memory|az|abfs):/[^/]")
_WEB = ("http", "https")
_LOCAL = ("file", "local")
_LIBRARIES: Mapping[str, str] = {"gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs"}
"""What the extra does not install."""
PAUSES = (0.2, 1.0)
"""Seconds before a file that could not be read is tried again."""


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A folder or a file at a URL; says `FileNotFoundError` or `RemoteError` as a Path would say OSError."""

    url: str
    """Without a slash at its end."""

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, relative: str) -> "RemotePath":
        scheme, _, rest = self.url.partition("://")
        host, _, path = rest.partition("/")
        added = quote(relative) if scheme in _WEB else relative
        # Above the topmost folder there is nothing, as with a Path.
        whole = posixpath.normpath(f"/{path}/{added}").lstrip("/")
        return RemotePath(f"{scheme}://{host}/{whole}")

    @property
    def scheme(self) -> str:
        """`s3`, `https` and so on."""
        return self.url.partition("://")[0]

    @property
    def name(self) -> str:
        """Returns the last part of the URL."""
        last = self.url.rpartition("/")[2]
        return unquote(last) if self.scheme in _WEB else last

    @property
    def parent(self) -> "RemotePath":
        """Returns the folder that it is in."""
        return RemotePath(self.url.rpartition("/")[0])

    def absolute(self) -> "RemotePath":
        """Returns the same URL, which is absolute."""
        return self

    def resolve(self) -> "RemotePath":
        """Returns the same URL, which has no links."""
        return self

    def is_file(self) -> bool:
        """Whether there is such a file. Raises RemoteError if that cannot be known."""
        return self.exists()

    def exists(self) -> bool:
        """Whether there is such a file. Raises RemoteError if that cannot be known."""
        try:
            self.run(lambda fs: fs.info(self.url))
        except FileNotFoundError:
            return False
        return True

    def read_bytes(self) -> bytes:
        """Reads the whole file."""
        content = self.run(lambda fs: fs.cat_file(self.url))
        assert isinstance(content, bytes)
        return content

    def read_text(self, encoding: str) -> str:
        """The whole file as text."""
        return self.read_bytes().decode(encoding)

    def open(self, mode: str = "rb") -> "RemoteFile":
        """The file, of which only what is asked for is fetched, if the server can do that."""
        assert mode == "rb"
        return RemoteFile(self)

    def listing(self) -> list[str] | None:
        """Names of the files in this folder, ascending; None where there is no list, as on a web server."""
        if self.scheme in _WEB:
            return None
        found = self.run(lambda fs: fs.ls(self.url, detail=False))
        return sorted(posixpath.basename(str(name).rstrip("/")) for name in found)

    def filesystem(self) -> "AbstractFileSystem":
        """What fsspec reads it with."""
        return filesystem(self.scheme)

    def run(self, call: Callable[["AbstractFileSystem"], T]) -> T:
        """What a call of fsspec returns, tried again after a fault that may pass.

        Raises:
            FileNotFoundError: there is no such file.
            RemoteError: it cannot be read.
            SettingsError: a library is missing.
        """
        for pause in PAUSES:
            try:
                with plain_errors():
                    return call(self.filesystem())
            except RemoteError as error:
                # The libraries of object stores try again themselves, but for keys that are valid no more.
                if not (_may_pass if self.scheme in _WEB else _are_refused)(error.__cause__):
                    raise
                if self.scheme not in _WEB:
                    forget_keys(self.scheme)
                time.sleep(pause)
        with plain_errors():
            return call(self.filesystem())


AnyPath = Path | RemotePath
Location = str | Path | RemotePath
"""How a user names one."""


def as_path(where: Location) -> AnyPath:
    """A folder on this machine, or one at a URL such as `s3://bucket/dump`, `gs://…`, `https://…`.

    Raises:
        SettingsError: the URL carries a password or a query, or has lost a slash.
    """
    if isinstance(where, RemotePath):
        return where
    text = str(where)
    if (found := _URL.fullmatch(text)) is None:
        if isinstance(where, Path) and _LOST.match(text):
            raise SettingsError(f"{text}: a Path takes one slash from a URL; give the URL as text")
        return Path(where)
    scheme, rest = found[1].lower(), found[2]
    if scheme in _LOCAL:
        return Path(unquote(rest))
    host, _, path = rest.partition("/")
    if "@" in host and _LIBRARIES.get(scheme) == "adlfs" and not set("?#") & set(rest):
        container = host.partition("@")[0]
        raise SettingsError(
            f"{scheme}://{container}/{path}: write it so, and name the account by AZURE_STORAGE_ACCOUNT_NAME"
        )
    if "@" in host or "?" in rest or "#" in rest:
        raise SettingsError(
            f"{scheme}://…: a URL with a password, `?` or `#` is not taken, since it is written into the run; "
            "give keys by the environment (docs/many-machines.md)"
        )
    if not rest.strip("/"):
        raise SettingsError(f"{text}: names no folder; give for example s3://bucket/dump")
    return RemotePath(f"{scheme}://{rest.rstrip('/')}")


def local_path(path: str | Path) -> Path:
    """The same; raises SettingsError where a folder is needed and a URL was given, whole or as a Path has it."""
    if _URL.fullmatch(str(path)) or _LOST.match(str(path)):
        raise SettingsError(
            f"{path}: needs a folder of this machine, not a URL; `autointerp.run_at` makes one (docs/many-machines.md)"
        )
    return Path(path)


def is_remote(where: Location) -> bool:
    """Whether it names a place at a URL. Raises SettingsError as `as_path`."""
    return isinstance(as_path(where), RemotePath)


@cache
def filesystem(scheme: str) -> "AbstractFileSystem":
    """The file system of a scheme; its keys come from the environment.

    Raises:
        SettingsError: there is none, or its library is not installed.
    """
    remedy = how_to_install("remote")
    try:
        import fsspec
    except ImportError as error:
        raise SettingsError(f"{scheme}://…: a URL needs the extra `remote`; {remedy}") from error
    try:
        # A list from before another machine wrote there would mislead.
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as error:
        library = _LIBRARIES.get(scheme)
        remedy = f"run pip install {library}" if library else remedy
        raise SettingsError(f"{scheme}://…: its library is not installed; {remedy} ({text_of(error)})") from error
    except ValueError as error:
        raise SettingsError(f"{scheme}://…: no such kind of URL is known; s3, gs, abfss, http and https are") from error


def forget_keys(scheme: str) -> None:
    """Has the keys to a scheme's stores read anew, from the environment or wherever its library finds them."""
    filesystem.cache_clear()
    type(filesystem(scheme)).clear_instance_cache()
    filesystem.cache_clear()


class RemoteFile(io.RawIOBase):
    """A file at a URL, open for reading at any place. Where a server sends whole files only, it is copied first."""

    def __init__(self, path: RemotePath) -> None:
        super().__init__()
        self._path = path
        self._copy: Path | None = None
        # Nothing read ahead: PyArrow asks for whole ranges.
        self._file = path.run(lambda fs: fs.open(path.url, "rb", cache_type="none"))
        size = getattr(self._file, "size", None)
        if not isinstance(size, int):
            self._copy = _copy(path)
            size = self._copy.stat().st_size
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """Says that the file can be read."""
        return True

    def seekable(self) -> bool:
        """Says that the file can be read from any place."""
        return True

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to another place in the file."""
        self._at = offset + (0, self._at, self._size)[whence]
        if self._at < 0:
            raise OSError("a place before the start of the file")
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes, all that are left where `size` is negative."""
        left = max(0, self._size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        data = self._fetch(wanted) if wanted else b""
        self._at += len(data)
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The next bytes, into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _fetch(self, wanted: int) -> bytes:
        if self._copy is None:
            try:
                return self._path.run(lambda fs: self._part(fs, wanted))
            except RemoteError as error:
                if self._path.scheme not in _WEB or not isinstance(error.__cause__, ValueError):
                    raise
            # The server cannot send a part of a file.
            self._copy = _copy(self._path)
        with self._copy.open("rb") as file:
            file.seek(self._at)
            return file.read(wanted)

    def _part(self, fs: "AbstractFileSystem", wanted: int) -> bytes:
        if self._path.scheme in _WEB:
            self._file.seek(self._at)
            content = self._file.read(wanted)
        else:
            # An open file would go on with the keys that it was opened with.
            content = fs.cat_file(self._path.url, start=self._at, end=self._at + wanted)
        assert isinstance(content, bytes)
        return content


def _are_refused(error: BaseException | None) -> bool:
    """Whether a store does not take the keys, which may have been renewed since they were read."""
    # A look at an object's head has no text; with keys that have expired its answer is 400.
    return isinstance(error, PermissionError) or (isinstance(error, OSError) and error.errno == errno.EINVAL)


def _may_pass(error: BaseException | None) -> bool:
    status = status_of(error)
    return status in (None, 429) and not isinstance(error, ValueError) if (status or 0) < 500 else True


_copying = Lock()


@cache
def _copies() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="autointerp-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _copy(path: RemotePath) -> Path:
    """A copy of a whole file, made once in the life of the process."""
    with _copying:
        target = _copies() / hashlib.sha256(path.url.encode()).hexdigest()
        if not target.exists():
            part = target.with_suffix(".part")
            path.run(lambda fs: fs.get_file(path.url, str(part)))
            part.replace(target)
        return target
