"""An embeddings endpoint over HTTP: what is sent, what is made of the answer, and what is remembered."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from builders import picture
from exchange import JPEGS, KEY, Pictures

from autointerp.errors import EndpointError, SettingsError
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.embedding import EmbeddingsClient, GatewayEmbedder, decoded, embedding_request, encoded
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.limits import Limiter
from autointerp.lmm.outcomes import Failure
from autointerp.scoring.embedder import Embedder
from autointerp.settings import ModelSettings

Payload = Mapping[str, object]
Answer = tuple[int, object, Mapping[str, str]]
Server = Callable[[Payload], Answer]


def vector(*numbers: float) -> Answer:
    return 200, {"data": [{"index": 0, "embedding": list(numbers)}], "usage": {"prompt_tokens": 7}}, {}


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    return status, {"error": {"message": message}}, headers or {}


class Exchange:
    """What the server was asked, what it was sent, and how long the client waited."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []
        self.headers: list[Mapping[str, str]] = []
        self.waits: list[float] = []


def embed(
    folder: Path, server: Server, work: Callable[[GatewayEmbedder], Awaitable[object]], *, seen: Exchange | None = None
) -> tuple[object, Exchange]:
    """What the embedder made of the answers; a wait between attempts is noted and not waited for."""
    seen = seen or Exchange()

    async def handle(request: web.Request) -> web.Response:
        seen.headers.append(dict(request.headers))
        seen.payloads.append(await request.json())
        status, body, headers = server(seen.payloads[-1])
        return web.json_response(body, status=status, headers=headers)

    async def nap(seconds: float) -> None:
        seen.waits.append(seconds)

    async def main(cache: Cache) -> object:
        app = web.Application()
        app.router.add_post("/v1/embeddings", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        model = ModelSettings(model="clip", base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        client = EmbeddingsClient(model, timeout=120, connections=4, cache=cache)
        ledger = Ledger(None, {"clip": None})
        gateway = Gateway(
            client, cache, Limiter(4, sleep=nap), ledger, Pictures(), attempts=3, estimate=lambda r: TokenEstimate(1, 0)
        )
        embedder: Embedder = GatewayEmbedder(gateway, "clip")
        assert isinstance(embedder, GatewayEmbedder)
        try:
            return await work(embedder)
        finally:
            await client.aclose()
            await runner.cleanup()

    with Cache(folder / "answers") as cache:
        return asyncio.run(main(cache)), seen


def is_picture(payload: Payload) -> bool:
    return "messages" in payload


def test_a_text_is_sent_as_input_and_a_picture_as_a_message_with_an_image(tmp_path: Path):
    async def work(embedder: GatewayEmbedder) -> object:
        return await embedder.texts(["a bird"]), await embedder.pictures([picture()])

    (texts, pictures), seen = embed(tmp_path, lambda p: vector(0, 2) if is_picture(p) else vector(3, 4), work)  # pyright: ignore

    assert texts == pytest.approx(np.array([[0.6, 0.8]]), abs=1e-3)
    assert pictures.tolist() == [[0.0, 1.0]]
    assert seen.payloads[0] == {"model": "clip", "encoding_format": "float", "input": ["a bird"]}
    url = f"data:image/jpeg;base64,{base64.b64encode(JPEGS[0]).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}]
    assert seen.payloads[1]["messages"] == [{"role": "user", "content": content}]


def test_each_thing_is_asked_for_once_and_a_warm_run_gives_the_same_numbers(tmp_path: Path):
    async def work(embedder: GatewayEmbedder) -> object:
        texts, pictures = await embedder.texts(["a", "b", "a"]), await embedder.pictures([picture(1), picture(2)])
        assert not isinstance(texts, Failure)
        assert not isinstance(pictures, Failure)
        return texts.tolist(), pictures.tolist()

    cold, first = embed(tmp_path, lambda p: vector(1, len(json.dumps(p)), 1 / 3), work)
    warm, second = embed(tmp_path, lambda p: refusal(500, "no"), work)

    assert (len(first.payloads), len(second.payloads)) == (4, 0)
    assert cold == warm


def test_vectors_are_in_the_order_of_what_was_given(tmp_path: Path):
    async def work(embedder: GatewayEmbedder) -> object:
        return await embedder.texts(["one", "two", "three", "four"])

    def server(payload: Payload) -> Answer:
        axis = ["one", "two", "three", "four"].index(payload["input"][0])  # pyright: ignore
        return vector(*(float(i == axis) for i in range(4)))

    assert np.array_equal(embed(tmp_path, server, work)[0], np.eye(4))  # pyright: ignore[reportArgumentType]


def test_an_overload_is_tried_again_as_late_as_the_endpoint_asks(tmp_path: Path):
    answers = [refusal(429, "slow down", {"Retry-After": "2"}), vector(1, 0)]

    async def work(embedder: GatewayEmbedder) -> object:
        return await embedder.texts(["a"])

    found, seen = embed(tmp_path, lambda p: answers.pop(0), work)

    assert found.tolist() == [[1.0, 0.0]]  # pyright: ignore[reportAttributeAccessIssue]
    assert len(seen.payloads) == 2
    assert 2 <= seen.waits[0] < 2.3


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Missing required parameter: 'input'."),
        (400, "clip is not a multimodal model"),
        (422, "messages: Extra inputs are not permitted"),
        (500, "Router.aembedding() missing 1 required positional argument: 'input'"),
    ],
)
def test_an_endpoint_of_texts_alone_is_found_out_by_the_first_picture(tmp_path: Path, status: int, message: str):
    async def work(embedder: GatewayEmbedder) -> object:
        await embedder.texts(["a"])
        return await embedder.pictures([picture(i) for i in range(20)])

    with pytest.raises(ExceptionGroup) as error:
        embed(tmp_path, lambda p: refusal(status, message) if is_picture(p) else vector(1, 0), work)

    (cause, *_) = error.value.exceptions
    assert isinstance(cause, EndpointError)
    assert "clip embeds no images there" in str(cause)
    assert message in str(cause)
    assert "--embedder local" in str(cause)
    assert "\n" not in str(cause)


def test_one_refused_picture_among_others_is_a_failure_of_its_own(tmp_path: Path):
    count = iter(range(9))

    async def work(embedder: GatewayEmbedder) -> object:
        first = await embedder.pictures([picture(0)])
        return first, await embedder.pictures([picture(1)])

    (first, second), _ = embed(  # pyright: ignore[reportGeneralTypeIssues]
        tmp_path, lambda p: vector(1, 0) if next(count) == 0 else refusal(400, "image too small"), work
    )

    assert first.tolist() == [[1.0, 0.0]]
    assert second == Failure("http_400", "image too small", 1)


def test_a_vector_of_another_length_is_malformed(tmp_path: Path):
    async def work(embedder: GatewayEmbedder) -> object:
        await embedder.texts(["a"])
        return await embedder.texts(["bb"])

    found, _ = embed(tmp_path, lambda p: vector(1, 0) if p["input"] == ["a"] else vector(1, 0, 0), work)

    assert found == Failure("malformed", "a vector of 3 numbers where others have 2", 1)


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"embedding": "AAAA"}]},
        {"data": [{"embedding": [1.0, None]}]},
        {"data": [{"embedding": [0.0, 0.0]}]},
        {"data": [{"embedding": [[1.0], [2.0]]}]},
        {"data": [{"embedding": []}]},
    ],
)
def test_an_answer_without_a_usable_vector_is_malformed_after_three_attempts(tmp_path: Path, body: object):
    async def work(embedder: GatewayEmbedder) -> object:
        return await embedder.texts(["a"])

    found, seen = embed(tmp_path, lambda p: (200, body, {}), work)

    assert isinstance(found, Failure)
    assert (found.kind, len(seen.payloads)) == ("malformed", 3)


@pytest.mark.parametrize("body", [{"data": []}, {"object": "list"}, []])
def test_an_answer_that_holds_no_vector_at_all_is_no_word_of_the_model(tmp_path: Path, body: object):
    async def work(embedder: GatewayEmbedder) -> object:
        return await embedder.texts(["a"])

    with pytest.raises(ExceptionGroup) as error:
        embed(tmp_path, lambda p: (200, body, {}), work)

    assert "without one embedding of numbers; is the server up" in str(error.value.exceptions[0])


def test_remedies_name_the_options_of_the_embedder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def work(embedder: GatewayEmbedder) -> object:
        return await embedder.texts(["a"])

    with pytest.raises(ExceptionGroup) as error:
        embed(tmp_path, lambda p: refusal(404, "no such model"), work)
    with Cache(tmp_path / "other") as cache, pytest.raises(SettingsError, match="--embedder-base-url ftp://x"):
        EmbeddingsClient(ModelSettings(model="m", base_url="ftp://x"), timeout=1, connections=1, cache=cache)

    assert "check --embedder and --embedder-base-url" in str(error.value.exceptions[0])


def test_the_key_is_sent_and_never_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTOINTERP_API_KEY", KEY)

    async def work(embedder: GatewayEmbedder) -> object:
        return await embedder.texts(["a"])

    seen = Exchange()
    with pytest.raises(ExceptionGroup) as error:
        embed(tmp_path, lambda p: refusal(401, f"bad key {KEY}"), work, seen=seen)

    assert seen.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(error.value.exceptions[0])


def test_keys_differ_by_model_kind_and_content():
    whats = [("m", "a"), ("m", "b"), ("n", "a"), ("m", picture(1)), ("m", picture(2)), ("n", picture(1))]

    assert len({embedding_request(model, what).key for model, what in whats}) == 6
    assert embedding_request("m", picture(1)).key == embedding_request("m", picture(1)).key


def test_a_stored_vector_keeps_its_direction_to_four_digits():
    given = np.random.default_rng(0).normal(size=1000) * 1e6

    kept = decoded(encoded(given))

    assert float(kept @ given / np.linalg.norm(given)) == pytest.approx(1.0, abs=1e-5)
    assert np.linalg.norm(kept) == pytest.approx(1.0, abs=1e-6)
