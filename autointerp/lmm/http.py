"""Sends bodies to an endpoint by aiohttp."""

import asyncio
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from autointerp.lmm.address import OPENAI, joined
from autointerp.lmm.route import Proxy, headers_for, proxy_for, trusted_certificates

if TYPE_CHECKING:
    import aiohttp

_AT_ONCE = 1 << 20
"""Longer bodies are sent in pieces, so that one does not hold up all others; aiohttp warns of them."""


class Sent(NamedTuple):
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    raw_headers: Iterable[tuple[bytes, bytes]]
    content: bytes

    @property
    def text(self) -> str:
        """The body as words."""
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
        self._headers = headers_for(self._base_url, key) | {"Content-Type": "application/json"}
        self._timeout = timeout
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: bytes, *, at: str | None = None) -> Sent:
        """Sends a JSON body to a path under the base URL, or under another address of the same host.

        Raises:
            TimeoutError: no whole answer in time.
            SettingsError: the certificates to trust cannot be read.
            aiohttp.ClientError: the endpoint could not be reached, or cut the connection.
        """
        session = self._session or self._open()
        data = body if len(body) <= _AT_ONCE else io.BytesIO(body)
        # aiohttp times each read; a server that drips bytes would hold the slot for ever.
        async with (
            asyncio.timeout(self._timeout),
            session.post(joined(at or self._base_url, path), data=data, allow_redirects=False) as response,
        ):
            return Sent(response.status, response.headers, response.raw_headers, await response.read())

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        trusted = trusted_certificates() if self._base_url.startswith("https:") else True
        login = self.proxy.login if self.proxy is not None else None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ssl=trusted),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None),
            proxy=self.proxy.url if self.proxy is not None else None,
            proxy_auth=aiohttp.BasicAuth(*login, "utf-8") if login is not None else None,
            # Neither other proxies nor passwords of a .netrc file.
            trust_env=False,
        )
        return self._session
