"""The bytes of a chat-completions request: the text as JSON, the pictures spliced in as base64 without re-encoding."""

import json
from collections.abc import Mapping, Sequence

import pybase64

from autointerp.lmm.capabilities import Dialect
from autointerp.lmm.request import ImagePart, Message, Request, TextPart

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


def build_body(
    request: Request, jpegs: Sequence[bytes], dialect: Dialect, *, uuids: bool = False, batch: bool = False
) -> bytes:
    """The request in the endpoint's dialect.

    Args:
        request: what is asked.
        jpegs: the encoded pictures, in the order of `request.pictures`; empty for one that goes by its uuid alone.
        dialect: which optional fields the endpoint takes, and how it calls them.
        uuids: whether each picture's digest goes with it, by which a vLLM server knows it again.
        batch: whether it is for a batch file, where nothing can stream.
    """
    payload: dict[str, Json] = {
        "model": request.model,
        "messages": [_message(m, request, i, jpegs, uuids) for m, i in _with_first_picture(request)],
        dialect.token_field: request.max_tokens,
    }
    if not batch:
        payload["stream"] = False  # some servers stream unless they are told not to
    if dialect.temperature:
        payload["temperature"] = request.temperature
    if dialect.seed:
        payload["seed"] = request.seed
    if dialect.reply_format == "json_schema":
        schema = {"name": f"{request.task}_reply", "strict": True, "schema": json.loads(request.reply_schema)}
        payload["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif dialect.reply_format == "json_object":
        payload["response_format"] = {"type": "json_object"}
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    pieces: list[bytes] = []
    for i, jpeg in enumerate(jpegs):
        if not jpeg and uuids:
            continue
        before, _, text = text.partition(_place(request.key, i))
        pieces += [before.encode(), pybase64.b64encode(jpeg)]
    pieces.append(text.encode())
    return b"".join(pieces)


def _place(key: str, index: int) -> str:
    # The request's own digest: no text inside the request can contain it.
    return f"{key}:{index}:"


def _with_first_picture(request: Request) -> list[tuple[Message, int]]:
    out: list[tuple[Message, int]] = []
    first = 0
    for message in request.messages:
        out.append((message, first))
        first += sum(isinstance(p, ImagePart) for p in message.parts)
    return out


def _message(message: Message, request: Request, first: int, jpegs: Sequence[bytes], uuids: bool) -> Json:
    only = message.parts[0]
    if len(message.parts) == 1 and isinstance(only, TextPart):
        return {"role": message.role, "content": only.text}
    content: list[Json] = []
    index = first
    for part in message.parts:
        if isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text})
        else:
            image: dict[str, Json] = {"url": f"data:image/jpeg;base64,{_place(request.key, index)}"}
            if request.detail != "auto":
                image["detail"] = request.detail
            sent = image if jpegs[index] or not uuids else None
            known_by: dict[str, Json] = {"uuid": part.picture.digest} if uuids else {}
            content.append({"type": "image_url", "image_url": sent, **known_by})
            index += 1
    return {"role": message.role, "content": content}
