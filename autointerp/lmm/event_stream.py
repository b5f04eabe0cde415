"""Puts an answer together that came as an event stream, from a server that streams unless it is told not to."""

import json
from collections.abc import Iterator

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
