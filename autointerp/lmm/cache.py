"""Usable answers on disk, by the request's key: diskcache without pickle, without eviction, with one writer.

Beside each value stands a digest of it and its key, as diskcache's tag; rows of earlier versions have none. A row that
is damaged is a miss, and a file that is damaged is kept aside, while all that can be read of it goes into a new one.
"""

import asyncio
import itertools
import json
import os
import queue
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

import diskcache
import filelock

from autointerp.errors import AutointerpError, SettingsError
from autointerp.lmm.cache_salvage import DATABASE, FAULTS, check_settings, digest_of, first_page, is_damage, salvage
from autointerp.lmm.cache_users import InUse

Json = Mapping[str, str | int | float | bool | None]
"""A cached value: a flat JSON object."""

_BATCH = 256
_NEVER_A_FILE = 2**62
_SETTINGS = {"size_limit": 2**40, "eviction_policy": "none", "cull_limit": 0, "statistics": 0, "tag_index": 0}
_MEMORY = {"sqlite_cache_size": 2048, "sqlite_mmap_size": 2**23}
"""What SQLite takes for each thread's connection at most: so many pages of 4 kB, and so many bytes of the file. By
diskcache's own settings that is 96 MB, which fill up as the file grows."""
ANSWERS = "answers"
"""The folder, inside that of the cache, of the file of answers."""
DAMAGED = "answers.damaged"
_KEYS = "SELECT key FROM Cache WHERE key >= ? AND key < ? ORDER BY key"


class CacheError(AutointerpError):
    """The cache folder cannot be used; the message says what to do."""


class BadRowError(Exception):
    """A row is not such as autointerp writes."""


class BytesDisk(diskcache.Disk):
    """Stores text keys and bytes values inside the database, and reads back nothing else.

    diskcache's own disks unpickle what a row tells them to, even the JSON one (CVE-2025-69872); this one has no
    way to.
    """

    def put(self, key: str) -> tuple[str, bool]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Turns a key into its stored form."""
        assert isinstance(key, str)
        return key, True

    def get(self, key: object, raw: bool) -> str:
        """Turns a stored key back.

        Raises:
            BadRowError: the row's key is not text.
        """
        if not raw or not isinstance(key, str):
            raise BadRowError
        return key

    def store(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: bytes, read: bool, key: object = None
    ) -> tuple[int, int, None, sqlite3.Binary]:
        """Turns a value into its stored form."""
        assert isinstance(value, bytes)
        assert not read
        return 0, diskcache.core.MODE_RAW, None, sqlite3.Binary(value)

    def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> bytes:
        """Turns a stored value back.

        Raises:
            BadRowError: the row asks to be unpickled, or to read a file, or is not bytes.
        """
        if mode != diskcache.core.MODE_RAW or filename is not None or not isinstance(value, bytes) or read:
            raise BadRowError
        return value

    def remove(self, file_path: str) -> None:
        """Deletes nothing: no value is ever a file."""


def stamp_of(key: str, value: Json) -> str:
    """The stamp that `Cache.stamp` gives of a value once it is stored under its key."""
    return digest_of(key, _encoded(value))


def _encoded(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


class Cache:
    """Answers by key. Reading is immediate; writing is done by one thread, many answers a transaction.

    Args:
        folder: made if missing.
        say: told in one line of rows that are damaged, when it closes, and of a damaged file, when it is found.

    Raises:
        SettingsError: the folder cannot be made or written.
        CacheError: the folder is another program's cache.
        CacheBusyError: rows are being removed from it.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self.bad: set[str] = set()
        """Keys whose rows are damaged."""
        self._say = say
        self._mending = threading.RLock()
        self._mended = False
        self._damaged: diskcache.Cache | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._use = InUse(folder)
            self._store = self._open()
        except (OSError, *FAULTS, diskcache.Timeout) as e:
            raise SettingsError(f"{folder}: the cache cannot be written ({e}); name another with --cache") from e
        for name, value in _SETTINGS.items():
            # The settings live in the folder: one that evicts would lose paid answers silently.
            if getattr(self._store, name) != value:
                raise CacheError(f"{folder}: the cache has {name} = {getattr(self._store, name)}; name another")
        self._pending: dict[str, bytes] = {}
        self._queue: queue.SimpleQueue[tuple[str, bytes | None, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="cache-writer", daemon=True)
        self._writer.start()

    def get(self, key: str) -> dict[str, str | int | float | bool | None] | None:
        """The value stored under `key`; None where there is none, or where its row is damaged.

        Raises:
            CacheError: the file cannot be read.
        """
        raw = self._pending.get(key)
        try:
            raw = self._row(key) if raw is None else raw
            value = None if raw is None else json.loads(raw)
        except (BadRowError, ValueError, RecursionError):
            value = False
        if value is not None and not isinstance(value, dict):
            self.bad.add(key)
            return None
        return value

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys on disk that begin so, in their order, as far as the file can be read.

        Args:
            prefix: its last character is plain ASCII, as in `outcome:`.
        """
        past = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        with suppress(*FAULTS), closing(sqlite3.connect(self.folder / ANSWERS / DATABASE)) as file:
            for (key,) in file.execute(_KEYS, (prefix, past)):
                yield key

    def stamp(self, key: str) -> str | None:
        """Tells a value from any other that may stand under its key; None where there is none, or its row is damaged.

        Raises:
            CacheError: the file cannot be read.
        """
        raw = self._pending.get(key)
        try:
            raw = self._row(key) if raw is None else raw
        except BadRowError:
            return None
        return None if raw is None else digest_of(key, raw)

    def _row(self, key: str) -> bytes | None:
        """The bytes of a row whose digest, if it has one, is right."""
        try:
            raw, digest = self._read(key)
        except (*FAULTS, OSError, diskcache.Timeout) as e:
            raise CacheError(
                f"{self.folder}: the cache cannot be read ({e}); move it away, or name another with --cache"
            ) from e
        if digest is not None and digest != digest_of(key, raw or b""):
            raise BadRowError
        return raw

    def _read(self, key: str) -> tuple[bytes | None, object]:
        store = self._store
        try:
            return _fetched(store, key)
        except FAULTS as e:
            if not self._mend(store, e):
                raise
        return _fetched(self._store, key)

    async def put(self, key: str, value: Json) -> None:
        """Stores a value; returns once it is on disk, so that what follows from it may be written too."""
        raw = _encoded(value)
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
        self._disconnect()
        self._use.end()
        if self.bad and self._say is not None:
            n = len(self.bad)
            what = "1 row is damaged and counts" if n == 1 else f"{n:,} rows are damaged and count"
            self._say(f"{self.folder}: {what} as no answer; the question is asked again where it is needed")
            self.bad = set()

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
                self._disconnect()
                return

    def _disconnect(self) -> None:
        """Closes the connections of this thread; each thread has its own."""
        for store in (self._damaged, self._store):
            if store is not None:
                store.close()

    def _write_batch(self, items: list[tuple[str, bytes | None, "asyncio.Future[None]"]]) -> SettingsError | None:
        rows = [(key, raw) for key, raw, _ in items]
        store = self._store
        try:
            try:
                _write_rows(store, rows)
            except FAULTS as e:
                if not self._mend(store, e):
                    raise
                _write_rows(self._store, rows)
        except (*FAULTS, OSError, diskcache.Timeout) as e:
            return SettingsError(
                f"{self.folder}: the cache cannot be written ({str(e) or 'it is locked'}); free space, or use --cache"
            )
        return None

    def _open(self) -> diskcache.Cache:
        place = self.folder / ANSWERS
        self._file = _file_of(place)
        try:
            check_settings(place)
            return _opened(place)
        except FAULTS as e:
            if not self._mend(None, e):
                raise
        return self._store

    def _mend(self, broken: diskcache.Cache | None, error: Exception) -> bool:
        """Goes on with a new file of all that can be read of the damaged one; False where that is no remedy."""
        place = self.folder / ANSWERS
        if not is_damage(error) or not os.access(place / DATABASE, os.W_OK):
            return False
        with self._mending:
            if broken is not None and broken is not self._store:
                return True  # the other thread has done it
            if self._mended:
                return False
            self._mended = True
            with filelock.FileLock(self.folder / f"{DAMAGED}.lock"):
                # Or another process has done it.
                said = _renew(self.folder, error) if _file_of(place) == self._file else None
                self._damaged, self._store = broken, _opened(place)
        if said is not None and self._say is not None:
            self._say(said)
        return True


def _opened(place: Path) -> diskcache.Cache:
    return diskcache.Cache(str(place), disk=BytesDisk, disk_min_file_size=_NEVER_A_FILE, **_SETTINGS, **_MEMORY)


def _fetched(store: diskcache.Cache, key: str) -> tuple[bytes | None, object]:
    found: object = store.get(key, tag=True)
    assert isinstance(found, tuple)
    value: object = found[0]
    assert value is None or isinstance(value, bytes)
    return value, found[1]


def _file_of(place: Path) -> int | None:
    """Tells one file of answers from another that stands in its place."""
    try:
        return (place / DATABASE).stat().st_ino
    except OSError:
        return None


def _renew(folder: Path, error: Exception) -> str:
    """Puts a sound file in the place of a damaged one, which is kept; gives what there is to say of it."""
    place, draft = folder / ANSWERS, folder / f"{ANSWERS}.new"
    shutil.rmtree(draft, ignore_errors=True)
    _opened(draft).close()
    sound = first_page(draft)
    n = 0
    with _opened(draft) as store, store.transact():
        for row in salvage(place, sound):
            store.set(row.key, row.value, tag=digest_of(row.key, row.value))
            n += 1
    kept = next(p for i in itertools.count(1) if not (p := folder / f"{DAMAGED}-{i}").exists())
    place.rename(kept)
    draft.rename(place)
    found = "1 answer was" if n == 1 else f"{n:,} answers were"
    return f"{place}: the file of answers is damaged ({error}); {found} taken over, and it is kept as {kept.name}"


def _write_rows(store: diskcache.Cache, rows: list[tuple[str, bytes | None]]) -> None:
    # SQLite itself waits a minute for another writer; diskcache's own retrying never ends.
    with store.transact():
        for key, raw in rows:
            if raw is None:
                store.delete(key)
            else:
                store.set(key, raw, tag=digest_of(key, raw))


def _settle(done: "asyncio.Future[None]", problem: SettingsError | None) -> None:
    if done.done():  # its waiter was cancelled
        return
    if problem is None:
        done.set_result(None)
    else:
        done.set_exception(problem)
