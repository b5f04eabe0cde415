"""Reads what the Images API sent: the picture in an answer goes into the store, and what is said of it is the reply."""

import json
from collections.abc import Mapping
from typing import NamedTuple

import pybase64

from autointerp.errors import ImageError
from autointerp.images.decode import decode
from autointerp.lmm.images.request import PictureReply
from autointerp.lmm.images.store import ENDINGS, PictureStore
from autointerp.lmm.outcomes import BROKEN, CallError
from autointerp.lmm.rate_limit_headers import Limits
from autointerp.lmm.request import Completion
from autointerp.lmm.response import encodable, finish_of

_MOST_REVISED = 4000


class NoPictureError(Exception):
    """What was paid for is no picture."""


class Came(NamedTuple):
    """What an answer holds in place of the bytes of a picture."""

    encoded: str | None
    """The bytes in base64; None where they lie at an address."""
    url: str
    revised: str
    """The prompt as the endpoint rewrote it."""


def picture_in(answer: Mapping[str, object]) -> Came:
    """Finds the picture in an answer.

    Raises:
        CallError: there is none, or a filter stopped it.
    """
    data = answer.get("data")
    item = data[0] if isinstance(data, list) and data and isinstance(data[0], dict) else {}
    revised = encodable(str(item.get("revised_prompt") or ""))[:_MOST_REVISED]
    encoded, url = item.get("b64_json"), item.get("url")
    if isinstance(encoded, str) and encoded:
        return Came(encoded, "", revised)
    if isinstance(url, str) and url:
        return Came(url if url.startswith("data:") else None, url, revised)
    if finish_of(item) == "content_filter":
        raise CallError("refused", "stopped by the endpoint's content filter", again=False)
    raise CallError(BROKEN, "the endpoint answered 200 without a picture", again=True)


def from_base64(text: str) -> bytes:
    """Decodes base64, or the address that holds it; raises NoPictureError."""
    try:
        return pybase64.b64decode(text.partition("base64,")[2] or text, validate=True)
    except ValueError as e:
        raise NoPictureError("the picture is not in base64") from e


def kept(store: PictureStore, data: bytes, revised: str) -> PictureReply:
    """Looks whether it is a picture, and puts it into the store.

    Raises:
        NoPictureError: it is none.
        SettingsError: it cannot be written.
    """
    try:
        size = decode(data, at_most=None, formats=tuple(ENDINGS)).size
    except ImageError as e:
        raise NoPictureError(f"the picture cannot be decoded: {e}") from e
    sha256 = store.put(data, _format_of(data))
    return PictureReply(sha256=sha256, width=size[0], height=size[1], revised=revised)


def picture_completion(
    reply: PictureReply | NoPictureError, model: str, limits: Limits | None = None, seconds: float | None = None
) -> Completion:
    """The completion that says which picture came; what is none was paid for, and is a reply that cannot be used."""
    said = {"fault": str(reply)} if isinstance(reply, NoPictureError) else reply.model_dump(exclude_defaults=True)
    return Completion(json.dumps(said), 0, 0, 0, "stop", None, model, limits, seconds)


def read_picture(answer: Mapping[str, object], model: str, store: PictureStore) -> Completion:
    """Takes in an answer of a batch job, of which nothing is fetched from anywhere.

    Raises:
        CallError: there is no picture in it.
        SettingsError: it cannot be written.
    """
    try:
        came = picture_in(answer)
        if came.encoded is None:
            raise NoPictureError("the picture lies at an address, and of a batch job none is fetched")
        return picture_completion(kept(store, from_base64(came.encoded), came.revised), model)
    except NoPictureError as e:
        return picture_completion(e, model)
    except CallError as e:
        if e.kind != "refused":
            raise
        return Completion("", 0, 0, 0, "content_filter", e.message, model)


def _format_of(data: bytes) -> str:
    if data.startswith(b"\x89PNG"):
        return "PNG"
    return "JPEG" if data.startswith(b"\xff\xd8") else "WEBP"
