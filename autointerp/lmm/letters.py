"""Completions that came by batch: kept beside the answers in the cache until the question that they answer is asked."""

from dataclasses import dataclass

from pydantic import Field, ValidationError

from autointerp.lmm.cache import Cache
from autointerp.lmm.parse import ReplyError, is_refusal, parse_reply
from autointerp.lmm.request import Completion
from autointerp.record import Record
from autointerp.replies import Reply
from autointerp.schema import Usage


def letter_key(key: str) -> str:
    """Where the completion of the question with this key lies in the cache."""
    return f"completion:{key}"


class Letter(Record):
    """A completion as the cache holds it: raw, since only the door knows what was asked for."""

    text: str
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cached_tokens: int = Field(ge=0)
    finish: str
    refusal: str | None
    model: str
    dollars: float | None
    """At the price of a batch job; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A letter, read."""

    completion: Completion
    usage: Usage


async def put_letter(cache: Cache, key: str, completion: Completion, dollars: float | None) -> None:
    """Keeps a completion for the question with this key; returns once it is on disk."""
    letter = Letter(
        text=completion.text,
        input_tokens=completion.input_tokens,
        output_tokens=completion.output_tokens,
        cached_tokens=completion.cached_tokens,
        finish=completion.finish,
        refusal=completion.refusal,
        model=completion.model,
        dollars=dollars,
    )
    await cache.put(letter_key(key), letter.model_dump())


def read_letter(cache: Cache, key: str) -> Delivery | None:
    """The completion that came for a question; None where none did, or one of another version."""
    stored = cache.get(letter_key(key))
    if stored is None:
        return None
    try:
        letter = Letter.model_validate(stored)
    except ValidationError:
        return None
    said = letter.model_dump(exclude={"dollars"})
    tokens = {name: said[name] for name in ("input_tokens", "output_tokens", "cached_tokens")}
    return Delivery(Completion(**said), Usage(calls=1, dollars=letter.dollars, **tokens))


class Mailbox:
    """Hands a run the letters that its questions find, and throws them away when they have done their work."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._read: set[str] = set()
        self._open: set[str] = set()

    def __contains__(self, key: str) -> bool:
        """Whether the question with this key found a letter."""
        return key in self._read

    def take(self, key: str) -> Delivery | None:
        """The letter for a question; it stays where it is until `used` or `forget_unusable`."""
        letter = read_letter(self._cache, key)
        if letter is not None:
            self._read.add(key)
            self._open.add(key)
        return letter

    async def used(self, *keys: str) -> None:
        """What the letters of these questions say is in the cache now."""
        for key in self._open.intersection(keys):
            self._open.discard(key)
            await self._cache.drop(letter_key(key))

    async def forget_unusable(self) -> None:
        """Drops the letters that ended in failures, once those are recorded: the questions may then be asked again."""
        await self.used(*self._open)


def fault_of(completion: Completion, reply: type[Reply]) -> str | None:
    """`refused` or `malformed`, as the door finds it; None of a usable completion."""
    if completion.refusal or completion.finish == "content_filter":
        return "refused"
    try:
        parse_reply(completion.text, reply)
    except ReplyError:
        return "refused" if is_refusal(completion.text) else "malformed"
    return None
