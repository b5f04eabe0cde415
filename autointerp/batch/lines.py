"""The lines of batch files, in OpenAI's format, which `vllm run-batch` shares: requests out, results in."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from autointerp.batch.endpoints import CHAT, Endpoint
from autointerp.errors import one_line
from autointerp.lmm.endpoint_errors import Meaning, status_of, verdict, words_of
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion, Request
from autointerp.lmm.response import body_of, encodable, error_within, read_completion
from autointerp.lmm.route import IMAGE_KEY_VARIABLES
from autointerp.replies import JudgeReply, NumberReply, Reply, judge_reply, number_reply

MOST_LINES = 50_000
"""Requests in one file; source: https://platform.openai.com/docs/guides/batch, read 2026-11-23."""
MOST_BYTES = 200_000_000
"""Bytes of one file; same source."""
_LONGEST = 64 << 20
"""Bytes of a line of results; a picture of 2,560 by 1,440 pixels in base64 takes some ten millions."""
Reader = Callable[[Mapping[str, object]], Completion]
"""Makes a completion of the body of an answer; raises CallError where it holds none."""
_MAX_KIND = 40
_MAX_MESSAGE = 160


def request_line(key: str, body: bytes, endpoint: Endpoint = CHAT) -> bytes:
    """Returns one request as a line of a batch file.

    Args:
        key: 64 hex digits, by which the result is known again.
        body: as `body_of` makes it, without a line break.
        endpoint: where it is asked.
    """
    head = f'{{"custom_id":"{key}","method":"POST","url":"{endpoint}","body":'
    return head.encode() + body + b"}\n"


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was answered, usably or not."""

    key: str
    completion: Completion


@dataclass(frozen=True, slots=True)
class Errored:
    """A request that was not answered."""

    key: str
    kind: str
    """http_<code>, rate_limited, malformed, or the endpoint's own word, e.g. batch_expired."""
    message: str
    """One line, from the endpoint."""
    complaint: str | None = None
    """Of a 400 or 422: what was said, which may be about one field of the body. Not to be shown."""
    remedy: str | None = None
    """Not None if no request can succeed until a setting is changed: what the user should do, with a place for {where}
    and one for {said}."""


class LineError(ValueError):
    """A line that is no result; says why."""


def of_chat(answer: Mapping[str, object]) -> Completion:
    """The completion in an answer of chat completions; raises CallError where there is none."""
    return read_completion(answer, None)


def lines_of(path: Path) -> Iterator[bytes]:
    """Yields the lines of a file; of one that is too long to be read, its beginning and then each further part."""
    with path.open("rb") as opened:
        while line := opened.readline(_LONGEST):
            yield line


def read_result(line: bytes, reader_of: Callable[[str], Reader] = lambda _: of_chat) -> Answered | Errored:
    """One line of a result or error file.

    Args:
        line: as it stands there.
        reader_of: says by the key of a question how its answer is read.

    Raises:
        LineError: it is not JSON, or not a result.
    """
    if len(line) == _LONGEST:
        raise LineError(f"longer than {_LONGEST >> 20} MB")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as e:
        raise LineError("not JSON") from e
    if not isinstance(record, dict):
        raise LineError("not an object")
    key, response, error = (record.get(name) for name in ("custom_id", "response", "error"))
    if not isinstance(key, str) or not key:
        raise LineError("no custom_id")
    if isinstance(response, dict):
        return _responded(key, response, reader_of)
    if error:
        return _errored(key, None, error)
    raise LineError("neither response nor error")


def readable(path: Path, lines: int) -> bool:
    """Whether a file can be one of results: it has a line that is one, or is empty where none is expected.

    Args:
        path: the file.
        lines: results that it should hold.
    """
    said = False
    for line in filter(bytes.strip, lines_of(path)):
        said = True
        try:
            read_result(line)
        except LineError:
            continue
        return True
    return not said and lines == 0


def _responded(key: str, response: Mapping[str, object], reader_of: Callable[[str], Reader]) -> Answered | Errored:
    status, body = response.get("status_code"), response.get("body")
    if not isinstance(status, int) or isinstance(status, bool):
        raise LineError("response without a status_code")
    if status != 200:
        return _errored(key, status, body)
    try:
        answer = body_of(body.encode("utf-8", "replace")) if isinstance(body, str) else body
        answer = answer if isinstance(answer, Mapping) else {}
        if (error := error_within(answer)) is not None:
            return _errored(key, None, error)
        return Answered(key, reader_of(key)(answer))
    except CallError as e:
        return Errored(key, e.kind, e.message)


def _errored(key: str, status: int | None, said: object) -> Answered | Errored:
    error = said.get("error") or said if isinstance(said, dict) else said
    status = status or status_of(error)
    # Keys go before the line is cut, lest a part of one stay.
    message = without_keys(one_line(encodable(words_of(error) or str(error))))
    means = verdict(status, error)
    if means.meaning is Meaning.REFUSED:
        return Answered(key, Completion("", 0, 0, 0, "content_filter", message[:_MAX_MESSAGE], ""))
    code = error.get("code") if isinstance(error, dict) else None
    if status is not None:
        kind = "rate_limited" if status == 429 else f"http_{status}"[:_MAX_KIND]
    else:
        kind = re.sub(r"[^a-z0-9_]+", "_", str(code or "error").lower())[:_MAX_KIND]
    param = error.get("param") if isinstance(error, dict) else None
    field = status in (400, 422) and means.remedy is None
    complaint = f"{message} {code or ''} {param or ''}" if field else None
    return Errored(key, kind, message[:_MAX_MESSAGE], complaint, means.remedy)


def without_keys(text: str) -> str:
    """The text with every key of the environment taken out: endpoints repeat a wrong one."""
    for name in IMAGE_KEY_VARIABLES:
        if key := os.environ.get(name, "").strip():
            text = text.replace(key, "[key]")
    return text


def shape_of(request: Request, replies: Mapping[str, type[Reply]]) -> str:
    """What kind of reply a request asks for, in a word: `explain`, `judge:12`, `TASK:KEY:5`, `TASK:KEY:5:sure`.

    Args:
        request: the question.
        replies: the type of reply of each task, as `Task.reply`.
    """
    reply = replies[request.task]
    if not issubclass(reply, JudgeReply | NumberReply):
        return request.task
    fields: dict[str, dict[str, object]] = json.loads(request.reply_schema)["properties"]
    if issubclass(reply, JudgeReply):
        return f"{request.task}:{len(fields)}"
    (name, field), *more = fields.items()
    numbers = field.get("enum")
    shape = f"{request.task}:{name}:{len(numbers) if isinstance(numbers, list) else 1}"
    return f"{shape}:sure" if more else shape


def reply_of(shape: str, replies: Mapping[str, type[Reply]]) -> type[Reply]:
    """The reply that `shape_of` spoke of."""
    match shape.split(":"):
        case [task]:
            return replies[task]
        case [_, n]:
            return judge_reply(int(n))
        case [_, key, n]:
            return number_reply(key, int(n))
        case [_, key, n, "sure"]:
            return number_reply(key, int(n), sure=True)
        case _:
            raise ValueError(f"{shape!r} is not the shape of a reply")
