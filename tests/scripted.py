"""A client that answers by script, and questions put to a gateway over it in simulated time."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager

import pytest
from builders import question
from virtual_time import clock, simulate

from autointerp.errors import EndpointError
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Answer, CallError, Failure
from autointerp.lmm.request import Completion, Images, Request
from autointerp.replies import JudgeReply, judge_reply

YES, NO = '{"image_1": "yes"}', '{"image_1": "no"}'
ONE = judge_reply(1)
Step = str | Completion | Exception


def completion(
    text: str, *, finish: str = "stop", refusal: str | None = None, used: tuple[int, int] = (10, 5)
) -> Completion:
    """What the model `m-2026` said, for 10 tokens in and 5 out."""
    return Completion(text, used[0], used[1], 0, finish, refusal, "m-2026")


class Script:
    """Answers with the given steps in turn, then with the last one; each takes a second."""

    def __init__(self, *steps: Step) -> None:
        self.steps: list[Step] = list(steps)
        self.asked: list[Request] = []
        self.times: list[float] = []
        self.busy = 0
        self.peak = 0

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        self.asked.append(request)
        async with slot:
            self.times.append(clock())
            self.busy += 1
            self.peak = max(self.peak, self.busy)
            try:
                await asyncio.sleep(1)
            finally:
                self.busy -= 1
        if isinstance(step, Exception):
            raise step
        return completion(step) if isinstance(step, str) else step


class NoImages:
    """No question of these tests shows a picture."""

    async def jpeg(self, picture: object) -> bytes:
        raise NotImplementedError

    async def jpegs(self, pictures: Sequence[object]) -> list[bytes]:
        raise NotImplementedError

    async def tile(self, tile: object, side: int):
        raise NotImplementedError


MakeGateway = Callable[..., Gateway]


def ask(gateway: Gateway, text: str = "Does it fit?") -> Answer[JudgeReply] | Failure:
    return simulate(gateway.ask(question(text), ONE))


def ask_all(gateway: Gateway, texts: Sequence[str]) -> list[Answer[JudgeReply] | Failure]:
    async def main():
        return await asyncio.gather(*(gateway.ask(question(text), ONE) for text in texts))

    return simulate(main())


def answer_of(outcome: Answer[JudgeReply] | Failure) -> Answer[JudgeReply]:
    assert isinstance(outcome, Answer), outcome
    return outcome


def failure_of(outcome: Answer[JudgeReply] | Failure) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


def overloaded(retry_after: float | None = None) -> CallError:
    return CallError("rate_limited", "slow down", again=True, overload=True, retry_after=retry_after)


@contextmanager
def endpoint_error(match: str) -> Iterator[None]:
    with pytest.raises(EndpointError, match=match):
        yield
