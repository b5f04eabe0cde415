"""Which processes have a cache open: each holds a lock of its own, so that nothing is removed under any of them."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from autointerp.errors import AutointerpError

FOLDER = "in-use"
_GATE = "in-use.lock"
_PATIENCE = 60.0
"""Seconds that opening a cache waits while another process removes rows from it."""


class CacheBusyError(AutointerpError):
    """Another process has the cache open; the message says what to do."""


class InUse:
    """Says for as long as it lives that this process has a cache open; a process that is killed says it no more.

    Args:
        folder: of the cache, which is there.

    Raises:
        CacheBusyError: rows are being removed from it.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        home = folder / FOLDER
        home.mkdir(exist_ok=True)
        name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}.lock"
        with _gate(folder, _PATIENCE):
            # Whoever closes the cache may be another thread than the one that opened it.
            self._lock = filelock.FileLock(home / name, timeout=0, thread_local=False)
            self._lock.acquire()

    def end(self) -> None:
        """Says that the cache is closed."""
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps every other process from opening a cache that none has open now.

    Args:
        folder: of the cache, which is there.

    Raises:
        CacheBusyError: a process has it open.
    """
    with _gate(folder, 0.0):
        for path in sorted((folder / FOLDER).glob("*.lock")):
            lock = filelock.FileLock(path, timeout=0)
            try:
                lock.acquire()
            except filelock.Timeout as e:
                raise CacheBusyError(
                    f"{folder}: process {path.name.partition('-')[0]} has this cache open; "
                    "wait until it is through, or end it"
                ) from e
            # Of a process that was killed.
            lock.release()
            path.unlink(missing_ok=True)
        yield


@contextmanager
def _gate(folder: Path, patience: float) -> Iterator[None]:
    lock = filelock.FileLock(folder / _GATE, timeout=patience)
    try:
        lock.acquire()
    except filelock.Timeout as e:
        raise CacheBusyError(f"{folder}: another process removes rows from this cache; wait until it is through") from e
    try:
        yield
    finally:
        lock.release()
