import asyncio

import pytest
from builders import question
from scripted import (
    NO,
    ONE,
    YES,
    MakeGateway,
    Script,
    answer_of,
    ask,
    ask_all,
    completion,
    failure_of,
)
from virtual_time import simulate

from autointerp.lmm.outcomes import Answer, CallError, Failure
from autointerp.lmm.request import TextPart


def test_an_answer_says_what_it_used_and_who_gave_it(make_gateway: MakeGateway):
    gateway = make_gateway(Script(YES))

    answer = answer_of(ask(gateway))

    assert answer.value.fits() == ("yes",)
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.calls) == (10, 5, 1)
    assert (answer.model, answer.cached) == ("m-2026", False)
    assert (gateway.tally.requests, gateway.tally.answered, gateway.tally.cached) == (1, 1, 0)


def test_what_is_in_the_cache_is_not_asked_again(make_gateway: MakeGateway):
    first = answer_of(ask(make_gateway(Script(YES))))
    silent = Script(NO)

    gateway = make_gateway(silent)
    again = answer_of(ask(gateway))

    assert silent.asked == []
    assert again.cached
    assert (again.value, again.usage, again.model) == (first.value, first.usage, first.model)
    assert (gateway.tally.requests, gateway.tally.cached, gateway.tally.usage.calls) == (0, 1, 0)


def test_two_tasks_that_ask_the_same_share_one_call(make_gateway: MakeGateway):
    script = Script(YES)
    gateway = make_gateway(script)

    outcomes = ask_all(gateway, ["same", "same", "same"])

    assert len(script.asked) == 1
    assert sorted(answer_of(o).cached for o in outcomes) == [False, True, True]


def test_one_that_waits_for_a_cancelled_twin_asks_itself(make_gateway: MakeGateway):
    script = Script(YES)
    gateway = make_gateway(script)

    async def main():
        first = asyncio.create_task(gateway.ask(question(), ONE))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(gateway.ask(question(), ONE))
        await asyncio.sleep(0.1)
        first.cancel()
        return await second

    assert answer_of(simulate(main())).value.fits() == ("yes",)
    assert len(script.asked) == 2


def test_a_malformed_reply_is_asked_once_more_with_what_was_wrong(make_gateway: MakeGateway):
    script = Script('{"image_1": "perhaps"}', YES)
    gateway = make_gateway(script)

    answer = answer_of(ask(gateway))

    said, complaint = script.asked[1].messages[-2:]
    assert (said.role, said.parts) == ("assistant", (TextPart('{"image_1": "perhaps"}'),))
    assert isinstance(complaint.parts[0], TextPart)
    assert "image_1: Input should be 'yes', 'unsure' or 'no'" in complaint.parts[0].text
    assert (answer.usage.calls, answer.usage.input_tokens) == (2, 20)
    assert dict(gateway.tally.retries) == {"malformed": 1}


def test_two_malformed_replies_are_a_failure_that_shows_the_last(make_gateway: MakeGateway):
    script = Script("no idea", "still\n no idea")
    gateway = make_gateway(script)

    failure = failure_of(ask(gateway))

    assert failure.kind == "malformed"
    assert failure.message == "the reply has no complete JSON object; the reply began: still no idea"
    assert len(script.asked) == 2
    assert dict(gateway.tally.failures) == {"malformed": 1}


def test_a_reply_cut_at_its_length_is_asked_with_four_times_the_tokens_and_no_complaint(make_gateway: MakeGateway):
    script = Script(completion('{"image_1": "y', finish="length"), YES)

    answer = answer_of(ask(make_gateway(script)))

    assert [r.max_tokens for r in script.asked] == [50, 200]
    assert script.asked[1].messages == script.asked[0].messages
    assert answer.usage.calls == 2


def test_an_answer_after_a_second_try_is_cached_under_the_first_question(make_gateway: MakeGateway):
    ask(make_gateway(Script("nonsense", YES)))
    silent = Script(NO)

    again = answer_of(ask(make_gateway(silent)))

    assert silent.asked == []
    assert (again.usage.calls, again.usage.input_tokens) == (2, 20)


def test_a_budget_is_never_passed_and_what_it_does_not_cover_is_a_failure(make_gateway: MakeGateway):
    script = Script(YES)
    gateway = make_gateway(script, tokens=50)  # 15 tokens a question

    outcomes = ask_all(gateway, [str(i) for i in range(6)])

    assert [isinstance(o, Answer) for o in outcomes].count(True) == 3
    assert {failure_of(o) for o in outcomes if isinstance(o, Failure)} == {
        Failure("over_budget", "the budget does not cover this request", 0)
    }
    assert gateway.tally.usage.input_tokens + gateway.tally.usage.output_tokens == 45
    assert len(script.asked) == 3


def test_what_others_leave_of_their_reservation_can_be_used(make_gateway: MakeGateway):
    script = Script(completion(YES, used=(4, 1)))
    gateway = make_gateway(script, tokens=35)  # two reservations of 15; each turns out to use 5

    outcomes = ask_all(gateway, [str(i) for i in range(4)])

    assert all(isinstance(o, Answer) for o in outcomes)
    assert gateway.tally.usage.input_tokens == 16


def test_usage_adds_up_over_questions_and_repeats(make_gateway: MakeGateway):
    script = Script("nonsense", YES, YES, CallError("http_400", "no", again=False))
    gateway = make_gateway(script)

    for text in "abc":
        ask(gateway, text)

    assert (gateway.tally.usage.calls, gateway.tally.usage.input_tokens, gateway.tally.usage.output_tokens) == (
        3,
        30,
        15,
    )
    assert (gateway.tally.requests, gateway.tally.answered) == (4, 2)


@pytest.mark.parametrize("row", [{"model": "m"}, {"text": "old form"}, {"text": YES, "model": "m", "calls": "many"}])
def test_a_stored_row_that_no_longer_serves_is_asked_anew(make_gateway: MakeGateway, row: dict[str, str]):
    script = Script(YES)
    gateway = make_gateway(script)

    async def main():
        await gateway.cache.put(question().key, row)
        return await gateway.ask(question(), ONE)

    assert not answer_of(simulate(main())).cached
    assert len(script.asked) == 1
