"""A client of any OpenAI-compatible endpoint: pre-serialised bodies through the openai package's aiohttp transport."""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autointerp.errors import SettingsError
from autointerp.lmm.body import build_body
from autointerp.lmm.cache import Cache
from autointerp.lmm.calls import CallError
from autointerp.lmm.dialect import Dialect, dialect_key, first_dialect
from autointerp.lmm.request import Completion, Images, Request

if TYPE_CHECKING:
    import openai

_NO_VISION = re.compile(
    r"image input is not supported|not a multimodal model|does not support (?:image|vision)|at most 0 image"
    r"|image_url is only supported|only text|no vision|mmproj|unsupported content type.*image",
    re.IGNORECASE,
)
_JSON_BODY = {"Content-Type": "application/json"}
_MAX_NEGOTIATIONS = 6
_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}
_OVERLOAD = {429, 503, 529}


def api_key(base_url: str | None) -> str:
    """The key from the environment.

    Raises:
        SettingsError: OpenAI itself is meant and there is none.
    """
    key = os.environ.get("AUTOINTERP_API_KEY") or os.environ.get("OPENAI_API_KEY")
    if key:
        return key
    if base_url is None:
        raise SettingsError(
            "no API key: set OPENAI_API_KEY (or AUTOINTERP_API_KEY), name your own server with --base-url, "
            "or use --model local, which needs neither"
        )
    return "none"  # local servers ask for no key, the openai package asks for a text


class OpenAIClient:
    """Answers over HTTP.

    Args:
        base_url: of the server, ending in /v1; None is OpenAI itself.
        timeout: seconds for one call.
        connections: most connections open at once.
        cache: where the endpoint's dialect is remembered.
    """

    def __init__(self, base_url: str | None, *, timeout: float, connections: int, cache: Cache) -> None:
        self._base_url = _checked_url(base_url)
        self._timeout = timeout
        self._connections = connections
        self._cache = cache
        self._key = api_key(base_url)
        self._client: openai.AsyncOpenAI | None = None
        self._dialects: dict[str, Dialect] = {}

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Renders the pictures, then, holding the slot, asks once; a refused optional field is dropped and asked again.

        Raises:
            CallError: the call failed.
            ImageError: a picture cannot be made.
        """
        jpegs = await images.jpegs(request.pictures)
        async with slot:
            for _ in range(_MAX_NEGOTIATIONS):
                dialect = self._dialect(request.model)
                try:
                    completion = await self._post(build_body(request, jpegs, dialect))
                except _ComplaintError as complaint:
                    # Another request may have learnt the same meanwhile; then simply ask again its way.
                    if dialect == self._dialect(request.model):
                        await self._learn(request.model, dialect, complaint)
                    continue
                return completion
        raise CallError("http_400", "the endpoint refuses every form of the request", again=False)

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            await self._client.close()

    def _dialect(self, model: str) -> Dialect:
        if model not in self._dialects:
            known = self._cache.get(dialect_key(self._base_url, model))
            self._dialects[model] = Dialect.model_validate(known) if known else first_dialect(self._base_url)
        return self._dialects[model]

    async def _learn(self, model: str, dialect: Dialect, complaint: "_ComplaintError") -> None:
        simpler = dialect.without(complaint.text)
        if simpler is None:
            raise complaint.error
        self._dialects[model] = simpler
        await self._cache.put(dialect_key(self._base_url, model), simpler.model_dump())

    def _connect(self) -> "openai.AsyncOpenAI":
        import httpx2
        import openai

        # connect: the package's 5 s is too short with hundreds of connections opened at once.
        timeout = httpx2.Timeout(self._timeout, connect=max(30.0, self._timeout), pool=None)
        limits = httpx2.Limits(max_connections=self._connections, max_keepalive_connections=self._connections)
        http = openai.DefaultAioHttpClient(timeout=timeout, limits=limits)
        return openai.AsyncOpenAI(
            api_key=self._key, base_url=self._base_url, http_client=http, max_retries=0, timeout=timeout
        )

    async def _post(self, body: bytes) -> Completion:
        import httpx2
        import openai

        if self._client is None:
            self._client = self._connect()
        try:
            # httpx times each read; a server that drips bytes would hold the slot for ever.
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(
                    "/chat/completions", content=body, cast_to=httpx2.Response, options={"headers": _JSON_BODY}
                )
        except (TimeoutError, openai.APIConnectionError) as e:
            # The aiohttp transport reports a refused connection as a timeout of connecting.
            late = isinstance(e, TimeoutError | openai.APITimeoutError)
            if late and not isinstance(e.__cause__, httpx2.ConnectTimeout):
                raise CallError("timeout", f"no answer within {self._timeout:g} s", again=True, overload=True) from e
            raise CallError("connection", self._unreachable(e), again=True) from e
        except openai.APIStatusError as e:
            raise self._status_error(e.status_code, _message_of(e.body, e.message), e.body, e.response.headers) from e
        return self._read(response.content, response.headers)

    def _unreachable(self, error: Exception) -> str:
        lines = str(error.__cause__ or error).splitlines()
        cause = lines[0] if lines else "the connection was cut"
        return f"{self._base_url or 'https://api.openai.com/v1'}: {self._scrub(cause)}"

    def _scrub(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key != "none" else text

    def _status_error(
        self, status: int, message: str, body: object, headers: Mapping[str, str]
    ) -> "CallError | _ComplaintError":
        message = self._scrub(message)
        code = body.get("code") if isinstance(body, dict) else None
        kind = "rate_limited" if status == 429 else f"http_{status}"
        remedy = self._remedy(status, message, str(code))
        error = CallError(
            kind,
            message,
            again=status in _AGAIN and remedy is None,
            overload=status in _OVERLOAD,
            retry_after=_retry_after(headers),
            remedy=remedy,
        )
        if status in (400, 422) and remedy is None:
            param = body.get("param") if isinstance(body, dict) else None
            return _ComplaintError(error, f"{message} {param or ''} {body}")
        return error

    def _remedy(self, status: int, message: str, code: str) -> str | None:
        """What to do where no request of this run can succeed."""
        where = self._base_url or "OpenAI"
        if code == "insufficient_quota":
            return f"{where}: the account has no credit left ({message}); add some, then run the same command again"
        if status == 401:
            return f"{where} refuses the API key ({message}); set AUTOINTERP_API_KEY or OPENAI_API_KEY"
        if status == 404:
            return f"{where} has no such model or path ({message}); check --model and --base-url (it ends in /v1)"
        if status in (400, 415, 422, 500, 501) and _NO_VISION.search(message):
            return f"{where}: the model does not see images ({message}); name a model with vision with --model"
        return None

    def _read(self, content: bytes, headers: Mapping[str, str]) -> Completion:
        try:
            body = json.loads(content)
        except ValueError as e:
            what = "an empty body" if not content.strip() else "a body that is not JSON"
            raise CallError("malformed", f"the endpoint answered 200 with {what}", again=True) from e
        error = body.get("error") if isinstance(body, dict) else None
        if isinstance(error, dict):  # some routers report an upstream error with status 200
            status = error.get("code") if isinstance(error.get("code"), int) else 502
            assert isinstance(status, int)
            raise self._status_error(status, _message_of(error, "unknown error"), error, headers)
        try:
            return _completion(body)
        except (KeyError, IndexError, TypeError, AttributeError) as e:
            raise CallError("malformed", "the endpoint answered 200 without a message", again=True) from e


class _ComplaintError(Exception):
    """A 400 or 422 that may be about an optional field."""

    def __init__(self, error: CallError, text: str) -> None:
        super().__init__(text)
        self.error = error
        self.text = text


def _completion(body: Mapping[str, object]) -> Completion:
    choice = body["choices"][0]  # pyright: ignore[reportIndexIssue]
    message = choice["message"]
    usage = body.get("usage") or {}
    assert isinstance(usage, dict)
    details = usage.get("prompt_tokens_details") or {}
    text = message.get("content")
    if isinstance(text, list):  # some servers answer in parts
        text = "".join(part.get("text", "") for part in text)
    return Completion(
        text=text or "",
        input_tokens=int(usage.get("prompt_tokens") or 0),
        output_tokens=int(usage.get("completion_tokens") or 0),
        cached_tokens=int(details.get("cached_tokens") or 0),
        finish=str(choice.get("finish_reason") or "stop"),
        refusal=message.get("refusal"),
        model=str(body.get("model") or ""),
    )


def _message_of(body: object, fallback: str) -> str:
    if isinstance(body, dict):
        inner = body.get("error", body)
        text = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
        if text:
            return " ".join(str(text).split())[:300]
    return " ".join(fallback.split())[:300]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the endpoint asks to wait: milliseconds, seconds or a date."""
    try:
        if headers.get("retry-after-ms"):
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        given = headers.get("retry-after")
        if not given:
            return None
        if re.fullmatch(r"[\d.]+", given.strip()):
            return float(given)
        return max(0.0, (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _checked_url(base_url: str | None) -> str | None:
    if base_url is None:
        return None
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SettingsError(f"--base-url {base_url}: not an http(s) address; e.g. http://localhost:8000/v1")
    if parts.username or parts.password:
        raise SettingsError("--base-url holds a user name or password; put the key into AUTOINTERP_API_KEY instead")
    return base_url.rstrip("/")
