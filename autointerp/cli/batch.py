"""The commands of batch jobs: batch submit, status, collect, run."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli import options as o

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
    trust_address: o.TRUST = None,
    json: o.JSON = False,
) -> None:
    """Write the questions that have no answer yet into batch files, and send them to the endpoint's Batch API.

    Goes through the commands that were given with `--batch`, in order; what is answered is recorded on the way.

    Example: `autointerp explain DUMP --run runs/first --batch`, then `autointerp batch submit runs/first`
    """
    from autointerp.cli import batch_telling as telling
    from autointerp.cli.build import EXIT_FAILURES, print_json
    from autointerp.cli.progress import Live
    from autointerp.errors import EndpointError
    from autointerp.jobs.batch_submitting import batch_submit

    trust, live = trust_address or (), Live(as_json=json)
    result = batch_submit(run, files_only=files_only, again=again, budget=budget, trust=trust, progress=live)
    if json:
        print_json(telling.submitted_as_json(result))
    else:
        for line in telling.submitted(result):
            typer.echo(line)
    if result.problem is not None:
        raise EndpointError(result.problem)
    if result.stopped or any(r.failed and not r.deferred for r in result.results.values()):
        raise typer.Exit(EXIT_FAILURES)


@batching.command()
def status(run: RUN, trust_address: o.TRUST = None, json: o.JSON = False) -> None:
    """Show how far a batch job is and what to do next.

    Example: `autointerp batch status runs/first`
    """
    from autointerp.cli import batch_telling as telling
    from autointerp.cli.build import print_json
    from autointerp.cli.progress import Live
    from autointerp.jobs.batch_watching import batch_status

    found = batch_status(run, trust=trust_address or (), progress=Live(as_json=json))
    if json:
        print_json(found.model_dump(mode="json"))
        return
    for line in telling.status(found):
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
    trust_address: o.TRUST = None,
    json: o.JSON = False,
) -> None:
    """Put the results of batch jobs into the cache: result and error files in any order, partial or repeated.

    Example: `autointerp batch collect runs/first`, or of files: `autointerp batch collect runs/first out-*.jsonl`
    """
    from autointerp.cli import batch_telling as telling
    from autointerp.cli.build import print_json
    from autointerp.cli.progress import Live
    from autointerp.jobs.batch_collecting import batch_collect

    result = batch_collect(run, files or (), keep=keep, trust=trust_address or (), progress=Live(as_json=json))
    if json:
        print_json({**dataclasses.asdict(result), "unusable": dict(result.unusable), "errors": dict(result.errors)})
        return
    for line in telling.collected(result):
        typer.echo(line)


@batching.command("run")
def drive(
    run: RUN,
    poll: Annotated[float, typer.Option("--poll", min=0.01, help="Seconds between looks at the endpoint.")] = 60.0,
    keep: KEEP = False,
    budget: BUDGET = None,
    trust_address: o.TRUST = None,
    json: o.JSON = False,
) -> None:
    """Submit, wait, collect, and again, until every recorded command is done; start it again after a stop.

    Example: `autointerp batch run runs/first --poll 300`
    """
    from autointerp.cli import batch_telling as telling
    from autointerp.cli.build import EXIT_FAILURES, print_json
    from autointerp.cli.progress import Live
    from autointerp.jobs.batch_watching import batch_run

    trust, live = trust_address or (), Live(as_json=json)
    result = batch_run(run, poll=poll, keep=keep, budget=budget, trust=trust, progress=live)
    if json:
        print_json(telling.driven_as_json(result))
    else:
        for line in telling.driven(result):
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
