"""Prints what `autointerp explain` did."""

from autointerp.cli.printing import finish, outside, show_recorded
from autointerp.commands.explain import Explain
from autointerp.errors import typed
from autointerp.job import JobResult


def show(result: JobResult, settings: Explain, *, as_json: bool) -> int:
    """Prints what was done and what comes next; exit code 1 if features failed."""
    run = settings.run
    if settings.execution.batch:
        what = f"{result.selected - result.before:,} features to explain"
        return show_recorded("explain", what, run, as_json=as_json)
    whole = settings.execution.shard is None
    next_step = (
        f"autointerp score {typed(run)}{outside(allowed=settings.allow_outside)}"
        if whole
        else f"autointerp merge {typed(run)}, once all shards are done"
    )
    return finish("explained", result, as_json=as_json, next_step=next_step)
