"""Finds the JSON object of a reply: bare, in a fence, after thinking aloud, or with prose around it."""

import json
import re
from collections.abc import Iterator
from typing import TypeVar

from pydantic import ValidationError

from autointerp.replies import Reply

R = TypeVar("R", bound=Reply)

_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_OBJECT_START = re.compile(r"\{[ \t\r\n]*[\"}]")
_MOST_FALSE_STARTS = 1000
"""A model that repeats itself for ever must not cost quadratic time."""
_REFUSAL = re.compile(
    r"\s*(?:i['’]?m (?:really )?sorry|i am sorry|sorry,|as an ai\b"
    r"|i(?: can(?:no|['’])t| am unable|['’]m unable| won['’]t))",
    re.IGNORECASE,
)


class ReplyError(ValueError):
    """The reply has no usable JSON; the message can be shown to the model that wrote it."""


def objects_in(text: str) -> Iterator[dict[str, object]]:
    """Every outermost JSON object in a text, in order.

    A brace that opens no valid object is skipped, so prose with braces does no harm. Raw control characters
    inside strings, which some servers let through even when they enforce a schema, are accepted.
    """
    decoder = json.JSONDecoder(strict=False)
    end = false_starts = 0
    while false_starts < _MOST_FALSE_STARTS and (start := _OBJECT_START.search(text, end)):
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):  # ValueError also for a number of thousands of digits
            false_starts += 1
            end = start.start() + 1
        else:
            assert isinstance(value, dict)
            yield value


def without_thinking(text: str) -> str:
    """The reply after its thinking block, closed or not opened in the reply itself; a block never closed is dropped."""
    text = _THOUGHT.sub("", text)
    # Chat templates may open the block inside the prompt: then only its end stands in the reply.
    end = max((found.end() for found in _THOUGHT_END.finditer(text)), default=0)
    return text[end:]


def is_refusal(text: str) -> bool:
    """Whether a reply without JSON begins as refusals do."""
    return _REFUSAL.match(without_thinking(text)) is not None


def parse_reply(text: str, reply: type[R]) -> R:
    """The last object of the reply that is what was asked for; models correct themselves forwards.

    Raises:
        ReplyError: no object, or none that matches; says what is missing or wrong.
    """
    visible = without_thinking(text)
    found = list(objects_in(visible))
    if not found:
        raise ReplyError("the reply is empty" if not visible.strip() else "the reply has no complete JSON object")
    problem = ""
    for value in reversed(found):
        try:
            return reply.model_validate(value)
        except ValidationError as e:
            first = e.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the object"
            problem = problem or f"{where}: {first['msg']}"
    raise ReplyError(problem)
