import base64
import json
from dataclasses import replace

import pytest
from builders import picture, question
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.lmm.body import Dialect, build_body
from autointerp.lmm.request import ImagePart, Message, TextPart

TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@settings(deadline=None)
@given(TEXT, st.lists(st.binary(max_size=200), max_size=4))
def test_any_words_and_any_bytes_arrive_as_they_are(text: str, jpegs: list[bytes]):
    request = question(text, pictures=len(jpegs))

    body = json.loads(build_body(request, jpegs, Dialect()))

    content = body["messages"][1]["content"]
    if not jpegs:
        assert content == text
        return
    assert content[0]["text"] == text
    urls = [part["image_url"]["url"].partition(",")[2] for part in content[1:]]
    assert [base64.b64decode(url, validate=True) for url in urls] == jpegs


def test_pictures_keep_their_place_among_the_words_over_several_messages():
    first, second = (ImagePart(picture(i), "judged", (i,)) for i in (1, 2))
    messages = (
        Message("user", (TextPart("one"), first, TextPart("two"))),
        Message("assistant", (TextPart("hm"),)),
        Message("user", (second,)),
    )
    request = replace(question(), messages=messages)

    sent = json.loads(build_body(request, [b"A", b"B"], Dialect()))["messages"]

    def image(data: bytes) -> dict[str, object]:
        url = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
        return {"type": "image_url", "image_url": {"url": url}}

    assert sent == [
        {"role": "user", "content": [{"type": "text", "text": "one"}, image(b"A"), {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "hm"},
        {"role": "user", "content": [image(b"B")]},
    ]


def test_a_detail_is_sent_with_every_picture_and_none_unless_asked_for():
    plain = question("fits?", pictures=2)

    asked = json.loads(build_body(replace(plain, detail="low"), [b"A", b"B"], Dialect()))["messages"][1]["content"]
    unasked = json.loads(build_body(plain, [b"A", b"B"], Dialect()))["messages"][1]["content"]

    assert [part["image_url"]["detail"] for part in asked[1:]] == ["low", "low"]
    assert all("detail" not in part["image_url"] for part in unasked[1:])


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        (Dialect(), {"max_tokens", "temperature", "seed", "response_format"}),
        (
            Dialect(token_field="max_completion_tokens"),
            {"max_completion_tokens", "temperature", "seed", "response_format"},
        ),
        (Dialect(temperature=False, seed=False, reply_format="none"), {"max_tokens"}),
    ],
)
def test_the_dialect_decides_on_the_optional_fields(dialect: Dialect, fields: set[str]):
    body = json.loads(build_body(question(), [], dialect))

    assert set(body) == {"model", "messages", "stream"} | fields
    assert body["stream"] is False


def test_a_body_of_a_batch_file_says_nothing_of_streaming():
    assert "stream" not in json.loads(build_body(question(), [], Dialect(), batch=True))


def test_the_looser_reply_format_asks_for_any_json():
    body = json.loads(build_body(question(), [], Dialect(reply_format="json_object")))

    assert body["response_format"] == {"type": "json_object"}
