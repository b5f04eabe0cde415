"""Addresses of endpoints: checked before anything is sent to them or written of them, and put together in one place."""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from autointerp.errors import SettingsError, one_line

OPENAI = "https://api.openai.com/v1"
"""Who is asked where no address is given."""
_EXAMPLE = "e.g. http://localhost:8000/v1"
_VERSION = "/v1"
_CHAT = "/chat/completions"
_LONGEST_HOST = 253
"""Characters of a host name, RFC 1035."""
_IN_BRACKETS = re.compile(r"\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\](?::\d*)?", re.ASCII)
_INSIDE = (".local", ".internal", ".lan", ".svc")


def checked_url(base_url: str | None, option: str = "--base-url") -> str | None:
    """The address without white space around it and without a slash at its end; None stays None.

    Args:
        base_url: the address.
        option: that it was given by.

    Raises:
        SettingsError: not an http(s) address, or one with a part that may hold a key.
    """
    if base_url is None:
        return None
    text = base_url.strip()
    # First what may hold a key, so that no other message repeats it.
    if "@" in (text.partition("://")[2] or text).partition("/")[0]:
        raise SettingsError(f"{option} holds a user name or password; put the key into AUTOINTERP_API_KEY instead")
    if "?" in text or "#" in text:
        # It would stand in run.json, and the path of the request could not follow it.
        raise SettingsError(f"{option} has a ? or # in it; end it with the path, and put a key into AUTOINTERP_API_KEY")
    if not text.isprintable() or " " in text:
        raise SettingsError(f"{option} {one_line(text)}: has white space or a control character in it; {_EXAMPLE}")
    try:
        _check_host(text)
    except ValueError as e:
        raise SettingsError(f"{option} {text}: {one_line(str(e))}; {_EXAMPLE}") from e
    return text.rstrip("/").removesuffix(_CHAT).rstrip("/")


def _check_host(text: str) -> None:
    """Raises ValueError where the text is no http(s) address of a host."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http(s) address")
    if parts.netloc.startswith("[") and _IN_BRACKETS.fullmatch(parts.netloc) is None:
        # What follows the bracket would be no part of the name here, and might be one elsewhere.
        raise ValueError("not an IPv6 address in brackets")
    if parts.port == 0:
        raise ValueError("there is no port 0")
    try:
        length = len(parts.hostname.encode("idna"))
    except UnicodeError as e:
        raise ValueError("a part of the host name is empty or too long") from e
    if length > _LONGEST_HOST:
        raise ValueError(f"the host name has more than {_LONGEST_HOST} characters")


def forms(address: str) -> tuple[str, ...]:
    """Where the paths of the API may begin, in the order of trying: as given, then beneath /v1."""
    return (address,) if address.endswith(_VERSION) else (address, address + _VERSION)


def same_place(first: str, second: str) -> bool:
    """Whether two addresses are one, but for /v1 at the end."""
    return first.removesuffix(_VERSION) == second.removesuffix(_VERSION)


def is_openai(base_url: str | None) -> bool:
    """Whether an address is OpenAI's own, as None is."""
    return base_url is None or urlsplit(base_url).hostname == urlsplit(OPENAI).hostname


def identity(base_url: str | None) -> str | None:
    """Under which something is remembered of an address: OpenAI's was always remembered as that of None."""
    return None if base_url == OPENAI else base_url


def is_loopback(base_url: str) -> bool:
    """Whether an address leads to this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_private(base_url: str | None) -> bool:
    """Whether an address is on this machine or a private network."""
    host = urlsplit(base_url or "").hostname
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        # No name of the open network is without a dot, or of these endings.
        return "." not in host or host.endswith(_INSIDE)


def listed(addresses: Sequence[str], most: int = 3) -> str:
    """Addresses in a line, of many the first few and how many more there are."""
    more = f" and {len(addresses) - most} more" if len(addresses) > most else ""
    return ", ".join(addresses[:most]) + more
