"""Endpoints that see, answer rightly, and fail by a seeded schedule; they count what was paid for."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from aiohttp import web
from standin.batches import BatchServer
from standin.mind import Question, answer, as_text
from standin.offline import Line, answered
from standin.server import StandIn

from benchmarks.reliability.faults import FAULTS


@dataclass
class Endpoint(StandIn):
    """An endpoint for questions asked one by one."""

    async def _reply(
        self, request: web.Request, digest: str, payload: dict[str, object], question: Question, fault: str | None
    ) -> web.StreamResponse:
        if fault is None:
            return await super()._reply(request, digest, payload, question, None)
        kind = FAULTS[fault]
        completion = self._completion(payload, as_text(answer(question)), None)
        response = await kind.send(request, completion, kind.timeout)
        if kind.answers:
            self.answered[digest] += 1
        return response

    @property
    def paid_twice(self) -> int:
        """Usable answers that reached a client and were asked for again."""
        return self.answered.total() - len(self.answered)


@dataclass
class Batches(BatchServer):
    """An endpoint for batch jobs: its results have faulty lines, or its connections fail."""

    fault: str | None = None
    rate: float = 0.0
    seed: int = 0
    usable: Counter[str] = field(default_factory=Counter)
    """Right answers in results, by question."""
    came: Counter[str] = field(default_factory=Counter)
    """How often each question came."""
    requests: int = 0
    struck: int = 0
    """Lines and requests that went wrong."""

    def __post_init__(self) -> None:
        self.spoil = self._spoilt

    @property
    def paid_twice(self) -> int:
        """Questions that were answered usably more than once."""
        return self.usable.total() - len(self.usable)

    def settle(self, fault: str | None, rate: float) -> None:
        """From here on it fails like this, and its counts begin anew."""
        self.fault, self.rate, self.requests, self.struck = fault, rate, 0, 0
        self.came.clear()

    def _fails(self, what: str) -> bool:
        fails = self.fault is not None and Random(f"{self.seed}:{what}").random() < self.rate
        self.struck += fails
        return fails

    def _spoilt(self, number: int, lines: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
        good: list[Line] = []
        bad: list[Line] = []
        spoil = FAULTS[self.fault].spoil if self.fault is not None else None
        for line in lines:
            result, key = answered(line), str(line["custom_id"])
            self.came[key] += 1
            if spoil is None or not self._fails(f"{self.came[key]}:{key}"):
                self.usable[key] += 1
                good.append(result)
                continue
            response = result["response"]
            assert isinstance(response, dict)
            status, body = spoil(response["body"])
            response |= {"status_code": status, "body": body}
            (good if status == 200 else bad).append(result)
            self.usable[key] += FAULTS[str(self.fault)].answers
        self.usable = +self.usable
        return "completed", good, bad

    @web.middleware
    async def _keyed(self, request: web.Request, handler: Callable) -> web.StreamResponse:
        """Faults of the connection, or of the server as a whole, strike any request."""
        self.requests += 1
        fault = FAULTS[self.fault] if self.fault is not None else None
        if fault is None or not fault.transport or not self._fails(f"request {self.requests}"):
            return await handler(request)
        response = await handler(request)
        assert isinstance(response, web.Response)
        try:
            value = json.loads(bytes(response.body or b""))
        except ValueError:
            value = None
        # The reply that is sent twice or under another type is the right one, where it can be told.
        return response if fault.answers and value is None else await fault.send(request, value or {}, fault.timeout)
