"""What a request asks of a person: words, tiles and fields."""

import json
from dataclasses import replace

import pytest
from builders import question

from autointerp.errors import AutointerpError
from autointerp.images.picture import Picture, Tile
from autointerp.images.render import render_sheet, sheet_size
from autointerp.lmm.human.questions import Field, Question
from autointerp.lmm.request import ImagePart, Message, Request, TextPart
from autointerp.replies import ExplainReply, judge_reply, number_reply
from autointerp.scoring.scorers.localisation import PointReply

WORDS = """Description: a red square

Each image is shown whole.
It fits if it holds of it.

The picture below is a contact sheet of 3 images in 2 rows and 2 columns, numbered from 1, row by row."""


def sheet(n: int = 3) -> Picture:
    """Images of 64x48 pixels in cells of 112."""
    return Picture(
        tuple(Tile(i, f"{i:064x}", (64, 48), "full", None) for i in range(n)), side=112, quality=85, columns=2
    )


def asked(reply: type, *parts: TextPart | ImagePart, subject: str = "a red square") -> Question:
    request = replace(
        question(reply=reply),
        subject=subject,
        messages=(Message("system", (TextPart("You judge."),)), Message("user", parts)),
    )
    return Question(request)


def test_a_person_reads_the_words_of_the_prompt_without_what_only_programs_need():
    shown = asked(
        judge_reply(3),
        TextPart(WORDS),
        ImagePart(sheet(), "judged", (1, 2, 3)),
        TextPart("For each of the 3 images: does it fit?\nAnswer with one JSON object and nothing else: …"),
    )

    assert shown.description == "a red square"
    assert shown.instruction == [
        "You judge.",
        "Each image is shown whole. It fits if it holds of it.",
        "For each of the 3 images: does it fit?",
    ]


def test_each_tile_of_a_sheet_is_cut_out_pixel_for_pixel():
    import numpy as np

    shown = asked(judge_reply(3), ImagePart(sheet(), "judged", (1, 2, 3))).tiles
    pixels = [np.full((48, 64, 4), 10 * i, np.uint8) for i in (1, 2, 3)]
    whole = render_sheet(pixels, columns=2, side=112)

    assert [t.number for t in shown] == [1, 2, 3]
    assert {t.of for t in shown} == {sheet_size(3, 2, 112)} == {(whole.shape[1], whole.shape[0])}
    for tile, own in zip(shown, pixels, strict=True):
        cut = whole[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
        assert (cut == own).all()


def test_a_choice_of_descriptions_has_their_texts_and_one_of_images_has_none():
    several = asked(number_reply("description", 2), TextPart("Description 1: a\nDescription 2: b"), subject="a\nb")
    odd = asked(number_reply("odd", 3, sure=True), ImagePart(sheet(), "judged", (1, 2, 3)), subject="")

    assert (several.options, several.description, several.instruction) == (["a", "b"], "", ["You judge."])
    assert [(f.name, f.kind, f.options) for f in odd.fields] == [("odd", "choice", (1, 2, 3)), ("sure", "truth", ())]
    assert odd.options == []


def test_a_reply_is_whole_when_every_field_is_filled_in_and_comes_in_their_order():
    two = asked(judge_reply(2))

    assert two.whole({"image_2": "no"}) is None
    assert json.dumps(two.whole({"image_2": "no", "image_1": "yes"})) == '{"image_1": "yes", "image_2": "no"}'


def test_a_box_is_whole_where_nothing_is_found_and_needs_a_size_where_something_is():
    point = asked(PointReply)
    box = {"x0": 100, "y0": 200, "x1": 300, "y1": 400}

    assert point.whole({"found": False}) == {"found": False, "x0": 0, "y0": 0, "x1": 0, "y1": 0}
    assert point.whole({"found": True}) is None
    assert point.whole({"found": True} | box) == {"found": True} | box
    with pytest.raises(ValueError, match="has no size"):
        point.whole({"found": True} | box | {"x1": 100})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Field("image_1", "choice", ("yes", "no")), "maybe"),
        (Field("image_1", "choice", ("yes", "no")), ["yes"]),
        (Field("odd", "choice", (1, 2)), True),
        (Field("odd", "choice", (1, 2)), 3),
        (Field("sure", "truth"), "yes"),
        (Field("x0", "number"), 1001),
        (Field("x0", "number"), 0.5),
        (Field("x0", "number"), None),
        (Field("words", "text"), " "),
        (Field("words", "text"), "x" * 601),
    ],
)
def test_a_value_that_is_none_of_its_field_is_refused(field: Field, value: object):
    with pytest.raises(ValueError, match=f"{field.name} takes"):
        field.checked(value)


def test_what_a_person_cannot_fill_in_is_not_asked():
    request: Request = replace(question(reply=ExplainReply), task="explain")

    with pytest.raises(AutointerpError, match="a person cannot answer questions of explain"):
        Question(request)
