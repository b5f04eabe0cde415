"""Prints what `autointerp batch collect` did."""

import dataclasses
from collections.abc import Iterator

from autointerp.cli.printing import dollars, plural, tell
from autointerp.commands.batch_collect import BatchCollect
from autointerp.errors import typed
from autointerp.jobs.batch.collect import CollectResult


def show(result: CollectResult, settings: BatchCollect, *, as_json: bool) -> int:
    """Prints what the results held."""
    value = {**dataclasses.asdict(result), "unusable": dict(result.unusable), "errors": dict(result.errors)}
    return tell(_lines(result), value, as_json=as_json)


def _lines(result: CollectResult) -> Iterator[str]:
    for file, state in result.ended.items():
        yield f"{file}: {state}{': ' if state in result.messages else ''}{result.messages.get(state, '')}"
    for file, state in result.running.items():
        yield f"{file}: the endpoint works on it: {state}"
    tokens = result.input_tokens + result.output_tokens
    answers = plural(result.answers, "new answer")
    yield f"{plural(result.lines, 'line')}: {answers} in the cache, {tokens:,} tokens, {dollars(result.dollars)}"
    yield from _particulars(result)
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


def _particulars(result: CollectResult) -> Iterator[str]:
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
