import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.errors import SettingsError
from autointerp.lmm.budget import GRAINS, Ledger, Ticket
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.prices import Price, Rates
from autointerp.settings import Budget

DAY = datetime.date(2026, 11, 23)
PRICE = Price(Rates(input=1.0, output=10.0, cached=0.1), "test", DAY)


def tokens(limit: int) -> Ledger:
    return Ledger(Budget.of(limit, "tokens"), {"m": PRICE})


def ticket_of(ledger: Ledger, estimate: tuple[int, int]) -> Ticket:
    ticket = ledger.reserve("m", estimate)
    assert ticket is not None
    return ticket


@pytest.mark.parametrize(
    ("text", "limit", "unit"),
    [
        ("2.50usd", 2.5, "usd"),
        ("$2.50", 2.5, "usd"),
        (" $ .5 ", 0.5, "usd"),
        ("10 USD", 10, "usd"),
        ("$1k", 1000, "usd"),
        ("3M tokens", 3_000_000, "tokens"),
        ("3000000tok", 3_000_000, "tokens"),
        ("1.5b token", 1_500_000_000, "tokens"),
        ("500kTOK", 500_000, "tokens"),
    ],
)
def test_a_budget_is_read_in_dollars_or_tokens(text: str, limit: float, unit: str):
    budget = Budget(text)

    assert (budget.limit, budget.unit, str(budget)) == (limit, unit, text)


@pytest.mark.parametrize(
    "text", ["", "5", "3M", "$", "usd", "$5 usd", "$3 tokens", "-1usd", "1,5usd", "1e3tok", "5€", "infusd"]
)
def test_what_is_no_budget_is_refused_with_the_ways_to_write_one(text: str):
    with pytest.raises(ValueError, match=r"write it as 2\.50usd, \$2\.50, 3M tokens or 3000000tok"):
        Budget(text)


@pytest.mark.parametrize("text", ["$0", "0tok", "0.0usd"])
def test_a_budget_of_nothing_is_refused(text: str):
    with pytest.raises(ValueError, match="must be above zero"):
        Budget(text)


def test_dollars_for_a_model_of_unknown_price_are_refused_with_the_remedies():
    with pytest.raises(SettingsError, match=r"price of own is not known; state it with --prices FILE, or .* tokens"):
        Ledger(Budget.of(1.0, "usd"), {"own": None, "gpt-5-mini": PRICE})


def test_a_reservation_that_does_not_fit_is_refused_until_another_is_released():
    ledger = tokens(100)
    first = ticket_of(ledger, (50, 10))

    assert ledger.reserve("m", (30, 11)) is None
    ledger.release(first)
    assert ledger.reserve("m", (30, 11)) is not None
    assert (ledger.spent, ledger.in_flight) == (0, 1)
    assert ledger.reserve("m", (60, 0)) is None
    assert ledger.reserve("m", (59, 0)) is not None


def test_the_whole_budget_can_be_used_to_the_last_token():
    ledger = tokens(100)

    ledger.settle(ticket_of(ledger, (60, 40)), 60, 40, 0)

    assert ledger.spent == 100
    assert ledger.reserve("m", (1, 0)) is None


def test_dollars_are_counted_by_price_with_cached_input_cheaper():
    ledger = Ledger(Budget.of(1.0, "usd"), {"m": PRICE})

    dollars = ledger.settle(ticket_of(ledger, (1000, 100)), 1000, 20, 500)

    # 500 at $1, 500 at $0.1 and 20 at $10 a million.
    assert dollars == pytest.approx(0.00075)
    assert ledger.spent == pytest.approx(0.00075)


def test_a_dollar_budget_has_room_for_as_many_calls_as_it_pays():
    # A call of 1000 tokens at $1 a million costs a tenth of a cent: ten to the cent, whatever binary fractions do.
    ledger = Ledger(Budget.of(0.01, "usd"), {"m": PRICE})

    granted = [ledger.reserve("m", (1000, 0)) is not None for _ in range(12)]

    assert granted == [True] * 10 + [False] * 2


def test_without_a_budget_everything_is_granted_and_counted():
    ledger = Ledger(None, {"own": None})
    ticket = ledger.reserve("own", (10**12, 10**12))
    assert ticket is not None

    dollars = ledger.settle(ticket, 70, 7, 0)

    assert dollars is None
    assert ledger.spent == 77


def test_after_five_replies_reservations_follow_the_replies_with_a_tenth_to_spare():
    ledger = tokens(1_000_000)
    for _ in range(4):
        ledger.settle(ticket_of(ledger, (1000, 200)), 500, 50, 0)
    before = ticket_of(ledger, (1000, 200))

    ledger.settle(before, 500, 50, 0)
    after = ticket_of(ledger, (2000, 200))

    assert before.held == TokenEstimate(1000, 200)
    # Half of 2000 and a quarter of 200, and a tenth more.
    assert after.held == TokenEstimate(1100, 55)


def test_estimates_that_were_too_low_are_raised():
    ledger = tokens(1_000_000)
    for _ in range(5):
        ledger.settle(ticket_of(ledger, (100, 10)), 300, 40, 0)

    assert ticket_of(ledger, (100, 10)).held == TokenEstimate(330, 44)


def test_models_are_corrected_apart():
    ledger = Ledger(None, {"m": PRICE, "judge": PRICE})
    for _ in range(5):
        ledger.settle(ticket_of(ledger, (100, 10)), 300, 40, 0)
    ticket = ledger.reserve("judge", (100, 10))

    assert ticket is not None
    assert ticket.held == TokenEstimate(100, 10)


def test_a_reply_without_usage_is_charged_its_reservation_and_teaches_nothing():
    ledger = tokens(1_000_000)
    for _ in range(6):
        ledger.settle(ticket_of(ledger, (100, 10)), 0, 0, 0)

    assert ledger.spent == 660
    assert ticket_of(ledger, (100, 10)).held == TokenEstimate(100, 10)


def test_a_reply_longer_than_its_reservation_is_charged_in_full_and_ends_the_run():
    ledger = tokens(100)

    ledger.settle(ticket_of(ledger, (90, 10)), 90, 60, 0)

    assert ledger.spent == 150
    assert ledger.reserve("m", (0, 1)) is None


def test_a_ticket_is_closed_once():
    ledger = tokens(100)
    ticket = ticket_of(ledger, (10, 1))
    ledger.release(ticket)

    with pytest.raises(AssertionError, match="once"):
        ledger.settle(ticket, 10, 1, 0)


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["settle", "release", "open"]),
        st.tuples(st.integers(0, 5000), st.integers(0, 500)),
        st.floats(0, 1),
        st.integers(0, 10),
    ),
    max_size=60,
)


@given(CALLS, st.floats(1e-4, 0.1), st.sampled_from(["usd", "tokens"]))
def test_whatever_the_order_spent_and_reserved_stay_within_the_limit(
    calls: list[tuple[str, tuple[int, int], float, int]], dollars: float, unit: str
):
    limit = Budget.of(dollars, "usd") if unit == "usd" else Budget.of(int(dollars * 1e6), "tokens")
    ledger = Ledger(limit, {"m": PRICE})
    open_tickets: list[Ticket] = []

    for action, estimate, share, which in calls:
        ticket = ledger.reserve("m", estimate)
        if ticket is not None:
            open_tickets.append(ticket)
        if action != "open" and open_tickets:
            closing = open_tickets.pop(which % len(open_tickets))
            if action == "release":
                ledger.release(closing)
            else:
                held = closing.held
                ledger.settle(closing, int(held.input_tokens * share), int(held.output_tokens * share), 0)

        reserved = sum(ticket.grains for ticket in open_tickets) / GRAINS[limit.unit]
        assert ledger.spent + reserved <= limit.limit * (1 + 1e-12)
        assert ledger.in_flight == len(open_tickets)
    for ticket in open_tickets:
        ledger.release(ticket)
    assert ledger.in_flight == 0


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 500)), max_size=40))
def test_what_was_settled_is_the_sum_of_the_usage(used: list[tuple[int, int]]):
    ledger = tokens(10**12)

    for usage in used:
        ledger.settle(ticket_of(ledger, (1000, 100)), *usage, 0)

    assert ledger.spent == sum(map(sum, used))


@given(st.lists(st.tuples(st.integers(1, 20_000), st.integers(0, 2000)), min_size=1, max_size=60))
def test_the_limit_is_passed_at_most_by_what_the_calls_in_flight_were_underestimated(used: list[tuple[int, int]]):
    ledger = tokens(20_000)
    over = 0

    for usage in used:
        ticket = ledger.reserve("m", (1000, 100))
        if ticket is not None:
            ledger.settle(ticket, *usage, 0)
            over = max(over, sum(usage) - sum(ticket.held))

    assert ledger.spent <= 20_000 + over
