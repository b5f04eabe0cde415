"""The Images API over HTTP: what is sent, what is kept of the answer, what each fault becomes, and what is paid."""

import asyncio
import hashlib
import io
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path

import pytest
from PIL import Image
from scripted import NoImages
from standin.painting import Fault, Painting, error, made, plain, png

from autointerp.errors import EndpointError
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.images.client import ImagesClient
from autointerp.lmm.images.painter import Painted, Painter
from autointerp.lmm.images.prices import price_a_picture
from autointerp.lmm.images.request import one_picture, picture_request
from autointerp.lmm.images.store import FOLDER, PictureStore, picture_file
from autointerp.lmm.limits import Limiter
from autointerp.lmm.outcomes import Failure
from autointerp.settings import Budget

FIELDS = {"size": "40x30"}


async def two(painter: Painter) -> list[Painted | Failure]:
    return [await painter.picture("a red car", seed) for seed in (1, 2)]


def paint(
    folder: Path,
    server: Painting,
    work: Callable[[Painter], Awaitable[object]] = two,
    *,
    budget: str | None = None,
    price: float | None = None,
    waits: list[float] | None = None,
) -> object:
    """What came of the work at a server; a wait between attempts is noted and not waited for."""

    async def nap(seconds: float) -> None:
        (waits if waits is not None else []).append(seconds)

    async def main(cache: Cache) -> object:
        store = PictureStore(folder / FOLDER)
        client = ImagesClient(server.url, store, timeout=120, connections=4, cache=cache)
        prices = folder / "prices.toml"
        prices.write_text(f"[painter]\nimage = {price}\n" if price is not None else "")
        known = price_a_picture("painter", size=None, quality=None, on=date(2026, 11, 29), overrides=prices)
        ledger = Ledger(Budget(budget) if budget else None, {"painter": known})
        gateway = Gateway(client, cache, Limiter(4, sleep=nap), ledger, NoImages(), attempts=3, estimate=one_picture)
        try:
            return await work(Painter(gateway, store, "painter", FIELDS))
        finally:
            await client.aclose()

    with Cache(folder / "answers") as cache:
        return asyncio.run(main(cache))


def first(fault: Fault, n: int = 1) -> Fault:
    """The fault on the first calls only."""
    return lambda payload, number: fault(payload, number) if number < n else None


def of(found: object) -> list[Painted | Failure]:
    assert isinstance(found, list)
    return found


def test_a_prompt_goes_out_with_its_seed_and_the_picture_lies_in_the_store_by_its_digest(tmp_path: Path):
    with Painting() as server:
        one, other = of(paint(tmp_path, server))

    wanted = {"model": "painter", "prompt": "a red car", "n": 1, "size": "40x30", "response_format": "b64_json"}
    assert server.asked == [wanted | {"seed": 1}, wanted | {"seed": 2}]
    assert isinstance(one, Painted)
    assert isinstance(other, Painted)
    assert one.sha256 != other.sha256
    file = picture_file(tmp_path / FOLDER, one.sha256)
    assert file is not None
    assert hashlib.sha256(file.read_bytes()).hexdigest() == one.sha256
    assert one.size == Image.open(io.BytesIO(file.read_bytes())).size == (40, 30)


def test_what_was_made_once_is_neither_asked_for_nor_paid_again_and_other_words_are(tmp_path: Path):
    with Painting() as server:
        cold, warm = (of(paint(tmp_path, server, price=0.02)) for _ in range(2))
        assert len(server.asked) == 2
        paint(tmp_path, server, lambda painter: painter.picture("a red bus", 1))

    assert [one.sha256 for one in cold if isinstance(one, Painted)] == [
        o.sha256 for o in warm if isinstance(o, Painted)
    ]
    assert [o.usage.dollars for o in cold if isinstance(o, Painted)] == pytest.approx([0.02, 0.02])
    assert [p["prompt"] for p in server.asked] == ["a red car", "a red car", "a red bus"]


def test_a_picture_that_is_lost_or_damaged_in_the_store_is_made_again(tmp_path: Path):
    with Painting() as server:
        one, other = of(paint(tmp_path, server))
        assert isinstance(one, Painted)
        assert isinstance(other, Painted)
        lost, broken = (picture_file(tmp_path / FOLDER, o.sha256) for o in (one, other))
        assert lost is not None
        assert broken is not None
        lost.unlink()
        broken.write_bytes(b"nothing")

        again = of(paint(tmp_path, server))

    assert [a.sha256 for a in again if isinstance(a, Painted)] == [one.sha256, other.sha256]
    assert len(server.asked) == 4


def test_fields_that_the_endpoint_refuses_are_left_out_and_that_is_remembered(tmp_path: Path):
    def fault(payload: object, number: int):
        assert isinstance(payload, dict)
        for name in ("seed", "response_format"):
            if name in payload:
                return error(400, f"Unknown parameter: '{name}'.", param=name)
        return None

    with Painting(fault=fault) as server:
        paint(tmp_path, server)
        paint(tmp_path, server, lambda painter: painter.picture("a bird", 1))

    sent = [sorted(p.keys() & {"seed", "response_format"}) for p in server.asked]
    assert sent == [["response_format", "seed"], ["response_format"], [], [], []]


def test_a_refused_prompt_and_a_moderation_block_are_refusals_and_not_asked_again(tmp_path: Path):
    blocked = error(400, "Your request was rejected by the safety system.", code="moderation_blocked")
    silent = (200, {"data": [{"b64_json": None, "finish_reason": "content_filter"}]}, {})

    for answer in (blocked, silent):
        with Painting(fault=lambda payload, n, answer=answer: answer) as server:
            found = of(paint(tmp_path, server))

        assert [f.kind for f in found if isinstance(f, Failure)] == ["refused", "refused"]
        assert len(server.asked) == 2


def test_a_server_without_the_images_api_is_told_of_once_with_the_options_to_check(tmp_path: Path):
    with (
        Painting(fault=lambda payload, n: error(404, "Not Found")) as server,
        pytest.raises(EndpointError, match=r"has no Images API .*check --image-base-url and --image-model"),
    ):
        paint(tmp_path, server)

    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [429, 500])
def test_a_passing_fault_is_waited_out(tmp_path: Path, status: int):
    waits: list[float] = []

    with Painting(fault=first(lambda payload, n: error(status, "busy", {"Retry-After": "2"}))) as server:
        found = of(paint(tmp_path, server, waits=waits))

    assert all(isinstance(one, Painted) for one in found)
    assert len(server.asked) == 3
    assert max(waits) >= 2


@pytest.mark.parametrize("data", [b"no picture at all", png(plain({"prompt": "x"}))[:60]])
def test_a_corrupt_picture_is_paid_asked_for_once_more_and_then_a_failure(tmp_path: Path, data: bytes):
    spent: list[float] = []

    async def work(painter: Painter) -> object:
        found = await painter.picture("a car", 1)
        spent.append(painter.gateway.spent)
        return found

    with Painting(fault=lambda payload, n: made(data)) as server:
        found = paint(tmp_path, server, work, budget="1usd", price=0.25)

    assert isinstance(found, Failure)
    assert found.kind == "malformed"
    assert "cannot be decoded" in found.message
    assert len(server.asked) == 2
    assert spent == pytest.approx([0.5])
    with Painting(fault=first(lambda payload, n: made(data))) as server:
        assert isinstance(paint(tmp_path, server, work, budget="1usd", price=0.25), Painted)


def test_a_picture_of_another_size_or_format_is_taken_and_its_size_is_kept(tmp_path: Path):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 9)).save(buffer, "JPEG")

    with Painting(fault=lambda payload, n: made(buffer.getvalue(), revised_prompt="a car, red")) as server:
        one, _ = of(paint(tmp_path, server))

    assert isinstance(one, Painted)
    assert one.size == (16, 9)
    file = picture_file(tmp_path / FOLDER, one.sha256)
    assert file is not None
    assert file.suffix == ".jpg"


def test_a_picture_by_its_address_is_fetched_from_the_named_server_and_from_no_other(tmp_path: Path):
    with Painting() as other:
        with Painting() as server:
            here = server.url.removesuffix("/v1") + "/made/one.png"
            server.fault = lambda payload, n: (200, {"data": [{"url": here}]}, {})
            one, _ = of(paint(tmp_path, server))
            there = other.url.removesuffix("/v1") + "/made/two.png"
            server.fault = lambda payload, n: (200, {"data": [{"url": there}]}, {})

            with pytest.raises(EndpointError, match="picture on another server, which is not fetched"):
                paint(tmp_path, server, lambda painter: painter.picture("a bird", 1))

        assert isinstance(one, Painted)
        assert server.fetched == ["one.png", "one.png"]
        assert (other.fetched, other.asked) == ([], [])


def test_a_budget_in_dollars_ends_with_the_last_picture_that_it_pays(tmp_path: Path):
    async def four(painter: Painter) -> object:
        return await asyncio.gather(*(painter.picture("a car", seed) for seed in range(4)))

    with Painting() as server:
        found = of(paint(tmp_path, server, four, budget="0.05usd", price=0.02))

    assert sum(isinstance(one, Painted) for one in found) == 2
    assert [one.kind for one in found if isinstance(one, Failure)] == ["over_budget", "over_budget"]
    assert len(server.asked) == 2


def test_two_gateways_on_one_budget_wake_each_other(tmp_path: Path):
    async def work(painter: Painter) -> object:
        ticket = painter.gateway.ledger.reserve("painter", (0, 1))
        assert ticket is not None
        waiting = asyncio.create_task(painter.picture("a car", 1))
        await asyncio.sleep(0)
        painter.gateway.ledger.release(ticket)  # as another gateway does
        return await asyncio.wait_for(waiting, 60)

    with Painting() as server:
        assert isinstance(paint(tmp_path, server, work, budget="0.03usd", price=0.02), Painted)


def test_the_key_of_the_image_server_is_its_own_where_one_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-judge")
    with Painting() as server:
        paint(tmp_path, server, lambda painter: painter.picture("a", 1))
        monkeypatch.setenv("AUTOINTERP_IMAGE_API_KEY", "sk-painter")
        paint(tmp_path, server, lambda painter: painter.picture("b", 1))

    assert server.keys == ["Bearer sk-judge", "Bearer sk-painter"]


def test_the_digest_of_a_request_tells_words_seed_size_and_model_apart():
    base = ("m", "a red car", 1, {"size": "1024x1024"})
    others = [
        ("n", *base[1:]),
        ("m", "a red bus", *base[2:]),
        ("m", "a red car", 2, base[3]),
        ("m", "a red car", 1, {"size": "512x512"}),
        ("m", "a red car", 1, {"size": "1024x1024", "quality": "low"}),
    ]

    keys = {picture_request(*one).key for one in (base, *others)}

    assert len(keys) == 6
    assert picture_request(*base).key in keys
