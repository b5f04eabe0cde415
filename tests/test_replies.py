import json

import pytest
from pydantic import ValidationError

from autointerp.replies import BELIEF, DomainReply, ExplainReply, Reply, judge_reply, reply_schema


def explain(**change: object) -> dict[str, object]:
    usual = {"candidates": ["a"], "verdict": "one", "explanation": "round red things on grass", "concepts": ["red"]}
    return usual | change


@pytest.mark.parametrize("reply", [ExplainReply, DomainReply, judge_reply(3)])
def test_the_schema_is_of_the_strict_subset_that_endpoints_enforce(reply: type[Reply]):
    schema = json.loads(reply_schema(reply))

    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert schema["required"] == list(schema["properties"]) == list(reply.model_fields)
    assert not {"title", "default", "$ref", "$defs"} & set(json.dumps(schema).replace('"', " ").split())


def test_a_judge_is_asked_for_one_verdict_an_image():
    reply = judge_reply(3).model_validate({"image_1": "yes", "image_2": "unsure", "image_3": "no", "note": "x"})

    assert [BELIEF[fit] for fit in reply.fits()] == [1.0, 0.5, 0.0]


def test_verdicts_are_in_the_order_of_their_numbers_whatever_the_order_of_the_reply():
    names = [f"image_{i}" for i in range(1, 13)]

    reply = judge_reply(12).model_validate({name: "yes" if name == "image_2" else "no" for name in sorted(names)})

    assert [i for i, fit in enumerate(reply.fits(), 1) if fit == "yes"] == [2]


@pytest.mark.parametrize(
    "value", [{"image_1": "yes"}, {"image_1": "yes", "image_2": 1}, {"image_1": 0, "image_2": "no"}]
)
def test_a_verdict_that_is_missing_or_none_of_the_three_is_refused(value: dict[str, object]):
    with pytest.raises(ValidationError):
        judge_reply(2).model_validate(value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"explanation": " "}, "explanation is empty though the verdict is 'one'"),
        ({"explanation": "", "verdict": "mixed"}, "explanation is empty though the verdict is 'mixed'"),
        ({"explanation": "word " * 46}, "explanation has 46 words; at most 20 were asked for"),
        (
            {"explanation": "cats inside the outlined region"},
            r"a mark that was added to the images \('the outlined region'\)",
        ),
        ({"explanation": "a bounding box around a cat"}, "a mark that was added"),
        ({"verdict": "maybe"}, "verdict"),
        ({"explanation": "x" * 601}, "explanation has 601 characters"),
        ({"explanation": "\u200b\u2800\ufeff"}, "explanation is empty"),
        ({"explanation": "\ufe0f"}, "explanation is empty"),
        ({"explanation": "\u0301"}, "explanation is empty"),
        ({"explanation": "…"}, "explanation is empty"),
        ({"lookalikes": "x" * 10_001}, "a text of 10,001 characters"),
        ({"concepts": ["x" * 10_001]}, "a text of 10,001 characters"),
        ({"candidates": ["x"] * 1001}, "has 1,001 items"),
        ({"misfits": [2.5]}, "misfits"),
        ({"misfits": ["not 3"]}, "misfits"),
    ],
)
def test_an_unusable_explanation_is_refused_with_the_reason(change: dict[str, object], problem: str):
    with pytest.raises(ValidationError, match=problem):
        ExplainReply.model_validate(explain(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"explanation": "word " * 45},
        {"explanation": "the black outline of cartoon figures"},
        {"explanation": "road signs with an outline"},
        {"explanation": "", "verdict": "none", "concepts": []},
        {"extra": 1},
        {"misfits": ["2", 3, "Active image 4", 5.0, "Active image 6 (weaker)"]},
        {"explanation": "x" * 600},
    ],
)
def test_a_usable_explanation_is_taken(change: dict[str, object]):
    ExplainReply.model_validate(explain(**change))


def test_the_case_of_a_verdict_does_not_matter():
    assert judge_reply(2).model_validate({"image_1": "Yes", "image_2": " NO "}).fits() == ("yes", "no")
    assert ExplainReply.model_validate(explain(verdict="Mixed")).verdict == "mixed"


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("yes (clearly)", "yes"),
        ("Yes.", "yes"),
        ("yes, clearly", "yes"),
        ("no - only a dog", "no"),
        ("NO (only a dog).", "no"),
        ("unsure: too small", "unsure"),
    ],
)
def test_a_verdict_may_be_followed_by_a_comment(said: str, read: str):
    assert judge_reply(1).model_validate({"image_1": said}).fits() == (read,)


@pytest.mark.parametrize(
    "said",
    [
        "yes and no",
        "yes (or no)",
        "yes, but only a part",
        "no (unsure)",
        "yes (not really)",
        "yes (isn't clear)",
        "yes, probably",
        "yes (40 %)",
        "yes, though doubtful",
        "no - actually it is there",
        "yes: neither",
        "yes (rather false)",
        "yesterday",
        "yes no",
        "no idea",
        "not no",
        "no-one",
    ],
)
def test_a_verdict_that_its_comment_could_turn_is_refused(said: str):
    with pytest.raises(ValidationError):
        judge_reply(1).model_validate({"image_1": said})


@pytest.mark.parametrize(
    "said",
    [
        "the outline around a country",
        "maps with the outline of a state",
        "white fill inside the outline of a sign",
        "an outline drawn in chalk",
        "highlighted button",
        "highlighted area of a glossy button",
        "highlighted text in a document",
        "circled number",
        "a circled area on a map",
        "the marked area of a football pitch",
        "the masked part of a face",
        "a red circle around a face",
    ],
)
def test_honest_words_that_a_mark_would_have_as_well_are_taken(said: str):
    assert ExplainReply.model_validate(explain(explanation=said)).explanation == said


@pytest.mark.parametrize(
    "said",
    [
        "fur in the red outline",
        "the thing inside the outline",
        "whatever is within the drawn outline",
        "outlined area with a cat",
        "the highlighted region of the image",
        "the outlined part of each picture",
        "objects in outlined areas",
        "the red outline shows a wheel",
        "an outline drawn on the image",
    ],
)
def test_words_that_point_at_the_mark_are_refused(said: str):
    with pytest.raises(ValidationError, match="a mark that was added"):
        ExplainReply.model_validate(explain(explanation=said))


def test_a_domain_finding_needs_words():
    with pytest.raises(ValidationError, match="error is empty though found is true"):
        DomainReply.model_validate({"found": True, "error": "", "category": "other"})
    assert not DomainReply.model_validate({"found": False, "error": "", "category": "none"}).found


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("red\u200b things", "red things"),
        ("\u202ered things\u202c", "red things"),
        ("red\nthings", "red things"),
        ("red\x1b[31m things\x00", "red[31m things"),
        ("red things\U000e0041\U000e0101", "red things"),
        ("caf\u00e9 \u732b \u2764\ufe0f", "caf\u00e9 \u732b \u2764\ufe0f"),
    ],
)
def test_words_are_what_a_reader_sees(said: str, read: str):
    reply = ExplainReply.model_validate(explain(explanation=said, concepts=[said]))

    assert (reply.explanation, reply.concepts) == (read, [read])


def test_a_verdict_with_something_invisible_is_the_verdict():
    assert judge_reply(1).model_validate({"image_1": "yes\u200b"}).fits() == ("yes",)
