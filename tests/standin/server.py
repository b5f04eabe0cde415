"""A stand-in of an OpenAI-compatible endpoint that sees: real HTTP, real pictures, and faults by a seeded schedule."""

import asyncio
import hashlib
import json
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import TracebackType

from aiohttp import web
from standin.mind import Question, answer, as_text, parts_with_uuid, read
from standin.served import MOST, Served
from standin.vectors import vector_of

TRANSIENT = (
    "429",
    "429 after",
    "500",
    "503",
    "hang",
    "cut",
    "cut inside",
    "empty",
    "no json",
    "error in 200",
)
"""Faults of one call, after which the same call may succeed."""
REPLIES = ("prose", "truncated")
"""Replies that must be asked for again."""
HARMLESS = ("fenced", "thinking")
"""Replies with the answer inside."""
REFUSALS = ("refusal", "refusal in prose", "content filter")
ALL_FAULTS = (*TRANSIENT, *REPLIES, *HARMLESS, *REFUSALS)


@dataclass(frozen=True)
class Call:
    """One request as the server saw it."""

    digest: str
    """SHA-256 of the body, hex."""
    question: Question | None
    """None where the server did not look at it."""
    status: int
    fault: str | None
    fields: frozenset[str]
    """Top-level keys of the body."""


@dataclass
class StandIn(Served):
    """Use as a context manager; every setting may be changed between requests."""

    delay: float = 0.0
    """Seconds before each answer."""
    fault_rate: float = 0.0
    """Share of calls that go wrong, drawn by seed, body and how often the body came before."""
    fault_kinds: tuple[str, ...] = ALL_FAULTS
    seed: int = 0
    key: str | None = None
    """If set, other keys get a 401 that echoes the one that came."""
    status: tuple[int, str] | None = None
    """If set, every answer has this status and message."""
    rejects: tuple[str, ...] = ()
    """Fields refused with a 400: response_format, temperature, max_tokens, seed."""
    store: OrderedDict[str, str] | None = None
    """If set, pictures by uuid as vLLM keeps them; a picture that is only named is looked up here."""
    store_size: int = 1000
    """Pictures kept; the oldest go first."""
    input_tokens: int = 1000
    """As every answer reports; 0: answers report no usage."""
    text_of: Callable[[Question, dict[str, object]], str] | None = None
    """Makes the reply's text from the question and the obedient answer."""
    on_call: Callable[[int], None] | None = None
    """Told the number of each call when it has been read."""
    calls: list[Call] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    """Bodies whose usable answer was written to a client that was still there."""
    embedded: list[str] = field(default_factory=list)
    """Texts whose vectors were asked for."""
    last_headers: Mapping[str, str] = field(default_factory=dict)
    named: int = 0
    """Pictures that were looked up."""
    port: int = 0
    puzzled: list[Exception] = field(default_factory=list)
    """What made no sense; raised at the end."""
    _came: Counter[str] = field(default_factory=Counter)
    _at_work: set[asyncio.Task[object]] = field(default_factory=set)

    def forget(self) -> None:
        """Empties the records."""
        self.calls.clear()
        self.answered.clear()
        self._came.clear()

    def settle(self) -> None:
        """Returns once no request is being answered, those of a client that is gone included."""
        asyncio.run_coroutine_threadsafe(self._idle(), self._loop).result()

    async def _idle(self) -> None:
        # A few rounds of the loop take in what came before this was asked.
        for _ in range(10):
            await asyncio.sleep(0)
            while self._at_work:
                await asyncio.wait(set(self._at_work))

    def questions(self, task: str) -> list[Question]:
        """Those looked at, of one task."""
        return [c.question for c in self.calls if c.question is not None and c.question.task == task]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self.puzzled:
            raise self.puzzled[0]

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MOST)
        app.router.add_post("/v1/chat/completions", self._handle)
        app.router.add_post("/v1/embeddings", self._embed)
        return app

    async def _embed(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked["model"] == "nobody":
            return _error(404, "The model `nobody` does not exist.")
        (text,) = asked["input"]
        self.embedded.append(text)
        return web.json_response({"data": [{"index": 0, "embedding": vector_of(text)}]})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        try:
            return await self._answer(request)
        except (AssertionError, LookupError, ValueError) as e:
            # A prompt that makes no sense to a reader is the test's business, not one more fault to try again.
            self.puzzled.append(e)
            return _error(400, f"the stand-in does not understand this request: {e!r}")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.last_headers = dict(request.headers)
        digest = hashlib.sha256(body).hexdigest()
        number = self._came[digest]
        self._came[digest] += 1
        payload = json.loads(body)
        if self.on_call is not None:
            self.on_call(len(self.calls) + 1)
        refused = self._refused(request, payload)
        if refused is not None:
            self._note(digest, payload, None, refused[0], None)
            return _error(*refused)
        unknown = self._restored(payload)
        if unknown is not None:
            self._note(digest, payload, None, 400, None)
            return _error(400, unknown)
        fault = self._fault(digest, number)
        question = read(payload)
        self._note(digest, payload, question, 200, fault)
        if self.delay:
            await asyncio.sleep(self.delay)
        return await self._reply(request, digest, payload, question, fault)

    def _note(
        self, digest: str, payload: Mapping[str, object], question: Question | None, status: int, fault: str | None
    ) -> None:
        self.calls.append(Call(digest, question, status, fault, frozenset(payload)))

    def _refused(self, request: web.Request, payload: Mapping[str, object]) -> tuple[int, str] | None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.key is not None and given != self.key:
            return 401, f"Incorrect API key provided: {given}."
        if self.status is not None:
            return self.status[0], self.status[1].replace("{key}", given)
        for name in self.rejects:
            # The other spelling of max_tokens is another field.
            if name in payload:
                return 400, f"Unsupported parameter: '{name}' is not supported with this model."
        return None

    def _restored(self, payload: Mapping[str, object]) -> str | None:
        """Puts the pictures that are only named into the payload; the complaint where one is not there."""
        for part in parts_with_uuid(payload):
            assert self.store is not None, "a uuid came to a server that knows none"
            if part["image_url"] is not None:
                self.store[part["uuid"]] = part["image_url"]["url"]
                while len(self.store) > self.store_size:
                    self.store.popitem(last=False)
            elif part["uuid"] in self.store:
                part["image_url"] = {"url": self.store[part["uuid"]]}
                self.named += 1
            else:
                return f"Expected a cached item for uuid {part['uuid']}"
        return None

    def _fault(self, digest: str, number: int) -> str | None:
        chance = Random(f"{self.seed}:{digest}:{number}")
        return chance.choice(self.fault_kinds) if chance.random() < self.fault_rate else None

    async def _reply(
        self,
        request: web.Request,
        digest: str,
        payload: Mapping[str, object],
        question: Question,
        fault: str | None,
    ) -> web.StreamResponse:
        transport = request.transport
        if fault == "hang":
            await asyncio.sleep(30)
        if fault in ("cut", "cut inside"):
            return await _cut(request, half=fault == "cut inside")
        if fault in _STATUS:
            status, message, headers = _STATUS[fault]
            return _error(status, message, headers)
        if fault in _BODY:
            return web.Response(text=_BODY[fault], content_type="application/json")
        value = answer(question)
        text = self.text_of(question, value) if self.text_of is not None else as_text(value)
        response = web.json_response(self._completion(payload, text, fault))
        if transport is None or transport.is_closing():
            return response
        await response.prepare(request)
        await response.write_eof()
        if fault is None or fault in HARMLESS:
            self.answered[digest] += 1
        return response

    def _completion(self, payload: Mapping[str, object], text: str, fault: str | None) -> dict[str, object]:
        message, finish = _message(text, fault)
        whole: dict[str, object] = {
            "id": "x",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": payload["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        }
        if self.input_tokens:
            whole["usage"] = {"prompt_tokens": self.input_tokens, "completion_tokens": 50}
        return whole


def _message(text: str, fault: str | None) -> tuple[dict[str, object], str]:
    """The message and its finish_reason."""
    odd: dict[str | None, tuple[dict[str, object], str]] = {
        "prose": ({"content": "These are shapes. Some of them {perhaps all} fire the feature."}, "stop"),
        "truncated": ({"content": text[: len(text) // 2]}, "length"),
        "fenced": ({"content": f"Here you are:\n```json\n{text}\n```\nAnything else?"}, "stop"),
        "thinking": ({"content": f'<think>{{"explanation": "no"}} or so? {{</think>\n{text}'}, "stop"),
        "refusal": ({"content": None, "refusal": "I can't help\nwith shapes."}, "stop"),
        "refusal in prose": ({"content": "I'm sorry, but I can't describe these images."}, "stop"),
        "content filter": ({"content": ""}, "content_filter"),
    }
    said, finish = odd.get(fault, ({"content": text}, "stop"))
    return {"role": "assistant"} | said, finish


_STATUS: dict[str, tuple[int, str, dict[str, str]]] = {
    "429": (429, "Rate limit reached", {}),
    "429 after": (429, "Rate limit reached", {"Retry-After": "0"}),
    "500": (500, "The server had an error", {}),
    "503": (503, "Overloaded", {"retry-after-ms": "20"}),
}
_BODY = {
    "empty": "",
    "no json": "<html><body>gateway</body></html>",
    "error in 200": '{"error": {"code": 502, "message": "upstream"}}',
}


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {"error": {"message": message, "type": "x", "param": None, "code": None}}
    return web.json_response(body, status=status, headers=headers)


async def _cut(request: web.Request, *, half: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "4000"})
    transport = request.transport
    if half:
        await response.prepare(request)
        await response.write(b'{"choices": [{"message": {"content": "')
    assert transport is not None
    transport.abort()
    return response
