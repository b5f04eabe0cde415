import pytest

from autointerp.settings import EngineSettings
from autointerp.shards.dealing import after, share_of


def test_three_processes_together_have_as_many_in_flight_and_the_same_rates_as_one():
    whole = EngineSettings(concurrency=64, requests_per_minute=300, tokens_per_minute=60_000)

    shares = [share_of(whole, i, 3) for i in range(3)]

    assert sorted(s.concurrency for s in shares) == [21, 21, 22]
    assert {(s.requests_per_minute, s.tokens_per_minute) for s in shares} == {(100, 20_000)}


def test_a_process_has_at_least_one_request_in_flight():
    assert share_of(EngineSettings(concurrency=1), 0, 4).concurrency == 1


@pytest.mark.parametrize(
    ("budget", "spent", "left"),
    [("9 tokens", 4, "5 tokens"), ("9 tokens", 9, "1 tokens"), ("9 tokens", 20, "1 tokens"), (None, 5, None)],
)
def test_the_next_door_gets_what_the_last_one_left(budget: str | None, spent: float, left: str | None):
    assert after(EngineSettings(budget=budget), spent).budget == left
