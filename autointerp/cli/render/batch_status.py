"""Prints what `autointerp batch status` found."""

from collections.abc import Iterator

from autointerp.cli.printing import plural, tell
from autointerp.cli.render.batch import left_lines
from autointerp.commands.batch_status import BatchJob
from autointerp.jobs.batch.run import BatchStatus


def show(result: BatchStatus, settings: BatchJob, *, as_json: bool) -> int:
    """Prints how far the batch job is."""
    return tell(_lines(result), result.model_dump(mode="json"), as_json=as_json)


def _lines(found: BatchStatus) -> Iterator[str]:
    for stage, done in found.stages.items():
        yield f"{stage}: {'finished' if done else 'not finished'}"
    for f in found.files:
        said = f"; the endpoint: {f.endpoint}" if f.endpoint else ""
        batch = f" ({f.batch})" if f.batch else ""
        yield f"  {f.file}  {f.stage}, {plural(f.lines, 'line')}, {f.open:,} open, {f.state}{batch}{said}"
    yield from left_lines(found.left, {})
    yield f"{plural(found.open, 'question')} may still be answered"
    for why, n in found.unanswered.items():
        yield f"{plural(n, 'question')} to be written again: {why}"
    yield f"next: {found.next}"
