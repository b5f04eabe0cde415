"""Reads what an endpoint sent: the completion in a body, each field by itself, and how long it asks to wait."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from autointerp.errors import one_line
from autointerp.lmm.endpoint_errors import words_of
from autointerp.lmm.outcomes import BROKEN, CallError
from autointerp.lmm.rate_limit_headers import LONGEST_WAIT, Limits
from autointerp.lmm.request import Completion

_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_MOST_TOKENS = 10**8
"""More than any call can use."""
_MOST_NAME = 200
_DEPTH = 8
_FINISHES = {
    "length": r".*length.*|.*max_.*tokens?.*|.*token_?limit.*|.*context_window.*|truncat\w*|incomplete"
    r"|limit(?:_reached)?",
    "content_filter": r"content_?(?:filter|policy).*|(?:image_)?safety|moderat(?:ion|ed)|flagged|blocked|blocklist"
    r"|(?:image_)?prohibited_content|recitation|spii|sensitive|refusal|guardrails?(?:_intervened)?",
    "error": r"error|fail(?:ed|ure)|abort(?:ed)?|cancel(?:l?ed)?|network_error|timeout|insufficient_system_resource"
    r"|load|unload",
}
"""The finish reasons of the endpoints that `endpoint_errors` names, in lower case with `_` for other signs, by their
meaning; with any other reason, or none, the reply is whole."""
_THOUGHTS = ("thinking", "reasoning", "reasoning_text", "thought", "redacted_thinking", "reasoning_content")
_ENDS_WITH_OBJECT = re.compile(r"\}[\s`]*(?:[<\[◁]/?[^\s{}]*[>\]▷][\s`]*)*\Z")


def body_of(content: bytes) -> Mapping[str, object]:
    """The JSON object of an answer with status 200; an event stream is put together.

    Raises:
        CallError: it is none, or was cut.
    """
    what, page = "an empty body", content.lstrip()[:1] == b"<"
    if content.strip():
        try:
            body = read_stream(content) if is_stream(content) else json.loads(content)
        except (ValueError, RecursionError):
            what = "a web page, not JSON" if page else "a body that is not JSON"
        else:
            if isinstance(body, list) and len(body) == 1:
                (body,) = body
            return body if isinstance(body, dict) else {}
    raise CallError(BROKEN, f"the endpoint answered 200 with {what}", again=True, nobody=page)


def error_within(body: Mapping[str, object]) -> object:
    """The error that an answer with status 200 states, as some routers do; None where it states none."""
    choice = _choice(body)
    for error in (body.get("error"), choice.get("error")):
        if words_of(error) or (isinstance(error, dict) and error.get("code")):
            return error
    if not choice and "data" not in body and words_of(body):
        return body
    if finish_of(choice) == "error":
        return {"message": f"the endpoint ended its reply with {_said_finish(choice)!r}"}
    return None


def finish_of(choice: Mapping[str, object]) -> str:
    """`stop`, `length`, `content_filter` or `error`, whatever the endpoint calls it."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", _said_finish(choice)).lower()
    word = re.sub(r"[^a-z]+", "_", words).strip("_").removeprefix("finish_reason_")
    return next((name for name, known in _FINISHES.items() if re.fullmatch(known, word)), "stop")


def _said_finish(choice: Mapping[str, object]) -> str:
    for name in ("finish_reason", "finishReason", "stop_reason", "done_reason"):
        said = choice.get(name)
        said = said.get("type") if isinstance(said, dict) else said
        if isinstance(said, str) and said:
            return one_line(said)[:_MOST_NAME]
    return ""


def read_completion(body: Mapping[str, object], limits: Limits | None) -> Completion:
    """The completion that a body holds; what cannot be read of its usage counts as unknown.

    Raises:
        CallError: it holds none.
    """
    choice = _choice(body)
    message = next((choice[name] for name in ("message", "delta", "text", "content") if choice.get(name)), None)
    fields = message if isinstance(message, dict) else {"content": message}
    refusal, finish = _text(fields.get("refusal")).strip(), finish_of(choice)
    text = _answer(fields)
    if not (text or refusal or _said_finish(choice)):
        raise CallError(BROKEN, "the endpoint answered 200 without a message", again=True, nobody=True)
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    asked, said = count_of(usage.get("prompt_tokens")), count_of(usage.get("completion_tokens"))
    if text and not said:
        asked = 0  # half of a usage is unknown, and so is the whole
    model = body.get("model")
    return Completion(
        text=encodable(text),
        input_tokens=asked,
        output_tokens=said,
        cached_tokens=min(asked, count_of(details.get("cached_tokens"))) if isinstance(details, dict) else 0,
        finish=finish,
        refusal=encodable(refusal) or None,
        model=one_line(encodable(model))[:_MOST_NAME] if isinstance(model, str) else "",
        limits=limits,
    )


def _choice(body: Mapping[str, object]) -> dict[str, object]:
    """The first choice, however it is wrapped; the body itself where its message stands there; empty for none."""
    said = body.get("choices")
    if isinstance(said, dict) and not {"message", "delta", "text", "content", "error", "finish_reason"} & set(said):
        said = list(said.values())
    if isinstance(said, list):
        said = next((choice for choice in said if choice), None)
    if isinstance(said, str):
        return {"text": said}
    if isinstance(said, dict):
        return said
    return dict(body) if isinstance(body.get("message"), dict) else {}


def _answer(message: Mapping[str, object]) -> str:
    """What stands in the message; else, of a tool's arguments or of a field of thinking, what ends with an object."""
    if (text := _text(message.get("content"))).strip():
        return text
    calls = message.get("tool_calls")
    call = calls[0] if isinstance(calls, list) and calls else {"function": message.get("function_call")}
    function = call.get("function") if isinstance(call, dict) else None
    beside = (
        function.get("arguments") if isinstance(function, dict) else None,
        *(message.get(name) for name in ("parsed", "reasoning_content", "reasoning", "thinking", "reasoning_details")),
        _thoughts(message.get("content")),
    )
    texts = (_text(said) for said in beside)
    return next((said for said in texts if _ENDS_WITH_OBJECT.search(said[-_MOST_NAME:])), text)


def _text(said: object) -> str:
    return "".join(_pieces(said, _DEPTH))


def _pieces(said: object, depth: int) -> Iterator[str]:
    """The text of content: words, parts of all known shapes, or an object that the server has already read."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, list) and depth:
        for part in said:
            if not _is_thought(part):
                yield from _pieces(part, depth - 1)
    elif isinstance(said, dict) and depth:
        inner = [said[name] for name in ("text", "value", "content", "parts", "output_text", "summary") if name in said]
        if inner or "type" in said:
            yield from _pieces(next((value for value in inner if value), None), depth - 1)
        elif said:
            yield json.dumps(said, ensure_ascii=False)


def _is_thought(part: object) -> bool:
    return isinstance(part, dict) and (part.get("type") in _THOUGHTS or part.get("thought") is True)


def _thoughts(content: object) -> object:
    parts = [part for part in content if _is_thought(part)] if isinstance(content, list) else []
    return [part.get("thinking") or part.get("text") or part.get("reasoning") for part in parts]


def count_of(said: object) -> int:
    """A number of tokens; 0, which stands for unknown, for what is no whole number or more than any call can use."""
    if isinstance(said, str) and _NUMBER.fullmatch(said.strip()[:20]):
        said = float(said.strip()[:20])
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 < said <= _MOST_TOKENS:
        return 0
    return int(said) if said == int(said) else 0


def encodable(text: str) -> str:
    """Without half surrogate pairs, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


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


_DONE = "[DONE]"
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


def is_stream(content: bytes) -> bool:
    """Whether a body is an event stream rather than JSON: it begins with a field, or with the colon of a comment."""
    return content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"data:", b"event:", b"id:", b"retry:", b":"))


def read_stream(content: bytes) -> dict[str, object]:
    """The body that the server would have sent at once.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6.

    Raises:
        ValueError: an event is no JSON object, or the stream was cut before its end.
    """
    whole: dict[str, object] = {}
    choice: dict[str, object] = {}
    texts: dict[str, list[object]] = {name: [] for name in _TEXTS}
    ended = False
    for event in _events(content.decode("utf-8-sig")):
        if event == _DONE:
            ended = True
            break
        chunk = json.loads(event)
        if not isinstance(chunk, dict):
            raise ValueError("an event that is no object")
        whole |= {name: value for name, value in chunk.items() if name != "choices" and value}
        for part in _first_choices(chunk):
            choice |= {
                name: value for name, value in part.items() if value and name not in ("delta", "message", "text")
            }
            _add(texts, part)
    if not (ended or choice.get("finish_reason") or whole.get("error")):
        raise ValueError("the stream was cut")
    message = {name: _joined(pieces) for name, pieces in texts.items()}
    return whole | {"choices": [choice | {"message": message}]} if choice or any(texts.values()) else whole


def _events(text: str) -> Iterator[str]:
    """The data of each event; comments and other fields are passed over."""
    data: list[str] = []
    for line in [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            event, data = "\n".join(data).strip(), []
            if event:
                yield event


def _first_choices(chunk: dict[str, object]) -> Iterator[dict[str, object]]:
    choices = chunk.get("choices")
    for part in choices if isinstance(choices, list) else [choices]:
        if isinstance(part, dict) and not part.get("index"):
            yield part


def _add(texts: dict[str, list[object]], part: dict[str, object]) -> None:
    """Adds what one event has of each text; a whole message at the end takes the place of its pieces."""
    for name in ("delta", "message"):
        own = part.get(name)
        for field, value in own.items() if isinstance(own, dict) else ():
            if field in texts and value:
                if name == "message":
                    texts[field].clear()
                texts[field].append(value)
    if isinstance(part.get("text"), str):
        texts["content"].append(part["text"])


def _joined(pieces: list[object]) -> object:
    """Words as one text; parts of other shapes as they came."""
    return "".join(map(str, pieces)) if all(isinstance(piece, str) for piece in pieces) else pieces
