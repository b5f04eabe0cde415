"""Sends bodies to an endpoint: aiohttp under the address and headers of the openai package's client."""

import asyncio
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

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
    its way through this program (`benchmarks/request_rate.py`).

    Args:
        base_url: of the server, ending in /v1; None is OpenAI itself.
        key: sent as a bearer token.
        timeout: seconds for one call, connecting included.
        connections: most connections open at once.
    """

    def __init__(self, base_url: str | None, key: str, *, timeout: float, connections: int) -> None:
        self._base_url = base_url
        self._key = key
        self._timeout = timeout
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._address = ""

    async def post(self, path: str, body: bytes) -> Sent:
        """Sends a JSON body to a path under the base URL.

        Raises:
            TimeoutError: no whole answer in time.
            aiohttp.ClientError: the endpoint could not be reached, or cut the connection.
        """
        session = self._session or self._open()
        data = body if len(body) <= _AT_ONCE else io.BytesIO(body)
        # aiohttp times each read; a server that drips bytes would hold the slot for ever.
        async with (
            asyncio.timeout(self._timeout),
            session.post(self._address + path, data=data, allow_redirects=False) as response,
        ):
            return Sent(response.status, response.headers, response.raw_headers, await response.read())

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp
        import httpx2
        import openai

        client = openai.AsyncOpenAI(api_key=self._key, base_url=self._base_url)
        given = {**client.default_headers, **client.auth_headers}
        self._address = str(client.base_url)
        # The certificates that the openai package trusts; Python's own are missing on some systems.
        trusted = httpx2.create_ssl_context() if self._address.startswith("https:") else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ssl=trusted),
            headers={name: value for name, value in given.items() if isinstance(value, str)},
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=True,
        )
        return self._session
