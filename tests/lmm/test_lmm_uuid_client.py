"""Pictures that a server has seen are named; what it does not know any more is sent again."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web
from builders import question
from exchange import KEY, Exchange, Handler, answering, at, error, exchange, reply

from autointerp.lmm.openai_client import UuidClient
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every server asks for one."""
    monkeypatch.setenv("AUTOINTERP_API_KEY", KEY)


def refusing_names(status: int) -> Handler:
    """A server that has no store: a picture without bytes is an error."""

    async def handle(request: web.Request, payload: dict[str, object]) -> web.StreamResponse:
        named = None in urls(payload)
        body, code = (error("image_url must not be null"), status) if named else (reply(), 200)
        return await answering(body, code)(request, payload)

    return handle


def urls(payload: Mapping[str, object]) -> list[object]:
    content = at(payload, "messages", 1, "content")
    assert isinstance(content, list)
    return [part["image_url"] and part["image_url"]["url"] for part in content if part["type"] == "image_url"]


def uuids(payload: Mapping[str, object]) -> list[object]:
    content = at(payload, "messages", 1, "content")
    assert isinstance(content, list)
    return [part["uuid"] for part in content if part["type"] == "image_url"]


def asked(folder: Path, handle: Handler, *pictures: int) -> Exchange:
    questions = [question(f"question {i}", pictures=n) for i, n in enumerate(pictures)]
    return exchange(folder, handle, questions, kind=UuidClient)


def test_a_picture_is_sent_once_and_then_named_by_its_digest(tmp_path: Path):
    seen = asked(tmp_path, answering(reply()), 1, 2)

    first, second = seen.payloads
    assert uuids(first) == [question(pictures=1).pictures[0].digest]
    assert uuids(second) == [p.digest for p in question(pictures=2).pictures]
    assert str(urls(first)[0]).startswith("data:image/jpeg;base64,")
    assert [url is None for url in urls(second)] == [True, False]


@pytest.mark.parametrize("status", [400, 422, 500])
def test_what_the_server_does_not_know_is_to_be_asked_again_and_then_comes_with_its_bytes(tmp_path: Path, status: int):
    seen = asked(tmp_path, refusing_names(status), 1, 1, 1)

    answered, refused, again = seen.outcomes
    assert isinstance(answered, Completion)
    assert isinstance(refused, CallError)
    assert (refused.kind, refused.again) == ("image_uuid", True)
    assert isinstance(again, Completion)
    assert [urls(p) == [None] for p in seen.payloads] == [False, True, False]


def test_a_server_that_never_takes_a_name_is_named_none_any_more(tmp_path: Path):
    seen = asked(tmp_path, refusing_names(400), *[1] * 12)

    # Sent and named in turn, three times; from then on sent.
    assert [urls(p) == [None] for p in seen.payloads] == [False, True] * 3 + [False] * 6


def test_a_failure_that_bytes_do_not_mend_is_passed_on_as_it_is(tmp_path: Path):
    async def handle(request: web.Request, payload: dict[str, object]) -> web.StreamResponse:
        busy = None in urls(payload)
        return await answering(error("busy") if busy else reply(), 503 if busy else 200)(request, payload)

    seen = asked(tmp_path, handle, 1, 1)

    assert isinstance(seen.outcomes[1], CallError)
    assert seen.outcomes[1].kind == "http_503"
