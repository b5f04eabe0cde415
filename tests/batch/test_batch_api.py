"""The Batch API through the openai package, which would take more of the environment than is documented."""

import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from autointerp.batch.api import BatchApi
from autointerp.errors import EndpointError

BATCHES = b'{"object": "list", "data": [], "has_more": false}'


class Server(ThreadingHTTPServer):
    """Has the list of batches at one path, and redirects uploads."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.path = path
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.location = ""
        self.uploaded = (307, b"")
        """Status and body of the answer to an upload."""

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self._answer(200 if self.path.partition("?")[0] == self.server.path else 404, BATCHES)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(*self.server.uploaded)

    def _answer(self, status: int, body: bytes) -> None:
        self.server.asked.append(self.path)
        self.server.headers.append(dict(self.headers))
        self.send_response(status)
        if status == 307:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """One with its API beneath /v1, and another host."""
    made = [Server("/v1/batches"), Server("/v1/batches")]
    for server in made:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    for server in made:
        server.shutdown()
        server.server_close()


def test_v1_is_found_beneath_a_host_without_a_path(servers: list[Server]):
    with closing(BatchApi(servers[0].url)) as api:
        assert api.started("file-1") is None
        assert api.started("file-2") is None

    paths = [path.partition("?")[0] for path in servers[0].asked]
    assert paths == ["/batches", "/v1/batches", "/v1/batches", "/v1/batches"]


def test_nothing_of_the_environment_goes_along(servers: list[Server], monkeypatch: pytest.MonkeyPatch):
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "ambient")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Ambient: yes\nAuthorization: Bearer ambient")
    monkeypatch.setenv("OPENAI_BASE_URL", servers[1].url)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("AUTOINTERP_API_KEY", "sk-own\n")

    with closing(BatchApi(f"{servers[0].url}/v1")) as api:
        api.started("file-1")

    (headers,) = servers[0].headers
    assert headers["Authorization"] == "Bearer sk-own"
    assert "ambient" not in str(headers).lower()
    assert servers[1].asked == []


def test_an_upload_is_not_sent_on_to_another_host(servers: list[Server], tmp_path: Path):
    (tmp_path / "requests.jsonl").write_text("{}\n")
    servers[0].location = f"{servers[1].url}/v1/files"

    with (
        closing(BatchApi(f"{servers[0].url}/v1")) as api,
        pytest.raises(
            EndpointError, match=rf"redirect \(status 307\) to {servers[1].url}/v1/files, which is not followed; if"
        ),
    ):
        api.upload(tmp_path / "requests.jsonl")

    assert servers[1].asked == []


def test_an_id_is_kept_as_it_is_and_anything_else_is_one_line(servers: list[Server], tmp_path: Path):
    """Escapes for a terminal are kept, since the endpoint asks for them again; null and a number are no ids."""
    (tmp_path / "requests.jsonl").write_text("{}\n")

    with closing(BatchApi(f"{servers[0].url}/v1")) as api:
        servers[0].uploaded = (200, b'{"id": "file\\u001b[2J"}')
        kept = api.upload(tmp_path / "requests.jsonl")
        for odd in (b'{"id": null}', b'{"id": 7}', b'{"id": ""}', b"{}"):
            servers[0].uploaded = (200, odd)
            with pytest.raises(EndpointError, match="gives no usable answer to the Batch API"):
                api.upload(tmp_path / "requests.jsonl")

    assert kept == "file\x1b[2J"
