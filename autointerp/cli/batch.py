"""The commands of batch jobs: batch submit, status, collect, run."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autointerp.jobs.batch_collecting import CollectResult
    from autointerp.jobs.batch_submitting import StageResult, SubmitResult
    from autointerp.jobs.batch_watching import BatchStatus, DriveResult

batching = typer.Typer(
    no_args_is_help=True,
    help="Have the questions of `explain`, `score` or `calibrate` answered by a batch job, at half the price.",
)

RUN = Annotated[Path, typer.Argument(help="Folder of the run, or of a calibration's file.", show_default=False)]
BUDGET = Annotated[
    str | None,
    typer.Option(
        "--budget",
        help="Stop before the questions written now are expected to use more: 2.50usd or 3M tokens. "
        "[default: as the recorded command]",
        show_default=False,
    ),
]
KEEP = Annotated[bool, typer.Option("--keep", help="Keep files of requests whose every line is answered.")]


@batching.command()
def submit(
    run: RUN,
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Only write the files; `vllm run-batch` reads them.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Write again what stands in files that were not sent, and drop those.")
    ] = False,
    budget: BUDGET = None,
    json: o.JSON = False,
) -> None:
    """Write the questions that have no answer yet into batch files, and send them to the endpoint's Batch API.

    Goes through the commands that were given with `--batch`, in order; what is answered is recorded on the way.

    Example: `autointerp explain DUMP --run runs/first --batch`, then `autointerp batch submit runs/first`
    """
    from autointerp.cli.build import EXIT_FAILURES, print_json
    from autointerp.cli.progress import Live
    from autointerp.errors import EndpointError
    from autointerp.jobs.batch_submitting import batch_submit

    result = batch_submit(run, files_only=files_only, again=again, budget=budget, progress=Live(as_json=json))
    if json:
        print_json(_submitted_as_json(result))
    else:
        for line in _submitted(result):
            typer.echo(line)
    if result.problem is not None:
        raise EndpointError(result.problem)
    if result.stopped or any(r.failed and not r.deferred for r in result.results.values()):
        raise typer.Exit(EXIT_FAILURES)


@batching.command()
def status(run: RUN, json: o.JSON = False) -> None:
    """Show how far a batch job is and what to do next.

    Example: `autointerp batch status runs/first`
    """
    from autointerp.cli.build import print_json
    from autointerp.jobs.batch_watching import batch_status

    found = batch_status(run)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    for line in _status(found):
        typer.echo(line)


@batching.command()
def collect(
    run: RUN,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILES]...", help="Result files; without any, the endpoint is asked.", show_default=False
        ),
    ] = None,
    keep: KEEP = False,
    json: o.JSON = False,
) -> None:
    """Put the results of batch jobs into the cache: result and error files in any order, partial or repeated.

    Example: `autointerp batch collect runs/first`, or of files: `autointerp batch collect runs/first out-*.jsonl`
    """
    from autointerp.cli.build import print_json
    from autointerp.cli.progress import Live
    from autointerp.jobs.batch_collecting import batch_collect

    result = batch_collect(run, files or (), keep=keep, progress=Live(as_json=json))
    if json:
        print_json({**dataclasses.asdict(result), "unusable": dict(result.unusable), "errors": dict(result.errors)})
        return
    for line in _collected(result):
        typer.echo(line)


@batching.command("run")
def drive(
    run: RUN,
    poll: Annotated[float, typer.Option("--poll", min=0.01, help="Seconds between looks at the endpoint.")] = 60.0,
    keep: KEEP = False,
    budget: BUDGET = None,
    json: o.JSON = False,
) -> None:
    """Submit, wait, collect, and again, until every recorded command is done; start it again after a stop.

    Example: `autointerp batch run runs/first --poll 300`
    """
    from autointerp.cli.build import EXIT_FAILURES, print_json
    from autointerp.cli.progress import Live
    from autointerp.jobs.batch_watching import batch_run

    result = batch_run(run, poll=poll, keep=keep, budget=budget, progress=Live(as_json=json))
    if json:
        print_json(_driven_as_json(result))
    else:
        for line in _driven(result):
            typer.echo(line)
    if not result.complete:
        raise typer.Exit(EXIT_FAILURES)


def finish_planning(command: str, what: str, run: str | Path, *, as_json: bool) -> None:
    """Says that a command was recorded, and what comes next."""
    from autointerp.cli.build import print_json

    if as_json:
        print_json({"run": str(run), "recorded": command})
        return
    typer.echo(f"recorded for a batch job: {command}, {what}; nothing was asked")
    typer.echo(f"next: autointerp batch run {run}, which sends, waits and goes on to the end; or step by step:")
    typer.echo(f"autointerp batch submit {run}, later autointerp batch collect {run}, and so on")


def _submitted(result: "SubmitResult") -> "Iterator[str]":
    from autointerp.jobs.batch_watching import next_step

    yield from _findings(result.results)
    for name, told in result.results.items():
        yield _stage(name, told)
    lines = sum(f.lines for f in result.written)
    size = sum(f.bytes for f in result.written) / 1e6
    dollars = "price unknown" if result.dollars is None else f"${result.dollars:,.4f}"
    if result.written:
        into = _n(len(result.written), "file")
        yield f"wrote {_n(lines, 'question')} into {into} ({size:,.1f} MB), about {result.tokens:,} tokens, {dollars}:"
        yield from (f"  {result.run / 'batch' / f.name}: {_n(f.lines, 'line')}" for f in result.written[:10])
    else:
        yield "no new question was written"
    if result.sent:
        yield f"sent {_n(len(result.sent), 'file')} to the Batch API; answers come within 24 hours"
    if result.waiting > lines:
        yield f"{result.waiting:,} questions wait for answers, those of earlier files included"
    if result.stopped:
        how = "give more with --budget" if result.stopped == "over budget" else "submit again to go on"
        yield f"stopped: {result.stopped}; {how}"
    if result.problem is None:
        yield f"next: {next_step(result.run, result.files, finished=result.complete)}"


def _stage(name: str, told: "StageResult") -> str:
    """What became of a stage, in a line."""
    before = getattr(told, "before", 0)
    unit = "calls" if name.startswith("calibrate") else "features"
    parts = [f"{before + told.done:,} of {told.selected:,} {unit} done"]
    if told.deferred:
        parts.append(f"{told.deferred:,} wait for answers")
    if told.failed:
        parts.append(f"{told.failed:,} failed")
    return f"{name}: {', '.join(parts)}"


def _findings(results: "dict[str, StageResult]") -> "Iterator[str]":
    """What should be read of stages that are finished."""
    for told in results.values():
        headline: str | None = getattr(told, "headline", None)
        if told.complete and headline:
            yield headline
        yield from (f"warning: {warning}" for warning in getattr(told, "warnings", ()))


def _submitted_as_json(result: "SubmitResult") -> dict[str, object]:
    return {
        "run": str(result.run),
        "written": {f.name: f.lines for f in result.written},
        "sent": {f.name: f.batch for f in result.sent},
        "waiting": result.waiting,
        "unsent": [f.name for f in result.files if f.unsent],
        "stages": _stages_as_json(result.results),
        "finished": result.finished,
        "expected": {"tokens": result.tokens, "dollars": result.dollars},
        "stopped": result.stopped,
        "problem": result.problem,
    }


def _stages_as_json(results: "dict[str, StageResult]") -> dict[str, object]:
    return {
        name: {"selected": r.selected, "done": r.done, "deferred": r.deferred, "failed": r.failed}
        for name, r in results.items()
    }


def _status(found: "BatchStatus") -> "Iterator[str]":
    for stage, done in found.stages.items():
        yield f"{stage}: {'finished' if done else 'not finished'}"
    for f in found.files:
        said = f"; the endpoint: {f.endpoint}" if f.endpoint else ""
        batch = f" ({f.batch})" if f.batch else ""
        yield f"  {f.file}  {f.stage}, {_n(f.lines, 'line')}, {f.open:,} open, {f.state}{batch}{said}"
    yield f"{_n(found.open, 'question')} may still be answered"
    for why, n in found.unanswered.items():
        yield f"{_n(n, 'question')} to be written again: {why}"
    yield f"next: {found.next}"


def _collected(result: "CollectResult") -> "Iterator[str]":
    for file, state in result.ended.items():
        yield f"{file}: {state}"
    for file, state in result.running.items():
        yield f"{file}: the endpoint works on it: {state}"
    dollars = "price unknown" if result.dollars is None else f"${result.dollars:,.4f}"
    tokens = result.input_tokens + result.output_tokens
    yield f"{_n(result.lines, 'line')}: {_n(result.answers, 'new answer')} in the cache, {tokens:,} tokens, {dollars}"
    yield from _particulars(result)
    if result.removed:
        yield f"deleted {_n(len(result.removed), 'file')} of requests with nothing left to answer"
    if result.missing:
        yield f"{_n(result.missing, 'question')} may still be answered"
    if result.unanswered:
        yield f"{_n(result.unanswered, 'question')} without an answer, to be written again by the next submit"
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
    if result.unknown:
        yield f"  {result.unknown:,} of other runs"
    for kind, n in sorted(result.errors.items()):
        yield f"  {n:,} not answered: {kind}: {result.messages.get(kind, '')}"
    if result.n_broken:
        yield f"  {result.n_broken:,} that could not be read:"
        yield from (f"    {line}" for line in result.broken)


def _driven(result: "DriveResult") -> "Iterator[str]":
    from autointerp.jobs.batch_watching import next_step

    yield from _findings(result.results)
    for name, told in result.results.items():
        yield _stage(name, told)
    answers = sum(c.answers for c in result.collected)
    known = [c.dollars for c in result.collected if c.dollars is not None]
    dollars = f", ${sum(known):,.4f}" if len(known) == len(result.collected) else ""
    yield f"{_n(answers, 'answer')} in {_n(result.rounds, 'round')}{dollars}"
    if result.stopped:
        yield f"stopped: {result.stopped}"
        yield f"next: autointerp batch run {result.run}"
    else:
        yield f"next: {next_step(result.run, [], finished=True)}"


def _driven_as_json(result: "DriveResult") -> dict[str, object]:
    return {
        "run": str(result.run),
        "rounds": result.rounds,
        "answers": sum(c.answers for c in result.collected),
        "stages": _stages_as_json(result.results),
        "stopped": result.stopped,
    }


def _n(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
