"""Files of requests on disk: written whole or not at all, and found out where one is not as it was written."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from autointerp.batch.manifest import PART, BatchFile, Event, Manifest
from autointerp.errors import RunError
from autointerp.lmm.image_tokens import TokenEstimate


class RequestFile:
    """A file of requests being written: it has its name only when it is whole and the manifest knows it.

    Args:
        manifest: of the folder.
        stage: that asks.
        model: that is asked.
        base_url: of the endpoint that is to answer.

    Raises:
        RunError: it cannot be written.
    """

    def __init__(self, manifest: Manifest, stage: str, model: str, base_url: str | None) -> None:
        self._manifest = manifest
        self._head = {"stage": stage, "model": model, "base_url": base_url}
        self._path = manifest.folder / manifest.next_name()
        self._part = self._path.with_name(self._path.name + PART)
        self._keys: dict[str, list[str]] = {}
        self._hash = hashlib.blake2b(digest_size=16)
        self.lines = self.bytes = 0
        self._tokens = TokenEstimate(0, 0)
        try:
            # Unbuffered, so that nothing of a line that did not go in is written later, when there is room again.
            self._file = self._part.open("wb", buffering=0)
        except OSError as e:
            raise _cannot(self._path, e.strerror) from e

    def append(self, key: str, shape: str, line: bytes, expected: TokenEstimate) -> None:
        """Writes one line, which is expected to take so many tokens.

        Raises:
            RunError: it cannot be written; the file is given up.
        """
        try:
            written = self._file.write(line)
        except OSError as e:
            raise self._given_up(e.strerror) from e
        if written != len(line):
            raise self._given_up("the disk is full")
        self._hash.update(line)
        self._keys.setdefault(shape, []).append(key)
        self.lines += 1
        self.bytes += len(line)
        self._tokens = TokenEstimate(*(a + b for a, b in zip(self._tokens, expected, strict=True)))

    def finish(self) -> None:
        """Writes through, reads it back, enters the file into the manifest, then names it.

        Raises:
            RunError: it cannot be written, or is not on disk as it was written; the file is given up.
        """
        try:
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as e:
            raise self._given_up(e.strerror) from e
        if not _holds(self._part, self.lines, self.bytes, self._hash.hexdigest()):
            raise self._given_up("it does not hold what was written")
        self._manifest.add(
            Event(
                event="written",
                file=self._path.name,
                **self._head,
                lines=self.lines,
                bytes=self.bytes,
                questions={shape: tuple(keys) for shape, keys in self._keys.items()},
                **self._tokens._asdict(),
                digest=self._hash.hexdigest(),
            )
        )
        self._part.replace(self._path)

    def give_up(self) -> None:
        """Closes the file and removes it."""
        with suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)

    def _given_up(self, why: str | None) -> RunError:
        self.give_up()
        return _cannot(self._path, why)


def _cannot(path: Path, why: str | None) -> RunError:
    return RunError(f"{path}: cannot be written ({why}); free space, then run the same command again")


def is_whole(folder: Path, file: BatchFile) -> bool:
    """Whether a file on disk has the lines, the bytes and, where one is known, the digest that were written."""
    return _holds(folder / file.name, file.lines, file.bytes, file.digest)


def _holds(path: Path, lines: int, size: int, digest: str | None) -> bool:
    found = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as opened:
            for line in opened:
                found.update(line)
                lines -= line.endswith(b"\n")
                size -= len(line)
    except OSError:
        return False
    return (lines, size) == (0, 0) and digest in (None, found.hexdigest())
