"""A client of the Images API of any OpenAI-compatible server: a prompt goes out, the bytes of a picture come back."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from urllib.parse import urlsplit

from autointerp.lmm.address import OPENAI
from autointerp.lmm.cache import Cache
from autointerp.lmm.images.dialect import (
    PictureDialect,
    first_picture_dialect,
    known_picture_dialect,
    path_of,
    picture_dialect_key,
)
from autointerp.lmm.images.edits import EDITS, edit_form
from autointerp.lmm.images.response import NoPictureError, from_base64, kept, picture_completion, picture_in
from autointerp.lmm.images.store import PictureStore
from autointerp.lmm.openai_client import NOT_THERE, ComplaintError, OpenAIClient, Posted
from autointerp.lmm.outcomes import BROKEN, CallError
from autointerp.lmm.request import Completion, Images, Request
from autointerp.lmm.route import IMAGE_KEY_VARIABLES, api_key

_NONE_THERE = frozenset(f"http_{code}" for code in (*NOT_THERE, 501))
_BLIND = "does not see images"
"""What is said of a chat model that takes no pictures; here it means that none are made."""


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
        self._dialects: dict[tuple[str, str], PictureDialect] = {}

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
                came = picture_in(posted.body)
                data = from_base64(came.encoded) if came.encoded is not None else await self._at(came.url)
                reply = await asyncio.to_thread(kept, self._store, data, came.revised)
            except NoPictureError as e:
                reply = e
        return picture_completion(reply, request.model, posted.limits, posted.seconds)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def _posted(self, request: Request, images: Images) -> Posted:
        """What the endpoint answers in its dialect; a refused optional field is dropped and asked again."""
        path = path_of(request)
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

    def _dialect(self, path: str, model: str) -> PictureDialect:
        if (path, model) not in self._dialects:
            known = known_picture_dialect(self._cache, self._where, path, model)
            self._dialects[path, model] = known or first_picture_dialect(self._where, model)
        return self._dialects[path, model]

    async def _cache_dialect(self, path: str, model: str, dialect: PictureDialect) -> None:
        key, told = picture_dialect_key(self._where, path, model), dialect.model_dump()
        if self._cache.get(key) != told:
            await self._cache.put(key, told)

    async def _at(self, url: str) -> bytes:
        if _origin(url) != _origin(self._where):
            said = f"{self._where} answers with the address of a picture on another server, which is not fetched"
            remedy = f"{said}; name a model or server with --image-model or --image-base-url that answers in base64"
            raise CallError(BROKEN, said, again=False, remedy=remedy)
        return await self._http.get(url)

    def _told(self, error: CallError, request: Request) -> CallError:
        """The error with the remedy in the options that name the image model."""
        remedy = error.remedy
        if error.kind in _NONE_THERE or (remedy is not None and _BLIND in remedy):
            remedy = (
                f"{self._where} has no Images API (/{path_of(request)}), or no model {request.model} that makes "
                f"pictures ({error.message}); check --image-base-url and --image-model"
            )
        elif remedy is not None:
            remedy = remedy.replace("--base-url", "--image-base-url").replace("--model", "--image-model")
            remedy = remedy.replace("set AUTOINTERP_API_KEY", "set AUTOINTERP_IMAGE_API_KEY, AUTOINTERP_API_KEY")
        return replace(error, again=error.again and remedy is None, remedy=remedy)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return "", None, None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)
