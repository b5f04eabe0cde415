"""Prints what `autointerp batch submit` did."""

from collections.abc import Iterator

from autointerp.cli.printing import dollars, exit_code, plural, tell
from autointerp.cli.render.batch import stage_lines, stages_as_json
from autointerp.commands.batch_submit import BatchSubmit
from autointerp.errors import EndpointError
from autointerp.jobs.batch.run import next_step
from autointerp.jobs.batch.submit import SubmitResult


def show(result: SubmitResult, settings: BatchSubmit, *, as_json: bool) -> int:
    """Prints what was written and sent; exit code 1 if a stage failed, 3 if it was stopped.

    Raises:
        EndpointError: the endpoint did not take what was to be sent.
    """
    failed = any(r.failed and not r.deferred for r in result.results.values())
    code = exit_code(complete=not failed and not result.left, halted=result.stopped is not None)
    tell(_lines(result), _as_json(result), as_json=as_json)
    if result.problem is not None:
        raise EndpointError(result.problem)
    return code


def _lines(result: SubmitResult) -> Iterator[str]:
    yield from stage_lines(result.results, result.left)
    lines = sum(f.lines for f in result.written)
    size = sum(f.bytes for f in result.written) / 1e6
    if result.written:
        into = plural(len(result.written), "file")
        about = f"about {result.tokens:,} tokens, {dollars(result.dollars)}"
        yield f"wrote {plural(lines, 'question')} into {into} ({size:,.1f} MB), {about}:"
        yield from (f"  {result.run / 'batch' / f.name}: {plural(f.lines, 'line')}" for f in result.written[:10])
    else:
        yield "no new question was written"
    if result.sent:
        yield f"sent {plural(len(result.sent), 'file')} to the Batch API; answers come within 24 hours"
    if result.waiting > lines:
        verb = "waits for its answer" if result.waiting == 1 else "wait for answers"
        yield f"{plural(result.waiting, 'question')} {verb}, those of earlier files included"
    if result.stopped:
        how = "give more with --budget" if result.stopped == "over budget" else "submit again to go on"
        yield f"stopped: {result.stopped}; {how}"
    if result.problem is None:
        yield f"next: {next_step(result.run, result.files, finished=result.complete, left=result.left)}"


def _as_json(result: SubmitResult) -> dict[str, object]:
    return {
        "run": str(result.run),
        "written": {f.name: f.lines for f in result.written},
        "sent": {f.name: f.batch for f in result.sent},
        "waiting": result.waiting,
        "unsent": [f.name for f in result.files if f.unsent],
        "stages": stages_as_json(result.results),
        "finished": result.finished,
        "left": result.left,
        "expected": {"tokens": result.tokens, "dollars": result.dollars},
        "stopped": result.stopped,
        "problem": result.problem,
    }
