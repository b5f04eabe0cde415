"""Kept connections that are given up where the server says something on them that nobody asked for."""

from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client import ClientRequest, ClientTimeout
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class Connector(aiohttp.TCPConnector):
    """A pool of connections none of which holds an answer before its question is sent.

    HTTP/1.1 knows which question an answer belongs to by their order alone (RFC 9112, section 9.3.2), so that an answer
    too many would be taken for that of the next question on the same connection.
    """

    async def connect(self, req: "ClientRequest", traces: "list[Trace]", timeout: "ClientTimeout") -> "Connection":
        """A connection of the pool, or a new one.

        Raises:
            aiohttp.ClientError: none can be made, or the server speaks first on each.
        """
        for _ in range(self.limit + 1):
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is None or not protocol.should_close:
                return connection
            connection.close()
        raise aiohttp.ClientConnectionError("the server sends answers before it is asked")
