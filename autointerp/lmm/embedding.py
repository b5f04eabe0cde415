"""Crops and texts as vectors of one space: asked for through the gateway, one a request, of an embeddings endpoint."""

import asyncio
import base64
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pybase64
from pydantic import AfterValidator

from autointerp.errors import SettingsError
from autointerp.images.picture import Picture
from autointerp.lmm.address import OPENAI
from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.openai_client import ComplaintError, OpenAIClient
from autointerp.lmm.outcomes import BROKEN, CallError, Failure
from autointerp.lmm.request import Completion, ImagePart, Images, Message, Request, TextPart
from autointerp.lmm.response import count_of
from autointerp.replies import Reply, reply_schema
from autointerp.settings import ModelSettings

Vectors = npt.NDArray[np.float32]

_STORED = "<f2"
"""As vectors are kept: half precision changes a cosine by some 1e-5."""
_CANNOT = (400, 415, 422, 501)
"""What endpoints answer to a field that they do not know."""
_NO_MESSAGES = re.compile(r"(?:missing|required).*\binput\b|\binput\b.*(?:missing|required)", re.IGNORECASE)
"""What routers say with status 500 (litellm, issue 31178)."""


def _checked(text: str) -> str:
    try:
        vector = decoded(text)
    except ValueError as e:
        raise ValueError("is no vector in base64") from e
    if not len(vector) or not np.isfinite(vector).all() or not vector.any():
        raise ValueError("has a number that is not finite, or no other than zero")
    return text


RENDERING = max(2, os.cpu_count() or 2)
"""Pictures made at once: a feature asks for all of its crops together, whose pixels must not all wait in memory."""


class VectorReply(Reply):
    """Answer to an embedding request."""

    longest: ClassVar[int] = 1_000_000
    vector: Annotated[str, AfterValidator(_checked)]
    """Half-precision numbers, little-endian, in base64."""


def encoded(vector: npt.NDArray[np.floating]) -> str:
    """A vector as a reply and the cache hold it: of unit length first, so that no number leaves half precision."""
    length = float(np.linalg.norm(np.asarray(vector, np.float64)))
    return base64.b64encode((vector / (length or 1.0)).astype(_STORED).tobytes()).decode()


def decoded(text: str) -> Vectors:
    """The vector, of unit length again. Raises ValueError where the text is no base64 of one."""
    vector = np.frombuffer(base64.b64decode(text, validate=True), _STORED).astype(np.float32)
    return vector / max(float(np.linalg.norm(vector)), np.finfo(np.float32).tiny)


def embedding_request(model: str, what: Picture | str) -> Request:
    """The question whose answer is the vector of a picture or of a text."""
    part = ImagePart(what, "judged", (1,)) if isinstance(what, Picture) else TextPart(what)
    return Request(
        model=model,
        task="embed",
        subject="",
        messages=(Message("user", (part,)),),
        reply_schema=reply_schema(VectorReply),
        temperature=0.0,
        max_tokens=1,
        seed=0,
    )


class GatewayEmbedder:
    """Embeds what it is given through a gateway, which remembers, paces and retries.

    Args:
        gateway: to a client that answers the task `embed`.
        model: which model of it.
    """

    def __init__(self, gateway: Gateway, model: str) -> None:
        self.name = model
        self._gateway = gateway

    async def pictures(self, pictures: Sequence[Picture]) -> Vectors | Failure:
        """One vector a picture, [n, d], or the first failure; what was answered stays in the cache.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        return await self._all(pictures)

    async def texts(self, texts: Sequence[str]) -> Vectors | Failure:
        """One vector a text, [n, d], or the first failure.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        return await self._all(texts)

    async def _all(self, what: Sequence[Picture] | Sequence[str]) -> Vectors | Failure:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._gateway.ask(embedding_request(self.name, w), VectorReply)) for w in what]
        vectors: list[Vectors] = []
        for outcome in (task.result() for task in asked):
            if isinstance(outcome, Failure):
                return outcome
            vectors.append(decoded(outcome.value.vector))
            if len(vectors[-1]) != len(vectors[0]):
                # From a cache that another model of the same name filled.
                return Failure("malformed", f"{_numbers(vectors[-1])} beside one with {len(vectors[0])}", 1)
        return np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)


class EmbeddingsClient:
    """Asks an OpenAI-compatible embeddings endpoint.

    Texts are sent as `input`. Pictures are sent as chat `messages` with an image, which is how vLLM takes them for its
    multimodal embedding models (its documentation, "Multi-Modal Inputs"); OpenAI's own endpoint has no such form.

    Args:
        model: who embeds, and where.
        timeout: seconds for one call.
        connections: most connections open at once.
        cache: where the answers are.
        say: told where the server answers, where that is not the address itself.

    Raises:
        SettingsError: the address cannot be used, or there is no key.
    """

    def __init__(
        self,
        model: ModelSettings,
        *,
        timeout: float,
        connections: int,
        cache: Cache,
        say: Callable[[str], None] | None = None,
    ) -> None:
        try:
            self._http = OpenAIClient(model.base_url, timeout=timeout, connections=connections, cache=cache, say=say)
        except SettingsError as e:
            raise SettingsError(_own_options(str(e))) from e
        self._where = model.base_url or OPENAI
        self._rendering = asyncio.Semaphore(RENDERING)
        self._width: int | None = None
        self._sees = False

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """One vector, as a `VectorReply`.

        Raises:
            CallError: the call failed, or the vector cannot be used.
            ImageError: the picture cannot be made.
        """
        body = await self._body(request, images)
        async with slot:
            try:
                answer, limits, seconds = await self._http.post("embeddings", body)
            except ComplaintError as e:
                raise self._told(e.error, request) from e
            except CallError as e:
                raise self._told(e, request) from e
        vector = self._vector(answer)
        self._sees = self._sees or bool(request.pictures)
        usage = answer.get("usage")
        used = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        text = VectorReply(vector=encoded(vector)).model_dump_json()
        return Completion(text, count_of(used), 0, 0, "stop", None, request.model, limits, seconds)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def _body(self, request: Request, images: Images) -> bytes:
        (part,) = request.messages[0].parts
        payload: dict[str, object] = {"model": request.model, "encoding_format": "float"}
        if isinstance(part, TextPart):
            payload["input"] = [part.text]
        else:
            async with self._rendering:
                (jpeg,) = await images.jpegs([part.picture])
            url = f"data:image/jpeg;base64,{pybase64.b64encode_as_string(jpeg)}"
            payload["messages"] = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
        return json.dumps(payload, ensure_ascii=False).encode()

    def _vector(self, answer: Mapping[str, object]) -> npt.NDArray[np.float64]:
        try:
            (item,) = answer["data"]  # pyright: ignore[reportGeneralTypeIssues]
            vector = np.array(item["embedding"], np.float64)
        except (KeyError, TypeError, ValueError) as e:
            kind = "malformed" if answer.get("data") else BROKEN
            said = "the endpoint answered 200 without one embedding of numbers"
            raise CallError(kind, said, again=True, nobody=kind == BROKEN) from e
        if vector.ndim != 1 or not np.isfinite(vector).all() or not vector.any():
            raise CallError("malformed", "the endpoint answered with a vector that has no direction", again=True)
        self._width = self._width or len(vector)
        if len(vector) != self._width:
            raise CallError("malformed", f"{_numbers(vector)} where others have {self._width}", again=False)
        return vector

    def _told(self, error: CallError, request: Request) -> CallError:
        """The error with the remedy in this command's words; an endpoint that never embedded a picture cannot."""
        remedy = error.remedy and _own_options(error.remedy)
        known = error.kind in {f"http_{code}" for code in _CANNOT} or _NO_MESSAGES.search(error.message)
        if request.pictures and not self._sees and known:
            remedy = (
                f"{self._where}: {request.model} embeds no images there ({error.message}); name a multimodal embedding "
                "model, as vLLM serves them, with --embedder and --embedder-base-url, or use --embedder local"
            )
        return replace(error, again=error.again and remedy is None, remedy=remedy)


def _own_options(message: str) -> str:
    """What the client of completions says to do, in the options that name the embedder."""
    return message.replace("--base-url", "--embedder-base-url").replace("--model", "--embedder")


def _numbers(vector: npt.NDArray[np.floating]) -> str:
    return f"a vector of {len(vector)} numbers"
