"""Small files that several processes share: each is replaced in one step, by whoever holds a lock."""

import os
from pathlib import Path

import filelock

from autointerp.errors import RunError


def locked(file: Path, busy: str, patience: float = 0.0) -> filelock.BaseFileLock:
    """Takes a lock, which is to be released.

    Args:
        file: of the lock; its folder is there.
        busy: what is said where another process holds it.
        patience: seconds to wait for that process.

    Raises:
        RunError: another process holds it.
    """
    lock = filelock.FileLock(file, timeout=patience)
    try:
        lock.acquire()
    except filelock.Timeout as e:
        raise RunError(busy) from e
    return lock


def replace_file(file: Path, content: bytes) -> None:
    """Replaces a small file in one step."""
    draft = file.with_name(f"{file.name}.part")
    try:
        # A new file: a link in its place, in a folder from elsewhere, may name any file of this machine.
        draft.unlink(missing_ok=True)
        with draft.open("xb") as new:
            new.write(content)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)
