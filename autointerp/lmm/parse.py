"""Finds the JSON object of a reply: bare, in a fence, after thinking aloud, or with prose around it."""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import TypeVar

from pydantic import ValidationError

from autointerp.lmm.request import Completion
from autointerp.reading import first_fault
from autointerp.replies import Reply

R = TypeVar("R", bound=Reply)

_THOUGHT = (
    r"(?i:(?:\w{1,20}:)?(?:\w{0,20}_)?(?:ant|mm)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratch_?pad|analysis"
    r"|monologue|cot|rationale|planning|deliberation|思考)(?:_\w{1,60}?)?)"
)
_MARK = re.compile(
    # <think>, <seed:think>, <|begin_of_thought|>, ◁think▷, [THINK], and the channels of gpt-oss, Gemma and MedGemma
    rf"(?P<open><[|｜]?(?!(?i:end_|\w{{1,60}}_end[|｜]?>)){_THOUGHT}(?:\s[^<>]{{0,80}})?[|｜]?>|◁{_THOUGHT}▷|\[(?:THINK|REASON)(?:ING)?\]|【思考】"
    r"|<\|inner_prefix\|>|<\|channel\|>(?:analysis|commentary)\b(?:[^<]|<\|constrain\|>){0,80}<\|message\|>|<\|channel>thought|<unused94>|\Aanalysis(?=[A-Z{]))"
    rf"|(?P<close></[|｜]?{_THOUGHT}\s*[|｜]?>|<[|｜]/{_THOUGHT}[|｜]>|<[|｜](?i:end_){_THOUGHT}[|｜]>|◁/{_THOUGHT}▷"
    rf"|<[|｜]{_THOUGHT}(?i:_end)[|｜]>|【/思考】"
    r"|\[/(?:THINK|REASON)(?:ING)?\]|<\|inner_suffix\|>|<\|channel\|>final\b(?:[^<]|<\|constrain\|>){0,80}<\|message\|>|<channel\|>|<unused95>"
    r"|assistantfinal)"
)
_FIRST_KEY = re.compile(r"\{\s*\"([^\"]{1,60})\"")
_OBJECT_START = re.compile(r"\{[ \t\r\n]*[\"}]")
_MOST_FALSE_STARTS = 1000
"""A model that repeats itself for ever must not cost quadratic time."""
_MOST_CHARACTERS = 1_000_000
_REFUSAL = re.compile(
    r"\s*(?:i['’]?m (?:really )?sorry|i am sorry|sorry,|as an ai\b"
    r"|i(?: can(?:no|['’])t| am unable|['’]m unable| won['’]t))",
    re.IGNORECASE,
)


class ReplyError(ValueError):
    """The reply has no usable JSON; the message can be shown to the model that wrote it."""


def objects_in(text: str, keys: Collection[str] = ()) -> Iterator[dict[str, object]]:
    """Every outermost JSON object in a text, in order.

    A brace that opens no valid object is skipped, so prose with braces does no harm. Raw control characters
    inside strings, which some servers let through even when they enforce a schema, are accepted.

    Args:
        text: the reply without its thinking.
        keys: that were asked for; an object that begins with one is an answer, so that one which stays broken makes
            those before it drafts.

    Raises:
        ReplyError: an object gives one key two values, is cut at the end of the text, or is the last answer and broken.
    """
    hook = partial(_object, frozenset(map(_plain, keys)))
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=hook)
    end = false_starts = 0
    broken = False
    while false_starts < _MOST_FALSE_STARTS and (start := _OBJECT_START.search(text, end)):
        try:
            value, end = decoder.raw_decode(text, start.start())
        except ReplyError:
            raise
        except (ValueError, RecursionError) as e:  # ValueError also for a number of thousands of digits
            if isinstance(e, json.JSONDecodeError) and (e.pos >= len(text) or e.msg.startswith("Unterminated")):
                raise ReplyError("the reply has no complete JSON object at its end") from e
            false_starts += 1
            first = _FIRST_KEY.match(text, start.start())
            broken = broken or (first is not None and first[1] in keys)
            end = start.start() + 1
        else:
            assert isinstance(value, dict)
            broken = False
            yield value
    if broken or text[end:].rstrip().endswith("{"):
        raise ReplyError("the reply has no complete JSON object at its end")


def _object(asked: frozenset[str], pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of its pairs; keys that were asked for are one key however they are spelt, as `Image 1`, `IMAGE_1`."""
    out = dict(pairs)
    said: dict[str, object] = {}
    for key, value in pairs:
        spelt = _plain(key)
        if said.setdefault(spelt if spelt in asked else key, value) != value:
            raise ReplyError(f"{key[:40]!r} has two values")
    return out


def _plain(key: str) -> str:
    return re.sub(r"[\s_-]+", "_", key.strip().casefold())


def without_thinking(text: str) -> str:
    """The reply after its thinking; thinking that never ends is dropped to the end.

    Chat templates may open the thinking inside the prompt: then only its end stands in the reply.
    """
    out: list[str] = []
    begin, inside = 0, False
    for mark in _MARK.finditer(text):
        if mark["open"] is None:
            if not inside:
                out.clear()
            begin, inside = mark.end(), False
        elif not inside:
            out.append(text[begin : mark.start()])
            inside = True
    return "".join(out) + ("" if inside else text[begin:])


def is_refusal(text: str) -> bool:
    """Whether a reply without JSON begins as refusals do."""
    return _REFUSAL.match(without_thinking(text)) is not None


def reply_in(completion: Completion, reply: type[R]) -> R:
    """The reply that a completion holds.

    Raises:
        ReplyError: it holds none, or was cut: what can be found in it then may be a draft.
    """
    if completion.finish == "length":
        raise ReplyError("the reply was cut at max_tokens")
    return parse_reply(completion.text, reply)


def parse_reply(text: str, reply: type[R]) -> R:
    """The last object of the reply that speaks of what was asked for; models correct themselves forwards.

    Raises:
        ReplyError: no object, or none that matches; says what is missing or wrong.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ReplyError(f"the reply has {len(text):,} characters")
    visible = without_thinking(text).rstrip()
    found = list(objects_in(visible, reply.model_fields))
    if not found:
        raise ReplyError("the reply is empty" if not visible else "the reply has no complete JSON object")
    try:
        return reply.model_validate(_last(found, reply))
    except ValidationError as e:
        raise ReplyError(first_fault(e, "the object")) from e


def _last(found: Sequence[dict[str, object]], reply: type[Reply]) -> dict[str, object]:
    """The last object that has a key of the reply; else the last one."""
    return next((value for value in reversed(found) if reply.model_fields.keys() & value.keys()), found[-1])
