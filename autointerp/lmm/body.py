"""The bytes of a chat-completions request, and which of its optional fields an endpoint takes.

The text is written as JSON, and the pictures are spliced in as base64 without re-encoding. What an endpoint takes is
found out by asking, and remembered in the cache.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import pybase64
from pydantic import ValidationError

from autointerp.lmm.address import identity, is_openai
from autointerp.lmm.cache import Cache
from autointerp.lmm.request import Message, Request, TextPart
from autointerp.record import Record

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


class Dialect(Record):
    """The optional fields of chat completions that one endpoint takes for one model."""

    reply_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    token_field: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    temperature: bool = True
    seed: bool = True

    def without(self, complaint: str) -> "Dialect | None":
        """The next simpler dialect after the endpoint's complaint; None if it complains of something else.

        Args:
            complaint: the error's text, with the name of the parameter where the endpoint gives it.
        """
        text = complaint.lower()
        if re.search(r"max_(completion_)?tokens", text) and re.search(
            r"unsupported|unknown|unexpected|unrecogni[sz]ed|not supported|not permitted|extra", text
        ):
            return self._other_token_field()
        if re.search(r"response_format|json.(?:schema|object|validate_failed)|guided|grammar|structured output", text):
            return self.looser_format()
        for name in ("temperature", "seed"):
            if getattr(self, name) and re.search(rf"\b{name}\b", text):
                return self.model_copy(update={name: False})
        return None

    def _other_token_field(self) -> "Dialect":
        other = "max_tokens" if self.token_field == "max_completion_tokens" else "max_completion_tokens"
        return self.model_copy(update={"token_field": other})

    def looser_format(self) -> "Dialect | None":
        """The next that enforces less of the reply; None if this one enforces nothing."""
        looser = {"json_schema": "json_object", "json_object": "none"}.get(self.reply_format)
        return self.model_copy(update={"reply_format": looser}) if looser else None


def first_dialect(base_url: str | None) -> Dialect:
    """What to try first: OpenAI's own reasoning models refuse `max_tokens`, older servers know nothing else."""
    return Dialect(token_field="max_completion_tokens" if is_openai(base_url) else "max_tokens")


def known_dialect(cache: Cache, base_url: str | None, model: str) -> Dialect | None:
    """What the cache remembers of an endpoint; None where it knows nothing, or what another version wrote."""
    try:
        known = cache.get(dialect_key(base_url, model))
        return Dialect.model_validate(known) if known else None
    except ValidationError:
        return None


def dialect_key(base_url: str | None, model: str) -> str:
    """Under which the cache remembers the dialect."""
    return "dialect:" + hashlib.sha256(f"{identity(base_url)}\n{model}".encode()).hexdigest()


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
    places = itertools.count()
    payload: dict[str, Json] = {
        "model": request.model,
        "messages": [_message(m, request, places, jpegs, uuids) for m in request.messages],
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


def _message(message: Message, request: Request, places: Iterator[int], jpegs: Sequence[bytes], uuids: bool) -> Json:
    only = message.parts[0]
    if len(message.parts) == 1 and isinstance(only, TextPart):
        return {"role": message.role, "content": only.text}
    content: list[Json] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text})
        else:
            index = next(places)
            image: dict[str, Json] = {"url": f"data:image/jpeg;base64,{_place(request.key, index)}"}
            if request.detail != "auto":
                image["detail"] = request.detail
            sent = image if jpegs[index] or not uuids else None
            known_by: dict[str, Json] = {"uuid": part.picture.digest} if uuids else {}
            content.append({"type": "image_url", "image_url": sent, **known_by})
    return {"role": message.role, "content": content}
