from dataclasses import replace

import pytest
from builders import picture, question

from autointerp.images.picture import Picture, Tile
from autointerp.lmm.request import ImagePart, Message, Request, TextPart
from autointerp.schema import Box


def shown(
    *, image: int = 1, sha256: str = "a" * 64, side: int = 64, box: Box | None = None, number: int = 1
) -> Request:
    tile = Tile(image, sha256, (64, 48), "crop" if box else "full", box)
    part = ImagePart(Picture((tile,), side=side, quality=85), "judged", (number,))
    return replace(question(), messages=(Message("user", (TextPart("fits?"), part)),))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"task": "explain"},
        {"subject": "another"},
        {"reply_schema": "{}"},
        {"temperature": 0.5},
        {"max_tokens": 51},
        {"seed": 8},
        {"detail": "low"},
        {"detail": "high"},
        {"messages": (Message("user", (TextPart("You judge."), TextPart("Does it fit?"))),)},
        {"messages": (Message("system", (TextPart("You judge.Does it fit?"),)),)},
    ],
)
def test_all_that_an_answer_depends_on_changes_the_key(change: dict[str, object]):
    assert replace(question(), **change).key != question().key


@pytest.mark.parametrize(
    "other",
    [shown(sha256="b" * 64), shown(side=65), shown(box=Box(0, 0, 9, 9)), shown(number=2)],
    ids=["pixels", "size", "region", "number"],
)
def test_every_change_of_a_picture_changes_the_key(other: Request):
    assert other.key != shown().key


def test_where_the_dump_keeps_an_image_does_not_change_the_key():
    assert shown(image=1).key == shown(image=2).key


def test_the_key_is_the_same_on_every_machine_and_in_every_version():
    """Written down, so that a change which would lose every cached answer does not happen unseen."""
    known = "10764d0fb494ff5c91bd8302801669cc36a21705c47e2ec0442ab4b58947d2f5"

    assert replace(question(), reply_schema="{}").key == known
    # `auto` asks for nothing: answers from before there was a detail to ask for are found again.
    assert replace(question(), reply_schema="{}", detail="auto").key == known


def test_the_pictures_of_all_messages_are_listed_in_order():
    parts = [ImagePart(picture(i), "judged", (i,)) for i in range(3)]
    messages = (Message("user", (parts[0], TextPart("x"), parts[1])), Message("user", (parts[2],)))

    assert replace(question(), messages=messages).pictures == tuple(picture(i) for i in range(3))
