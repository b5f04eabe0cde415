"""Places a dump may lie at: a web server with and without Range that counts, and an S3 server, on this machine."""

import contextlib
import itertools
import re
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote

import fsspec

from autointerp.remote.path import RemotePath
from autointerp.runs.remote_copy import Mirror


class Server(ThreadingHTTPServer):
    """One to whom it is no fault that a client is gone."""

    def handle_error(self, request: object, client_address: object) -> None:  # type: ignore[override]
        """Says nothing of a connection that broke off, as where the other end was killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class WebFolder:
    """Serves a folder over HTTP; `sent` lists what was asked for and how many bytes went out."""

    def __init__(self, folder: Path, *, ranges: bool) -> None:
        self.folder = folder
        self.ranges = ranges
        self.sent: list[tuple[str, int]] = []
        self.refuse: dict[str, list[int]] = {}
        """Statuses to answer with first, by file name."""
        self._server = Server(("127.0.0.1", 0), partial(_Handler, self, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def bytes_of(self, name: str) -> int:
        """Bytes of a file's content that were sent, over all requests."""
        return sum(n for path, n in self.sent if path.endswith(name))

    def __enter__(self) -> "WebFolder":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, store: WebFolder, *args: object, directory: str) -> None:
        self.store = store
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = unquote(self.path).lstrip("/")
        planned = self.store.refuse.get(Path(path).name, [])
        file = self.store.folder / path
        if planned or not file.is_file():
            self.send_response(planned.pop(0) if planned else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data, status = file.read_bytes(), 200
        size = len(data)
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked and self.store.ranges:
            start, end = int(asked[1]), min(int(asked[2]), size - 1)
            data, status = data[start : end + 1], 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.store.sent.append((path, len(data)))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(data)


_BUCKETS = itertools.count(1)
"""Numbers of buckets: all servers of one process hold the same ones."""


class S3:
    """An S3 server with the one pair of keys below."""

    key, secret = "AKIAONLYFORTESTS", "not-a-secret-but-looks-like-one"

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)

    def __enter__(self) -> "S3":
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def environment(self) -> dict[str, str]:
        """What a user would export."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def bucket(self) -> str:
        """The URL of a new one; call it with `environment` set."""
        url = f"s3://shelf-{next(_BUCKETS)}"
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir(url)
        return url


def upload(folder: Path, url: str) -> str:
    """Copies a folder's files to below a URL; returns it."""
    scheme = url.partition("://")[0]
    store = fsspec.filesystem(scheme, use_listings_cache=False)
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            store.pipe_file(f"{url}/{file.relative_to(folder)}", file.read_bytes())
    return url


def names(url: str) -> list[str]:
    """The files below a URL, ascending."""
    store = fsspec.filesystem(url.partition("://")[0], use_listings_cache=False)
    base = str(store._strip_protocol(url))
    return sorted(path[len(base) + 1 :] for path in store.find(url))


def copied(url: str, folder: Path) -> Path:
    """The folder into which a run at a URL was fetched."""
    mirror = Mirror(RemotePath(url), folder)
    mirror.pull()
    return mirror.folder


class Faulty:
    """Stands between a program and an S3 server, and answers in its place while `fault` says with what."""

    def __init__(self, server: S3) -> None:
        self.server = server
        self.fault: Callable[[str, str, str], tuple[int, str] | None] = lambda method, path, keys: None
        """Told the method, the path and what the request is signed with; status and code of an S3 error, if so."""
        self.asked: list[tuple[str, str]] = []
        self.sent = 0
        """Bytes of what was put."""
        self._server = Server(("127.0.0.1", 0), partial(_Between, self))
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> "Faulty":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Between(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, between: Faulty, *args: object) -> None:
        self.between = between
        super().__init__(*args)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.between.asked.append((self.command, self.path))
        self.between.sent += len(body)
        fault = self.between.fault(self.command, self.path, self.headers.get("Authorization", ""))
        if fault is not None:
            status, code = fault
            said = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
            self._answer(status, {"Content-Type": "application/xml"}, said)
            return
        host = self.between.server.endpoint.removeprefix("http://")
        connection = HTTPConnection(host)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        there = connection.getresponse()
        self._answer(there.status, dict(there.getheaders()), there.read())
        connection.close()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name: str) -> object:
        """`do_GET` and so on."""
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)
