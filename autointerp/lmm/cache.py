"""Usable answers on disk, by the request's key: diskcache without pickle, without eviction, with one writer."""

import asyncio
import json
import os
import queue
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path

import diskcache

from autointerp.errors import AutointerpError, SettingsError

Json = Mapping[str, str | int | float | bool | None]
"""A cached value: a flat JSON object."""

_BATCH = 256
_NEVER_A_FILE = 2**62
_SETTINGS = {"size_limit": 2**40, "eviction_policy": "none", "cull_limit": 0, "statistics": 0, "tag_index": 0}


class CacheError(AutointerpError):
    """The cache folder holds something that autointerp did not write there."""


class BytesDisk(diskcache.Disk):
    """Stores text keys and bytes values inside the database, and reads back nothing else.

    diskcache's own disks unpickle what a row tells them to, even the JSON one (CVE-2025-69872); this one has no
    way to.
    """

    def put(self, key: str) -> tuple[str, bool]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A key as stored."""
        assert isinstance(key, str)
        return key, True

    def get(self, key: object, raw: bool) -> str:
        """A key as read.

        Raises:
            CacheError: the row's key is not text.
        """
        if not raw or not isinstance(key, str):
            raise CacheError(f"{self._directory}: a key in the cache is not autointerp's; delete the folder")
        return key

    def store(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: bytes, read: bool, key: object = None
    ) -> tuple[int, int, None, sqlite3.Binary]:
        """A value as stored."""
        assert isinstance(value, bytes)
        assert not read
        return 0, diskcache.core.MODE_RAW, None, sqlite3.Binary(value)

    def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> bytes:
        """A value as read.

        Raises:
            CacheError: the row asks to be unpickled, or to read a file, or is not bytes.
        """
        if mode != diskcache.core.MODE_RAW or filename is not None or not isinstance(value, bytes) or read:
            raise CacheError(f"{self._directory}: a row in the cache is not autointerp's; delete the folder")
        return value

    def remove(self, file_path: str) -> None:
        """Deletes nothing: no value is ever a file."""


def cache_folder(given: str | Path | None) -> Path:
    """Where the cache is: `given`, else AUTOINTERP_CACHE, else `cache/` of the working folder."""
    if given is not None:
        return Path(given)
    return Path(os.environ.get("AUTOINTERP_CACHE") or "cache")


class Cache:
    """Answers by key. Reading is immediate; writing is done by one thread, many answers a transaction.

    Args:
        folder: made if missing.

    Raises:
        SettingsError: the folder cannot be made or written.
        CacheError: the folder is another program's cache.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._store = diskcache.Cache(
                str(folder / "answers"), disk=BytesDisk, disk_min_file_size=_NEVER_A_FILE, **_SETTINGS
            )
        except (OSError, sqlite3.Error) as e:
            raise SettingsError(f"{folder}: the cache cannot be written ({e}); name another with --cache") from e
        for name, value in _SETTINGS.items():
            # The settings live in the folder: one that evicts would lose paid answers silently.
            if getattr(self._store, name) != value:
                raise CacheError(f"{folder}: the cache has {name} = {getattr(self._store, name)}; delete the folder")
        self._pending: dict[str, bytes] = {}
        self._queue: queue.SimpleQueue[tuple[str, bytes | None, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="cache-writer", daemon=True)
        self._writer.start()

    def get(self, key: str) -> dict[str, str | int | float | bool | None] | None:
        """The value stored under `key`, or None.

        Raises:
            CacheError: what is stored there is not an answer.
        """
        raw: object = self._pending.get(key)
        if raw is None:
            try:
                raw = self._store.get(key)
            except sqlite3.Error as e:
                raise CacheError(f"{self.folder}: the cache cannot be read ({e}); delete the folder") from e
        if raw is None:
            return None
        assert isinstance(raw, bytes)  # BytesDisk reads nothing else
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError) as e:
            raise CacheError(f"{self.folder}: a row in the cache is not JSON; delete the folder") from e
        if not isinstance(value, dict):
            raise CacheError(f"{self.folder}: a row in the cache is not an answer; delete the folder")
        return value

    async def put(self, key: str, value: Json) -> None:
        """Stores a value; returns once it is on disk, so that what follows from it may be written too."""
        raw = json.dumps(value, ensure_ascii=False).encode()
        done = asyncio.get_running_loop().create_future()
        self._pending[key] = raw
        self._queue.put((key, raw, done))
        try:
            await done
        finally:
            self._pending.pop(key, None)

    async def drop(self, key: str) -> None:
        """Forgets what is stored under `key`, if anything is."""
        done = asyncio.get_running_loop().create_future()
        self._queue.put((key, None, done))
        await done

    def close(self) -> None:
        """Writes what is waiting and closes."""
        self._queue.put(None)
        self._writer.join()
        self._store.close()

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < _BATCH and batch[-1] is not None and not self._queue.empty():
                batch.append(self._queue.get())
            items = [item for item in batch if item is not None]
            problem = self._write_batch(items)
            for _, _, done in items:
                done.get_loop().call_soon_threadsafe(_settle, done, problem)
            if batch[-1] is None:
                self._store.close()
                return

    def _write_batch(self, items: list[tuple[str, bytes | None, "asyncio.Future[None]"]]) -> SettingsError | None:
        try:
            # SQLite itself waits a minute for another writer; diskcache's own retrying never ends.
            with self._store.transact():
                for key, raw, _ in items:
                    if raw is None:
                        self._store.delete(key)
                    else:
                        self._store.set(key, raw)
        except (sqlite3.Error, OSError, diskcache.Timeout) as e:
            return SettingsError(
                f"{self.folder}: the cache cannot be written ({str(e) or 'it is locked'}); free space, or use --cache"
            )
        return None


def _settle(done: "asyncio.Future[None]", problem: SettingsError | None) -> None:
    if done.done():  # its waiter was cancelled
        return
    if problem is None:
        done.set_result(None)
    else:
        done.set_exception(problem)
