"""Reads what an endpoint sent: the completion in a body, each field by itself, and how long it asks to wait."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from autointerp.errors import one_line
from autointerp.lmm.endpoint_errors import words_of
from autointerp.lmm.outcomes import BROKEN, CallError
from autointerp.lmm.parse import without_thinking
from autointerp.lmm.rate_limit_headers import LONGEST_WAIT, Limits
from autointerp.lmm.request import Completion

_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_MOST_TOKENS = 10**8
"""More than any call can use."""
_MOST_NAME = 200
_DEPTH = 8
_FINISHES = {
    "error": r".*(?:error|rate_limit|time_?(?:out|limit)|max_time).*|fail(?:ed|ure)|abort(?:ed)?|cancel(?:l?ed)?"
    r"|load|unload|insufficient_system_resource|interrupt\w*|evict\w*|preempt\w*|.*shut_?down|disconnect\w*|malformed_\w+",
    "length": r".*length.*|.*(?:max_|out_of_).*tokens?.*|.*token_?limit.*|.*context_window.*|.*truncat\w*|incomplete"
    r"|partial|cut(?:_off)?|num_predict|(?:\w+_)?limit(?:_\w+)?",
    "content_filter": r"content_?(?:filter|policy).*|(?:image_)?safety|moderat(?:ion|ed)|flagged|blocked|blocklist"
    r"|(?:image_)?prohibited_content|recitation|spii|sensitive|refusal|guardrails?(?:_intervened)?"
    r"|(?:\w+_)?policy(?:_violation)?|harmful|unsafe",
}
"""The finish reasons of the endpoints that `endpoint_errors` names, in lower case with `_` for other signs, by their
meaning; with any other reason, or none, the reply is whole."""
_THOUGHTS = ("thinking", "reasoning", "reasoning_text", "thought", "redacted_thinking", "reasoning_content")
"""Types of parts that are thinking."""
_NO_ERROR = ("0", "200")
"""Codes by which some endpoints say that all is well."""
_NO_REFUSAL = ("none", "null", "false")
_THOUGHT_FIELDS = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "reasoning_text",
    "thought",
    "thinking_blocks",
    "reasoning_details",
)
"""Fields of a message that hold thinking."""
_ARGUMENTS = "arguments"
_TEXTS = ("content", *_THOUGHT_FIELDS, "refusal", _ARGUMENTS)
_INNER = ("text", "value", "content", "parts", "output_text", "json", "parsed", "summary")
"""Where parts of content hold what they say."""
_ENDS_WITH_OBJECT = re.compile(r"\}[\s`]*(?:[<\[◁]/?[^\s{}]*[>\]▷][\s`]*)*\Z")


def body_of(content: bytes) -> Mapping[str, object]:
    """The JSON object of an answer with status 200; an event stream is put together.

    Raises:
        CallError: it is none, or was cut.
    """
    what, page = "an empty body", content.lstrip()[:1] == b"<"
    if content.strip():
        try:
            body = read_stream(content) if is_stream(content) else json.loads(content, parse_int=_int)
        except (ValueError, RecursionError):
            what = "a web page, not JSON" if page else "a body that is not JSON"
        else:
            if isinstance(body, list) and len(body) == 1:
                (body,) = body
            return _unwrapped(body) if isinstance(body, dict) else {}
    raise CallError(BROKEN, f"the endpoint answered 200 with {what}", again=True, nobody=page)


def _int(digits: str) -> int | float:
    """A whole number; of more digits than Python reads one, the next float, which no field can use."""
    return int(digits) if len(digits) < 400 else float(digits)


def _unwrapped(body: dict[str, object]) -> dict[str, object]:
    """The body itself, or the one that a gateway has put beneath a key of its own."""
    inner = (body.get(name) for name in ("data", "result", "response"))
    return body if "choices" in body else next((b for b in inner if isinstance(b, dict) and "choices" in b), body)


def error_within(body: Mapping[str, object]) -> object:
    """The error that an answer with status 200 states, as some routers do; None where it states none."""
    choice = _choice(body)
    for error in (body.get("error"), choice.get("error")):
        code = error.get("code") if isinstance(error, dict) else None
        if (words_of(error) or code) and not (choice and str(code) in _NO_ERROR):
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


def read_completion(body: Mapping[str, object], limits: Limits | None, seconds: float | None = None) -> Completion:
    """The completion that a body holds; what cannot be read of its usage counts as unknown.

    Raises:
        CallError: it holds none.
    """
    choice = _choice(body)
    message = next((choice[name] for name in ("message", "delta", "text", "content") if choice.get(name)), None)
    fields = message if isinstance(message, dict) else {"content": message}
    refusal, finish = _refusal(fields), finish_of(choice)
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
        seconds=seconds,
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


def _refusal(message: Mapping[str, object]) -> str:
    """What the message says in its field of refusals, or as a part of that type."""
    content = message.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    said = _text(message.get("refusal")).strip() or _text([part.get("refusal") for part in parts]).strip()
    return "" if said.lower() in _NO_REFUSAL else said


def _answer(message: Mapping[str, object]) -> str:
    """What stands in the message; else, of a tool's arguments or of a field of thinking, what ends with an object."""
    if without_thinking(text := _text(message.get("content"))).strip():
        return text
    calls = message.get("tool_calls")
    call = calls[0] if isinstance(calls, list) and calls else {"function": message.get("function_call")}
    function = call.get("function") if isinstance(call, dict) else None
    beside = (
        function.get("arguments") if isinstance(function, dict) else None,
        *(message.get(name) for name in ("parsed", *_THOUGHT_FIELDS)),
        _thoughts(message.get("content")),
    )
    texts = (_text(said) or _text(_thoughts(said)) for said in beside)
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
        inner = [said[name] for name in _INNER if name in said]
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
    finishes: list[object] = []
    ended = False
    for event in _events(content.decode("utf-8-sig")):
        if event.strip("[]").lower() == "done":
            ended = True
            break
        chunk = json.loads(event)
        if not isinstance(chunk, dict):
            raise ValueError("an event that is no object")
        whole |= {name: value for name, value in chunk.items() if name != "choices" and value}
        for part in _first_choices(chunk):
            finishes += [part["finish_reason"]] if part.get("finish_reason") else []
            choice |= {
                name: value for name, value in part.items() if value and name not in ("delta", "message", "text")
            }
            _add(texts, part)
    if not (ended or finishes or whole.get("error")):
        raise ValueError("the stream was cut")
    if finishes:
        # Some servers say `stop` with every event, or once more after they have said that the reply was cut.
        choice["finish_reason"] = next((said for said in finishes if str(said).lower() != "stop"), finishes[-1])
    message = {name: _joined(pieces) for name, pieces in texts.items()}
    message["tool_calls"] = [{"function": {_ARGUMENTS: message.pop(_ARGUMENTS)}}]
    return whole | {"choices": [choice | {"message": message}]} if choice or any(texts.values()) else whole


def _events(text: str) -> Iterator[str]:
    """The data of each event; comments and other fields are passed over, and an event of an error says so."""
    kind, data = "", list[str]()
    for line in [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if line.startswith("data:"):
            data.append(line[5:].strip())
        elif line.startswith("event:"):
            kind = line[6:].strip()
        elif not line and data:
            yield from _separate([piece for piece in data if piece], kind)
            kind, data = "", []


def _separate(data: list[str], kind: str) -> Iterator[str]:
    """One event, or several, where a server leaves out the empty lines between them."""
    for event in data if all(_is_whole(piece) for piece in data) else ["\n".join(data)]:
        if kind == "error" and '"error"' not in event:
            yield json.dumps({"error": json.loads(event) if _is_whole(event) else {"message": event}})
        else:
            yield event


def _is_whole(text: str) -> bool:
    """Whether a text is the data of an event by itself."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text.strip("[]").lower() == "done"
    return True


def _first_choices(chunk: dict[str, object]) -> Iterator[dict[str, object]]:
    choices = chunk.get("choices")
    for part in choices if isinstance(choices, list) else [choices]:
        if isinstance(part, dict) and not part.get("index"):
            yield part


def _add(texts: dict[str, list[object]], part: dict[str, object]) -> None:
    """Adds what one event has of each text; a whole message at the end takes the place of its pieces."""
    for name in ("delta", "message"):
        own = part.get(name)
        said = dict(own) if isinstance(own, dict) else {}
        said[_ARGUMENTS] = _arguments(said.get("tool_calls"))
        for field, value in said.items():
            if field in texts and value:
                if name == "message":
                    texts[field].clear()
                texts[field].append(value)
    if isinstance(part.get("text"), str):
        texts["content"].append(part["text"])


def _arguments(calls: object) -> object:
    """What a message has of the arguments of its first call of a tool."""
    call = calls[0] if isinstance(calls, list) and calls else None
    function = call.get("function") if isinstance(call, dict) and not call.get("index") else None
    return function.get(_ARGUMENTS) if isinstance(function, dict) else None


def _joined(pieces: list[object]) -> object:
    """Words as one text, lists as one list; parts of other shapes as they came."""
    if all(isinstance(piece, list) for piece in pieces):
        return [part for piece in pieces if isinstance(piece, list) for part in piece]
    return "".join(map(str, pieces)) if all(isinstance(piece, str) for piece in pieces) else pieces
