"""What is read of an answer: each field by itself, however odd the others are."""

import pytest

from autointerp.lmm.response import body_of, count_of, error_within, finish_of, read_completion


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        (7, 7),
        ("7", 7),
        (None, 0),
        (-5, 0),
        (10**400, 0),
        (10**8, 10**8),
        (10**8 + 1, 0),
        (float("inf"), 0),
        (float("-inf"), 0),
        (7.0, 7),
        ("7.0", 7),
        (7.5, 0),
        ("n/a", 0),
        (True, 0),
    ],
)
def test_a_number_of_tokens_is_within_what_can_be(said: object, tokens: int):
    assert count_of(said) == tokens


def test_no_more_tokens_come_from_a_cache_than_came_at_all():
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 90}}

    completion = read_completion({"choices": [{"message": {"content": "x"}}], "usage": usage}, None)

    assert (completion.input_tokens, completion.cached_tokens) == (10, 10)


@pytest.mark.parametrize(
    "usage",
    [
        "many",
        None,
        [],
        {"prompt_tokens": "n/a", "completion_tokens": "n/a"},
        {"prompt_tokens": float("nan"), "completion_tokens": 4},
        {"prompt_tokens": [9], "completion_tokens": {"n": 4}},
        {"prompt_tokens": -9, "completion_tokens": 4},
        {"prompt_tokens": 9, "completion_tokens": "n/a"},
        {"prompt_tokens": 10**30, "completion_tokens": 4},
    ],
)
def test_a_usage_that_cannot_be_read_is_unknown_and_costs_no_answer(usage: object):
    completion = read_completion({"choices": [{"message": {"content": "x"}}], "usage": usage}, None)

    assert (completion.text, completion.input_tokens, completion.cached_tokens) == ("x", 0, 0)


@pytest.mark.parametrize("details", [[{"modality": "TEXT", "tokenCount": 3}], "3", None, {"cached_tokens": "n/a"}])
def test_odd_details_leave_the_usage_as_it_is(details: object):
    usage = {"prompt_tokens": "900.0", "completion_tokens": 40, "prompt_tokens_details": details}

    completion = read_completion({"choices": [{"message": {"content": "x"}}], "usage": usage}, None)

    assert (completion.input_tokens, completion.output_tokens, completion.cached_tokens) == (900, 40, 0)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        (["a", "b"], "ab"),
        ([{"type": "text", "text": None}, {"type": "text", "text": "a"}], "a"),
        ([{"type": "output_text", "text": "a"}, None, 7], "a"),
        ([{"type": "text", "text": {"value": "a"}}], "a"),
        ([{"content": [{"parts": ["a", {"text": "b"}]}]}], "ab"),
        ([{"type": "json", "json": {"odd": 2}}], '{"odd": 2}'),
        ([{"type": "thinking", "thinking": "draft"}, {"type": "text", "text": "a"}], "a"),
        ([{"text": "draft", "thought": True}, {"text": "a"}], "a"),
        ({"type": "text", "text": "a"}, "a"),
        ({"odd": 2}, '{"odd": 2}'),
    ],
)
def test_content_is_read_in_every_shape(content: object, text: str):
    assert read_completion({"choices": [{"message": {"content": content}}]}, None).text == text


@pytest.mark.parametrize(
    "body",
    [
        {"choices": {"index": 0, "message": {"content": "a"}}},
        {"choices": {"0": {"message": {"content": "a"}}}},
        {"choices": [None, {"message": {"content": "a"}}]},
        {"choices": ["a"]},
        {"choices": [{"message": "a"}]},
        {"choices": [{"message": None, "text": "a"}]},
        {"choices": [{"delta": {"content": "a"}}]},
        {"message": {"role": "assistant", "content": "a"}, "done": True},
        {"choices": [{"message": {"content": "a"}}], "error": {"code": 0, "message": "success"}},
        {"choices": [{"message": {"content": "a", "refusal": "None"}}], "error": {"code": "200", "message": "OK"}},
        {"choices": [{"message": {"content": "a"}}], "model": None, "error": None},
        {"choices": [{"message": {"content": "a", "refusal": ""}}], "model": ["m"], "error": {}},
    ],
)
def test_a_message_is_found_wherever_it_stands(body: dict[str, object]):
    completion = read_completion(body, None)

    assert error_within(body) is None
    assert (completion.text, completion.refusal, completion.model) == ("a", None, "")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None, "reasoning_content": 'so: {"odd": 2}'}, 'so: {"odd": 2}'),
        ({"content": "", "reasoning": 'so:\n```json\n{"odd": 2}\n```\n'}, 'so:\n```json\n{"odd": 2}\n```\n'),
        ({"content": " ", "thinking": '{"odd": 2}'}, '{"odd": 2}'),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": '{"odd": 2}'}]}]}, '{"odd": 2}'),
        ({"reasoning_details": [{"type": "reasoning.text", "text": '{"odd": 2}'}]}, '{"odd": 2}'),
        ({"content": "<think>\n</think>", "reasoning_text": '{"odd": 2}'}, '{"odd": 2}'),
        ({"thinking_blocks": [{"type": "thinking", "thinking": '{"odd": 2}'}]}, '{"odd": 2}'),
        ({"thought": '{"odd": 2}'}, '{"odd": 2}'),
        ({"tool_calls": [{"function": {"name": "reply", "arguments": '{"odd": 2}'}}]}, '{"odd": 2}'),
        ({"content": None, "parsed": {"odd": 2}}, '{"odd": 2}'),
        ({"content": "a", "reasoning_content": '{"odd": 2}'}, "a"),
        ({"content": "", "reasoning_content": 'a draft is {"odd": 2} but wait, image 3'}, ""),
    ],
)
def test_an_answer_that_stands_beside_an_empty_content_is_found_and_a_draft_is_not(
    message: dict[str, object], text: str
):
    assert read_completion({"choices": [{"message": message, "finish_reason": "stop"}]}, None).text == text


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        *(
            (word, "length")
            for word in ("length", "max_tokens", "MAX_TOKENS", "length_limit", "truncated", "maxTokens")
        ),
        *((word, "length") for word in ("model_length", "model_context_window_exceeded", "FINISH_REASON_MAX_TOKENS")),
        ({"type": "length", "length": 16}, "length"),
        *(
            (word, "content_filter")
            for word in ("content_filter", "SAFETY", "ContentFilter", "content-filter", "refusal")
        ),
        *((word, "content_filter") for word in ("content_filter: PROHIBITED_CONTENT", "RECITATION", "sensitive")),
        *(
            (word, "length")
            for word in ("out_of_tokens", "output_limit", "partial", "cut_off", "repetition_truncation")
        ),
        *((word, "content_filter") for word in ("policy_violation", "harmful")),
        *((word, "error") for word in ("error", "abort", "network_error", "insufficient_system_resource")),
        *(
            (word, "error")
            for word in ("error_finish", "engine_error", "compute_time_limit", "interrupted", "preempted")
        ),
        *((word, "stop") for word in ("stop", "STOP", "eos_token", "end_turn", "tool_calls", "</s>", None, 7, "")),
    ],
)
def test_a_finish_reason_counts_by_its_meaning(said: object, finish: str):
    assert finish_of({"finish_reason": said}) == finish


def test_a_body_that_a_gateway_wraps_is_read():
    body = body_of(b'{"code": 0, "message": "ok", "data": {"choices": [{"message": {"content": "a"}}]}}')

    assert error_within(body) is None
    assert read_completion(body, None).text == "a"


def test_a_part_that_refuses_is_a_refusal():
    message = {"content": [{"type": "refusal", "refusal": "I cannot."}]}

    assert read_completion({"choices": [{"message": message}]}, None).refusal == "I cannot."


def test_a_number_too_long_to_read_costs_no_answer():
    said = b'{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": ' + b"9" * 5000 + b"}}"

    completion = read_completion(body_of(said), None)

    assert (completion.text, completion.input_tokens) == ("a", 0)


def test_a_cut_reply_under_another_name_of_the_reason_is_cut():
    body = {"choices": [{"message": {"content": "x"}, "finish_reason": None, "stop_reason": "max_tokens"}]}

    assert read_completion(body, None).finish == "length"


def test_the_name_of_a_model_is_one_short_line():
    body = {"choices": [{"message": {"content": "x"}}], "model": "m\x1b[31m\n" + "x" * 999}

    assert read_completion(body, None).model == "m [31m " + "x" * 193
