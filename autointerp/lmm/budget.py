"""A limit in dollars or tokens, and the ledger that keeps the calls of a run within it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal

from autointerp.errors import SettingsError
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.prices import Price, cost
from autointerp.settings import Budget

Unit = Literal["usd", "tokens"]

GRAINS: dict[Unit, int] = {"usd": 10**12, "tokens": 1}
"""The ledger counts in whole grains, so that what was reserved and released comes out even over millions of calls."""

LEARN_AFTER = 5
"""Replies of a model before its estimates are corrected."""
MARGIN_PERCENT = 110
"""Reservations after the correction, relative to the average reply."""


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """What one call holds of the budget until it is settled or released."""

    model: str
    estimate: TokenEstimate
    """As the caller gave it."""
    held: TokenEstimate
    """As corrected by the replies so far."""
    grains: int


class Ledger:
    """Reserves before each call and settles after it; no reservation takes spent and reserved past the limit.

    A reply may use more than was reserved for it: the limit can then be passed by as much as the calls in flight were
    underestimated, and nothing further is reserved. For use from one event loop.

    Args:
        budget: None for no limit; usage is counted all the same.
        prices: of every model that will be called, by the name in its requests; None where unknown.

    Raises:
        SettingsError: the budget is in dollars and a model has no known price.
    """

    def __init__(self, budget: Budget | None, prices: Mapping[str, Price | None]) -> None:
        self.budget = budget
        self._prices = dict(prices)
        self._learned = {model: _Correction() for model in prices}
        self._open: set[Ticket] = set()
        self._unit: Unit = budget.unit if budget else "tokens"
        self._limit = int(budget.limit * GRAINS[self._unit]) if budget else None
        self._spent = 0
        self._reserved = 0
        self.moved = asyncio.Event()
        """Set whenever a call gives back or settles what it held; whoever waits for room clears it first."""
        unknown = sorted(model for model, price in prices.items() if price is None)
        if self._unit == "usd" and unknown:
            raise SettingsError(
                f"budget in dollars: the price of {', '.join(unknown)} is not known; "
                "state it with --prices FILE, or give the budget in tokens, such as 3M tokens"
            )

    @property
    def spent(self) -> float:
        """Returns what settled calls used, in the budget's unit (tokens without a budget)."""
        return self._spent / GRAINS[self._unit]

    @property
    def in_flight(self) -> int:
        """Counts the open tickets; while there are any, a refused reservation may succeed later."""
        return len(self._open)

    def reserve(self, model: str, estimate: tuple[int, int]) -> Ticket | None:
        """Holds what a call is expected to use.

        Args:
            model: a name that the ledger has a price (or None) for.
            estimate: input and output tokens, uncorrected.

        Returns:
            A ticket to settle or release, or None where the budget has no room for it.
        """
        expected = TokenEstimate(*estimate)
        held = self._learned[model].applied_to(expected)
        grains = self._grains(model, held.input_tokens, held.output_tokens, 0)
        if self._limit is not None and self._spent + self._reserved + grains > self._limit:
            return None
        ticket = Ticket(model, expected, held, grains)
        self._open.add(ticket)
        self._reserved += grains
        return ticket

    def settle(self, ticket: Ticket, input_tokens: int, output_tokens: int, cached_tokens: int) -> float | None:
        """Replaces a reservation by what the reply says it used.

        An endpoint that reports no usage (no input at all) is charged the reservation, and teaches nothing.

        Returns:
            Dollars of the call, or None where the price is not known.
        """
        self._close(ticket)
        if input_tokens > 0:
            self._learned[ticket.model].learn(ticket.estimate, TokenEstimate(input_tokens, output_tokens))
        else:
            (input_tokens, output_tokens), cached_tokens = ticket.held, 0
        self._spent += self._grains(ticket.model, input_tokens, output_tokens, cached_tokens)
        price = self._prices[ticket.model]
        return None if price is None else cost(price, input_tokens, output_tokens, cached_tokens)

    def charge(self, model: str, estimate: tuple[int, int]) -> None:
        """Counts as spent what is under way elsewhere, within the limit or not."""
        self._spent += self._grains(model, *estimate, 0)

    def release(self, ticket: Ticket) -> None:
        """Gives a reservation back: the call failed and used nothing."""
        self._close(ticket)

    def _close(self, ticket: Ticket) -> None:
        assert ticket in self._open, "a ticket is settled or released once"
        self._open.remove(ticket)
        self.moved.set()
        self._reserved -= ticket.grains

    def _grains(self, model: str, input_tokens: int, output_tokens: int, cached_tokens: int) -> int:
        if self._unit == "tokens":
            return input_tokens + output_tokens
        price = self._prices[model]
        assert price is not None
        return ceil(cost(price, input_tokens, output_tokens, cached_tokens) * GRAINS["usd"])


@dataclass(slots=True)
class _Correction:
    """How a model's replies compare with what was estimated for them."""

    replies: int = 0
    estimated_input: int = 0
    estimated_output: int = 0
    used_input: int = 0
    used_output: int = 0

    def learn(self, estimate: TokenEstimate, used: TokenEstimate) -> None:
        self.replies += 1
        self.estimated_input += estimate.input_tokens
        self.estimated_output += estimate.output_tokens
        self.used_input += used.input_tokens
        self.used_output += used.output_tokens

    def applied_to(self, estimate: TokenEstimate) -> TokenEstimate:
        if self.replies < LEARN_AFTER:
            return estimate
        return TokenEstimate(
            _scaled(estimate.input_tokens, self.used_input, self.estimated_input),
            _scaled(estimate.output_tokens, self.used_output, self.estimated_output),
        )


def _scaled(tokens: int, used: int, estimated: int) -> int:
    return -(-MARGIN_PERCENT * tokens * used // (100 * estimated)) if estimated else tokens
