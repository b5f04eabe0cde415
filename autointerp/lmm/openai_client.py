"""A client of any OpenAI-compatible endpoint: pre-serialised bodies through aiohttp."""

import asyncio
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from autointerp.lmm.address import OPENAI, checked_url, forms
from autointerp.lmm.body import build_body
from autointerp.lmm.cache import Cache
from autointerp.lmm.capabilities import Dialect, dialect_key, first_dialect, known_dialect
from autointerp.lmm.http import Sent, Wire
from autointerp.lmm.keys import NO_KEY, api_key
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.rate_limit_headers import Limits, read_limits
from autointerp.lmm.request import Completion, Images, Request
from autointerp.lmm.response import encodable, error_of, message_of, read_completion, retry_after

_NO_VISION = re.compile(
    r"image input is not supported|not a multimodal model|does not support (?:image|vision)|at most 0 image"
    r"|image_url is only supported|only text|no vision|mmproj|unsupported content type.*image",
    re.IGNORECASE,
)
_MAX_NEGOTIATIONS = 6
_RENDERING = max(2, os.cpu_count() or 2)
"""Requests whose pictures are made at once: enough for all cores, and few enough for their pixels to fit in memory."""
_MAX_MESSAGE = 300
_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}
_OVERLOAD = {429, 503, 529}
NOT_THERE = (404, 405)
"""What servers answer to a path that they do not have."""


class OpenAIClient:
    """Answers over HTTP.

    Args:
        base_url: of the server; where it does not end in /v1 and the server has no such path, /v1 is tried beneath it.
            None is OpenAI itself.
        timeout: seconds for one call.
        connections: most connections open at once.
        cache: where the endpoint's dialect, and at which of the two addresses it answers, are remembered.
        say: told where it answers, where that is not the address itself.

    Raises:
        SettingsError: an address, key or proxy that cannot be used.
    """

    _build = staticmethod(build_body)

    def __init__(
        self,
        base_url: str | None,
        *,
        timeout: float,
        connections: int,
        cache: Cache,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._base_url = checked_url(base_url) or OPENAI
        self._timeout = timeout
        self._cache = cache
        self._say = say
        self._key = api_key(self._base_url)
        self._known = answering_address(self._base_url, cache)
        # What was found out once is tried first, and alone once it has answered.
        self._forms = tuple(sorted(forms(self._base_url), key=lambda form: form != self._known))
        self._wire = Wire(self._base_url, self._key, timeout=timeout, connections=connections)
        self._rendering = asyncio.Semaphore(_RENDERING)
        self._dialects: dict[str, Dialect] = {}
        self._proven: dict[str, Dialect] = {}

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Renders the pictures, then, holding the slot, asks once; a refused optional field is dropped and asked again.

        Raises:
            CallError: the call failed.
            ImageError: a picture cannot be made.
        """
        jpegs = await self.render(request, images)
        async with slot:
            return await self.send(request, jpegs)

    async def render(self, request: Request, images: Images) -> list[bytes]:
        """The encoded pictures of a request, made for a few requests at a time.

        Raises:
            ImageError: a picture cannot be made.
        """
        async with self._rendering:
            return await images.jpegs(request.pictures)

    async def send(self, request: Request, jpegs: Sequence[bytes]) -> Completion:
        """Asks once, in the endpoint's dialect; a refused optional field is dropped and asked again.

        Raises:
            CallError: the call failed.
        """
        for _ in range(_MAX_NEGOTIATIONS):
            dialect = self._dialect(request.model)
            try:
                body, limits = await self.post("chat/completions", self._build(request, jpegs, dialect))
                completion = read_completion(body, limits)
            except ComplaintError as complaint:
                # Another request may have learnt the same meanwhile; then simply ask again its way.
                if dialect == self._dialect(request.model):
                    self._learn(request.model, dialect, complaint)
                continue
            await self._remember(request.model, dialect)
            return completion
        raise CallError("http_400", "the endpoint refuses every form of the request", again=False)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._wire.aclose()

    def _dialect(self, model: str) -> Dialect:
        if model not in self._dialects:
            if known := known_dialect(self._cache, self._base_url, model):
                self._proven[model] = known
            self._dialects[model] = self._proven.get(model) or first_dialect(self._base_url)
        return self._dialects[model]

    def _learn(self, model: str, dialect: Dialect, complaint: "ComplaintError") -> None:
        simpler = dialect.without(complaint.text)
        if simpler is None:
            self._dialects[model] = self._proven.get(model, dialect)
            raise complaint.error
        self._dialects[model] = simpler

    async def _remember(self, model: str, dialect: Dialect) -> None:
        # Only what was answered: a complaint about something else must not cost later runs the schema.
        if self._proven.get(model) != dialect:
            self._proven[model] = dialect
            await self._cache.put(dialect_key(self._base_url, model), dialect.model_dump())

    async def post(self, path: str, body: bytes) -> "Posted":
        """Sends a body to a path under the base URL, and reads the JSON object that answers it.

        Raises:
            CallError: the call failed.
            ComplaintError: a 400 or 422, which may be about one field of the body.
        """
        import aiohttp

        try:
            sent = await self._sent(path, body)
        except TimeoutError as e:
            raise CallError("timeout", f"no answer within {self._timeout:g} s", again=True, overload=True) from e
        except aiohttp.ClientError as e:
            raise CallError("connection", self._unreachable(e), again=True) from e
        limits = read_limits(sent.raw_headers)
        if 300 <= sent.status < 400:
            raise self._redirected(sent)
        if sent.status >= 400:
            error = error_of(sent.text)
            message = message_of(error, f"Error code: {sent.status} {sent.text}")
            raise self._status_error(sent.status, message, error, sent.headers, limits)
        return Posted(self._json(sent.content, sent.headers), limits)

    async def _sent(self, path: str, body: bytes) -> Sent:
        """What the server answers at the first of its addresses that has the path."""
        refused: dict[str, Sent] = {}
        for form in self._forms:
            sent = await self._wire.post(path, body, at=form)
            if sent.status < 300:
                await self._settle(form)
            if sent.status not in NOT_THERE:
                return sent
            refused[form] = sent
        return self._nowhere(refused)

    def _nowhere(self, refused: Mapping[str, Sent]) -> Sent:
        """The refusals of all addresses as one, since any of them may be about the model."""
        first, *others = refused.values()
        if not others:
            return first
        said = {form: self._scrub(message_of(error_of(sent.text), sent.text)) for form, sent in refused.items()}
        words = "; ".join(f"at {form}: {text[: _MAX_MESSAGE // 3]}" for form, text in said.items())
        content = json.dumps({"error": {"message": words}}).encode()
        return first._replace(status=404, content=content)

    async def _settle(self, form: str) -> None:
        if len(self._forms) == 1:
            return
        self._forms = (form,)
        if form != self._known:
            await self._cache.put(_address_key(self._base_url), {"address": form})
            if form != self._base_url and self._say is not None:
                self._say(f"{self._base_url} has no such path and {form} has: that is asked from now on")

    def _unreachable(self, error: Exception) -> str:
        lines = str(error).splitlines()
        # aiohttp says of every address how TLS would have been set up, also where there is none.
        cause = lines[0].replace(" ssl:default", "") if lines else "the connection was cut"
        through = f" (through the proxy that {self._wire.proxy.variable} names)" if self._wire.proxy else ""
        return f"{self._base_url}: {self._scrub(cause)}{through}"

    def _redirected(self, sent: Sent) -> CallError:
        """A redirect is not followed: the key and the pictures go to no host that the user did not name."""
        target = self._scrub(sent.headers.get("Location", "").partition("?")[0]) or "an address that it does not state"
        said = f"{self._base_url} answers with a redirect (status {sent.status}) to {target}"
        remedy = f"{said}; if that is where the questions should go, give its address with --base-url"
        return CallError(f"http_{sent.status}", said, again=False, remedy=remedy)

    def _scrub(self, text: str) -> str:
        """One short line that can stand in any record; the key goes before the line is cut, lest a part of it stay."""
        text = text.replace(self._key, "[key]") if self._key != NO_KEY else text
        return " ".join(encodable(text).split())[:_MAX_MESSAGE]

    def _status_error(
        self, status: int, message: str, body: object, headers: Mapping[str, str], limits: Limits | None
    ) -> "CallError | ComplaintError":
        message = self._scrub(message)
        code = body.get("code") if isinstance(body, dict) else None
        kind = "rate_limited" if status == 429 else f"http_{status}"
        remedy = self._remedy(status, message, str(code))
        error = CallError(
            kind,
            message,
            again=status in _AGAIN and remedy is None,
            overload=status in _OVERLOAD,
            retry_after=retry_after(headers),
            remedy=remedy,
            limits=limits,
        )
        if status in (400, 422) and remedy is None:
            param = body.get("param") if isinstance(body, dict) else None
            return ComplaintError(error, f"{message} {param or ''} {body}")
        return error

    def _remedy(self, status: int, message: str, code: str) -> str | None:
        """What to do where no request of this run can succeed."""
        where = self._base_url
        if code == "insufficient_quota" or status == 402:
            return f"{where}: the account has no credit left ({message}); add some, then run the same command again"
        if status == 401:
            return f"{where} refuses the API key ({message}); set AUTOINTERP_API_KEY or OPENAI_API_KEY"
        if status == 404:
            return f"{where} has no such model or path ({message}); check --model and --base-url (it ends in /v1)"
        if status in (400, 415, 422, 500, 501) and _NO_VISION.search(message):
            return f"{where}: the model does not see images ({message}); name a model with vision with --model"
        return None

    def _json(self, content: bytes, headers: Mapping[str, str]) -> Mapping[str, object]:
        try:
            body = json.loads(content)
        except (ValueError, RecursionError) as e:
            what = "an empty body" if not content.strip() else "a body that is not JSON"
            raise CallError("malformed", f"the endpoint answered 200 with {what}", again=True) from e
        error = body.get("error") if isinstance(body, dict) else None
        if error:  # some routers report an upstream error with status 200
            code = error.get("code") if isinstance(error, dict) else None
            status = code if isinstance(code, int) else 502
            raise self._status_error(status, message_of(error, str(error)), error, headers, None)
        return body if isinstance(body, dict) else {}


def answering_address(base_url: str, cache: Cache) -> str | None:
    """At which of the addresses of a server it answers, as far as that is known."""
    possible = forms(base_url)
    if len(possible) == 1:
        return base_url
    known = (cache.get(_address_key(base_url)) or {}).get("address")
    return known if isinstance(known, str) and known in possible else None


def _address_key(base_url: str) -> str:
    return "address:" + hashlib.sha256(base_url.encode()).hexdigest()


class Posted(NamedTuple):
    """What a path answered."""

    body: Mapping[str, object]
    limits: Limits | None


class ComplaintError(Exception):
    """A 400 or 422 that may be about an optional field."""

    def __init__(self, error: CallError, text: str) -> None:
        super().__init__(text)
        self.error = error
        self.text = text
