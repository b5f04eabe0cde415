"""Checks the address of an endpoint before anything is sent to it, or written of it."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from autointerp.errors import SettingsError


def checked_url(base_url: str | None, option: str = "--base-url") -> str | None:
    """The address without a slash at its end; None, which is OpenAI itself, as it is.

    Args:
        base_url: the address.
        option: that it was given by.

    Raises:
        SettingsError: not an http(s) address, or one with a part that may hold a key.
    """
    if base_url is None:
        return None
    try:
        parts = urlsplit(base_url)
    except ValueError as e:
        raise SettingsError(f"{option} {base_url}: {e}; e.g. http://localhost:8000/v1") from e
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SettingsError(f"{option} {base_url}: not an http(s) address; e.g. http://localhost:8000/v1")
    if parts.username or parts.password:
        raise SettingsError(f"{option} holds a user name or password; put the key into AUTOINTERP_API_KEY instead")
    if parts.query or parts.fragment:
        # It would stand in run.json, and the path of the request could not follow it.
        raise SettingsError(f"{option} has a ? or # in it; end it with the path, and put a key into AUTOINTERP_API_KEY")
    return base_url.rstrip("/")


def check_urls(base_urls: Iterable[str | None], option: str = "--base-url") -> None:
    """Refuses addresses that cannot be used or may hold a key, before they are recorded.

    Raises:
        SettingsError: as `checked_url`.
    """
    for base_url in base_urls:
        checked_url(base_url, option)
