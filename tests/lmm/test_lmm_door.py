import asyncio

import pytest
from builders import question
from scripted import (
    NO,
    ONE,
    YES,
    MakeDoor,
    Script,
    answer_of,
    ask,
    ask_all,
    completion,
    failure_of,
)
from virtual_time import simulate

from autointerp.lmm.calls import Answer, CallError, Failure
from autointerp.lmm.request import TextPart


def test_an_answer_says_what_it_used_and_who_gave_it(make_door: MakeDoor):
    door = make_door(Script(YES))

    answer = answer_of(ask(door))

    assert answer.value.fits() == ("yes",)
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.calls) == (10, 5, 1)
    assert (answer.model, answer.cached) == ("m-2026", False)
    assert (door.tally.requests, door.tally.answered, door.tally.cached) == (1, 1, 0)


def test_what_is_in_the_cache_is_not_asked_again(make_door: MakeDoor):
    first = answer_of(ask(make_door(Script(YES))))
    silent = Script(NO)

    door = make_door(silent)
    again = answer_of(ask(door))

    assert silent.asked == []
    assert again.cached
    assert (again.value, again.usage, again.model) == (first.value, first.usage, first.model)
    assert (door.tally.requests, door.tally.cached, door.tally.usage.calls) == (0, 1, 0)


def test_two_tasks_that_ask_the_same_share_one_call(make_door: MakeDoor):
    script = Script(YES)
    door = make_door(script)

    outcomes = ask_all(door, ["same", "same", "same"])

    assert len(script.asked) == 1
    assert sorted(answer_of(o).cached for o in outcomes) == [False, True, True]


def test_one_that_waits_for_a_cancelled_twin_asks_itself(make_door: MakeDoor):
    script = Script(YES)
    door = make_door(script)

    async def main():
        first = asyncio.create_task(door.ask(question(), ONE))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(door.ask(question(), ONE))
        await asyncio.sleep(0.1)
        first.cancel()
        return await second

    assert answer_of(simulate(main())).value.fits() == ("yes",)
    assert len(script.asked) == 2


def test_a_malformed_reply_is_asked_once_more_with_what_was_wrong(make_door: MakeDoor):
    script = Script('{"image_1": "perhaps"}', YES)
    door = make_door(script)

    answer = answer_of(ask(door))

    said, complaint = script.asked[1].messages[-2:]
    assert (said.role, said.parts) == ("assistant", (TextPart('{"image_1": "perhaps"}'),))
    assert isinstance(complaint.parts[0], TextPart)
    assert "image_1: Input should be 'yes', 'unsure' or 'no'" in complaint.parts[0].text
    assert (answer.usage.calls, answer.usage.input_tokens) == (2, 20)
    assert dict(door.tally.retries) == {"malformed": 1}


def test_two_malformed_replies_are_a_failure_that_shows_the_last(make_door: MakeDoor):
    script = Script("no idea", "still\n no idea")
    door = make_door(script)

    failure = failure_of(ask(door))

    assert failure.kind == "malformed"
    assert failure.message == "the reply has no complete JSON object; the reply began: still no idea"
    assert len(script.asked) == 2
    assert dict(door.tally.failures) == {"malformed": 1}


def test_a_reply_cut_at_its_length_is_asked_with_four_times_the_tokens_and_no_complaint(make_door: MakeDoor):
    script = Script(completion('{"image_1": "y', finish="length"), YES)

    answer = answer_of(ask(make_door(script)))

    assert [r.max_tokens for r in script.asked] == [50, 200]
    assert script.asked[1].messages == script.asked[0].messages
    assert answer.usage.calls == 2


def test_an_answer_after_a_second_try_is_cached_under_the_first_question(make_door: MakeDoor):
    ask(make_door(Script("nonsense", YES)))
    silent = Script(NO)

    again = answer_of(ask(make_door(silent)))

    assert silent.asked == []
    assert (again.usage.calls, again.usage.input_tokens) == (2, 20)


def test_a_budget_is_never_passed_and_what_it_does_not_cover_is_a_failure(make_door: MakeDoor):
    script = Script(YES)
    door = make_door(script, tokens=50)  # 15 tokens a question

    outcomes = ask_all(door, [str(i) for i in range(6)])

    assert [isinstance(o, Answer) for o in outcomes].count(True) == 3
    assert {failure_of(o) for o in outcomes if isinstance(o, Failure)} == {
        Failure("over_budget", "the budget does not cover this request", 0)
    }
    assert door.tally.usage.input_tokens + door.tally.usage.output_tokens == 45
    assert len(script.asked) == 3


def test_what_others_leave_of_their_reservation_can_be_used(make_door: MakeDoor):
    script = Script(completion(YES, used=(4, 1)))
    door = make_door(script, tokens=35)  # two reservations of 15; each turns out to use 5

    outcomes = ask_all(door, [str(i) for i in range(4)])

    assert all(isinstance(o, Answer) for o in outcomes)
    assert door.tally.usage.input_tokens == 16


def test_usage_adds_up_over_questions_and_repeats(make_door: MakeDoor):
    script = Script("nonsense", YES, YES, CallError("http_400", "no", again=False))
    door = make_door(script)

    for text in "abc":
        ask(door, text)

    assert (door.tally.usage.calls, door.tally.usage.input_tokens, door.tally.usage.output_tokens) == (3, 30, 15)
    assert (door.tally.requests, door.tally.answered) == (4, 2)


@pytest.mark.parametrize("row", [{"model": "m"}, {"text": "old form"}, {"text": YES, "model": "m", "calls": "many"}])
def test_a_stored_row_that_no_longer_serves_is_asked_anew(make_door: MakeDoor, row: dict[str, str]):
    script = Script(YES)
    door = make_door(script)

    async def main():
        await door._cache.put(question().key, row)
        return await door.ask(question(), ONE)

    assert not answer_of(simulate(main())).cached
    assert len(script.asked) == 1
