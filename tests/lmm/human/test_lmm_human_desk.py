"""The desk of a person: order, undo, what is final, two pages at once, and what a kill leaves."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from builders import question
from exchange import Pictures

from autointerp.lmm.human.desk import KEPT, Asked, Desk, StaleError
from autointerp.lmm.human.journal import FILE, Journal
from autointerp.lmm.human.questions import Question
from autointerp.lmm.outcomes import CallError
from autointerp.replies import judge_reply

PICTURES = Pictures()


Sit = Callable[..., Desk]


@pytest.fixture
def sit(tmp_path: Path) -> Iterator[Sit]:
    """A desk at which Ann sits; each has the journal of the one before."""
    with ExitStack() as held:

        def begin(ended: list[str] | None = None) -> Desk:
            desk = held.enter_context(closing(Desk("ann")))
            desk.sit(Journal(tmp_path), lambda: ended.append("left") if ended is not None else None)
            return desk

        yield begin


def ask(desk: Desk, *names: str, of: int = 1) -> list[Asked]:
    """A question of `of` images for each name."""
    return [desk.ask(desk.turn(), Question(question(name, reply=judge_reply(of))), PICTURES) for name in names]


def say(desk: Desk, **values: str) -> None:
    assert desk.current is not None
    desk.give(desk.step, desk.current.question.key, dict(values))


def test_answers_become_final_when_five_more_are_given(sit: Sit):
    desk = sit()
    asked = ask(desk, *"abcdefg")

    for _ in range(KEPT):
        say(desk, image_1="yes")
    assert [a.reply.done() for a in asked] == [False] * 7
    say(desk, image_1="no")

    assert [a.reply.done() for a in asked] == [True] + [False] * 6
    assert asked[0].reply.result() == {"image_1": "yes"}
    assert (desk.final, len(desk.held), len(desk.open)) == (1, 5, 1)


def test_undo_takes_back_one_answer_after_the_other_also_of_questions_before(sit: Sit):
    desk = sit()
    first, second = ask(desk, "a", "b", of=2)
    say(desk, image_1="yes")
    say(desk, image_2="no")
    say(desk, image_1="unsure")

    desk.undo(desk.step)
    assert (desk.current, second.given) == (second, {})
    desk.undo(desk.step)
    assert (desk.current, first.given) == (first, {"image_1": "yes"})
    say(desk, image_2="yes")
    say(desk, image_1="no", image_2="no")
    desk.hand_in(desk.step)

    assert [a.reply.result() for a in (first, second)] == [
        {"image_1": "yes", "image_2": "yes"},
        {"image_1": "no", "image_2": "no"},
    ]
    desk.undo(desk.step)
    assert (desk.held, desk.open, desk.final) == ([], [], 2)


def test_a_question_is_asked_in_its_turn_and_not_taken_away_by_one_that_comes_late(sit: Sit):
    desk = sit()
    late, turn = desk.turn(), desk.turn()
    shown = desk.ask(turn, Question(question("shown")), PICTURES)
    before = desk.step

    earlier = desk.ask(late, Question(question("late")), PICTURES)

    assert (desk.current, desk.step) == (shown, before)
    say(desk, image_1="yes")
    assert desk.current is earlier


def test_of_two_pages_one_answers_and_the_other_is_told(sit: Sit):
    desk = sit()
    first, _ = ask(desk, "a", "b")
    step, key = desk.step, first.question.key
    desk.give(step, key, {"image_1": "yes"})

    for late in (
        lambda: desk.give(step, key, {"image_1": "no"}),
        lambda: desk.give(desk.step, key, {"image_1": "no"}),
        lambda: desk.undo(step),
        lambda: desk.hand_in(step),
    ):
        with pytest.raises(StaleError):
            late()

    assert first.given == {"image_1": "yes"}


@pytest.mark.parametrize("values", [{}, {"image_2": "yes"}, {"image_1": "maybe"}, {"image_1": "yes", "feature": 3}])
def test_values_of_no_field_change_nothing(sit: Sit, tmp_path: Path, values: dict[str, str]):
    desk = sit()
    (asked,) = ask(desk, "a")

    with pytest.raises(ValueError, match=r"field|takes"):
        say(desk, **values)

    assert (asked.given, (tmp_path / FILE).read_bytes()) == ({}, b"")


def test_after_a_kill_all_that_was_said_is_there_and_can_be_taken_back(sit: Sit, tmp_path: Path):
    killed = sit()
    ask(killed, "a", "b", of=2)
    say(killed, image_1="yes")
    say(killed, image_2="no")
    say(killed, image_1="unsure")
    say(killed, image_1="no")
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"format":"autointerp-answers/1","question":"torn')

    desk = sit()
    first, second = ask(desk, "a", "b", of=2)

    assert (desk.current, second.given) == (second, {"image_1": "no"})
    assert (desk.held, first.given) == ([first], {"image_1": "yes", "image_2": "no"})
    desk.undo(desk.step)
    desk.undo(desk.step)
    assert (desk.current, first.given) == (first, {"image_1": "yes"})


def test_at_the_end_whole_answers_are_final_and_other_questions_stay_open(sit: Sit):
    ended: list[str] = []
    desk = sit(ended)
    first, second = ask(desk, "a", "b")
    say(desk, image_1="yes")
    desk.leave()
    assert ended == ["left"]

    desk.end()
    (third,) = ask(desk, "c")

    assert first.reply.result() == {"image_1": "yes"}
    for one in (second, third):
        problem = one.reply.exception()
        assert isinstance(problem, CallError)
        assert (problem.kind, problem.again) == ("ended", False)
