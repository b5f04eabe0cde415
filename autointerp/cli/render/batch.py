"""What the batch commands say of the stages of a batch job, in words and as JSON."""

import dataclasses
from collections.abc import Iterator, Mapping

from autointerp.cli.printing import dollars, exit_code, plural, tell
from autointerp.commands.batch_collect import BatchCollect
from autointerp.commands.batch_run import BatchRun
from autointerp.commands.batch_status import BatchJob
from autointerp.commands.batch_submit import BatchSubmit
from autointerp.errors import EndpointError, typed
from autointerp.jobs.batch.collect import CollectResult
from autointerp.jobs.batch.plan import StageResult
from autointerp.jobs.batch.run import BatchStatus, DriveResult
from autointerp.jobs.batch.submit import SubmitResult
from autointerp.unexplainable import in_words


def _stage_lines(results: Mapping[str, StageResult], left: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Yields what should be read of stages that are finished, what became of each stage, and what failed of them."""
    for told in results.values():
        headline: str | None = getattr(told, "headline", None)
        if told.complete and headline:
            yield headline
        yield from (f"warning: {warning}" for warning in getattr(told, "warnings", ()))
    for name, told in results.items():
        yield _stage(name, told)
    yield from _left_lines(left, results)


def _left_lines(left: Mapping[str, Mapping[str, int]], gone_through: Mapping[str, StageResult]) -> Iterator[str]:
    """Yields what failed of finished stages; of one that was gone through now, its own line has said how many."""
    for name, kinds in left.items():
        why = ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))
        known = name in gone_through
        yield f"{name}: {'of them' if known else 'finished, but for what failed'}: {why}; no batch job asks that again"


def _stage(name: str, told: StageResult) -> str:
    before = getattr(told, "before", 0)
    unit = "calls" if name.startswith("calibrate") else "features"
    never: dict[str, int] = getattr(told, "unexplainable", {})
    parts = [f"{before + told.done:,} of {told.selected - sum(never.values()):,} {unit} done"]
    if told.deferred:
        parts.append(f"{told.deferred:,} {'waits' if told.deferred == 1 else 'wait'} for answers")
    if told.failed:
        parts.append(f"{told.failed:,} {'not covered by the budget' if told.stopped == 'over budget' else 'failed'}")
    return f"{name}: {', '.join(parts)}" + (f"; {in_words(never)}" if never else "")


def _stages_as_json(results: Mapping[str, StageResult]) -> dict[str, object]:
    """Returns the counts of each stage as JSON values."""
    return {
        name: {"selected": r.selected, "done": r.done, "deferred": r.deferred, "failed": r.failed}
        | {"unexplainable": dict(getattr(r, "unexplainable", {}))}
        for name, r in results.items()
    }


def show_collect(result: CollectResult, settings: BatchCollect, *, as_json: bool) -> int:
    """Prints what the results held."""
    value = {
        **dataclasses.asdict(result),
        "run": str(result.run),
        "unusable": dict(result.unusable),
        "errors": dict(result.errors),
    }
    return tell(_collect_lines(result), value, as_json=as_json)


def _collect_lines(result: CollectResult) -> Iterator[str]:
    for file, state in result.ended.items():
        yield f"{file}: {state}{': ' if state in result.messages else ''}{result.messages.get(state, '')}"
    for file, state in result.running.items():
        yield f"{file}: the endpoint works on it: {state}"
    tokens = result.input_tokens + result.output_tokens
    answers = plural(result.answers, "new answer")
    used = _used(tokens, result.pictures)
    yield f"{plural(result.lines, 'line')}: {answers} in the cache, {used}, {dollars(result.dollars)}"
    yield from _collect_particulars(result)
    if result.removed:
        yield f"deleted {plural(len(result.removed), 'file')} of requests with nothing left to answer"
    if result.missing:
        yield f"{plural(result.missing, 'question')} may still be answered"
    if result.unanswered:
        yield f"{plural(result.unanswered, 'question')} without an answer, to be written again by the next submit"
    if not result.running:
        option = " --files-only" if result.from_files else ""
        submit = f"autointerp batch submit {typed(result.run)}{option}"
        yield f"next: {submit}, which records answers and writes what is left;"
        yield "or the recorded command without --batch, which asks what is left at once"


def _used(tokens: int, pictures: int) -> str:
    """Tokens, pictures, or both."""
    if not pictures:
        return f"{tokens:,} tokens"
    return f"{tokens:,} tokens, {plural(pictures, 'picture')}" if tokens else plural(pictures, "picture")


def _collect_particulars(result: CollectResult) -> Iterator[str]:
    if result.unusable:
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in sorted(result.unusable.items()))
        yield f"  of them not usable: {kinds}; malformed ones are asked once more, refused ones become failures"
    if result.repeated:
        yield f"  {result.repeated:,} answered before"
    if result.old_errors:
        yield f"  {plural(result.old_errors, 'error')} passed over: read before, or of questions asked again since"
    if result.unknown:
        yield f"  {result.unknown:,} of other runs"
    for kind, n in sorted(result.errors.items()):
        yield f"  {n:,} not answered: {kind}: {result.messages.get(kind, '')}"
    if result.n_broken:
        yield f"  {result.n_broken:,} that could not be read:"
        yield from (f"    {line}" for line in result.broken)


def show_run(result: DriveResult, settings: BatchRun, *, as_json: bool) -> int:
    """Prints what became of the stages; exit code 1 if something is left to do."""
    value = {
        "run": str(result.run),
        "rounds": result.rounds,
        "answers": sum(c.answers for c in result.collected),
        "stages": _stages_as_json(result.results),
        "left": result.left,
        "stopped": result.stopped,
    }
    code = exit_code(complete=result.complete, halted=result.stopped is not None and not result.idle)
    return tell(_run_lines(result), value, as_json=as_json, code=code)


def _run_lines(result: DriveResult) -> Iterator[str]:
    yield from _stage_lines(result.results, result.left)
    answers = sum(c.answers for c in result.collected)
    known = [c.dollars for c in result.collected if c.dollars is not None]
    cost = f", {dollars(sum(known))}" if len(known) == len(result.collected) else ""
    yield f"{plural(answers, 'answer')} in {plural(result.rounds, 'round')}{cost}"
    if result.stopped:
        yield f"stopped: {result.stopped}"
        yield f"next: autointerp batch run {typed(result.run)}"
    else:
        yield f"next: {result.next}"


def show_status(result: BatchStatus, settings: BatchJob, *, as_json: bool) -> int:
    """Prints how far the batch job is."""
    return tell(_status_lines(result), result.model_dump(mode="json"), as_json=as_json)


def _status_lines(found: BatchStatus) -> Iterator[str]:
    for stage, done in found.stages.items():
        yield f"{stage}: {'finished' if done else 'not finished'}"
    for f in found.files:
        said = f"; the endpoint: {f.endpoint}" if f.endpoint else ""
        batch = f" ({f.batch})" if f.batch else ""
        what = plural(f.lines, "picture" if f.pictures else "line")
        yield f"  {f.file}  {f.stage}, {what}, {f.open:,} open, {f.state}{batch}{said}"
    yield from _left_lines(found.left, {})
    yield f"{plural(found.open, 'question')} may still be answered"
    for why, n in found.unanswered.items():
        yield f"{plural(n, 'question')} to be written again: {why}"
    yield f"next: {found.next}"


def show_submit(result: SubmitResult, settings: BatchSubmit, *, as_json: bool) -> int:
    """Prints what was written and sent; exit code 1 if a stage failed, 3 if it was stopped.

    Raises:
        EndpointError: the endpoint did not take what was to be sent.
    """
    failed = any(r.failed and not r.deferred for r in result.results.values())
    code = exit_code(complete=not failed and not result.left, halted=result.stopped is not None)
    tell(_submit_lines(result), _submit_as_json(result), as_json=as_json)
    if result.problem is not None:
        raise EndpointError(result.problem)
    return code


def _submit_lines(result: SubmitResult) -> Iterator[str]:
    yield from _stage_lines(result.results, result.left)
    lines = sum(f.lines for f in result.written)
    size = sum(f.bytes for f in result.written) / 1e6
    if result.written:
        into = plural(len(result.written), "file")
        about = f"about {_used(result.tokens, result.pictures)}, {dollars(result.dollars)}"
        yield f"wrote {plural(lines, 'question')} into {into} ({size:,.1f} MB), {about}:"
        yield from (f"  {result.run / f'batch/{f.name}'}: {plural(f.lines, 'line')}" for f in result.written[:10])
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
        yield f"next: {result.next}"


def _submit_as_json(result: SubmitResult) -> dict[str, object]:
    return {
        "run": str(result.run),
        "written": {f.name: f.lines for f in result.written},
        "sent": {f.name: f.batch for f in result.sent},
        "waiting": result.waiting,
        "unsent": [f.name for f in result.files if f.unsent],
        "stages": _stages_as_json(result.results),
        "finished": result.finished,
        "left": result.left,
        "expected": {"tokens": result.tokens, "pictures": result.pictures, "dollars": result.dollars},
        "stopped": result.stopped,
        "problem": result.problem,
    }
