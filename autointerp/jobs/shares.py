"""Divides what an endpoint may be used between several processes."""

from dataclasses import dataclass

from autointerp.settings import EngineSettings
from autointerp.lmm.budget import Budget, parse_budget

LEAST = {"usd": 1e-9, "tokens": 1.0}
"""What is left of a budget below this is nothing."""


def share_of(engine: EngineSettings, index: int, n: int) -> EngineSettings:
    """What the `index`-th of `n` processes may use: an n-th of the requests in flight and of the rates.

    The budget stays whole, since it does not come back as the others do.
    """

    def part(rate: float | None) -> float | None:
        return None if rate is None else rate / n

    return engine.model_copy(
        update={
            "concurrency": max(1, (engine.concurrency + index) // n),
            "requests_per_minute": part(engine.requests_per_minute),
            "tokens_per_minute": part(engine.tokens_per_minute),
        }
    )


def after(engine: EngineSettings, spent: float) -> EngineSettings:
    """What may still be used once so much of the budget is spent, in its unit.

    A budget of nothing cannot be stated: the least one covers no request, only what the cache holds.
    """
    if engine.budget is None:
        return engine
    budget = parse_budget(engine.budget)
    left = Budget(max(budget.limit - spent, LEAST[budget.unit]), budget.unit)
    return engine.model_copy(update={"budget": budget_text(left)})


def budget_text(budget: Budget) -> str:
    """A budget as `parse_budget` reads it."""
    return f"{budget.limit:.12f}usd" if budget.unit == "usd" else f"{int(budget.limit)} tokens"


@dataclass
class Purse:
    """A budget from which processes are granted shares, and to which they give back what they do not use."""

    budget: Budget | None
    left: float = 0.0

    @classmethod
    def of(cls, text: str | None) -> "Purse":
        """Reads a budget, None for no limit.

        Raises:
            SettingsError: it cannot be read.
        """
        budget = parse_budget(text) if text is not None else None
        return cls(budget, budget.limit if budget is not None else 0.0)

    def grant(self, without: int) -> float:
        """An equal share for one of `without` processes that hold none; 0 where there is nothing left or no limit."""
        if self.budget is None or self.empty:
            return 0.0
        share = max(self.left / max(1, without), LEAST[self.budget.unit])
        self.left -= share
        return share

    def settle(self, granted: float, spent: float) -> None:
        """Takes back what was not spent of a grant; what was spent beyond it is taken from the others' shares."""
        self.left += granted - spent

    @property
    def empty(self) -> bool:
        """Whether a budget is used up."""
        return self.budget is not None and self.left < LEAST[self.budget.unit]

    def text(self, granted: float) -> str | None:
        """A grant as a budget of its own, None where there is no limit."""
        return None if self.budget is None else budget_text(Budget(granted, self.budget.unit))
