import pytest

from autointerp.settings import EngineSettings
from autointerp.jobs.shares import Purse, after, share_of
from autointerp.lmm.budget import parse_budget


def test_three_processes_together_have_as_many_in_flight_and_the_same_rates_as_one():
    whole = EngineSettings(concurrency=64, requests_per_minute=300, tokens_per_minute=60_000)

    shares = [share_of(whole, i, 3) for i in range(3)]

    assert sorted(s.concurrency for s in shares) == [21, 21, 22]
    assert {(s.requests_per_minute, s.tokens_per_minute) for s in shares} == {(100, 20_000)}


def test_a_process_has_at_least_one_request_in_flight():
    assert share_of(EngineSettings(concurrency=1), 0, 4).concurrency == 1


def test_a_budget_is_granted_in_equal_shares_and_what_is_not_spent_comes_back():
    purse = Purse.of("$3")

    grants = [purse.grant(3), purse.grant(2), purse.grant(1)]
    purse.settle(grants[0], 0.25)

    assert grants == [1.0, 1.0, 1.0]
    assert purse.left == 0.75
    assert parse_budget(purse.text(0.75) or "").limit == 0.75


def test_what_was_spent_beyond_a_grant_is_taken_from_what_is_left():
    purse = Purse.of("1000 tokens")

    purse.settle(purse.grant(2), 600)

    assert purse.left == 400
    assert purse.text(400.9) == "400 tokens"


@pytest.mark.parametrize(("text", "empty"), [("10 tokens", True), (None, False)])
def test_a_purse_is_empty_only_where_there_was_a_budget(text: str | None, empty: bool):
    purse = Purse.of(text)

    purse.settle(purse.grant(1), 10)

    assert purse.empty is empty


def test_the_last_token_is_granted_whole():
    purse = Purse.of("3 tokens")

    assert purse.text(purse.grant(8)) == "1 tokens"


@pytest.mark.parametrize(
    ("budget", "spent", "left"),
    [("9 tokens", 4, "5 tokens"), ("9 tokens", 9, "1 tokens"), ("9 tokens", 20, "1 tokens"), (None, 5, None)],
)
def test_the_next_door_gets_what_the_last_one_left(budget: str | None, spent: float, left: str | None):
    assert after(EngineSettings(budget=budget), spent).budget == left
