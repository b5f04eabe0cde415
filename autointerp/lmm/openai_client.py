"""Clients of any OpenAI-compatible endpoint: pre-serialised bodies through aiohttp."""

import asyncio
import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

from PIL import Image

from autointerp.errors import one_line
from autointerp.images.picture import Picture, Tile
from autointerp.lmm.address import OPENAI, checked_url, forms
from autointerp.lmm.body import Dialect, build_body, dialect_key, first_dialect, known_dialect
from autointerp.lmm.cache import Cache
from autointerp.lmm.endpoint_errors import Meaning, error_of, kind_of, status_of, verdict, words_of
from autointerp.lmm.http import Sent, Wire
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.rate_limit_headers import Limits, read_limits
from autointerp.lmm.request import Completion, Images, Request
from autointerp.lmm.response import body_of, encodable, error_within, read_completion, retry_after
from autointerp.lmm.route import NO_KEY, api_key

_MAX_NEGOTIATIONS = 6
_RENDERING = max(2, os.cpu_count() or 2)
"""Requests whose pictures are made at once: enough for all cores, and few enough for their pixels to fit in memory."""
_MAX_MESSAGE = 300
NOT_THERE = (404, 405)
"""What servers answer to a path that they do not have."""


class OpenAIClient:
    """Answers requests over HTTP.

    Args:
        base_url: of the server; where it does not end in /v1 and the server has no such path, /v1 is tried beneath it.
            None is OpenAI itself.
        timeout: seconds for one call.
        connections: most connections open at once.
        cache: where the endpoint's dialect, and at which of the two addresses it answers, are remembered.
        say: told where it answers, where that is not the address itself.
        key: sent as a bearer token; None for the one of the environment.

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
        key: str | None = None,
    ) -> None:
        self._base_url = checked_url(base_url) or OPENAI
        self._timeout = timeout
        self._cache = cache
        self._say = say
        self._key = api_key(self._base_url) if key is None else key
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
        looser: Dialect | None = None
        for _ in range(_MAX_NEGOTIATIONS):
            dialect = looser or self._dialect(request.model)
            try:
                posted = await self.post("chat/completions", self._build(request, jpegs, dialect))
                completion = read_completion(posted.body, posted.limits, posted.seconds)
            except ComplaintError as complaint:
                if complaint.no_json or looser is not None:  # this reply alone did not keep to the schema
                    looser = dialect.looser_format() if complaint.no_json else dialect.without(complaint.text)
                    if looser is None:
                        raise complaint.error from complaint
                    continue
                # Another request may have learnt the same meanwhile; then simply ask again its way.
                if dialect == self._dialect(request.model):
                    self._learn(request.model, dialect, complaint)
                continue
            if looser is None:
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

    async def post(self, path: str, body: bytes, content_type: str | None = None) -> "Posted":
        """Sends a body to a path under the base URL, and reads the JSON object that answers it.

        Args:
            path: under the base URL.
            body: what is sent.
            content_type: of the body, where it is not JSON.

        Raises:
            CallError: the call failed.
            ComplaintError: a 400 or 422, which may be about one field of the body.
        """
        sent = await self._good(self._sent(path, body, content_type))
        answer, limits = body_of(sent.content), read_limits(sent.raw_headers)
        if (error := error_within(answer)) is not None:  # some routers report an upstream error with status 200
            raise self._status_error(status_of(error), error, sent.headers, limits)
        return Posted(answer, limits, sent.seconds)

    async def get(self, url: str) -> bytes:
        """Fetches what lies at an address of the same server.

        Raises:
            CallError: the call failed.
        """
        try:
            return (await self._good(self._wire.get(url))).content
        except ComplaintError as e:
            raise e.error from e

    async def _good(self, coming: Awaitable[Sent]) -> Sent:
        """What came, if its status says that all is well; else it raises as `post` says."""
        import aiohttp

        try:
            sent = await coming
        except TimeoutError as e:
            said = f"no answer within {self._timeout:g} s"
            raise CallError("timeout", said, again=True, overload=True, nobody=True) from e
        except aiohttp.InvalidURL as e:
            said = f"{self._base_url} is no address that can be asked ({self._scrub(str(e))})"
            raise CallError("connection", said, again=False, remedy=f"{said}; check --base-url") from e
        except aiohttp.ClientError as e:
            refused = isinstance(e, aiohttp.ClientConnectorError)
            raise CallError("connection", self._unreachable(e), again=True, nobody=refused) from e
        if 300 <= sent.status < 400:
            raise self._redirected(sent)
        if sent.status >= 400:
            limits = read_limits(sent.raw_headers)
            raise self._status_error(sent.status, error_of(sent.text), sent.headers, limits)
        return sent

    async def _sent(self, path: str, body: bytes, content_type: str | None) -> Sent:
        """What the server answers at the first of its addresses that has the path."""
        refused: dict[str, Sent] = {}
        for form in self._forms:
            sent = await self._wire.post(path, body, at=form, content_type=content_type)
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
        said = {form: self._scrub(words_of(error_of(sent.text))) for form, sent in refused.items()}
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
        return one_line(encodable(text))[:_MAX_MESSAGE]

    def _status_error(
        self, status: int | None, error: object, headers: Mapping[str, str], limits: Limits | None
    ) -> "CallError | ComplaintError":
        """What a status of 400 or more says, or an error within a 200, with None where that states no status."""
        means = verdict(status, error)
        said = self._scrub(words_of(error)) or f"status {status or 200} without words"
        call = CallError(
            kind_of(status, means),
            said,
            again=means.meaning is Meaning.PASSING,
            overload=means.slow_down,
            retry_after=retry_after(headers),
            remedy=means.remedy and means.remedy.format(where=self._base_url, said=said),
            limits=limits,
        )
        no_json = means.meaning is Meaning.NO_JSON
        if no_json or (status in (400, 422) and means.meaning in (Meaning.PASSING, Meaning.UNUSABLE)):
            return ComplaintError(call, f"{said} {error}", no_json=no_json)
        return call


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
    """Holds what a path answered."""

    body: Mapping[str, object]
    limits: Limits | None
    seconds: float
    """What `Sent` says."""


@dataclass(eq=False)
class ComplaintError(Exception):
    """A 400 or 422 that may be about an optional field, or a reply that did not keep to the schema."""

    error: CallError
    text: str
    no_json: bool


REMEMBERED = 200_000
"""Digests kept in memory, some 30 MB; those not used for longest go first."""
GIVE_UP = 3
"""Refusals in a row, with no named picture accepted between, after which bytes are sent for the rest of the run."""
UNKNOWN = "image_uuid"
"""Kind of the failure, which is tried again with the bytes."""


class UuidClient(OpenAIClient):
    """Answers over HTTP; a picture that the server has seen is neither made nor sent again.

    vLLM keeps what it made of a picture under the `uuid` that came with it, and takes null for the picture itself as
    long as it has it. Its store is bounded: what it has dropped it refuses, and then the bytes are sent again. The uuid
    is the digest of the picture's recipe, so that equal ones are equal pixels. A server that takes null for a picture
    that it never had would answer blindly: for vLLM only.
    """

    _build = staticmethod(partial(build_body, uuids=True))
    _refusals = 0

    @cached_property
    def _there(self) -> OrderedDict[str, None]:
        """Digests of pictures that the server should have, those used last at the end."""
        return OrderedDict()

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Asks once, naming the pictures that the server should have.

        Raises:
            CallError: the call failed; where pictures were named it may be tried again, and then sends their bytes.
            ImageError: a picture cannot be made.
        """
        digests = [p.digest for p in request.pictures]
        named = frozenset(d for d in digests if d in self._there) if self._refusals < GIVE_UP else frozenset()
        try:
            completion = await super().complete(request, _Unnamed(images, named), slot)
        except CallError as e:
            if not named or e.remedy is not None or not _about_pictures(e):
                raise
            self._refusals += 1
            for digest in named:
                self._there.pop(digest, None)
            raise CallError(UNKNOWN, e.message, again=True, retry_after=0.0) from e
        self._refusals = 0 if named else self._refusals
        for digest in digests:
            self._there[digest] = None
            self._there.move_to_end(digest)
        while len(self._there) > REMEMBERED:
            self._there.popitem(last=False)
        return completion


class _Unnamed:
    """Makes the pictures that are not named; those that are stand as no bytes."""

    def __init__(self, images: Images, named: frozenset[str]) -> None:
        self._images = images
        self._named = named

    async def jpegs(self, pictures: Sequence[Picture]) -> list[bytes]:
        made = iter(await self._images.jpegs([p for p in pictures if p.digest not in self._named]))
        return [b"" if p.digest in self._named else next(made) for p in pictures]

    async def tile(self, tile: Tile, side: int) -> Image.Image:
        return await self._images.tile(tile, side)


def _about_pictures(error: CallError) -> bool:
    """A refusal that the bytes may mend: to an unknown uuid vLLM says 400, or 500 as to other errors of its input."""
    return error.kind in ("http_400", "http_422", "http_500")
