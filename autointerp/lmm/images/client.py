"""A client of the Images API of any OpenAI-compatible server: a prompt goes out, the bytes of a picture come back."""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from urllib.parse import urlsplit

import pybase64
from pydantic import ValidationError

from autointerp.errors import ImageError
from autointerp.images.decode import decode
from autointerp.lmm.address import OPENAI, identity, is_openai
from autointerp.lmm.cache import Cache
from autointerp.lmm.images.edits import EDIT, EDITS, edit_form, form_fields
from autointerp.lmm.images.request import PictureReply
from autointerp.lmm.images.store import ENDINGS, PictureStore
from autointerp.lmm.openai_client import NOT_THERE, ComplaintError, OpenAIClient, Posted
from autointerp.lmm.outcomes import BROKEN, CallError
from autointerp.lmm.request import Completion, Images, Request
from autointerp.lmm.response import encodable, finish_of
from autointerp.lmm.route import IMAGE_KEY_VARIABLES, api_key
from autointerp.record import Record

GENERATIONS = "images/generations"
_NONE_THERE = frozenset(f"http_{code}" for code in (*NOT_THERE, 501))
_BLIND = "does not see images"
"""What is said of a chat model that takes no pictures; here it means that none are made."""
_MOST_REVISED = 4000


class Dialect(Record):
    """The optional fields of the Images API that one endpoint takes for one model."""

    seed: bool = True
    response_format: bool = True

    def without(self, complaint: str) -> "Dialect | None":
        """The dialect without the field that the endpoint complains of; None if it complains of something else."""
        for name in ("response_format", "seed"):
            if getattr(self, name) and re.search(rf"\b{name}\b", complaint, re.IGNORECASE):
                return self.model_copy(update={name: False})
        return None

    def fields(self, request: Request) -> dict[str, object]:
        """The fields of a request in this dialect."""
        payload = form_fields(request)
        if self.response_format:
            payload["response_format"] = "b64_json"
        if self.seed:
            payload["seed"] = request.seed
        return payload


def first_dialect(base_url: str, model: str) -> Dialect:
    """What to try first: OpenAI takes no seed, and its models since DALL·E 3 answer in base64 unasked."""
    if not is_openai(base_url):
        return Dialect()
    return Dialect(seed=False, response_format=model.startswith("dall-e"))


class _NoPictureError(Exception):
    """What was paid for is no picture."""


class ImagesClient:
    """Has pictures made over HTTP, one a request, and puts them into the store.

    Args:
        base_url: of the server; None is OpenAI itself.
        store: where pictures are put before the answer is handed on.
        timeout: seconds for one call.
        connections: most connections open at once.
        cache: where it is remembered which fields the endpoint takes, and at which of its addresses it answers.
        say: told where it answers, where that is not the address itself.

    Raises:
        SettingsError: an address, key or proxy that cannot be used.
    """

    def __init__(
        self,
        base_url: str | None,
        store: PictureStore,
        *,
        timeout: float,
        connections: int,
        cache: Cache,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._where = base_url or OPENAI
        self._store = store
        self._cache = cache
        key = api_key(base_url, IMAGE_KEY_VARIABLES)
        self._http = OpenAIClient(base_url, timeout=timeout, connections=connections, cache=cache, say=say, key=key)
        self._dialects: dict[tuple[str, str], Dialect] = {}

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Asks once, holding the slot, and keeps the picture that came.

        Raises:
            CallError: the call failed.
            ImageError: the image that is to be edited cannot be decoded.
            SettingsError: the picture cannot be written.
        """
        async with slot:
            posted = await self._posted(request, images)
            try:
                data, revised = await self._picture(posted.body)
                reply = await asyncio.to_thread(self._kept, data, revised)
            except _NoPictureError as e:
                # It was paid for, so it is a reply like any other that cannot be used.
                reply = {"fault": str(e)}
        text = json.dumps(reply)
        return Completion(text, 0, 0, 0, "stop", None, request.model, posted.limits, posted.seconds)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def _posted(self, request: Request, images: Images) -> Posted:
        """What the endpoint answers in its dialect; a refused optional field is dropped and asked again."""
        path = _path_of(request)
        while True:
            dialect = self._dialect(path, request.model)
            fields = dialect.fields(request)
            if path == EDITS:
                body, kind = await edit_form(request, fields, images)
            else:
                body, kind = json.dumps(fields, ensure_ascii=False).encode(), None
            try:
                posted = await self._http.post(path, body, kind)
            except ComplaintError as complaint:
                # Another request may have learnt the same meanwhile; then simply ask again its way.
                if dialect == self._dialect(path, request.model):
                    simpler = dialect.without(complaint.text)
                    if simpler is None:
                        raise self._told(complaint.error, request) from complaint
                    self._dialects[path, request.model] = simpler
                continue
            except CallError as e:
                raise self._told(e, request) from e
            await self._cache_dialect(path, request.model, dialect)
            return posted

    def _dialect(self, path: str, model: str) -> Dialect:
        if (path, model) not in self._dialects:
            first = first_dialect(self._where, model)
            try:
                known = self._cache.get(self._dialect_key(path, model))
                self._dialects[path, model] = Dialect.model_validate(known) if known else first
            except ValidationError:
                self._dialects[path, model] = first
        return self._dialects[path, model]

    async def _cache_dialect(self, path: str, model: str, dialect: Dialect) -> None:
        key, told = self._dialect_key(path, model), dialect.model_dump()
        if self._cache.get(key) != told:
            await self._cache.put(key, told)

    def _dialect_key(self, path: str, model: str) -> str:
        which = "" if path == GENERATIONS else f"\n{path}"
        return "dialect:images:" + hashlib.sha256(f"{identity(self._where)}\n{model}{which}".encode()).hexdigest()

    async def _picture(self, answer: Mapping[str, object]) -> tuple[bytes, str]:
        """The bytes of the picture in an answer, and the prompt as the endpoint rewrote it.

        Raises:
            CallError: there is none, a filter stopped it, or it lies at an address that nobody named.
            _NoPictureError: it is not in base64.
        """
        data = answer.get("data")
        item = data[0] if isinstance(data, list) and data and isinstance(data[0], dict) else {}
        revised = encodable(str(item.get("revised_prompt") or ""))[:_MOST_REVISED]
        encoded, url = item.get("b64_json"), item.get("url")
        if isinstance(encoded, str) and encoded:
            return _from_base64(encoded), revised
        if isinstance(url, str) and url:
            return await self._at(url), revised
        if finish_of(item) == "content_filter":
            raise CallError("refused", "stopped by the endpoint's content filter", again=False)
        raise CallError(BROKEN, "the endpoint answered 200 without a picture", again=True)

    async def _at(self, url: str) -> bytes:
        if url.startswith("data:"):
            return _from_base64(url)
        if _origin(url) != _origin(self._where):
            said = f"{self._where} answers with the address of a picture on another server, which is not fetched"
            remedy = f"{said}; name a model or server with --image-model or --image-base-url that answers in base64"
            raise CallError(BROKEN, said, again=False, remedy=remedy)
        return await self._http.get(url)

    def _kept(self, data: bytes, revised: str) -> dict[str, object]:
        """Looks whether it is a picture, and puts it into the store."""
        try:
            size = decode(data, at_most=None, formats=tuple(ENDINGS)).size
        except ImageError as e:
            raise _NoPictureError(f"the picture cannot be decoded: {e}") from e
        sha256 = self._store.put(data, _format_of(data))
        reply = PictureReply(sha256=sha256, width=size[0], height=size[1], revised=revised)
        return reply.model_dump(exclude_defaults=True)

    def _told(self, error: CallError, request: Request) -> CallError:
        """The error with the remedy in the options that name the image model."""
        remedy = error.remedy
        if error.kind in _NONE_THERE or (remedy is not None and _BLIND in remedy):
            remedy = (
                f"{self._where} has no Images API (/{_path_of(request)}), or no model {request.model} that makes "
                f"pictures ({error.message}); check --image-base-url and --image-model"
            )
        elif remedy is not None:
            remedy = remedy.replace("--base-url", "--image-base-url").replace("--model", "--image-model")
            remedy = remedy.replace("set AUTOINTERP_API_KEY", "set AUTOINTERP_IMAGE_API_KEY, AUTOINTERP_API_KEY")
        return replace(error, again=error.again and remedy is None, remedy=remedy)


def _path_of(request: Request) -> str:
    return EDITS if request.task == EDIT else GENERATIONS


def _from_base64(text: str) -> bytes:
    try:
        return pybase64.b64decode(text.partition("base64,")[2] or text, validate=True)
    except ValueError as e:
        raise _NoPictureError("the picture is not in base64") from e


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return "", None, None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def _format_of(data: bytes) -> str:
    if data.startswith(b"\x89PNG"):
        return "PNG"
    return "JPEG" if data.startswith(b"\xff\xd8") else "WEBP"
