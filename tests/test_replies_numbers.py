"""Replies that name one of several."""

import json

import pytest
from pydantic import ValidationError

from autointerp.replies import number_reply, reply_schema


def test_the_schema_lists_the_numbers():
    assert json.loads(reply_schema(number_reply("odd", 3))) == {
        "type": "object",
        "properties": {"odd": {"enum": [1, 2, 3], "type": "integer"}},
        "required": ["odd"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "said", [2, "2", "image 2", "Image 2.", 2.0, "The answer is 2", "#2", "(2)", "No. 2", "odd: **2**", "image_2"]
)
def test_a_number_is_understood_in_any_dress(said: object):
    assert number_reply("odd", 3).model_validate({"odd": said}).number == 2


@pytest.mark.parametrize(
    "said",
    [
        0,
        4,
        -2,
        "-2",
        "2 or 3",
        "none",
        1.4e300,
        True,
        None,
        2.5,
        0.6,
        float("nan"),
        "not 2",
        "2.5",
        "no 2",
        "all but 2",
        "2%",
        "2/3",
        "two",
        "the odd one",
        "one of them",
        "1-2",
    ],
)
def test_what_is_no_number_of_the_question_is_refused(said: object):
    with pytest.raises(ValidationError):
        number_reply("odd", 3).model_validate({"odd": said})
