"""JSON and TOML from outside: whatever is wrong with it is a ValueError, however deep it is nested, and is told."""

import json
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_MOST = 10**18
"""Numbers below it are short."""
_TOO_DEEP = "it is nested too deeply"


def read_json(content: bytes | str) -> object:
    """The value. Raises ValueError where it is not JSON, or nested too deeply."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def read_toml(content: str) -> dict[str, object]:
    """The tables. Raises ValueError where it is not TOML, or nested too deeply."""
    try:
        return tomllib.loads(content)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def in_short(value: object) -> str:
    """A value that was expected to be another, for a message: itself where it is short, else its start or its kind."""
    if isinstance(value, str):
        return repr(value) if len(value) <= 40 else f"{value[:40]!r}…"
    if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < _MOST):
        return repr(value)
    return "a number of many digits" if isinstance(value, int) else f"a {type(value).__name__}"


def first_fault(error: "ValidationError", whole: str = "line") -> str:
    """The first thing that is wrong with a record, after the dotted name of its field, or `whole` for the record."""
    first = error.errors(include_url=False, include_input=False)[0]
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(map(str, first['loc'])) or whole}: {said}"
