"""Who may ask a page of this program for something, and what a browser may do with the answer."""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self' blob:; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""Of every answer: no script, style or picture but our own, no frame around a page."""
Troubles = Mapping[int | type[Exception], Callable[[Request, Exception], Response]]
COOKIE = "autointerp"
"""How the name of the cookie begins that holds the token."""
CHANGES = "x-autointerp"
"""The header by which a page shows that a change comes from it; its value is `Guard.changes`."""
SAFE = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides who is served, and who may change something.

    Args:
        host: the address that is listened at.
        token: what a browser has to bring once where others can reach that address; None where only this machine can.
    """

    host: str
    token: str | None
    changes: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    """What pages send with whatever changes something, so that no other site's page can."""

    @classmethod
    def at(cls, host: str) -> "Guard":
        """The guard of an address: with a token unless it is this machine's own."""
        return cls(host, None if host in LOOPBACK else secrets.token_urlsafe(24))

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server: else a foreign name was made to lead here."""
        name = _name_of(host)
        if name is None:
            return False
        if self.host in LOOPBACK:
            return name in LOOPBACK
        return name in (self.host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()) or _is_address(name)

    def admits(self, asked: HTTPConnection) -> bool:
        """Whether the browser has brought the token, now or before."""
        given = asked.query_params.get("token") or asked.cookies.get(_cookie_of(asked)) or ""
        return self.token is None or hmac.compare_digest(given.encode(), self.token.encode())

    def may_change(self, asked: HTTPConnection) -> bool:
        """Whether a change was asked for by a page of this server."""
        host, origin = asked.headers.get("host", ""), asked.headers.get("origin")
        # A browser names no page's path there, so that the text after the scheme is the host.
        same = origin is None or origin.partition("://")[2] == host
        return same and hmac.compare_digest(asked.headers.get(CHANGES, "").encode(), self.changes.encode())


def _cookie_of(asked: HTTPConnection) -> str:
    """The name of the cookie: browsers send one of a machine to all its ports, where other servers may be ours too."""
    port = asked.headers.get("host", "").rpartition(":")[2]
    return f"{COOKIE}-{port}" if port.isascii() and port.isdecimal() else COOKIE


def _is_drawn_into(asked: HTTPConnection) -> bool:
    """Whether another site's page asks, as for a picture or a script of its own, rather than by a link.

    Such a page cannot read the answer, but could have this machine work for it, and learn from how long that takes
    (https://www.w3.org/TR/fetch-metadata/).
    """
    site, mode = (asked.headers.get(f"sec-fetch-{name}") for name in ("site", "mode"))
    return site in ("cross-site", "same-site") and mode != "navigate"


def _name_of(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guarded:
    """Serves an application to whoever the guard lets in."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers itself where it refuses; else puts the headers on the application's answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = ((name.encode(), value.encode()) for name, value in HEADERS.items())
                message["headers"] = [*message["headers"], *own]
            await send(message)

        asked = HTTPConnection(scope)
        await (self._refusal(asked, scope["method"]) or self._app)(scope, receive, with_headers)

    def _refusal(self, asked: HTTPConnection, method: str) -> Response | None:
        if not self._guard.knows(asked.headers.get("host", "")):
            return PlainTextResponse("This address is not the server's own. Open the address that it printed.", 421)
        if _is_drawn_into(asked):
            return PlainTextResponse("Only pages of this server may show this. Open it by a link.", 403)
        if not self._guard.admits(asked):
            return PlainTextResponse("Open the whole address that the command printed; it ends with a token.", 403)
        if method not in SAFE and not self._guard.may_change(asked):
            return PlainTextResponse("Only a page of this server may change something. Load the page again.", 403)
        if "token" in asked.query_params:
            # The token goes into a cookie, lest it be copied with the address of a page.
            clean = asked.url.remove_query_params("token")
            # Two slashes at the beginning would lead to another server.
            path = f"/{clean.path.lstrip('/')}"
            moved = RedirectResponse(f"{path}{'?' if clean.query else ''}{clean.query}", 303)
            moved.set_cookie(_cookie_of(asked), self._guard.token or "", httponly=True, samesite="strict")
            return moved
        return None


def guarded(routes: Sequence[BaseRoute], guard: Guard, troubles: Troubles | None = None) -> Starlette:
    """An application of these routes behind a guard.

    Args:
        routes: what is served.
        guard: who is served.
        troubles: what is answered to an error, by its kind or status.
    """
    middleware = [Middleware(Guarded, guard=guard)]
    return Starlette(routes=list(routes), middleware=middleware, exception_handlers=troubles)
