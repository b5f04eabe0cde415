"""Sends bodies to an endpoint by aiohttp."""

import asyncio
import io
import zlib
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

from autointerp.lmm.address import OPENAI
from autointerp.lmm.lateness import Lateness
from autointerp.lmm.route import Proxy, headers_for, proxy_for, trusted_certificates

if TYPE_CHECKING:
    import aiohttp

_AT_ONCE = 1 << 20
"""Longer bodies are sent in pieces, so that one does not hold up all others; aiohttp warns of them."""
MOST_ANSWERED = 16 << 20
"""Bytes of an answer, unpacked: the longest thought as an event stream has fewer, and 512 of them fit in memory."""
_PACKINGS = "gzip, deflate"
_FOREIGN = ("br", "zstd", "compress", "x-compress", "dcb", "dcz")
"""Other packings that there are; some servers write `none` or `utf-8` where the header names them, and pack nothing."""


class Sent(NamedTuple):
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    raw_headers: Iterable[tuple[bytes, bytes]]
    content: bytes
    seconds: float
    """Time from the last byte sent to the first byte of the answer, less the delay with which it was noticed here."""

    @property
    def text(self) -> str:
        """Returns the body as text."""
        return self.content.decode("utf-8", "replace")


class Wire:
    """Connections to one endpoint, opened when the first body is sent.

    The openai package's own `post`, and the transport below it, would spend more CPU on a request than all the rest of
    its way through this program (`benchmarks/request_rate.py`), and obey variables of the environment that nobody
    thinks of.

    Args:
        base_url: of the server, where the paths of its API begin; None is OpenAI itself.
        key: sent as a bearer token.
        timeout: seconds for one call, connecting included.
        connections: most connections open at once.

    Raises:
        SettingsError: the environment names a proxy that cannot be used, or has an odd character in a header.
    """

    def __init__(self, base_url: str | None, key: str, *, timeout: float, connections: int) -> None:
        self._base_url = base_url or OPENAI
        self.proxy: Proxy | None = proxy_for(self._base_url)
        """That the environment names for it."""
        self._headers = headers_for(self._base_url, key) | {
            "Content-Type": "application/json",
            "Accept-Encoding": _PACKINGS,
        }
        self._timeout = timeout
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._lateness = Lateness()

    async def post(self, path: str, body: bytes, *, at: str | None = None, content_type: str | None = None) -> Sent:
        """Sends a body, JSON unless its type is given, to a path under the base URL, or another address of its host.

        Raises:
            TimeoutError: no whole answer in time.
            SettingsError: the certificates to trust cannot be read.
            aiohttp.ClientError: the endpoint could not be reached, cut the connection, or sent what cannot be unpacked
                or is longer than `MOST_ANSWERED`.
        """
        data = body if len(body) <= _AT_ONCE else io.BytesIO(body)
        headers = {} if content_type is None else {"Content-Type": content_type}
        return await self._whole("POST", f"{at or self._base_url}/{path}", data, headers)

    async def get(self, url: str) -> Sent:
        """Fetches what lies at an address of the same host; raises as `post` does."""
        return await self._whole("GET", url, None, {})

    async def _whole(self, method: str, url: str, data: bytes | io.BytesIO | None, headers: Mapping[str, str]) -> Sent:
        session = self._session or self._open()
        clock, stamp = asyncio.get_running_loop().time, _Stamp()
        # aiohttp times each read; a server that drips bytes would hold the slot for ever.
        async with (
            asyncio.timeout(self._timeout),
            self._watched(
                session.request(method, url, data=data, headers=headers, allow_redirects=False, trace_request_ctx=stamp)
            ) as response,
        ):
            seconds = self._lateness.taken(clock() - stamp.sent)
            return Sent(response.status, response.headers, response.raw_headers, await _content(response), seconds)

    @asynccontextmanager
    async def _watched(self, coming: "Awaitable[aiohttp.ClientResponse]") -> AsyncIterator["aiohttp.ClientResponse"]:
        """Gives the answer as soon as its first bytes are there; until then it is measured how late the process is."""
        with self._lateness.watching():
            response = await coming
        async with response:
            yield response

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        from autointerp.lmm.connections import Connector

        trusted = trusted_certificates() if self._base_url.startswith("https:") else True
        login = self.proxy.login if self.proxy is not None else None
        self._session = aiohttp.ClientSession(
            connector=Connector(limit=self._connections, ssl=trusted),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None),
            proxy=self.proxy.url if self.proxy is not None else None,
            proxy_auth=aiohttp.BasicAuth(*login, "utf-8") if login is not None else None,
            # Neither other proxies nor passwords of a .netrc file.
            trust_env=False,
            trace_configs=[_stamping()],
            # It would unpack without a limit: half a megabyte can hold a gigabyte.
            auto_decompress=False,
        )
        return self._session


class _Stamp:
    """Says when the last piece of a question was sent, seconds of the loop's clock."""

    def __init__(self) -> None:
        self.sent = asyncio.get_running_loop().time()


def _stamping() -> "aiohttp.TraceConfig":
    import aiohttp

    async def sent(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        context.trace_request_ctx.sent = asyncio.get_running_loop().time()

    config = aiohttp.TraceConfig()
    config.on_request_chunk_sent.append(sent)
    return config


async def _content(response: "aiohttp.ClientResponse") -> bytes:
    import aiohttp

    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > MOST_ANSWERED:
            raise aiohttp.ClientPayloadError(_TOO_LONG)
    try:
        return unpacked(bytes(content), response.headers.get("Content-Encoding", ""))
    except ValueError as e:
        raise aiohttp.ClientPayloadError(str(e)) from e


_TOO_LONG = f"the answer is longer than {MOST_ANSWERED >> 20} MB"


def unpacked(content: bytes, packings: str) -> bytes:
    """The bytes of a body as they were before packing, at most `MOST_ANSWERED`.

    Args:
        content: as it came.
        packings: the header that names how it was packed, in order.

    Raises:
        ValueError: it is longer, is cut or broken, or is packed in a way that was not asked for.
    """
    for name in reversed([p.strip().lower() for p in packings.split(",")]):
        if name in _FOREIGN:
            raise ValueError(f"the answer is packed as {name!r}, which was not asked for ({_PACKINGS} were)")
        if name in ("gzip", "x-gzip", "deflate") and content:
            content = _inflated(content)
    return content


def _inflated(content: bytes) -> bytes:
    # Some servers send the bare stream as `deflate`, without the frame that the standard asks for (RFC 9110, 8.4.1.2).
    framed = content[:2] == b"\x1f\x8b" or (content[0] & 15 == 8 and int.from_bytes(content[:2], "big") % 31 == 0)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32 if framed else -zlib.MAX_WBITS)
    try:
        out = unpacker.decompress(content, MOST_ANSWERED + 1)
    except zlib.error as e:
        raise ValueError("the answer cannot be unpacked") from e
    if len(out) > MOST_ANSWERED:
        raise ValueError(_TOO_LONG)
    if not unpacker.eof:
        raise ValueError("the answer was cut")
    return out
