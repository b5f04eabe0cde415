"""Completions that a batch job brought, as the gateway reads them."""

import asyncio
from pathlib import Path

import pytest
from builders import question
from scripted import NO, ONE, YES, MakeGateway, Script, answer_of, ask, completion, failure_of

from autointerp.lmm.batch_replies import fault_of, put_batch_reply, read_batch_reply, reply_key
from autointerp.lmm.cache import Cache
from autointerp.lmm.outcomes import CallError, Failure
from autointerp.lmm.request import Completion
from autointerp.schema import Usage

KEY = question("Does it fit?").key


@pytest.fixture
def post(tmp_path: Path):
    """Puts a completion where the gateways of these tests look, or any other value."""

    def posting(said: Completion | dict[str, str | int]) -> None:
        with Cache(tmp_path / "answers") as cache:

            async def put() -> None:
                if isinstance(said, Completion):
                    await put_batch_reply(cache, KEY, said, 0.25)
                else:
                    await cache.put(reply_key(KEY), said)

            asyncio.run(put())

    return posting


@pytest.fixture
def batch_reply(tmp_path: Path):
    """What lies there for the question."""

    def reading():
        with Cache(tmp_path / "answers") as cache:
            return read_batch_reply(cache, KEY)

    return reading


def test_a_batch_reply_answers_its_question_without_a_call(make_gateway: MakeGateway, post, batch_reply):
    """The dollars are those of the batch; the completion is gone when the answer is in the cache."""
    script = Script(NO)
    gateway = make_gateway(script)
    post(completion(YES))

    first, second = answer_of(ask(gateway)), answer_of(ask(gateway))

    assert script.asked == []
    assert first.value.fits() == second.value.fits() == ("yes",)
    assert first.usage == Usage(input_tokens=10, output_tokens=5, calls=1, dollars=0.25)
    assert (gateway.tally.requests, gateway.tally.answered, gateway.tally.cached) == (0, 0, 2)
    assert batch_reply() is None


def test_a_malformed_batch_reply_is_asked_once_more(make_gateway: MakeGateway, post, batch_reply):
    """One call with what was wrong; the answer holds both usages, and the completion is dropped."""
    script = Script(YES)
    gateway = make_gateway(script)
    post(completion("Well, perhaps."))

    answer = answer_of(ask(gateway))

    assert len(script.asked) == 1
    assert len(script.asked[0].messages) == 4
    assert (answer.usage.calls, answer.usage.input_tokens) == (2, 20)
    assert batch_reply() is None


def test_a_refusing_letter_fails_until_it_is_forgotten(make_gateway: MakeGateway, post):
    script = Script(YES)
    gateway = make_gateway(script)
    post(completion("", refusal="no"))

    refused = failure_of(ask(gateway))
    again = failure_of(ask(gateway))
    asyncio.run(gateway.batch_replies.forget_unusable())
    answered = answer_of(ask(gateway))

    assert (refused.kind, again.kind, refused.attempts) == ("refused", "refused", 1)
    assert answered.value.fits() == ("yes",)
    assert len(script.asked) == 1


def test_a_batch_reply_of_another_version_is_no_reply(make_gateway: MakeGateway, post, batch_reply):
    post({"text": YES, "words": 3})

    assert batch_reply() is None
    assert answer_of(ask(make_gateway(Script(YES)))).value.fits() == ("yes",)


def test_a_deferred_question_is_no_failure_of_the_endpoint(make_gateway: MakeGateway):
    """Forty in a row, more than the patience with an endpoint; none counts as a call or as tried again."""
    script = Script(CallError("deferred", "written", again=False))
    gateway = make_gateway(script, attempts=3)

    outcomes = [ask(gateway, f"question {i}") for i in range(40)]

    assert {failure_of(o).kind for o in outcomes} == {"deferred"}
    assert len(script.asked) == 40
    assert (gateway.tally.requests, dict(gateway.tally.failures), gateway.tally.retries.total()) == (
        0,
        {"deferred": 40},
        0,
    )


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (completion(YES), None),
        (completion(f"<think>hm</think>{YES}"), None),
        (completion("Well."), "malformed"),
        (completion('{"image_2": "yes"}'), "malformed"),
        (completion(""), "malformed"),
        (completion("I'm sorry, but no."), "refused"),
        (completion(YES, refusal="no"), "refused"),
        (completion(YES, finish="content_filter"), "refused"),
    ],
)
def test_faults_are_those_of_the_door(make_gateway: MakeGateway, said: Completion, fault: str | None):
    """The gateway finds the same fault in the same completion, said twice."""
    outcome = ask(make_gateway(Script(said)))

    assert fault_of(said, ONE) == fault
    assert (outcome.kind if isinstance(outcome, Failure) else None) == fault


def test_dropping_what_is_not_there_does_nothing(tmp_path: Path):
    with Cache(tmp_path) as cache:

        async def main() -> None:
            await cache.put("a", {"text": "x"})
            await cache.drop("b")
            await cache.drop("a")

        asyncio.run(main())

        assert cache.get("a") is None
