"""Prints what `autointerp batch run` did."""

from collections.abc import Iterator

from autointerp.cli.printing import dollars, exit_code, plural, tell
from autointerp.cli.render.batch import stage_lines, stages_as_json
from autointerp.commands.batch_run import BatchRun
from autointerp.errors import typed
from autointerp.jobs.batch.run import DriveResult, next_step


def show(result: DriveResult, settings: BatchRun, *, as_json: bool) -> int:
    """Prints what became of the stages; exit code 1 if something is left to do."""
    value = {
        "run": str(result.run),
        "rounds": result.rounds,
        "answers": sum(c.answers for c in result.collected),
        "stages": stages_as_json(result.results),
        "left": result.left,
        "stopped": result.stopped,
    }
    code = exit_code(complete=result.complete, halted=result.stopped is not None and not result.idle)
    return tell(_lines(result), value, as_json=as_json, code=code)


def _lines(result: DriveResult) -> Iterator[str]:
    yield from stage_lines(result.results, result.left)
    answers = sum(c.answers for c in result.collected)
    known = [c.dollars for c in result.collected if c.dollars is not None]
    cost = f", {dollars(sum(known))}" if len(known) == len(result.collected) else ""
    yield f"{plural(answers, 'answer')} in {plural(result.rounds, 'round')}{cost}"
    if result.stopped:
        yield f"stopped: {result.stopped}"
        yield f"next: autointerp batch run {typed(result.run)}"
    else:
        yield f"next: {next_step(result.run, [], finished=True, left=result.left)}"
