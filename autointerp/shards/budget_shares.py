"""Divides what an endpoint may be used between several processes."""

from autointerp.settings import Budget, EngineSettings

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
    left = max(engine.budget.limit - spent, LEAST[engine.budget.unit])
    return engine.model_copy(update={"budget": Budget.of(left, engine.budget.unit)})
