"""Reads what an endpoint sent: the completion in a body, the words of an error, how long it asks to wait."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from autointerp.lmm.outcomes import CallError
from autointerp.lmm.rate_limit_headers import LONGEST_WAIT, Limits
from autointerp.lmm.request import Completion

_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)

_MOST_TOKENS = 2**53
"""The largest of the whole numbers that JSON carries without loss."""


def read_completion(body: Mapping[str, object], limits: Limits | None) -> Completion:
    """The completion that a body holds.

    Raises:
        CallError: it holds none.
    """
    try:
        return _completion(body, limits)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as e:
        raise CallError("malformed", "the endpoint answered 200 without a message", again=True) from e


def _completion(body: Mapping[str, object], limits: Limits | None) -> Completion:
    choice = body["choices"][0]  # pyright: ignore[reportIndexIssue]
    message = choice["message"]
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details") or {}
    text, refusal = message.get("content"), message.get("refusal")
    if isinstance(text, list):  # some servers answer in parts
        text = "".join(part.get("text", "") for part in text)
    return Completion(
        text=encodable(text or ""),
        input_tokens=(tokens := count_of(usage.get("prompt_tokens"))),
        output_tokens=count_of(usage.get("completion_tokens")),
        cached_tokens=min(tokens, count_of(details.get("cached_tokens"))),
        finish=str(choice.get("finish_reason") or "stop"),
        refusal=encodable(str(refusal)) if refusal else None,
        model=encodable(str(body.get("model") or "")),
        limits=limits,
    )


def count_of(said: object) -> int:
    """A number of tokens within 0 and 2⁵³, whatever was said; infinitely many are taken for no word on it.

    Raises:
        TypeError: it is no number.
        ValueError: likewise.
    """
    try:
        return max(0, min(int(said or 0), _MOST_TOKENS))  # pyright: ignore[reportArgumentType]
    except OverflowError:
        return 0


def encodable(text: str) -> str:
    """Without half surrogate pairs, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def error_of(text: str) -> object:
    """What the body of an error says: its `error` where it has one; words where it is not JSON."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()
    return body.get("error", body) if isinstance(body, dict) else body


def message_of(body: object, fallback: str) -> str:
    """The words of an error for people."""
    if isinstance(body, dict):
        inner = body.get("error", body)
        body = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
    return str(body) if body else fallback


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the endpoint asks to wait: milliseconds, else seconds or a date; None where it does not say."""
    given = headers.get("retry-after")
    found = (_seconds(headers.get("retry-after-ms"), 0.001), _seconds(given, 1.0), _until(given))
    return next((wait for wait in found if wait is not None and wait <= LONGEST_WAIT), None)


def _seconds(text: str | None, unit: float) -> float | None:
    if text is None or not _NUMBER.fullmatch(text.strip()):
        return None
    return float(text) * unit


def _until(text: str | None) -> float | None:
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()) if text else None
    except (ValueError, TypeError, OverflowError):
        return None
