"""What the stages of a batch job may cost: prices of a batch job, and a ledger for each stage or one for all."""

from collections.abc import Mapping

from autointerp.batch.manifest import BatchFile
from autointerp.jobs.batch.plan import BatchPlan, Stage
from autointerp.lmm.budget import Ledger
from autointerp.lmm.prices import Price, batch_multiplier
from autointerp.session.gateway import find_price
from autointerp.settings import Budget


def batch_prices(plan: BatchPlan) -> Mapping[str, Price | None]:
    """What every model of the plan costs in a batch job, by name; None where it is not known.

    Raises:
        SettingsError: a price file cannot be used.
    """
    out: dict[str, Price | None] = {}
    for stage in plan.stages:
        out |= _prices(stage)
    return out


def _prices(stage: Stage) -> dict[str, Price | None]:
    out: dict[str, Price | None] = {}
    for model in stage.models:
        price = find_price(model, stage.settings.prices)
        out[model.model] = None if price is None else price.times(batch_multiplier(model.model))
    return out


class Ledgers:
    """The budgets of one submitting, at the prices of a batch job.

    Args:
        plan: the recorded commands.
        budget: of all stages together; None where each keeps to the budget of its own command.

    Raises:
        SettingsError: a budget is in dollars and a price is not known.
    """

    def __init__(self, plan: BatchPlan, budget: Budget | None) -> None:
        self.prices = batch_prices(plan)
        shared = Ledger(budget, self.prices) if budget else None
        self._of = {stage.name: shared or _own(stage) for stage in plan.stages}
        self._asked = {stage.name: {model.model for model in stage.models} for stage in plan.stages}

    def of(self, stage: str) -> Ledger:
        """That the questions of a stage are reserved in."""
        return self._of[stage]

    def covers(self, file: BatchFile) -> bool:
        """Reserves what the open questions of a file may take; False where the budget has no room for them."""
        return not self._known(file) or self._of[file.stage].reserve(file.model, file.expected) is not None

    def count(self, file: BatchFile) -> None:
        """Counts what the open questions of a file may take, be there room or not: they are with the endpoint."""
        if self._known(file):
            self._of[file.stage].charge(file.model, file.expected)

    def _known(self, file: BatchFile) -> bool:
        # A stage that was recorded anew may ask another model.
        return file.model in self._asked.get(file.stage, ())


def _own(stage: Stage) -> Ledger:
    return Ledger(stage.settings.engine.budget, _prices(stage))
