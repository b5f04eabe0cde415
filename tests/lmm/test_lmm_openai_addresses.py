"""At which of its addresses a server answers, and what of the environment a call obeys."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
from aiohttp import web
from builders import question
from exchange import KEY, Pictures, reply

from autointerp.lmm.cache import Cache
from autointerp.lmm.openai_client import OpenAIClient, answering_address
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Server:
    """What was asked of it, and what it said."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.headers: dict[str, str] = {}
        self.said: list[str] = []
        self.outcomes: list[Completion | CallError] = []
        self.url = ""
        self.known: str | None = None


def ask(folder: Path, answer: Handler, times: int = 1, path: str = "", server: Server | None = None) -> Server:
    """Asks a server on the loopback so many times, by one client; the address it is given ends in `path`."""
    seen = server or Server()

    async def handle(request: web.Request) -> web.Response:
        seen.paths.append(request.path)
        seen.headers = dict(request.headers)
        return await answer(request)

    async def main(cache: Cache) -> None:
        app = web.Application()
        app.router.add_route("*", "/{any:.*}", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        port = int(seen.url.rpartition(":")[2]) if seen.url else 0
        await web.TCPSite(runner, "127.0.0.1", port).start()
        seen.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        client = OpenAIClient(seen.url + path, timeout=10, connections=2, cache=cache, say=seen.said.append)
        try:
            for _ in range(times):
                try:
                    seen.outcomes.append(await client.complete(question(), Pictures(), nullcontext()))
                except CallError as e:
                    seen.outcomes.append(e)
        finally:
            await client.aclose()
            await runner.cleanup()
        seen.known = answering_address(seen.url + path, cache)

    with Cache(folder) as cache:
        asyncio.run(main(cache))
    return seen


def only(path: str) -> Handler:
    """Answers at one path; elsewhere there is nothing."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == path:
            return web.json_response(reply())
        return web.json_response({"error": {"message": f"no path {request.path}"}}, status=404)

    return answer


def test_a_host_without_a_path_is_asked_at_that_host(tmp_path: Path):
    seen = ask(tmp_path, only("/chat/completions"), times=2)

    assert seen.paths == ["/chat/completions"] * 2
    assert (seen.known, seen.said) == (seen.url, [])


def test_v1_is_tried_where_the_server_has_no_such_path_and_then_kept_and_said(tmp_path: Path):
    seen = ask(tmp_path, only("/v1/chat/completions"), times=3)

    assert seen.paths == ["/chat/completions", *["/v1/chat/completions"] * 3]
    assert seen.known == f"{seen.url}/v1"
    assert seen.said == [f"{seen.url} has no such path and {seen.url}/v1 has: that is asked from now on"]


def test_what_was_found_out_is_remembered_until_it_is_no_longer_so(tmp_path: Path):
    seen = ask(tmp_path, only("/v1/chat/completions"))
    seen.paths.clear()

    ask(tmp_path, only("/v1/chat/completions"), server=seen)
    moved = ask(tmp_path, only("/chat/completions"), server=seen)

    assert moved.paths == ["/v1/chat/completions", "/v1/chat/completions", "/chat/completions"]
    assert (moved.known, len(moved.said)) == (seen.url, 1)


def test_where_neither_has_the_path_both_refusals_are_told(tmp_path: Path):
    seen = ask(tmp_path, only("/elsewhere"))

    (error,) = seen.outcomes
    assert isinstance(error, CallError)
    assert f"at {seen.url}: no path /chat/completions; at {seen.url}/v1: no path /v1/chat/completions" in error.message
    assert (error.kind, seen.known) == ("http_404", None)


@pytest.mark.parametrize("status", [401, 429, 500])
def test_other_refusals_say_nothing_of_the_path(tmp_path: Path, status: int):
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "no"}}, status=status)

    seen = ask(tmp_path, refuse)

    assert (seen.paths, seen.known) == (["/chat/completions"], None)


def test_an_address_that_ends_in_v1_is_asked_alone(tmp_path: Path):
    seen = ask(tmp_path, only("/chat/completions"), path="/v1")

    assert seen.paths == ["/v1/chat/completions"]


def test_a_redirect_is_named_and_not_followed(tmp_path: Path):
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=308, headers={"Location": "http://elsewhere.example/v1/chat?token=x"})

    seen = ask(tmp_path, elsewhere, path="/v1")

    (error,) = seen.outcomes
    assert isinstance(error, CallError)
    assert len(seen.paths) == 1
    assert error.remedy is not None
    assert "answers with a redirect (status 308) to http://elsewhere.example/v1/chat; if that" in error.remedy


AMBIENT: Sequence[tuple[str, str]] = (
    ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"),
    ("OPENAI_ORG_ID", "org-ambient"),
    ("OPENAI_PROJECT_ID", "proj-ambient"),
    ("OPENAI_CUSTOM_HEADERS", "X-Ambient: yes"),
    ("ALL_PROXY", "socks5://127.0.0.1:9"),
    ("HTTP_PROXY", "http://127.0.0.1:9"),
    ("SSL_CERT_FILE", "/nowhere/ca.pem"),
)


@pytest.mark.parametrize(("name", "value"), AMBIENT)
def test_a_server_of_ones_own_is_asked_whatever_the_shell_has_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv("AUTOINTERP_API_KEY", f"{KEY}\n")
    monkeypatch.setenv(name, value)

    seen = ask(tmp_path, only("/v1/chat/completions"), path="/v1")

    assert isinstance(seen.outcomes[0], Completion)
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert "ambient" not in str(seen.headers).lower()


def test_a_netrc_file_gives_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password ambient\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    seen = ask(tmp_path, only("/v1/chat/completions"), path="/v1")

    assert isinstance(seen.outcomes[0], Completion)
    assert seen.headers["Authorization"] == "Bearer none"


def test_an_address_that_no_request_can_be_sent_to_ends_the_command(tmp_path: Path):
    async def main(cache: Cache) -> CallError:
        client = OpenAIClient("http://127.1:9", timeout=10, connections=1, cache=cache)
        try:
            with pytest.raises(CallError) as raised:
                await client.complete(question(), Pictures(), nullcontext())
        finally:
            await client.aclose()
        return raised.value

    with Cache(tmp_path) as cache:
        error = asyncio.run(main(cache))

    assert (
        error.remedy
        == "http://127.1:9 is no address that can be asked (127.1 - is not a canonical IPv4 address); check --base-url"
    )
