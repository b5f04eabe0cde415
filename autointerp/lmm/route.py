"""How an endpoint is reached: key, headers, proxy and certificates, from the variables that the documentation names."""

import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # pyright: ignore[reportAttributeAccessIssue] - missing in stubs

from autointerp.errors import SettingsError
from autointerp.lmm.address import is_loopback, is_openai
from autointerp.version import __version__

_SENT_TO_OPENAI = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}


@dataclass(frozen=True, slots=True)
class Proxy:
    """Whom requests are sent through."""

    url: str
    """Without a login."""
    login: tuple[str, str] | None
    """User and password."""
    variable: str
    """That names it."""


def headers_for(base_url: str, key: str) -> dict[str, str]:
    """The headers of every request to an endpoint, besides those that follow from the body.

    Raises:
        SettingsError: a variable that goes into a header holds a line break or the like.
    """
    headers = {
        "Accept": "application/json",
        "Authorization": f"Bearer {key}",
        "User-Agent": f"autointerp/{__version__}",
    }
    if is_openai(base_url):
        for header, variable in _SENT_TO_OPENAI.items():
            if value := os.environ.get(variable, "").strip():
                if not (value.isascii() and value.isprintable()):
                    raise SettingsError(f"{variable} has a line break or another odd character inside; set it anew")
                headers[header] = value
    return headers


def proxy_for(base_url: str) -> Proxy | None:
    """The proxy that the environment names for an address; None for a server on this machine, as in Go's net/http.

    Raises:
        SettingsError: the proxy cannot be used.
    """
    parts = urlsplit(base_url)
    exempt = {"no": os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""}
    if is_loopback(base_url) or proxy_bypass_environment(parts.netloc, exempt):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if text := os.environ.get(variable, "").strip():
                return _proxy(text, variable, parts.hostname or "")
    return None


def _proxy(text: str, variable: str, host: str) -> Proxy:
    remedy = f"name one as http://HOST:PORT, or put {host} into NO_PROXY"
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError as e:
        # Not the text itself: it may hold a password.
        raise SettingsError(f"{variable}: not the address of a proxy ({e}); {remedy}") from e
    if parts.scheme not in ("http", "https"):
        raise SettingsError(f"{variable}: proxies of the kind {parts.scheme}:// are not supported; {remedy}")
    if not parts.hostname:
        raise SettingsError(f"{variable}: not the address of a proxy; {remedy}")
    at = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    login = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return Proxy(f"{parts.scheme}://{at}:{port or (443 if parts.scheme == 'https' else 80)}", login, variable)


def trusted_certificates() -> ssl.SSLContext:
    """The certificates that the openai package trusts, or those of SSL_CERT_FILE or SSL_CERT_DIR.

    Python's own are missing on some systems.

    Raises:
        SettingsError: the file holds none.
    """
    import httpx2

    try:
        return httpx2.create_ssl_context()
    except OSError as e:  # an SSLError is one
        variable = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
        where = os.environ.get(variable, "")
        raise SettingsError(
            f"{variable} {where}: no certificates can be read there ({e.strerror or e}); name a PEM file, or unset it"
        ) from e


KEY_VARIABLES = ("AUTOINTERP_API_KEY", "OPENAI_API_KEY")
IMAGE_KEY_VARIABLES = ("AUTOINTERP_IMAGE_API_KEY", *KEY_VARIABLES)
"""Of a server that makes pictures."""
NO_KEY = "none"
"""Sent where there is no key: local servers ask for none, some refuse a request without any."""


def api_key_name(variables: Sequence[str] = KEY_VARIABLES) -> str | None:
    """The first of the variables that holds a key; None where there is no key."""
    return next((name for name in variables if os.environ.get(name, "").strip()), None)


def api_key(base_url: str | None, variables: Sequence[str] = KEY_VARIABLES) -> str:
    """The key, without white space around it, as files and secrets have it.

    Args:
        base_url: of the server.
        variables: that may hold it, the first that is set.

    Raises:
        SettingsError: OpenAI itself is meant and there is none, or the key cannot stand in a header.
    """
    name = api_key_name(variables)
    if name is not None:
        key = os.environ[name].strip()
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise SettingsError(f"{name} has white space, a line break or another odd character inside; set it anew")
        return key
    if is_openai(base_url):
        raise SettingsError(
            "no API key: set OPENAI_API_KEY (or AUTOINTERP_API_KEY), name your own server with --base-url, "
            "or use --model local, which needs neither"
        )
    return NO_KEY
