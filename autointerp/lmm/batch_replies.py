"""Completions that came by batch: kept beside the answers in the cache until the question that they answer is asked."""

from pydantic import Field, ValidationError

from autointerp.lmm.cache import Cache
from autointerp.lmm.parse import ReplyError, is_refusal, reply_in
from autointerp.lmm.request import Completion
from autointerp.record import Record
from autointerp.replies import Reply
from autointerp.schema import Usage


def reply_key(key: str) -> str:
    """Where the completion of the question with this key lies in the cache."""
    return f"completion:{key}"


class BatchReply(Record):
    """A completion that came by batch, as the cache holds it: raw, since only the gateway knows what was asked for."""

    text: str
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cached_tokens: int = Field(ge=0)
    finish: str
    refusal: str | None
    model: str
    dollars: float | None
    """At the price of a batch job; None where it is not known."""

    @property
    def completion(self) -> Completion:
        """Returns the completion itself."""
        return Completion(**self.model_dump(exclude={"dollars"}))

    @property
    def usage(self) -> Usage:
        """Returns what it used."""
        return Usage(calls=1, **self.model_dump(include={"input_tokens", "output_tokens", "cached_tokens", "dollars"}))


async def put_batch_reply(cache: Cache, key: str, completion: Completion, dollars: float | None) -> None:
    """Keeps a completion for the question with this key; returns once it is on disk."""
    said = {name: getattr(completion, name) for name in BatchReply.model_fields if name != "dollars"}
    await cache.put(reply_key(key), BatchReply(**said, dollars=dollars).model_dump())


def read_batch_reply(cache: Cache, key: str) -> BatchReply | None:
    """The completion that came for a question; None where none did, or one of another version."""
    try:
        stored = cache.get(reply_key(key))
        return None if stored is None else BatchReply.model_validate(stored)
    except ValidationError:
        return None


class BatchReplies:
    """Hands a run the completions that came for its questions, and drops each once its answer is stored."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._read: set[str] = set()
        self._open: set[str] = set()

    def __contains__(self, key: str) -> bool:
        """Whether a completion had come for the question with this key."""
        return key in self._read

    def take(self, key: str) -> BatchReply | None:
        """Returns the completion for a question; it stays in the cache until `used` or `forget_unusable`."""
        reply = read_batch_reply(self._cache, key)
        if reply is not None:
            self._read.add(key)
            self._open.add(key)
        return reply

    async def used(self, *keys: str) -> None:
        """Drops the completions of these questions, whose answers the cache now holds."""
        for key in self._open.intersection(keys):
            self._open.discard(key)
            await self._cache.drop(reply_key(key))

    async def forget_unusable(self) -> None:
        """Drops the completions that ended in failures, once those are recorded, so that they may be asked again."""
        await self.used(*self._open)


def fault_of(completion: Completion, reply: type[Reply]) -> str | None:
    """`refused` or `malformed`, as the gateway finds it; None of a usable completion."""
    if completion.refusal or completion.finish == "content_filter":
        return "refused"
    try:
        reply_in(completion, reply)
    except ReplyError:
        return "refused" if is_refusal(completion.text) else "malformed"
    return None
