"""What the stages of a batch job may cost: prices of a batch job, and a ledger for each stage or one for all."""

from collections.abc import Mapping
from pathlib import Path

from autointerp.settings import ModelSettings
from autointerp.jobs.admitting import screeners
from autointerp.jobs.batch_plans import AnyStage, BatchPlan, ScorePlan
from autointerp.lmm.batch_book import BatchFile
from autointerp.lmm.budget import Ledger, parse_budget
from autointerp.lmm.prices import Price, batch_multiplier
from autointerp.runs.folder import open_run
from autointerp.session import find_price


def models_of(run: str | Path, stage: AnyStage) -> list[ModelSettings]:
    """Who is asked in a stage: the judge's screening model and the explainer of a random dump included.

    Raises:
        RunError: the run cannot be read.
    """
    if not isinstance(stage, ScorePlan):
        return [stage.model]
    judges = [stage.judge.model_copy(update={"model": name}) for name in screeners(stage.settings)]
    random = [open_run(run).info.explain.model] if stage.random_dump is not None else []
    return [stage.judge, *judges, *random]


def batch_prices(run: str | Path, plan: BatchPlan) -> Mapping[str, Price | None]:
    """What every model of the plan costs in a batch job, by name; None where it is not known.

    Raises:
        SettingsError: a price file cannot be used.
    """
    out: dict[str, Price | None] = {}
    for stage in plan.stages:
        out |= _prices(run, stage)
    return out


def _prices(run: str | Path, stage: AnyStage) -> dict[str, Price | None]:
    out: dict[str, Price | None] = {}
    for model in models_of(run, stage):
        price = find_price(model, None if stage.prices is None else Path(stage.prices))
        out[model.model] = None if price is None else price.times(batch_multiplier(model.model))
    return out


class Ledgers:
    """The budgets of one submitting, at the prices of a batch job.

    Args:
        run: folder of the run.
        plan: its stages.
        budget: of all stages together; None where each keeps to the budget of its own command.

    Raises:
        SettingsError: a budget cannot be read, or is in dollars and a price is not known.
    """

    def __init__(self, run: str | Path, plan: BatchPlan, budget: str | None) -> None:
        self.prices = batch_prices(run, plan)
        shared = Ledger(parse_budget(budget), self.prices) if budget else None
        self._of = {stage.name: shared or _own(run, stage) for stage in plan.stages}
        self._asked = {stage.name: {model.model for model in models_of(run, stage)} for stage in plan.stages}

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


def _own(run: str | Path, stage: AnyStage) -> Ledger:
    text = stage.engine.budget
    return Ledger(parse_budget(text) if text else None, _prices(run, stage))
