import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.lmm.parse import ReplyError, is_refusal, objects_in, parse_reply, reply_in, without_thinking
from autointerp.lmm.request import Completion
from autointerp.replies import judge_reply

YES = judge_reply(1)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)
PROSE = st.text(st.characters(exclude_characters='{}<>"', exclude_categories=("Cs",)))


@settings(deadline=None)
@given(OBJECTS, PROSE, PROSE)
def test_any_object_is_found_in_the_prose_around_it(value: dict[str, object], before: str, after: str):
    text = before + json.dumps(value) + after

    assert list(objects_in(text)) == [value]


@settings(deadline=None)
@given(OBJECTS)
def test_any_object_is_found_in_a_fence(value: dict[str, object]):
    text = "Here it is:\n```json\n" + json.dumps(value, indent=2, ensure_ascii=False) + "\n```\nDone."

    assert list(objects_in(text)) == [value]


@settings(deadline=None)
@given(PROSE)
def test_an_object_after_thinking_aloud_is_found_and_those_thought_of_are_not(thought: str):
    text = '<think>{"image_1": "no"} ' + thought + '</think>{"image_1": "yes"}'

    found = list(objects_in(without_thinking(text)))

    assert found == [{"image_1": "yes"}]


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1), st.integers(), min_size=1), st.data())
def test_a_truncated_object_is_no_object(value: dict[str, int], data: st.DataObject):
    whole = json.dumps(value)
    cut = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(ReplyError):
        parse_reply(whole[:cut], YES)


@pytest.mark.parametrize(
    "text",
    [
        'In the set {a, b} and {"x": oops} the answer is {"image_1": "yes"} {as asked}.',
        'A wrapper: {"answer": {"image_1": "yes"}, and then it broke',
        '[{"image_1": "yes"}]',
        '{"image_1": "no"} No, wait: {"image_1": "yes"}',
        '{"image_1": "yes"} {"image_2": "no"} {"note": 1}',
        '{"image_1": "yes", "why": "line\nbreak\tand \x01 control"}',
        '{"why": "a brace } and { in a text", "image_1": "yes"}',
        'As in {"image_1": ...}, so {"image_1": "yes"}',
        '{"image_1": "yes"} (the set {"a", "b"} was no help)',
        'the template opened the block</think>\n{"image_1": "yes"}',
        '<THINKING>{"image_1": "no"}</THINKING> {"image_1": "yes"}',
        '<think>one</think>{"image_1": "no"}<think>two</think>{"image_1": "yes"}',
        '{"n": ' + "1" * 5000 + '} {"image_1": "yes"}',
    ],
)
def test_the_last_object_that_is_what_was_asked_for_counts(text: str):
    assert parse_reply(text, YES).fits() == ("yes",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the reply is empty"),
        (" \n", "the reply is empty"),
        ("<think>never closed", "the reply is empty"),
        ("yes", "no complete JSON object"),
        ('["image_1", "yes"]', "no complete JSON object"),
        ("{image_1: yes}", "no complete JSON object"),
        ('{"image_1": "maybe"}', "image_1: Input should be 'yes', 'unsure' or 'no'"),
        ("{}", "image_1: Field required"),
        ('{"image_1": "\\ud800"}', "image_1"),
        ('{"n": ' + "1" * 5000, "no complete JSON object"),
    ],
)
def test_what_is_wrong_with_a_reply_is_said(text: str, problem: str):
    with pytest.raises(ReplyError, match=problem):
        parse_reply(text, YES)


@pytest.mark.parametrize(
    "text",
    [
        "{" * 1_000_000,
        '{"a":' * 200_000,
        '{"a": [' * 100_000,
        '{"' * 500_000,
        '{"a" ' * 200_000,
        "a " * 500_000,
        "<think>" * 140_000,
        "</think>" * 120_000,
        "{" + " " * 1_000_000,
    ],
    ids=lambda text: text[:7],
)
def test_a_megabyte_of_repetition_is_refused_within_seconds(text: str):
    began = time.process_time()

    with pytest.raises(ReplyError):
        parse_reply(text, YES)

    assert time.process_time() - began < 3  # quadratic time would be minutes


@pytest.mark.parametrize(
    "text", ["I'm sorry, but no.", "I can't help.", "I cannot say", "<think>hm</think> As an AI model", "Sorry, no"]
)
def test_refusals_are_told_by_their_beginning(text: str):
    assert is_refusal(text)


@pytest.mark.parametrize("text", ["", "I think yes", "The sorry sight of a dog", "I canter", "As an aid"])
def test_other_beginnings_are_no_refusals(text: str):
    assert not is_refusal(text)


DRAFT, ANSWER = '{"image_1": "no"}', '{"image_1": "yes"}'
BRACKETS = [
    ("<think>", "</think>"),
    ("<Thinking>", "</Thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<seed:think>", "</seed:think>"),
    ('<think type="deep">', "</think>"),
    ("<antThinking>", "</antThinking>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<think_never_used_51bce0c785ca>", "</think_never_used_51bce0c785ca>"),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|channel|>final <|constrain|>json<|message|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<think\n>", "</think\n>"),
    ("<scratch_pad>", "</scratch_pad>"),
    ("<internal_monologue>", "</internal_monologue>"),
    ("<CoT>", "</CoT>"),
    ("[REASONING]", "[/REASONING]"),
    ("<|thought_start|>", "<|thought_end|>"),
    ("\u3010\u601d\u8003\u3011", "\u3010/\u601d\u8003\u3011"),
]


@pytest.mark.parametrize(("opening", "closing"), BRACKETS)
def test_an_answer_stands_after_the_thinking_of_every_family(opening: str, closing: str):
    assert parse_reply(f"{opening}a draft: {DRAFT}{closing}\n{ANSWER}", YES).fits() == ("yes",)
    # Nothing but the draft, thinking that never ends, and thinking that the prompt began:
    for text in (f"{opening}{DRAFT}{closing}", f"{opening}a draft: {DRAFT} but wait"):
        with pytest.raises(ReplyError, match="empty"):
            parse_reply(text, YES)
    assert parse_reply(f"a draft: {DRAFT}{closing}{ANSWER}", YES).fits() == ("yes",)
    assert parse_reply(f"{ANSWER}{opening}{DRAFT}{closing}", YES).fits() == ("yes",)


def test_channels_whose_marks_were_stripped_are_known_by_their_names():
    assert parse_reply(f"analysisWe try {DRAFT}assistantfinal{ANSWER}", YES).fits() == ("yes",)
    with pytest.raises(ReplyError, match="empty"):
        parse_reply(f"analysisWe try {DRAFT}", YES)


def test_thinking_within_thinking_ends_with_the_outer_one():
    text = f"<think>a <think>b</think> {DRAFT}</think>{ANSWER}"

    assert without_thinking(text) == ANSWER


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (DRAFT + ' No: {"image_1": "y', "no complete JSON object at its end"),
        (DRAFT + ' No: {"image_1": ', "no complete JSON object at its end"),
        (DRAFT + ' No: {"image_1"', "no complete JSON object at its end"),
        ('{"image_1": {"image_1": "yes"}, "why": "bec', "no complete JSON object at its end"),
        (DRAFT + ' No: {"image_1": "perhaps"}', "image_1: Input should be"),
        (DRAFT + " No:\n{", "no complete JSON object at its end"),
        (DRAFT + ' No:\n```json\n{"image_1": "no",\n```', "no complete JSON object at its end"),
        (DRAFT + ' No: {"image_1": no}', "no complete JSON object at its end"),
        ('{"image_1": "yes", "IMAGE_1": "no"}', "'IMAGE_1' has two values"),
        ('{"image_1": "yes", "Image 1": "no"}', "'Image 1' has two values"),
        ('{"image_1": "yes", "image_1": "no"}', "'image_1' has two values"),
        ("x" * 1_000_001 + ANSWER, "the reply has 1,000,019 characters"),
    ],
)
def test_a_draft_is_no_answer_where_the_last_object_is_cut_or_wrong(text: str, problem: str):
    with pytest.raises(ReplyError, match=problem):
        parse_reply(text, YES)


def test_a_key_that_is_said_twice_alike_is_no_contradiction():
    assert parse_reply('{"image_1": "yes", "image_1": "yes"}', YES).fits() == ("yes",)
    assert parse_reply('{"image_1": "yes", "Image 1": "yes"}', YES).fits() == ("yes",)
    # What was not asked for may be said in any way.
    assert parse_reply('{"image_1": "yes", "a": 1, "A": 2}', YES).fits() == ("yes",)


@pytest.mark.parametrize("mark", ["think_", "a_", "a:", "think "])
def test_a_megabyte_within_one_bracket_is_read_within_seconds(mark: str):
    began = time.process_time()

    with pytest.raises(ReplyError):
        parse_reply("<" + mark * (1_000_000 // len(mark) - 1), YES)

    assert time.process_time() - began < 3  # quadratic time would be minutes


def test_a_completion_that_was_cut_holds_no_reply():
    with pytest.raises(ReplyError, match="cut at max_tokens"):
        reply_in(Completion(ANSWER, 1, 1, 0, "length", None, "m"), YES)
    assert reply_in(Completion(ANSWER, 1, 1, 0, "stop", None, "m"), YES).fits() == ("yes",)
