"""Answers batch files as `vllm run-batch` does, by the mind of the stand-in; and breaks their results by hand."""

import base64
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

from PIL import Image
from standin.mind import Question, answer, as_text, read

ENDPOINTS = ("/v1/chat/completions", "/v1/images/generations", "/v1/images/edits")
Line = dict[str, object]
Fate = Callable[[int, Line], Line | None]
"""What becomes of a result, by its place in the file; None: it never came."""


def requests(*files: Path) -> list[Line]:
    """The lines of batch files, in order."""
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


def keys(lines: Iterable[Mapping[str, object]]) -> list[str]:
    """Of requests or results."""
    return [cast("str", line["custom_id"]) for line in lines]


def question_of(line: Mapping[str, object]) -> Question:
    """What a request asks."""
    assert line["method"] == "POST"
    assert line["url"] == ENDPOINTS[0]
    return read(cast("Mapping[str, object]", line["body"]))


def answered(line: Mapping[str, object], text: str | None = None, **message: object) -> Line:
    """The result of a request, by default as the mind has it."""
    body = cast("Mapping[str, object]", line["body"])
    said = as_text(answer(question_of(line))) if text is None else text
    choice = {"index": 0, "message": {"role": "assistant", "content": said} | message, "finish_reason": "stop"}
    completion: Line = {
        "id": "x",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [choice],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 50},
    }
    response = {"status_code": 200, "request_id": "r", "body": completion}
    return {"id": "v", "custom_id": line["custom_id"], "response": response, "error": None}


def payload_of(line: Mapping[str, object]) -> dict[str, object]:
    """What a request asks of an Images API, an image and its mask as pictures."""
    assert line["method"] == "POST"
    assert line["url"] in ENDPOINTS[1:]
    body = dict(cast("Mapping[str, object]", line["body"]))
    if line["url"] == ENDPOINTS[2]:
        (image,) = cast("list[Line]", body.pop("images"))
        body |= {"image": _picture(image), "mask": _picture(cast("Line", body["mask"]))}
    return body


def _picture(part: Line) -> Image.Image:
    kind, _, encoded = str(part["image_url"]).partition("base64,")
    assert kind == "data:image/png;"
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def painted(line: Mapping[str, object], draw: Callable[[Mapping[str, object]], Image.Image], **more: object) -> Line:
    """The result of a request for a picture, which a function draws."""
    buffer = io.BytesIO()
    draw(payload_of(line)).save(buffer, "PNG")
    return painted_as(line, b64_json=base64.b64encode(buffer.getvalue()).decode(), **more)


def painted_as(line: Mapping[str, object], **item: object) -> Line:
    """The result of a request for a picture, with these fields."""
    response = {"status_code": 200, "request_id": "r", "body": {"created": 1, "data": [item]}}
    return {"id": "v", "custom_id": line["custom_id"], "response": response, "error": None}


def failed(line: Mapping[str, object], status: int, message: str = "no", code: str | None = None) -> Line:
    """A result that is an error, as OpenAI's error files have it."""
    body = {"error": {"message": message, "type": "x", "param": None, "code": code}}
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "v", "custom_id": line["custom_id"], "response": response, "error": None}


def expired(line: Mapping[str, object]) -> Line:
    """A request that the endpoint did not get to."""
    error = {"code": "batch_expired", "message": "This request could not be executed before the batch expired."}
    return {"id": "v", "custom_id": line["custom_id"], "response": None, "error": error}


def write(path: Path, lines: Iterable[Mapping[str, object]]) -> Path:
    """A result file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def answer_files(out: Path, *files: Path) -> Path:
    """A result file with an answer to every request."""
    return write(out, [answered(line) for line in requests(*files)])
