"""The one way to ask the LMM: cache, then limiter and budget, then client, then parse; an Answer or a Failure."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import ValidationError

from autointerp.errors import EndpointError, ImageAwayError, ImageError, one_line
from autointerp.images.picture import Tile
from autointerp.lmm.batch_replies import BatchReplies
from autointerp.lmm.budget import Ledger, Ticket
from autointerp.lmm.cache import Cache, Json, stamp_of
from autointerp.lmm.exchanges import Note, note
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.limits import Limiter, Slot
from autointerp.lmm.outcomes import ENDED, UNASKED, Answer, CallError, Failure
from autointerp.lmm.parse import ReplyError, is_refusal, parse_reply, reply_in
from autointerp.lmm.request import Client, Completion, Images, Request, asked_again
from autointerp.replies import Reply
from autointerp.schema import ImageRow, Usage

R = TypeVar("R", bound=Reply)

_LONGEST_WAIT = 60.0
_PATIENCE = 32
_GLANCE = 64
"""Longest side in pixels at which an image is looked at to see whether it is whole."""
_UNSENT = ("image", "over_budget")
"""Failures that say nothing about the endpoint."""
_OF_THE_MODEL = ("refused", "malformed")
"""Failures of calls that did reach the model, or the filter before it."""
_ADDRESSES = {"embed": "--embedder-base-url", "picture": "--image-base-url", "edit": "--image-base-url"}
"""The options that name the servers of other models than the explainer or the judge, by task."""


@dataclass
class Tally:
    """What a run has done so far, for the progress line and the summary."""

    requests: int = 0
    """Calls sent, repeats included."""
    cached: int = 0
    """Questions answered from the cache."""
    answered: int = 0
    """Questions answered by the endpoint."""
    usage: Usage = field(default_factory=Usage)
    """Of the calls made now."""
    failures: Counter[str] = field(default_factory=Counter)
    """Questions failed, by kind; `deferred` ones wait for a batch job."""
    retries: Counter[str] = field(default_factory=Counter)
    """Calls that failed and were tried again, by kind."""

    def add(self, other: "Tally") -> None:
        """Counts what another gateway of the run has done as well."""
        self.requests += other.requests
        self.cached += other.cached
        self.answered += other.answered
        self.usage += other.usage
        self.failures += other.failures
        self.retries += other.retries


class Gateway:
    """Answers questions, each at most once.

    Args:
        client: who answers.
        cache: usable answers by key.
        limiter: of all requests of the run; it also waits before a call is made again.
        ledger: the budget.
        images: where pictures come from.
        attempts: calls for one question before it fails.
        estimate: (input, output) tokens that a request may use.
    """

    def __init__(
        self,
        client: Client,
        cache: Cache,
        limiter: Limiter,
        ledger: Ledger,
        images: Images,
        *,
        attempts: int,
        estimate: Callable[[Request], TokenEstimate],
    ) -> None:
        self._client = client
        self.cache = cache
        """Where answers are kept."""
        self.limiter = limiter
        self.ledger = ledger
        """What keeps the calls within the budget; another gateway of the run may share it."""
        self._images = images
        self._attempts = attempts
        self._estimate = estimate
        self._sent: set[object] = set()
        self._came_back = asyncio.Event()
        self._asked: dict[str, asyncio.Future[object]] = {}
        self._reached = False
        self.first_alone = True
        """Whether one question goes ahead of all others until the client has answered once."""
        self._lost = 0
        self._hopeless: str | None = None
        self._first_contact = asyncio.Lock()
        self.batch_replies = BatchReplies(cache)
        self.tally = Tally()

    @property
    def spent(self) -> float:
        """Of the budget, in its unit; tokens without a budget."""
        return self.ledger.spent

    async def ask(self, request: Request, reply: type[R]) -> Answer[R] | Failure:
        """The answer, from the cache or from the endpoint.

        Two tasks that ask the same at once share one call.

        Raises:
            EndpointError: no request of this run can succeed; the message says what to do. It is raised once the
                answers to all other questions that were sent have come and are in the cache.
            CacheError: the cache holds something foreign.
        """
        noted = note(request)
        while (running := self._asked.get(request.key)) is not None:
            await asyncio.wait([running])
        known = self._recall(request, reply, noted)
        if known is not None:
            self.tally.cached += 1
            return known
        done = asyncio.get_running_loop().create_future()
        self._asked[request.key] = done
        try:
            outcome = await self._ask_endpoint(request, reply, replies := [])
            if isinstance(outcome, Failure):
                noted(replies, outcome.kind, None)
            else:
                noted(replies, None, stamp_of(request.key, _row(replies[-1], outcome.model, outcome.usage)))
        except EndpointError:
            await self._drained()
            raise
        finally:
            self._settled()
            del self._asked[request.key]
            done.set_result(None)
        if isinstance(outcome, Failure):
            self.tally.failures[outcome.kind] += outcome.kind != ENDED
            return replace(outcome, message=one_line(outcome.message))
        return outcome

    async def unreadable(self, images: Sequence[ImageRow]) -> dict[int, str]:
        """Those of the images that cannot be decoded, each with a line that says why; asks nobody.

        Of one that cannot be fetched now nothing is known.
        """

        async def why(row: ImageRow) -> str | None:
            whole = Tile(row.image, row.sha256, (row.width, row.height), "full", None)
            try:
                await self._images.tile(whole, _GLANCE)
            except ImageAwayError:
                return None
            except ImageError as e:
                return one_line(str(e))
            return None

        said = await asyncio.gather(*(why(row) for row in images))
        return {row.image: line for row, line in zip(images, said, strict=True) if line is not None}

    def _recall(self, request: Request, reply: type[R], noted: Note) -> Answer[R] | None:
        stored = self.cache.get(request.key)
        if stored is None:
            return None
        try:
            value = parse_reply(str(stored["text"]), reply)
            usage = Usage.model_validate({k: stored[k] for k in Usage.model_fields if k in stored})
            answer = Answer(value=value, usage=usage, model=str(stored["model"]), cached=True)
        except (ReplyError, KeyError, ValidationError):
            return None  # written by a version that accepted more
        noted((str(stored["text"]),), None, stamp_of(request.key, stored))
        return answer

    async def _ask_endpoint(self, request: Request, reply: type[R], replies: list[str]) -> Answer[R] | Failure:
        """Asks, and once more where the reply cannot be used; `replies` is told what came."""
        usage = Usage()
        question = request
        problem = excerpt = ""
        for last in (False, True):
            outcome = await self._complete(question, enlarged=question.max_tokens > request.max_tokens)
            if isinstance(outcome, Failure):
                return outcome
            completion, used, attempts = outcome
            usage += used
            replies.append(completion.refusal or completion.text)
            if completion.refusal or completion.finish == "content_filter":
                said = _excerpt(completion.refusal or "") or "stopped by the endpoint's content filter"
                return Failure("refused", said, attempts)
            try:
                value = reply_in(completion, reply)
            except ReplyError as e:
                problem = str(e)
                excerpt = _excerpt(completion.text)
                if is_refusal(completion.text):
                    return Failure("refused", excerpt, attempts)
                question = asked_again(request, completion, str(e))
                if not last:
                    self.tally.retries["malformed"] += 1
                continue
            model = completion.model or request.model
            self.tally.cached += (posted := question.key in self.batch_replies)
            self.tally.answered += not posted
            await self.cache.put(request.key, _row(completion.text, model, usage))
            await self.batch_replies.used(request.key, question.key)
            return Answer(value=value, usage=usage, model=model, cached=False)
        return Failure("malformed", f"{problem}; the reply began: {excerpt}", 2)

    async def _complete(self, request: Request, *, enlarged: bool) -> tuple[Completion, Usage, int] | Failure:
        if (reply := self.batch_replies.take(request.key)) is not None:
            return reply.completion, reply.usage, 1
        if self._reached or not self.first_alone:
            return await self._attempt(request, enlarged=enlarged)
        # Until the endpoint has answered once, one request goes ahead of all others: a wrong address, key or
        # model is then found out by a single call.
        async with self._first_contact:
            if self._hopeless is not None:
                raise EndpointError(self._hopeless)
            if not self._reached:
                outcome = await self._attempt(request, enlarged=enlarged)
                # An endpoint that is there and fails is met by all: one after the other they would find out for hours.
                self._reached = self._reached or (isinstance(outcome, Failure) and outcome.kind not in _UNSENT)
                return outcome
        return await self._attempt(request, enlarged=enlarged)

    async def _attempt(self, request: Request, *, enlarged: bool) -> tuple[Completion, Usage, int] | Failure:
        chance = random.Random(request.key)
        error: CallError | None = None
        for attempt in range(1, self._attempts + 1):
            try:
                return *(await self._call(request)), attempt
            except _OverBudgetError:
                return Failure("over_budget", "the budget does not cover this request", attempt - 1)
            except ImageError as e:
                return Failure("image", str(e), attempt)
            except CallError as e:
                if e.kind in UNASKED:
                    return Failure(e.kind, e.message, 0)
                error = e
                self._settled()
                self._give_up_if_hopeless(e, request.task, last=attempt == self._attempts, enlarged=enlarged)
                if not e.again:
                    return Failure(e.kind, e.message, attempt)
                if attempt < self._attempts:
                    self.tally.retries[e.kind] += 1
                    await self.limiter.sleep(_backoff(attempt, e.retry_after, chance))
        assert error is not None
        return Failure(error.kind, error.message, self._attempts)

    def _give_up_if_hopeless(self, error: CallError, task: str, *, last: bool, enlarged: bool) -> None:
        if error.remedy is not None:
            # The run's own settings may fit where more room for a reply that was cut does not.
            self._hopeless = self._hopeless if enlarged else error.remedy
        elif error.kind in _OF_THE_MODEL:
            self._reached, self._lost = True, 0
        elif last and error.nobody and not self._reached:
            self._hopeless = f"{error.message}; is the server up and {_ADDRESSES.get(task, '--base-url')} right?"
        elif last or not error.again:
            self._lost += 1
        if self._lost > max(_PATIENCE, self.limiter.ceiling):
            self._hopeless = (
                f"the endpoint answers no more ({self._lost} requests in a row failed, last: {error.message}); "
                "what was done is kept: run the same command again to go on"
            )
        if self._hopeless is not None:
            raise EndpointError(self._hopeless)

    async def _call(self, request: Request) -> tuple[Completion, Usage]:
        estimate = self._estimate(request)
        ticket = await self._reserve(request, estimate)
        slot = self.limiter.slot(estimate.input_tokens + estimate.output_tokens, self._sending)
        try:
            completion = await self._send(request, slot)
        except BaseException:
            # A call that failed is billed by no endpoint we know of.
            self.ledger.release(ticket)
            raise
        else:
            dollars = self.ledger.settle(
                ticket, completion.input_tokens, completion.output_tokens, completion.cached_tokens
            )
        usage = Usage(
            input_tokens=completion.input_tokens,
            output_tokens=completion.output_tokens,
            cached_tokens=completion.cached_tokens,
            calls=1,
            dollars=dollars,
        )
        self.tally.usage += usage
        return completion, usage

    async def _send(self, request: Request, slot: Slot) -> Completion:
        self.tally.requests += 1
        try:
            completion = await self._client.complete(request, self._images, slot)
        except ImageAwayError as e:
            self.tally.requests -= 1
            raise CallError("connection", str(e), again=True) from e
        except CallError as e:
            if e.kind in UNASKED:
                self.tally.requests -= 1
            if e.overload:
                self.limiter.overloaded(slot.began, e.retry_after, e.limits)
            raise
        self._reached = True
        self._lost = 0
        self.limiter.succeeded(slot, completion.limits, completion.seconds)
        return completion

    def _sending(self) -> None:
        """A question of this task goes out; none does once it is known that none can succeed."""
        if self._hopeless is not None:
            raise EndpointError(self._hopeless)
        self._sent.add(asyncio.current_task())

    def _settled(self) -> None:
        """What this task sent came to nothing, or its answer is in the cache."""
        self._sent.discard(asyncio.current_task())
        self._came_back.set()

    async def _drained(self) -> None:
        """Waits until what others have sent has come back, lest answers be paid for that nobody takes."""
        self._settled()
        while self._sent:
            self._came_back.clear()
            await self._came_back.wait()

    async def _reserve(self, request: Request, estimate: TokenEstimate) -> Ticket:
        while (ticket := self.ledger.reserve(request.model, estimate)) is None:
            if self.ledger.in_flight == 0:
                raise _OverBudgetError
            # What the calls in flight really use may be less than they hold.
            self.ledger.moved.clear()
            await self.ledger.moved.wait()
        return ticket


def _row(text: str, model: str, usage: Usage) -> Json:
    """What the cache holds of an answer."""
    return {"text": text, "model": model, **usage.model_dump()}


class _OverBudgetError(Exception):
    """The ledger refused a reservation."""


def _backoff(attempt: int, retry_after: float | None, chance: random.Random) -> float:
    """Seconds before the next call: what the endpoint asks, else doubling from half a second with jitter."""
    if retry_after is not None:
        return retry_after + chance.uniform(0.0, 0.25)
    return min(_LONGEST_WAIT, 0.5 * 2 ** (attempt - 1)) * chance.uniform(0.5, 1.0)


def _excerpt(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 120 else flat[:117] + "..."
