import base64
import json
from pathlib import Path

import pytest
from builders import question
from exchange import JPEGS, KEY, answered, answering, at, exchange, reply

from autointerp.errors import SettingsError
from autointerp.lmm.cache import Cache
from autointerp.lmm.openai_client import OpenAIClient, api_key
from autointerp.lmm.request import Completion


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request carries a key that must not be seen again."""
    monkeypatch.setenv("AUTOINTERP_API_KEY", KEY)


def test_a_reply_is_read_whole(tmp_path: Path):
    seen = exchange(tmp_path, answering(reply("hällo")))

    assert answered(seen) == Completion("hällo", 100, 7, 64, "stop", None, "m-2026")
    assert seen.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert seen.headers[0]["Content-Type"] == "application/json"


def test_the_body_is_json_with_the_exact_pictures_between_the_words(tmp_path: Path):
    text = 'quotes " and \\ and \n, ünï ☃, and what looks like a place: :0: {"a": 1}'

    seen = exchange(tmp_path, answering(reply()), [question(text, pictures=3)])

    (payload,) = seen.payloads
    assert at(payload, "messages", 0) == {"role": "system", "content": "You judge."}
    assert at(payload, "messages", 1, "content", 0) == {"type": "text", "text": text}
    urls = [str(at(payload, "messages", 1, "content", i, "image_url", "url")) for i in (1, 2, 3)]
    assert [base64.b64decode(url.removeprefix("data:image/jpeg;base64,"), validate=True) for url in urls] == JPEGS
    assert (payload["model"], payload["max_tokens"], payload["temperature"], payload["seed"]) == ("m", 50, 0.0, 7)
    form = {name: at(payload, "response_format", "json_schema", name) for name in ("name", "strict", "schema")}
    assert form == {"name": "judge_reply", "strict": True, "schema": json.loads(question().reply_schema)}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (reply(None), ""),
        (reply([{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]), "in parts"),
        (reply("half a pair: \ud83d"), "half a pair: ?"),
        (reply("x", usage=None, model=None), "x"),
        (reply("x", usage=[], error=None), "x"),
    ],
)
def test_odd_replies_are_read_too(tmp_path: Path, body: object, text: str):
    assert answered(exchange(tmp_path, answering(body))).text == text


def test_a_refusal_and_the_finish_are_passed_on(tmp_path: Path):
    choice = {"finish_reason": "length", "message": {"content": None, "refusal": "I may not."}}

    got = answered(exchange(tmp_path, answering(reply(choices=[choice]))))

    assert (got.refusal, got.finish, got.text) == ("I may not.", "length", "")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("localhost:8000/v1", "not an http"),
        ("ftp://host/v1", "not an http"),
        ("http://", "not an http"),
        ("http://[::1/v1", "--base-url"),
        ("http://me:pw@host/v1", "holds a user name or password"),
        ("http://host/v1?api_key=pw", r"has a \? or # in it"),
        ("http://host/v1#pw", r"has a \? or # in it"),
    ],
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, url: str, problem: str):
    with Cache(tmp_path) as cache, pytest.raises(SettingsError, match=problem) as caught:
        OpenAIClient(url, timeout=1, connections=1, cache=cache)

    assert "pw" not in str(caught.value)


def test_openai_needs_a_key_and_an_own_server_does_not(monkeypatch: pytest.MonkeyPatch):
    assert api_key(None) == KEY
    monkeypatch.delenv("AUTOINTERP_API_KEY")
    assert api_key("http://localhost:8000/v1") == "none"
    with pytest.raises(SettingsError, match="set OPENAI_API_KEY"):
        api_key(None)
