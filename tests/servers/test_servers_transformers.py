"""`explain` and `score` against `transformers serve` with LLaVAs so small that a test builds them."""

import asyncio
import io
import json
import shutil
import urllib.request
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from PIL import Image
from servers.conftest import TinyLlava
from standin.commands import Result, run

from autointerp.images.picture import Picture, Tile
from autointerp.lmm.cache import Cache
from autointerp.lmm.openai_client import OpenAIClient
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion, ImagePart, Message, Request, TextPart
from autointerp.runs.folder import open_run
from autointerp.schema import Scored

pytestmark = pytest.mark.slow

BRIEF = ("--max-tokens", "12")


def explain(dump: Path, folder: Path, server: TinyLlava, model: Path, *more: str) -> tuple[Result, dict[str, object]]:
    """Explains by a handful of pictures a feature."""
    command = ("explain", dump, "--run", folder, "--model", model, "--base-url", server.url, *BRIEF)
    shown = ("--top", "2", "--bands", "1", "--contrast", "1", "--side", "64", "--concurrency", "2")
    result = run(*command, *shown, "--json", *more)
    return result, json.loads(result.out) if result.out else {}


def test_features_are_explained_and_scored(tiny_llava: TinyLlava, planted: Path, tmp_path: Path) -> None:
    """Three calls for three features, so no field was refused; a judge of endless yes has recall 1, specificity 0."""
    explained, told = explain(planted, tmp_path / "run", tiny_llava, tiny_llava.folder / "obedient")
    scored = run("score", tmp_path / "run", *BRIEF)

    assert (explained.code, told["done"], told["requests"]) == (0, 3, 3), explained.err
    assert scored.code == 0, scored.err
    there = open_run(tmp_path / "run")
    assert [e.text for e in there.explanations()] == ["a red circle on a plain ground"] * 3
    detection = [s for s in there.scores() if isinstance(s, Scored) and s.scorer == "detection"]
    assert sorted(s.feature for s in detection) == [0, 1, 2]
    assert all(s.details["recall"] == 1 and s.details["specificity"] == 0 for s in detection)
    assert all(s.value == s.controls["always_yes"].value for s in detection)


def test_two_addresses_of_the_server_and_a_dead_one_do_the_work_of_one(
    tiny_llava: TinyLlava, planted: Path, tmp_path: Path
) -> None:
    """The same words as through one address, and no failure."""
    more = ("--base-url", tiny_llava.url.replace("127.0.0.1", "localhost"), "--base-url", "http://127.0.0.1:9/v1")

    shared, told = explain(planted, tmp_path / "run", tiny_llava, tiny_llava.folder / "obedient", *more)

    assert (shared.code, told["done"], told["failed"]) == (0, 3, 0), shared.err
    events = [json.loads(line) for line in shared.err.splitlines()]
    assert events[-1]["servers"] == 3
    there = open_run(tmp_path / "run")
    assert [e.text for e in there.explanations()] == ["a red circle on a plain ground"] * 3


def test_babble_is_a_failure_and_no_explanation(tiny_llava: TinyLlava, planted: Path, tmp_path: Path) -> None:
    """Each feature is asked twice and recorded as malformed; the second time likewise, nothing being explained."""
    first, told = explain(planted, tmp_path / "run", tiny_llava, tiny_llava.folder / "babbling")
    second, told_again = explain(planted, tmp_path / "run", tiny_llava, tiny_llava.folder / "babbling")

    assert (first.code, told["done"], told["failed"], told["requests"]) == (1, 0, 3, 6), first.err
    assert (second.code, told_again["before"], told_again["failed"]) == (1, 0, 3), second.err
    there = open_run(tmp_path / "run")
    assert list(there.explanations()) == []
    failures = list(there.failures())
    assert sorted(f.feature for f in failures) == [0, 0, 1, 1, 2, 2]
    assert {(f.stage, f.kind) for f in failures} == {("explain", "malformed")}


def test_a_judge_that_babbles_leaves_features_unscored(tiny_llava: TinyLlava, planted: Path, tmp_path: Path) -> None:
    """No score is written; the failures name the scorers that needed the judge."""
    explain(planted, tmp_path / "run", tiny_llava, tiny_llava.folder / "obedient", "--features", "0")

    judge = ("--judge-model", tiny_llava.folder / "babbling", "--judge-base-url", tiny_llava.url)
    scored = run("score", tmp_path / "run", *judge, *BRIEF)

    there = open_run(tmp_path / "run")
    assert scored.code == 1, scored.err
    assert {s.scorer for s in there.scores()} <= {"relevance"}
    assert {(f.stage, f.kind) for f in there.failures()} == {
        ("score:accuracy", "malformed"),
        ("score:detection", "malformed"),
    }


def test_what_failed_is_explained_once_the_model_is_mended(
    tiny_llava: TinyLlava, planted: Path, tmp_path: Path
) -> None:
    """Feature 0 fails; with other weights behind the same name it and the others are explained, and none is pending."""
    model = shutil.copytree(tiny_llava.folder / "babbling", tmp_path / "model")
    failed, _ = explain(planted, tmp_path / "run", tiny_llava, model, "--features", "0")
    shutil.copy(tiny_llava.folder / "obedient" / "model.safetensors", model)
    with urllib.request.urlopen(f"{tiny_llava.address}/reset", data=b"", timeout=300) as unloaded:
        assert unloaded.status == 200

    mended, told = explain(planted, tmp_path / "run", tiny_llava, model)
    again, told_again = explain(planted, tmp_path / "run", tiny_llava, model)

    assert failed.code == 1
    assert (mended.code, told["before"], told["done"]) == (0, 0, 3), mended.err
    assert (again.code, told_again["before"], told_again["requests"]) == (0, 3, 0)
    assert open_run(tmp_path / "run").pending() == []


class Given:
    """Hands out the same bytes for every picture."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def jpeg(self, picture: Picture) -> bytes:
        return self.data

    async def jpegs(self, pictures: Sequence[Picture]) -> list[bytes]:
        return [self.data for _ in pictures]

    async def tile(self, tile: Tile, side: int) -> Image.Image:
        raise NotImplementedError


def ask(server: TinyLlava, data: bytes, cache: Path) -> Completion:
    """The word "hi" and one picture."""
    picture = Picture((Tile(0, "0" * 64, (40, 40), "full", None),), 40, 85)
    message = Message("user", (TextPart("hi"), ImagePart(picture, "active", (1,))))
    request = Request(str(server.folder / "obedient"), "explain", "", (message,), "{}", 0.0, 12, 0)

    async def once() -> Completion:
        with Cache(cache) as store:
            client = OpenAIClient(server.url, timeout=60.0, connections=1, cache=store)
            try:
                return await client.complete(request, Given(data), AsyncExitStack())
            finally:
                await client.aclose()

    return asyncio.run(once())


def test_pictures_are_decoded(tiny_llava: TinyLlava, tmp_path: Path) -> None:
    """A picture counts (32 / 16)² = 4 tokens beside 2 bytes of text and the task's mark; other bytes are an error."""
    target = io.BytesIO()
    Image.new("RGB", (40, 40), (255, 0, 0)).save(target, "JPEG")

    seen = ask(tiny_llava, target.getvalue(), tmp_path / "cache")
    with pytest.raises(CallError) as refused:
        ask(tiny_llava, b"this is no picture", tmp_path / "cache")

    assert seen.input_tokens == 4 + 2 + 1
    assert refused.value.kind == "http_500"
