"""The API key, from the environment."""

import os

from autointerp.errors import SettingsError
from autointerp.lmm.address import is_openai

VARIABLES = ("AUTOINTERP_API_KEY", "OPENAI_API_KEY")
NO_KEY = "none"
"""Sent where there is no key: local servers ask for none, some refuse a request without any."""


def api_key_name() -> str | None:
    """The variable that holds the key; None where there is no key."""
    return next((name for name in VARIABLES if os.environ.get(name, "").strip()), None)


def api_key(base_url: str | None) -> str:
    """The key, without white space around it, as files and secrets have it.

    Raises:
        SettingsError: OpenAI itself is meant and there is none, or the key cannot stand in a header.
    """
    name = api_key_name()
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
