"""A request holds all that an answer depends on; its SHA-256 is the cache key."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

from PIL import Image

from autointerp.images.picture import Picture, Tile
from autointerp.lmm.rate_limit_headers import Limits
from autointerp.settings import Detail

_LONGER_REPLY = 4
_MOST_REPEATED = 100_000
"""Characters of an unusable reply that are shown to the model again."""

Role = Literal["active", "silent", "judged"]
"""What the prompt says of an image: the feature fires on it, is silent on it, or that is the question."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Holds a part of a message that is text."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture, and how the words around it speak of it."""

    picture: Picture
    role: Role
    numbers: tuple[int, ...]
    """The number of each tile in the prompt, as long as `picture.tiles`."""


@dataclass(frozen=True, slots=True)
class Message:
    """Holds one turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[TextPart | ImagePart, ...]


@dataclass(frozen=True, slots=True)
class Addition:
    """What is added inside a model of transformers while it looks."""

    hookpoint: str
    """In its vision tower."""
    direction: bytes
    """Little-endian float32, one number for each channel; of unit length."""
    coefficient: float
    """The length of what is added, in the units of the hookpoint."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the LMM."""

    model: str
    task: str
    """The kind of question, as `Task.name`. The embedded model goes by it; a remote one only reads the messages."""
    subject: str
    """The text in question, of several a line each; empty where the question is about pictures alone. The embedded
    model reads it; a remote one only reads the messages."""
    messages: tuple[Message, ...]
    reply_schema: str
    """JSON schema of the reply, as canonical JSON text."""
    temperature: float
    max_tokens: int
    seed: int
    detail: Detail = "auto"
    """How finely the endpoint looks at the pictures."""
    addition: Addition | None = None
    """What is added inside the model; an endpoint cannot be asked for that."""
    key: str = field(init=False, compare=False)
    """SHA-256 over all of the above, hex."""

    def __post_init__(self) -> None:
        """Computes the key from the recipes of the pictures; no pixel is touched."""
        turns = [[m.role, [_part_identity(p) for p in m.parts]] for m in self.messages]
        whole = [
            1,
            self.model,
            self.task,
            self.subject,
            turns,
            self.reply_schema,
            self.temperature,
            self.max_tokens,
            self.seed,
        ]
        # Not as `auto`, which asks for nothing: the keys of answers that were given without it stay as they are.
        whole += [self.detail] if self.detail != "auto" else []
        whole += [] if (more := self.addition) is None else [_addition_identity(more)]
        text = json.dumps(whole, separators=(",", ":"), ensure_ascii=False)
        object.__setattr__(self, "key", hashlib.sha256(text.encode()).hexdigest())

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every picture of the request, in order."""
        return tuple(p.picture for m in self.messages for p in m.parts if isinstance(p, ImagePart))

    @property
    def images(self) -> dict[int, int]:
        """The dump's image under each number of a question that numbers its images once, in order.

        An image that is shown twice under its number, as a whole and enlarged, is one image.
        """
        parts = [p for m in self.messages for p in m.parts if isinstance(p, ImagePart)]
        return {n: tile.image for part in parts for n, tile in zip(part.numbers, part.picture.tiles, strict=True)}


def _part_identity(part: TextPart | ImagePart) -> list[object]:
    if isinstance(part, TextPart):
        return ["text", part.text]
    return ["image", part.picture.recipe, part.role, list(part.numbers)]


def _addition_identity(addition: Addition) -> list[object]:
    direction = hashlib.sha256(addition.direction).hexdigest()
    return ["addition", addition.hookpoint, direction, addition.coefficient]


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back, not yet looked at."""

    text: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    finish: str
    """`stop`, `length` or `content_filter`, whatever the endpoint calls it."""
    refusal: str | None
    """The endpoint's own refusal field."""
    model: str
    """The model name that the endpoint says it used."""
    limits: Limits | None = None
    """What it stated of its rate limits."""
    seconds: float | None = field(default=None, compare=False)
    """The time that the endpoint took, without what this process took; None where nobody measured it."""


def asked_again(request: Request, completion: Completion, problem: str) -> Request:
    """The question once more, with what was wrong; a reply that was cut off gets more room instead."""
    if completion.finish == "length":
        return replace(request, max_tokens=request.max_tokens * _LONGER_REPLY)
    said = Message(role="assistant", parts=(TextPart(completion.text[:_MOST_REPEATED] or "(nothing)"),))
    ask = (
        f"That reply cannot be used: {problem}. Answer again with the one JSON object that was asked for, nothing else."
    )
    return replace(request, messages=(*request.messages, said, Message(role="user", parts=(TextPart(ask),))))


class Images(Protocol):
    """Where a client gets pixels from. Raises ImageError for an image that cannot be decoded."""

    async def jpegs(self, pictures: Sequence[Picture]) -> list[bytes]:
        """The encoded pictures, in order; sources they share are decoded once."""
        ...

    async def tile(self, tile: Tile, side: int) -> Image.Image:
        """One tile as RGB pixels, longest side at most `side`."""
        ...


class Client(Protocol):
    """Whoever answers: an OpenAI-compatible endpoint, the embedded model, a test's script."""

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Answers once, without retrying.

        Args:
            request: the question.
            images: where its pixels come from.
            slot: held while the endpoint works, not while pictures are made.

        Raises:
            CallError: the call failed; says of which kind and whether to try again.
            ImageError: a picture of the request cannot be made.
        """
        ...


@runtime_checkable
class Connected(Protocol):
    """A client that keeps connections or files open."""

    async def aclose(self) -> None:
        """Closes them."""
        ...
