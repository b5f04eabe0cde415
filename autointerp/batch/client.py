"""A client that writes questions into batch files instead of asking them; each file is written whole or not at all."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from autointerp.batch.endpoints import CHAT, Endpoint, body_of, endpoint_of
from autointerp.batch.lines import MOST_BYTES, MOST_LINES, request_line, shape_of
from autointerp.batch.manifest import PART, BatchFile, Event, Manifest
from autointerp.errors import RunError
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.outcomes import DEFERRED, CallError
from autointerp.lmm.request import Completion, Images, Request
from autointerp.replies import Reply

MOST_PICTURES = 500
"""Requests for pictures in one file: the results lie on disk until they are taken in, some three megabytes each."""
_RENDERING = max(2, os.cpu_count() or 2)


@dataclass
class Outbox:
    """Where a stage's questions go that are to be answered later."""

    manifest: Manifest
    stage: str
    ledger: Ledger
    """At the prices of a batch job; what is written stays reserved."""
    estimate: Callable[[Request], TokenEstimate]
    replies: Mapping[str, type[Reply]]
    """The type of reply of each task, as `Task.reply`."""
    final: bool = False
    """Whether all answers have come: failures are then recorded. Before, the stage will be gone through again."""
    most_lines: int = MOST_LINES
    most_bytes: int = MOST_BYTES
    keys: set[str] = field(default_factory=set)
    """Of the questions written now."""
    expected: list[tuple[Endpoint, str, TokenEstimate]] = field(default_factory=list)
    """Endpoint, model, and what is held for it, of each of them; of a picture one piece."""


@dataclass
class BatchClient:
    """Defers every question: writes it into the current file of its model and endpoint, unless it stands in one."""

    outbox: Outbox
    """Which stage it writes for."""
    base_url: str | None
    """Of the endpoint that is to answer."""
    cache: Cache
    """Where the endpoint's dialect is remembered."""
    _files: "dict[tuple[Endpoint, str], RequestFile]" = field(default_factory=dict)
    _rendering: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_RENDERING))

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Writes the question down and never answers it.

        Raises:
            CallError: `deferred`, or `over_budget` where the budget has no room for one more question.
            ImageError: a picture cannot be made.
            RunError: the file cannot be written.
        """
        if request.key not in self.outbox.keys and not self.outbox.manifest.waits(request.key):
            async with self._rendering:
                await self._write(request, images)
        raise CallError(DEFERRED, "written into a batch file", again=False)

    async def _write(self, request: Request, images: Images) -> None:
        ledger = self.outbox.ledger
        ticket = ledger.reserve(request.model, self.outbox.estimate(request))
        if ticket is None:
            raise CallError("over_budget", "the budget does not cover this question", again=False)
        endpoint = endpoint_of(request)
        dialect = self.outbox.manifest.dialect(endpoint, request.model, self.base_url, self.cache)
        try:
            body = await body_of(request, images, dialect)
        except BaseException:
            ledger.release(ticket)
            raise
        self._append(request, endpoint, request_line(request.key, body, endpoint), ticket.held)

    def _append(self, request: Request, endpoint: Endpoint, line: bytes, expected: TokenEstimate) -> None:
        outbox = self.outbox
        at: tuple[Endpoint, str] = (endpoint, request.model)
        most = outbox.most_lines if endpoint == CHAT else min(outbox.most_lines, MOST_PICTURES)
        # Out of the dict while it is written to: a file that fails is not finished when the client is closed.
        file = self._files.pop(at, None)
        if file is not None and (file.lines >= most or file.bytes + len(line) > outbox.most_bytes):
            file.finish()
            file = None
        if file is None:
            file = RequestFile(outbox.manifest, outbox.stage, request.model, self.base_url, endpoint)
        file.append(request.key, shape_of(request, outbox.replies), line, expected)
        self._files[at] = file
        outbox.keys.add(request.key)
        outbox.expected.append((endpoint, request.model, expected))

    async def aclose(self) -> None:
        """Finishes the current files; where one cannot be, the others are given up."""
        try:
            while self._files:
                self._files.popitem()[1].finish()
        finally:
            for file in self._files.values():
                file.give_up()


class RequestFile:
    """A file of requests being written: it has its name only when it is whole and the manifest knows it.

    Args:
        manifest: of the folder.
        stage: that asks.
        model: that is asked.
        base_url: of the server that is to answer.
        endpoint: of its API.

    Raises:
        RunError: it cannot be written.
    """

    def __init__(self, manifest: Manifest, stage: str, model: str, base_url: str | None, endpoint: Endpoint) -> None:
        self._manifest = manifest
        self._head = {"stage": stage, "model": model, "base_url": base_url, "endpoint": endpoint}
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
