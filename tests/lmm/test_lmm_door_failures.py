import asyncio

import pytest
from builders import question
from scripted import (
    ONE,
    YES,
    MakeGateway,
    Script,
    Step,
    answer_of,
    ask,
    ask_all,
    completion,
    endpoint_error,
    failure_of,
    overloaded,
)
from virtual_time import simulate

from autointerp.errors import EndpointError, ImageError
from autointerp.lmm.outcomes import BROKEN, CallError, Failure
from autointerp.lmm.request import Completion
from autointerp.scoring.judge import SETTLED


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (completion("", refusal="I may not."), "I may not."),
        (completion(YES, finish="content_filter"), "stopped by the endpoint's content filter"),
        (completion("I'm sorry, I cannot help."), "I'm sorry, I cannot help."),
    ],
)
def test_a_refusal_is_recorded_and_not_argued_with(make_gateway: MakeGateway, step: Completion, message: str):
    script = Script(step)

    assert failure_of(ask(make_gateway(script))) == Failure("refused", message, 1)
    assert len(script.asked) == 1


@pytest.mark.parametrize("steps", [("nonsense", "nonsense"), (completion("", refusal="no"),)])
def test_only_usable_answers_are_cached(make_gateway: MakeGateway, steps: tuple[Step, ...]):
    failure_of(ask(make_gateway(Script(*steps))))
    script = Script(YES)

    again = answer_of(ask(make_gateway(script)))

    assert len(script.asked) == 1
    assert not again.cached


def test_a_call_that_fails_is_tried_again(make_gateway: MakeGateway):
    broken = CallError("http_500", "oops", again=True)
    script = Script(broken, broken, YES)
    gateway = make_gateway(script)

    answer = answer_of(ask(gateway))

    assert (len(script.asked), answer.usage.calls) == (3, 1)
    assert dict(gateway.tally.retries) == {"http_500": 2}
    first, second = (b - a - 1 for a, b in zip(script.times, script.times[1:], strict=False))
    assert 0.25 <= first <= 0.5
    assert 0.5 <= second <= 1.0


def test_attempts_run_out(make_gateway: MakeGateway):
    script = Script(YES, CallError("http_500", "oops", again=True))
    gateway = make_gateway(script)
    ask(gateway, "reached")

    assert failure_of(ask(gateway)) == Failure("http_500", "oops", 3)
    assert dict(gateway.tally.retries) == {"http_500": 2}
    assert dict(gateway.tally.failures) == {"http_500": 1}


def test_an_error_that_will_not_pass_is_not_tried_again(make_gateway: MakeGateway):
    script = Script(CallError("http_400", "too long", again=False))

    assert failure_of(ask(make_gateway(script))) == Failure("http_400", "too long", 1)
    assert len(script.asked) == 1


def test_retry_after_is_obeyed(make_gateway: MakeGateway):
    script = Script(overloaded(retry_after=20.0), YES)

    answer_of(ask(make_gateway(script)))

    assert script.times[0] == 0.0
    assert 21.0 <= script.times[1] <= 21.25


def test_an_overload_makes_all_others_wait_too(make_gateway: MakeGateway):
    script = Script(YES, overloaded(retry_after=20.0), YES)
    gateway = make_gateway(script, ceiling=1)
    ask(gateway, "reached")

    script.times.clear()
    ask_all(gateway, ["a", "b", "c"])

    assert min(script.times[1:]) >= script.times[0] + 21.0
    assert gateway.limiter.limit == 1.0


def test_a_hopeless_error_ends_the_run_with_its_remedy(make_gateway: MakeGateway):
    script = Script(CallError("http_401", "bad key", again=False, remedy="set OPENAI_API_KEY"))

    with endpoint_error("^set OPENAI_API_KEY$"):
        ask(make_gateway(script))

    assert len(script.asked) == 1


@pytest.mark.parametrize("kind", ["connection", "timeout"])
def test_only_one_request_at_a_time_goes_to_an_endpoint_that_is_not_there(make_gateway: MakeGateway, kind: str):
    script = Script(CallError(kind, "http://nowhere: refused", again=True, nobody=True))
    gateway = make_gateway(script)

    async def main():
        async with asyncio.TaskGroup() as group:
            for i in range(20):
                group.create_task(gateway.ask(question(str(i)), ONE))

    with pytest.raises(ExceptionGroup) as caught:
        simulate(main())

    said = {(type(e), str(e)) for e in caught.value.exceptions}
    assert said == {(EndpointError, "http://nowhere: refused; is the server up and --base-url right?")}
    assert script.peak == 1
    assert len({request.key for request in script.asked}) == 1
    assert len(script.asked) == 3


@pytest.mark.parametrize(("kind", "again"), [("http_500", True), ("rate_limited", True), ("http_400", False)])
def test_an_endpoint_that_is_there_and_refuses_is_met_by_all_at_once_from_the_second_question_on(
    make_gateway: MakeGateway, kind: str, again: bool
):
    script = Script(CallError(kind, "broken", again=again))
    gateway = make_gateway(script, attempts=2)

    outcomes = ask_all(gateway, [str(i) for i in range(9)])

    assert {failure_of(o).kind for o in outcomes} == {kind}
    assert script.peak == 8


def test_an_image_that_cannot_be_made_does_not_let_the_others_loose_on_an_endpoint(make_gateway: MakeGateway):
    script = Script(ImageError("7.png: truncated"), CallError("http_401", "no", again=False, remedy="set the key"))
    gateway = make_gateway(script)

    ask(gateway, "a")
    with endpoint_error("set the key"):
        ask(gateway, "b")

    assert len(script.asked) == 2
    assert script.peak == 1


def test_once_an_endpoint_has_answered_all_go_at_once(make_gateway: MakeGateway):
    script = Script(YES)
    gateway = make_gateway(script, ceiling=16)

    ask_all(gateway, [str(i) for i in range(17)])

    assert script.times[0] == 0.0
    assert script.peak == 16


@pytest.mark.parametrize("kind", ["connection", "timeout", "http_500"])
def test_an_endpoint_that_stops_answering_ends_the_run(make_gateway: MakeGateway, kind: str):
    script = Script(YES, CallError(kind, "gone", again=True))
    gateway = make_gateway(script, attempts=1)
    ask(gateway, "reached")

    kinds = [failure_of(ask(gateway, str(i))).kind for i in range(32)]
    with endpoint_error(r"answers no more \(33 requests in a row failed, last: gone\).* run the same command again"):
        ask(gateway, "the last straw")

    assert kinds == [kind] * 32


def test_a_failed_call_gives_its_reservation_back(make_gateway: MakeGateway):
    script = Script(CallError("http_400", "no", again=False), YES)
    gateway = make_gateway(script, tokens=15)

    outcomes = [ask(gateway, "a"), ask(gateway, "b")]

    assert failure_of(outcomes[0]).kind == "http_400"
    answer_of(outcomes[1])


def test_an_image_that_cannot_be_made_is_a_failure_of_its_feature_alone(make_gateway: MakeGateway):
    script = Script(ImageError("7.png: truncated"), YES)
    gateway = make_gateway(script)

    outcomes = [ask(gateway, "a"), ask(gateway, "b")]

    assert outcomes[0] == Failure("image", "7.png: truncated", 1)
    answer_of(outcomes[1])
    assert gateway.limiter.in_flight == 0


@pytest.mark.parametrize("text", [YES, f"a draft would be {YES} but wait", '{"image_1": "y'])
def test_a_reply_that_was_cut_is_malformed_whatever_can_be_found_in_it(make_gateway: MakeGateway, text: str):
    script = Script(completion(text, finish="length"))

    failure = failure_of(ask(make_gateway(script)))

    assert failure.kind == "malformed"
    assert failure.message.startswith("the reply was cut at max_tokens")
    assert [r.max_tokens for r in script.asked] == [50, 200]


def test_more_room_than_an_endpoint_has_for_a_cut_reply_costs_that_question_alone(make_gateway: MakeGateway):
    too_long = CallError("http_400", "context exceeded", again=False, remedy="show fewer")
    gateway = make_gateway(Script(completion("cut", finish="length"), too_long, YES))

    assert failure_of(ask(gateway, "a")) == Failure("http_400", "context exceeded", 1)
    answer_of(ask(gateway, "b"))


@pytest.mark.parametrize("kind", ["refused", "malformed"])
def test_calls_that_a_filter_refuses_are_no_sign_of_a_dead_endpoint(make_gateway: MakeGateway, kind: str):
    gateway = make_gateway(Script(CallError(kind, "no", again=False)))

    kinds = {failure_of(ask(gateway, str(i))).kind for i in range(40)}

    assert kinds == {kind}


def test_an_answer_without_a_reply_never_settles(make_gateway: MakeGateway):
    script = Script(YES, CallError(BROKEN, "an empty body", again=True))
    gateway = make_gateway(script)
    ask(gateway, "reached")

    failure = failure_of(ask(gateway, "a"))

    assert (failure.kind, failure.attempts) == ("http_200", 3)
    assert failure.kind not in SETTLED


def test_a_server_that_never_answered_with_a_reply_ends_the_run(make_gateway: MakeGateway):
    script = Script(CallError(BROKEN, "the endpoint answered 200 with a web page", again=True, nobody=True))

    with endpoint_error("a web page; is the server up and --base-url right"):
        ask(make_gateway(script))
    assert len(script.asked) == 3


def test_what_was_sent_is_answered_and_kept_before_a_wrong_setting_ends_the_run(make_gateway: MakeGateway):
    """Six questions, three at a time; the second is redirected: nothing more is sent, and two need no second asking."""
    moved = CallError("http_307", "elsewhere", again=False, remedy="give its address")
    first, second = Script(YES, YES, moved, YES), Script(YES)
    gateway = make_gateway(first, ceiling=3)
    ask(gateway, "reached")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for i in range(6):
                group.create_task(gateway.ask(question(str(i)), ONE))

    with pytest.raises(ExceptionGroup) as caught:
        simulate(main())
    ask_all(make_gateway(second), [str(i) for i in range(6)])

    assert {str(e) for e in caught.value.exceptions} == {"give its address"}
    assert len(first.times) == 1 + 3
    assert len(second.times) == 4


@pytest.mark.parametrize("kind", ["connection", BROKEN])
def test_answers_that_break_off_are_from_a_server_that_is_there(make_gateway: MakeGateway, kind: str):
    """The first question fails at all its three attempts; the others are asked all the same."""
    cut = CallError(kind, "Server disconnected", again=True)
    script = Script(cut, cut, cut, YES)

    outcomes = ask_all(make_gateway(script), [str(i) for i in range(4)])

    assert [isinstance(o, Failure) for o in outcomes] == [True, False, False, False]
    assert failure_of(outcomes[0]) == Failure(kind, "Server disconnected", 3)
