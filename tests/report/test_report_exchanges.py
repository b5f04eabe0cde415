"""What a card says of the questions of its feature: one fold for each text that was asked about."""

from autointerp.reports.exchanges import LONGEST, MOST_PICTURES, MOST_REPLIES, MOST_TURNS, OPENING, conversation
from autointerp.runs.exchanges import Exchange, Sent, ShownTile, Turn


def exchange(key: str, text: str) -> Exchange:
    sheet = Sent(tiles=(ShownTile(number=1, image=7, rendering="full", box=None),), columns=1)
    rules = Turn(role="system", parts=(Sent(text="Judge each image by itself."),))
    question = Turn(role="user", parts=(Sent(text=text), sheet))
    return Exchange(key=key, task="judge", model="m", turns=(rules, question), replies=("yes",))


def test_questions_about_two_texts_are_told_apart_by_their_first_lines():
    told = conversation(
        [
            exchange("a", "\nDescription: a dog\n\nDoes it fit?"),
            exchange("b", "\nDescription: a dog\n\nDoes it fit?"),
            exchange("c", "Description: an image\n\nDoes it fit?"),
        ]
    )

    assert told is not None
    assert [(a.opening, len(a.told)) for a in told.asked] == [("Description: a dog", 2), ("Description: an image", 1)]


def test_a_long_first_line_is_cut():
    told = conversation([exchange("a", "x" * (OPENING + 1))])

    assert told is not None
    assert told.asked[0].opening == "x" * OPENING + "…"


def test_a_question_of_any_size_takes_a_bounded_part_of_a_card():
    sheet = Sent(tiles=(ShownTile(number=1, image=7, rendering="x" * 10_000, box=(0, 0, 8, 8)),), columns=1)
    turn = Turn(role="r" * 10_000, parts=(sheet,) * 30)
    huge = Exchange(key="a", task="judge", model="m", turns=(turn,) * 50, replies=tuple(map(str, range(50))))

    shown = conversation([huge])

    assert shown is not None
    (asked,) = shown.asked
    (told,) = asked.told
    assert (len(asked.turns), len(told.pictures)) == (MOST_TURNS, MOST_PICTURES)
    # The last reply is the one that counted.
    assert told.replies == tuple(map(str, range(50 - MOST_REPLIES, 50)))
    assert all(len(text) < LONGEST + 100 for text in (*told.pictures, *(t.role for t in asked.turns)))
