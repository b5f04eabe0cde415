"""The commands that show: report, status."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o
from autointerp.unexplainable import in_words

if TYPE_CHECKING:
    from autointerp.jobs.status import RunStatus


def report(
    run: o.RUN,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write. [default: RUN/report.html]", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most features with a card.")] = 200,
    title: Annotated[str | None, typer.Option("--title", help="Stands at the top.")] = None,
    dump: o.MOVED = None,
    allow_outside: o.OUTSIDE = False,
    json: o.JSON = False,
) -> None:
    """Write a run as one HTML file that opens from disk.

    Example: `autointerp report runs/first --out first.html`
    """
    from autointerp.cli.build import print_json
    from autointerp.jobs.remote_runs import read_run, run_at
    from autointerp.jobs.reporting import report as job
    from autointerp.remote.path import as_path

    with read_run(run) if out else run_at(run) as folder:
        page = job(folder, out, dump=dump, limit=limit, title=title, allow_outside=allow_outside)
    page = page if out else f"{as_path(run)}/{page.name}"
    if json:
        print_json({"report": str(page)})
    else:
        typer.echo(f"report: {page}")


def status(run: o.RUN, json: o.JSON = False) -> None:
    """Show how far a run is, its scores so far, what failed and what it cost.

    Example: `autointerp status runs/first`
    """
    from autointerp.cli.build import print_json
    from autointerp.jobs.remote_runs import read_run
    from autointerp.jobs.status import status as job
    from autointerp.remote.path import as_path

    with read_run(run) as folder:
        s = job(folder).model_copy(update={"run": str(as_path(run))})
    if json:
        print_json(s.model_dump(mode="json"))
        return
    if s.headline:
        typer.echo(s.headline)
    typer.echo(f"{s.run}: {s.dump}, explained by {s.explainer}" + (f", judged by {s.judge}" if s.judge else ""))
    typer.echo(f"  explained   {s.explained:,} ({s.none:,} without a common property, {s.mixed:,} mixed)")
    for scorer in s.scorers:
        mean = (
            f"mean {scorer.mean:.3f} [{scorer.low:.3f}, {scorer.high:.3f}]" if scorer.mean is not None else "none yet"
        )
        typer.echo(f"  {scorer.scorer:<11} {mean}, {scorer.n:,} features, {scorer.unscored:,} unscored")
    for name, line in (("sampled", s.several), ("relevance", s.associated), ("relevance", s.shuffled)):
        if line:
            typer.echo(f"  {name:<11} {line}")
    for c in s.controls:
        interval = "" if c.low is None else f" [{c.low:+.3f}, {c.high:+.3f}]"
        typer.echo(
            f"  control     {c.control}: {c.value:.3f} where own is {c.own:.3f}, "
            f"difference {c.difference:+.3f}{interval}, p = {c.p:.2g}, {c.n:,} features: {c.verdict}"
        )
    for line in _open_ends(s):
        typer.echo(line)
    dollars = "price unknown" if s.usage.dollars is None else f"${s.usage.dollars:,.4f}"
    typer.echo(
        f"  used        {s.usage.calls:,} calls, {s.usage.input_tokens:,} tokens in, "
        f"{s.usage.output_tokens:,} out, {dollars}"
    )


def _open_ends(s: "RunStatus") -> list[str]:
    lines = [f"  pending     {kind}: {n:,} features" for kind, n in sorted(s.pending.items())]
    if s.unexplainable:
        lines.append(f"  settled     {in_words(s.unexplainable)}")
    if s.unmerged:
        lines.append(f"  shards      {s.unmerged:,} not merged yet: autointerp merge {s.run}")
    return [*lines, f"  batch jobs  autointerp batch status {s.run}"] if s.batch else lines
