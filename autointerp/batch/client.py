"""A client that writes questions into batch files instead of asking them."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from autointerp.batch.files import RequestFile
from autointerp.batch.lines import MOST_BYTES, MOST_LINES, request_line, shape_of
from autointerp.batch.manifest import Manifest
from autointerp.lmm.address import checked_url
from autointerp.lmm.body import build_body
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.outcomes import DEFERRED, CallError
from autointerp.lmm.request import Completion, Images, Request
from autointerp.replies import Reply

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
    expected: list[tuple[str, TokenEstimate]] = field(default_factory=list)
    """Model, and what is held for it, of each of them."""

    def client(self, base_url: str | None, cache: Cache) -> "BatchClient":
        """For the questions to the models of one endpoint."""
        return BatchClient(self, checked_url(base_url), cache)


class BatchClient:
    """Defers every question: writes it into its model's current file, unless it stands in one already.

    Args:
        outbox: which stage it writes for.
        base_url: of the endpoint that is to answer.
        cache: where the endpoint's dialect is remembered.
    """

    def __init__(self, outbox: Outbox, base_url: str | None, cache: Cache) -> None:
        self._outbox = outbox
        self._base_url = base_url
        self._cache = cache
        self._files: dict[str, RequestFile] = {}
        self._rendering = asyncio.Semaphore(_RENDERING)

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Writes the question down and never answers it.

        Raises:
            CallError: `deferred`, or `over_budget` where the budget has no room for one more question.
            ImageError: a picture cannot be made.
            RunError: the file cannot be written.
        """
        if request.key not in self._outbox.keys and not self._outbox.manifest.waits(request.key):
            async with self._rendering:
                await self._write(request, images)
        raise CallError(DEFERRED, "written into a batch file", again=False)

    async def _write(self, request: Request, images: Images) -> None:
        ledger = self._outbox.ledger
        ticket = ledger.reserve(request.model, self._outbox.estimate(request))
        if ticket is None:
            raise CallError("over_budget", "the budget does not cover this question", again=False)
        try:
            jpegs = await images.jpegs(request.pictures)
        except BaseException:
            ledger.release(ticket)
            raise
        dialect = self._outbox.manifest.dialect(request.model, self._base_url, self._cache)
        self._append(request, request_line(request.key, build_body(request, jpegs, dialect, batch=True)), ticket.held)

    def _append(self, request: Request, line: bytes, expected: TokenEstimate) -> None:
        outbox = self._outbox
        # Out of the dict while it is written to: a file that fails is not finished when the client is closed.
        file = self._files.pop(request.model, None)
        if file is not None and (file.lines >= outbox.most_lines or file.bytes + len(line) > outbox.most_bytes):
            file.finish()
            file = None
        if file is None:
            file = RequestFile(outbox.manifest, outbox.stage, request.model, self._base_url)
        file.append(request.key, shape_of(request, outbox.replies), line, expected)
        self._files[request.model] = file
        outbox.keys.add(request.key)
        outbox.expected.append((request.model, expected))

    async def aclose(self) -> None:
        """Finishes the current files; where one cannot be, the others are given up."""
        try:
            while self._files:
                self._files.popitem()[1].finish()
        finally:
            for file in self._files.values():
                file.give_up()
