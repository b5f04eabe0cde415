"""The scorer `embedding` over planted features: by an endpoint that sees the pictures, and by the embedded model."""

import asyncio
import base64
import shutil
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

import pytest
from aiohttp import web
from standin.commands import Done, run
from standin.eyes import look, pixels
from standin.planted import FEATURES, PAIRS, kinds
from standin.records import scores

from autointerp.commands.score import score
from autointerp.errors import EndpointError
from autointerp.job import JobResult
from autointerp.lmm.local.client import NEEDED
from autointerp.schema import Scored
from autointerp.settings import EngineSettings, ModelSettings, ScoreSettings

COMMON = 2.0
"""What all vectors have in common, as those of most networks do."""


class Embeddings:
    """An endpoint whose vectors say which kinds of object are seen, or meant; a context manager."""

    def __init__(self, *, sees: bool = True) -> None:
        self.sees = sees
        self.asked: list[str] = []
        self.url = ""

    def __enter__(self) -> "Embeddings":
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), name="embeddings")
        self._thread.start()
        assert self._ready.wait(300)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/embeddings", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._ready.set()
        await self._over.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        payload = await request.json()
        if "input" in payload:
            (text,) = payload["input"]
            self.asked.append("text")
            meant = kinds(text.lower())
        elif self.sees:
            url = payload["messages"][0]["content"][0]["image_url"]["url"]
            self.asked.append("picture")
            seen = look(pixels(base64.b64decode(url.partition(",")[2])))
            meant = seen.whole or {p for p in PAIRS if p[0] in seen.colours}
        else:
            return web.json_response({"error": {"message": "Missing required parameter: 'input'."}}, status=400)
        numbers = [COMMON, *(float(p in meant) for p in PAIRS)]
        return web.json_response({"data": [{"index": 0, "embedding": numbers}], "usage": {"prompt_tokens": 3}})


@pytest.fixture
def endpoint() -> Iterator[Embeddings]:
    """That sees."""
    with Embeddings() as server:
        yield server


@pytest.fixture
def bare(done: Done, tmp_path: Path) -> Path:
    """The explained run without its scores."""
    shutil.copytree(done.run, tmp_path / "run")
    (tmp_path / "run" / "scores.jsonl").unlink()
    return tmp_path / "run"


def embed(folder: Path, server: Embeddings, cache: Path) -> JobResult:
    settings = ScoreSettings(scorers=("embedding",), embedder=ModelSettings(model="kinds", base_url=server.url))
    judge = ModelSettings(model="seer", base_url="http://127.0.0.1:9/v1")
    return score(folder, judge=judge, settings=settings, engine=EngineSettings(concurrency=8), cache=cache)


def figures(folder: Path) -> dict[int, Scored]:
    found = scores(folder, "embedding")
    assert all(isinstance(s, Scored) for s in found.values())
    return {f: s for f, s in found.items() if isinstance(s, Scored)}


def test_features_of_one_kind_stand_out_of_silent_crops_and_like_their_explanations(
    endpoint: Embeddings, bare: Path, tmp_path: Path
):
    result = embed(bare, endpoint, tmp_path / "cache")

    assert (result.done, result.failed) == (12, 0)
    found = figures(bare)
    for feature in (f for f, planted in enumerate(FEATURES) if len(planted.pairs) == 1):
        record = found[feature]
        assert record.low > record.controls["silent"].value, feature
        assert record.details["p_silent"] == 1 / 2001, feature
        assert isinstance(likeness := record.details["likeness"], float)
        assert likeness > 0.95, feature
    assert all(record.details["embedder"] == "kinds" for record in found.values())


def test_a_warm_run_asks_the_embedder_nothing_and_says_the_same(endpoint: Embeddings, bare: Path, tmp_path: Path):
    shutil.copytree(bare, tmp_path / "again")

    embed(bare, endpoint, tmp_path / "cache")
    asked = len(endpoint.asked)
    embed(tmp_path / "again", endpoint, tmp_path / "cache")

    assert len(endpoint.asked) == asked > 100
    fields = ("value", "low", "high", "n", "details", "controls")
    first, second = figures(bare), figures(tmp_path / "again")
    assert len(first) == len(second) == 12
    assert all(getattr(first[f], x) == getattr(second[f], x) for f in first for x in fields)


def test_an_endpoint_without_eyes_ends_the_run_in_one_line(bare: Path, tmp_path: Path):
    with Embeddings(sees=False) as server, pytest.raises(EndpointError, match="kinds embeds no images there") as error:
        embed(bare, server, tmp_path / "cache")

    assert "\n" not in str(error.value)
    assert scores(bare, "embedding") == {}


def test_no_embedder_is_opened_where_no_scorer_wants_one(bare: Path, done: Done, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.lmm.local.client.find_spec", lambda name: None)

    scored = run("score", bare, "--scorers", "accuracy", "--cache", done.cache)
    refused = run("score", bare, "--scorers", "embedding", "--cache", done.cache)

    assert scored.code == 0
    assert refused.code == 2
    assert "run pip install '.[local]' in your checkout" in refused.err
    assert refused.err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(any(find_spec(name) is None for name in NEEDED), reason="the extra `local` is not installed")
def test_the_embedded_model_tells_red_circles_from_silent_crops(bare: Path, tmp_path: Path):
    scored = run("score", bare, "--scorers", "embedding", "--features", "0", "--cache", tmp_path / "cache")

    assert scored.code == 0
    (record,) = figures(bare).values()
    assert str(record.details["embedder"]).startswith("local@")
    assert record.low > record.controls["silent"].value
    assert isinstance(p := record.details["p_silent"], float)
    assert p < 0.05
