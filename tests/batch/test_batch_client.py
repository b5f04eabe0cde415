"""A client that writes questions into files: one model a file, and no half of one."""

import asyncio
import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from builders import question

from autointerp.batch.client import BatchClient, Outbox, is_whole
from autointerp.batch.manifest import Manifest
from autointerp.errors import RunError
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Images, Request
from autointerp.replies import JudgeReply


class NoImages:
    """Of questions without pictures."""

    async def jpegs(self, pictures: object) -> list[bytes]:
        """None."""
        return []


def write(manifest: Manifest, cache: Cache, *requests: Request) -> None:
    """Writes questions one after the other, and closes the client."""
    ledger = Ledger(None, {request.model: None for request in requests})
    outbox = Outbox(manifest, "score", ledger, lambda _: TokenEstimate(10, 5), {"judge": JudgeReply})

    async def main() -> None:
        client = BatchClient(outbox, "http://127.0.0.1:9/v1", cache)
        try:
            for request in requests:
                with pytest.raises(CallError, match="deferred"):
                    await client.complete(request, cast("Images", NoImages()), nullcontext())  # pyright: ignore[reportArgumentType]
        finally:
            await client.aclose()

    asyncio.run(main())


def test_each_model_has_a_file_of_its_own(tmp_path: Path):
    """Questions to m, n and m again: two lines in the first file, one in the second."""
    first, second = question("first"), question("second")

    with Cache(tmp_path / "cache") as cache, Manifest(tmp_path, writing=True) as manifest:
        write(manifest, cache, first, replace(first, model="n"), second)

    models = {
        name: [json.loads(line)["body"]["model"] for line in (tmp_path / name).read_text().splitlines()]
        for name in manifest.files
    }
    assert models == {"requests-00001.jsonl": ["m", "m"], "requests-00002.jsonl": ["n"]}
    assert all(is_whole(tmp_path, file) for file in manifest.files.values())
    assert (manifest.n_open, manifest.files["requests-00001.jsonl"].input_tokens) == (3, 20)


def test_a_manifest_that_cannot_be_written_records_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first file's line fails and may be torn, so the second file's is not put behind it."""
    first = question("first")
    lines: list[object] = []

    def full(self: object, record: object) -> None:
        lines.append(record)
        raise RunError("manifest.jsonl: the disk is full")

    with Cache(tmp_path / "cache") as cache, Manifest(tmp_path, writing=True) as manifest:
        monkeypatch.setattr("autointerp.runs.jsonl.Appender.append", full)
        with pytest.raises(RunError):
            write(manifest, cache, first, replace(first, model="n"))
        with pytest.raises(RunError, match="could not be written before"):
            write(manifest, cache, question("second"))

    assert len(lines) == 1
    assert Manifest(tmp_path, writing=False).files == {}
