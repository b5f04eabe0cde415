"""Answers that come as event streams."""

import json

import pytest

from autointerp.lmm.endpoint_errors import words_of
from autointerp.lmm.response import error_within, is_stream, read_completion, read_stream


def chunk(finish: str | None = None, **delta: object) -> str:
    return "data: " + json.dumps({"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def stream(*lines: str, between: str = "\n\n") -> bytes:
    return "".join(line + between for line in lines).encode()


@pytest.mark.parametrize("between", ["\n\n", "\r\n\r\n", "\r\r"])
def test_the_pieces_of_a_reply_are_put_together(between: str):
    usage = 'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}'
    lines = [
        chunk(role="assistant"),
        chunk(content='{"odd"'),
        chunk(content=": 2}"),
        chunk("stop"),
        usage,
        "data: [DONE]",
    ]

    completion = read_completion(read_stream(stream(*lines, between=between)), None)

    assert (completion.text, completion.finish, completion.model) == ('{"odd": 2}', "stop", "m")
    assert (completion.input_tokens, completion.output_tokens) == (9, 4)


@pytest.mark.parametrize(
    "lines",
    [
        [": OPENROUTER PROCESSING", chunk(content="a"), ": ping", "data: [DONE]"],
        ["event: message\nid: 1\n" + chunk(content="a"), "data:[DONE]"],
        ["retry: 10\n" + chunk("stop", content="a")],
        ["data: {\ndata: " + chunk("stop", content="a")[7:]],
        [chunk(content="a"), 'data: {"choices": [{"index": 1, "delta": {"content": "other"}}]}', "data: [DONE]"],
        ['data: {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}'],
        ['data: {"choices": [{"text": "a"}]}', "data: [DONE]", "data: after the end"],
        [chunk(content="half"), 'data: {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}'],
        [chunk(content=[{"type": "text", "text": "a"}]), "data: [DONE]"],
        ["\n".join([chunk(content="a"), chunk("stop"), "data: [DONE]"])],
        [chunk(content="a"), "data: [done]"],
    ],
)
def test_comments_other_fields_and_other_choices_are_passed_over(lines: list[str]):
    whole = stream(*lines)

    assert is_stream(whole)
    assert read_completion(read_stream(whole), None).text == "a"


@pytest.mark.parametrize("finishes", [["length"], ["length", "stop"], ["stop", "length"]])
def test_a_reply_cut_at_its_length_is_told_as_such(finishes: list[str]):
    whole = read_stream(stream(chunk(content="a"), *map(chunk, finishes)))

    assert read_completion(whole, None).finish == "length"


@pytest.mark.parametrize(
    "pieces",
    [
        [{"reasoning_text": '{"odd"'}, {"reasoning_text": ": 2}"}],
        [{"thinking_blocks": [{"type": "thinking", "thinking": text}]} for text in ('{"odd"', ": 2}")],
        [{"tool_calls": [{"index": 0, "function": {"arguments": text}}]} for text in ('{"odd"', ": 2}")],
    ],
)
def test_an_answer_beside_the_content_is_put_together_too(pieces: list[dict[str, object]]):
    whole = read_stream(stream(*(chunk(None, **piece) for piece in pieces), chunk("stop")))

    assert read_completion(whole, None).text == '{"odd": 2}'


@pytest.mark.parametrize("said", ['{"message": "no credit"}', "no credit", '{"error": {"message": "no credit"}}'])
def test_an_event_of_an_error_is_one(said: str):
    assert words_of(error_within(read_stream(stream(chunk(content="a"), f"event: error\ndata: {said}")))) == "no credit"


@pytest.mark.parametrize(
    "whole",
    [
        stream(chunk(content="a")),
        stream(chunk(content="a"))[:-20],
        stream("data: 7", "data: [DONE]"),
        stream("data: {", "data: [DONE]"),
        b": only a comment\n\n",
    ],
)
def test_a_stream_without_its_end_is_no_answer(whole: bytes):
    with pytest.raises(ValueError, match=r"."):
        read_stream(whole)


def test_an_error_in_a_stream_stays_one():
    whole = read_stream(stream(chunk(content="half"), 'data: {"error": {"message": "gone", "code": 502}}'))

    assert whole["error"] == {"message": "gone", "code": 502}


@pytest.mark.parametrize("content", [b'{"data": 1}', b"<html>", b"", b"[]"])
def test_json_is_no_stream(content: bytes):
    assert not is_stream(content)
