"""Functions by their former names."""

import warnings
from typing import TYPE_CHECKING

from autointerp.commands.calibrate import calibrate
from autointerp.commands.demo import demo
from autointerp.commands.explain import explain
from autointerp.commands.score import score

if TYPE_CHECKING:
    from autointerp.job import JobResult
    from autointerp.jobs.calibrate import CalibrationResult

run_demo = demo


def batch_explain(*args: object, **options: object) -> "JobResult":
    """Calls `explain(…, batch=True)`, which is to be called instead."""
    _tell("batch_explain", "explain")
    return explain(*args, **options, batch=True)


def batch_score(*args: object, **options: object) -> "JobResult":
    """Calls `score(…, batch=True)`, which is to be called instead."""
    _tell("batch_score", "score")
    return score(*args, **options, batch=True)


def batch_calibrate(model: object, **options: object) -> "CalibrationResult":
    """Calls `calibrate(model=…, batch=True)`, which is to be called instead."""
    _tell("batch_calibrate", "calibrate")
    return calibrate(model=model, **options, batch=True)


def _tell(name: str, successor: str) -> None:
    said = f"autointerp.{name} goes with the next version: call autointerp.{successor}(…, batch=True)"
    warnings.warn(said, DeprecationWarning, stacklevel=3)
