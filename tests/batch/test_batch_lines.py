"""Lines of batch files: what goes out, and what may come back."""

import json
from pathlib import Path

import pytest
from builders import question
from hypothesis import given
from hypothesis import strategies as st

from autointerp.batch.lines import Answered, Errored, LineError, lines_of, read_result, reply_of, request_line, shape_of
from autointerp.lmm.request import Request
from autointerp.replies import JudgeReply, NumberReply, Reply, judge_reply, number_reply

CHOICE = {"message": {"content": "yes"}, "finish_reason": "stop"}
COMPLETION = {
    "model": "m-2026",
    "choices": [CHOICE],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5},
}


def result(**fields: object) -> bytes:
    return json.dumps({"id": "b", "custom_id": "k", "response": None, "error": None} | fields).encode()


def responded(status: object, body: object) -> bytes:
    return result(response={"status_code": status, "request_id": "r", "body": body})


def test_a_request_is_one_line_of_openais_format():
    line = request_line("a" * 64, b'{"model":"m"}')

    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "custom_id": "a" * 64,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m"},
    }


def test_an_answer_is_read_as_the_door_would_read_it():
    read = read_result(responded(200, COMPLETION))

    assert isinstance(read, Answered)
    assert (read.key, read.completion.text, read.completion.model) == ("k", "yes", "m-2026")
    assert (read.completion.input_tokens, read.completion.output_tokens) == (10, 5)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (responded(500, {"error": {"message": "broken"}}), "http_500"),
        (responded(429, {"error": {"message": "slow down"}}), "rate_limited"),
        (responded(400, {"detail": "bad"}), "http_400"),
        (responded(400, None), "http_400"),
        (responded(503, "overloaded"), "http_503"),
        (responded(200, {"choices": []}), "http_200"),
        (responded(200, None), "http_200"),
        (responded(200, []), "http_200"),
        (responded(200, "<html>"), "http_200"),
        (responded(200, {"choices": [{"finish_reason": "error", "error": {"code": 502}}]}), "http_502"),
        (responded(200, {"error": {"code": 502, "message": "upstream"}}), "http_502"),
        (responded(200, {"error": "upstream"}), "error"),
        (result(error={"code": "batch_expired", "message": "late"}), "batch_expired"),
        (result(error={"code": "Not Good!" + "x" * 99}), "not_good_" + "x" * 31),
        (result(error="nothing worked"), "error"),
        (result(error={"code": 404, "message": "no model"}), "http_404"),
    ],
)
def test_what_is_no_answer_has_a_kind(line: bytes, kind: str):
    read = read_result(line)

    assert isinstance(read, Errored)
    assert (read.key, read.kind) == ("k", kind)


@pytest.mark.parametrize(
    "body",
    [
        COMPLETION | {"choices": CHOICE},
        COMPLETION | {"choices": {"0": CHOICE}},
        COMPLETION | {"usage": "many"},
        json.dumps(COMPLETION),
    ],
)
def test_an_answer_in_an_odd_dress_is_read(body: object):
    read = read_result(responded(200, body))

    assert isinstance(read, Answered)
    assert read.completion.text == "yes"


@pytest.mark.parametrize(
    "line",
    [
        responded(400, {"error": {"message": "filtered", "code": "content_filter"}}),
        result(error={"code": "content_policy_violation", "message": "filtered"}),
        responded(200, {"choices": [{"message": {"content": None}, "finish_reason": "SAFETY"}]}),
    ],
)
def test_a_refused_question_is_answered_by_a_refusal(line: bytes):
    read = read_result(line)

    assert isinstance(read, Answered)
    assert read.completion.finish == "content_filter"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"7", "not an object"),
        (b"{}", "no custom_id"),
        (result(custom_id=7), "no custom_id"),
        (result(custom_id=""), "no custom_id"),
        (result(), "neither response nor error"),
        (result(response=[]), "neither response nor error"),
        (responded("200", COMPLETION), "response without a status_code"),
        (responded(True, COMPLETION), "response without a status_code"),
    ],
)
def test_what_is_no_result_says_why(line: bytes, why: str):
    with pytest.raises(LineError, match=why):
        read_result(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, JSON, JSON)
def test_any_json_is_a_result_or_a_line_error(response: object, error: object, body: object):
    for line in (result(response=response, error=error), responded(200, body), responded(400, body)):
        try:
            read = read_result(line)
        except LineError:
            continue
        assert read.key == "k"


def test_a_key_that_the_endpoint_repeats_is_taken_out_before_the_line_is_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123")

    read = read_result(responded(401, {"error": {"message": "x" * 150 + " sk-secret-0123"}}))

    assert isinstance(read, Errored)
    assert "sk-" not in read.message


class OwnReply(Reply):
    """A reply that is the same for every question of its task."""

    said: str


REPLIES: dict[str, type[Reply]] = {"tell": OwnReply, "judge": JudgeReply, "intruder": NumberReply}


@pytest.mark.parametrize(
    ("task", "reply", "shape"),
    [
        ("tell", OwnReply, "tell"),
        ("judge", judge_reply(12), "judge:12"),
        ("intruder", number_reply("odd", 5), "intruder:odd:5"),
        ("intruder", number_reply("odd", 1), "intruder:odd:1"),
        ("intruder", number_reply("odd", 5, sure=True), "intruder:odd:5:sure"),
    ],
)
def test_the_shape_of_a_reply_leads_back_to_it(task: str, reply: type[Reply], shape: str):
    asked = question(reply=reply)
    request = Request(asked.model, task, "", asked.messages, asked.reply_schema, 0.0, 50, 7)

    assert shape_of(request, REPLIES) == shape
    assert reply_of(shape, REPLIES) is reply


def test_a_line_that_is_too_long_to_be_held_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is read in parts, none of which is a result, and the lines around it are."""
    short = responded(200, COMPLETION)
    monkeypatch.setattr("autointerp.batch.lines._LONGEST", len(short) + 10)
    file = tmp_path / "out.jsonl"
    file.write_bytes(short + b"\n" + b"x" * (2 * len(short)) + b"\n" + short + b"\n")

    parts = list(lines_of(file))

    assert [isinstance(read_result(parts[i]), Answered) for i in (0, -1)] == [True, True]
    with pytest.raises(LineError, match="longer than"):
        read_result(parts[1])
