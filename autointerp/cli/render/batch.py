"""What is said of batch jobs, in words and as JSON."""

from typing import TYPE_CHECKING

from autointerp.cli.printing import plural
from autointerp.unexplainable import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from autointerp.jobs.batch.collect import CollectResult
    from autointerp.jobs.batch.plan import StageResult
    from autointerp.jobs.batch.run import BatchStatus, DriveResult
    from autointerp.jobs.batch.submit import SubmitResult


def submitted(result: "SubmitResult") -> "Iterator[str]":
    """What submitting did, and what comes next."""
    from autointerp.jobs.batch.run import next_step

    yield from _findings(result.results)
    for name, told in result.results.items():
        yield _stage(name, told)
    yield from _left(result.left, result.results)
    lines = sum(f.lines for f in result.written)
    size = sum(f.bytes for f in result.written) / 1e6
    dollars = "price unknown" if result.dollars is None else f"${result.dollars:,.4f}"
    if result.written:
        into = plural(len(result.written), "file")
        about = f"about {result.tokens:,} tokens, {dollars}"
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


def _stage(name: str, told: "StageResult") -> str:
    """What became of a stage, in a line."""
    before = getattr(told, "before", 0)
    unit = "calls" if name.startswith("calibrate") else "features"
    never: dict[str, int] = getattr(told, "unexplainable", {})
    parts = [f"{before + told.done:,} of {told.selected - sum(never.values()):,} {unit} done"]
    if told.deferred:
        parts.append(f"{told.deferred:,} {'waits' if told.deferred == 1 else 'wait'} for answers")
    if told.failed:
        parts.append(f"{told.failed:,} {'not covered by the budget' if told.stopped == 'over budget' else 'failed'}")
    return f"{name}: {', '.join(parts)}" + (f"; {in_words(never)}" if never else "")


def _left(left: "Mapping[str, Mapping[str, int]]", gone_through: "Mapping[str, StageResult]") -> "Iterator[str]":
    """What failed of finished stages; of one that was gone through now, its own line has said how many."""
    for name, kinds in left.items():
        why = ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))
        known = name in gone_through
        yield f"{name}: {'of them' if known else 'finished, but for what failed'}: {why}; no batch job asks that again"


def _findings(results: "dict[str, StageResult]") -> "Iterator[str]":
    """What should be read of stages that are finished."""
    for told in results.values():
        headline: str | None = getattr(told, "headline", None)
        if told.complete and headline:
            yield headline
        yield from (f"warning: {warning}" for warning in getattr(told, "warnings", ()))


def submitted_as_json(result: "SubmitResult") -> dict[str, object]:
    """The same as JSON."""
    return {
        "run": str(result.run),
        "written": {f.name: f.lines for f in result.written},
        "sent": {f.name: f.batch for f in result.sent},
        "waiting": result.waiting,
        "unsent": [f.name for f in result.files if f.unsent],
        "stages": _stages_as_json(result.results),
        "finished": result.finished,
        "left": result.left,
        "expected": {"tokens": result.tokens, "dollars": result.dollars},
        "stopped": result.stopped,
        "problem": result.problem,
    }


def _stages_as_json(results: "dict[str, StageResult]") -> dict[str, object]:
    return {
        name: {"selected": r.selected, "done": r.done, "deferred": r.deferred, "failed": r.failed}
        | {"unexplainable": dict(getattr(r, "unexplainable", {}))}
        for name, r in results.items()
    }


def status(found: "BatchStatus") -> "Iterator[str]":
    """How far a batch job is."""
    for stage, done in found.stages.items():
        yield f"{stage}: {'finished' if done else 'not finished'}"
    for f in found.files:
        said = f"; the endpoint: {f.endpoint}" if f.endpoint else ""
        batch = f" ({f.batch})" if f.batch else ""
        yield f"  {f.file}  {f.stage}, {plural(f.lines, 'line')}, {f.open:,} open, {f.state}{batch}{said}"
    yield from _left(found.left, {})
    yield f"{plural(found.open, 'question')} may still be answered"
    for why, n in found.unanswered.items():
        yield f"{plural(n, 'question')} to be written again: {why}"
    yield f"next: {found.next}"


def collected(result: "CollectResult") -> "Iterator[str]":
    """What collecting did, and what comes next."""
    for file, state in result.ended.items():
        yield f"{file}: {state}{': ' if state in result.messages else ''}{result.messages.get(state, '')}"
    for file, state in result.running.items():
        yield f"{file}: the endpoint works on it: {state}"
    dollars = "price unknown" if result.dollars is None else f"${result.dollars:,.4f}"
    tokens = result.input_tokens + result.output_tokens
    answers = plural(result.answers, "new answer")
    yield f"{plural(result.lines, 'line')}: {answers} in the cache, {tokens:,} tokens, {dollars}"
    yield from _particulars(result)
    if result.removed:
        yield f"deleted {plural(len(result.removed), 'file')} of requests with nothing left to answer"
    if result.missing:
        yield f"{plural(result.missing, 'question')} may still be answered"
    if result.unanswered:
        yield f"{plural(result.unanswered, 'question')} without an answer, to be written again by the next submit"
    if not result.running:
        option = " --files-only" if result.from_files else ""
        yield f"next: autointerp batch submit {result.run}{option}, which records answers and writes what is left;"
        yield "or the recorded command without --batch, which asks what is left at once"


def _particulars(result: "CollectResult") -> "Iterator[str]":
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


def driven(result: "DriveResult") -> "Iterator[str]":
    """What driving a batch job did."""
    from autointerp.jobs.batch.run import next_step

    yield from _findings(result.results)
    for name, told in result.results.items():
        yield _stage(name, told)
    yield from _left(result.left, result.results)
    answers = sum(c.answers for c in result.collected)
    known = [c.dollars for c in result.collected if c.dollars is not None]
    dollars = f", ${sum(known):,.4f}" if len(known) == len(result.collected) else ""
    yield f"{plural(answers, 'answer')} in {plural(result.rounds, 'round')}{dollars}"
    if result.stopped:
        yield f"stopped: {result.stopped}"
        yield f"next: autointerp batch run {result.run}"
    else:
        yield f"next: {next_step(result.run, [], finished=True, left=result.left)}"


def driven_as_json(result: "DriveResult") -> dict[str, object]:
    """The same as JSON."""
    return {
        "run": str(result.run),
        "rounds": result.rounds,
        "answers": sum(c.answers for c in result.collected),
        "stages": _stages_as_json(result.results),
        "left": result.left,
        "stopped": result.stopped,
    }
