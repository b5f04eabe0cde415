"""Prints what `autointerp score` did."""

from autointerp.cli.printing import finish, outside, show_recorded
from autointerp.commands.score import Score
from autointerp.errors import typed
from autointerp.job import JobResult


def show(result: JobResult, settings: Score, *, as_json: bool) -> int:
    """Prints what was done and what comes next; exit code 1 if features failed."""
    run = settings.new_run or settings.run
    if settings.execution.batch:
        return show_recorded("score", "the features that are explained by then", run, as_json=as_json)
    whole = settings.execution.shard is None
    judge = f" --judge {typed(result.judge)}" if result.judge else ""
    next_step = (
        f"autointerp report {typed(run)}{judge}{outside(allowed=settings.allow_outside)}"
        if whole
        else f"autointerp merge {typed(run)}, once all shards are done"
    )
    return finish("scored", result, as_json=as_json, next_step=next_step)
