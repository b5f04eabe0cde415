"""The commands that show: report, status, estimate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o
from autointerp.errors import SettingsError

if TYPE_CHECKING:
    from autointerp.jobs.estimating import ModelEstimate


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
    for line in (s.associated, s.shuffled):
        if line:
            typer.echo(f"  relevance   {line}")
    for c in s.controls:
        interval = "" if c.low is None else f" [{c.low:+.3f}, {c.high:+.3f}]"
        typer.echo(
            f"  control     {c.control}: {c.value:.3f} where own is {c.own:.3f}, "
            f"difference {c.difference:+.3f}{interval}, p = {c.p:.2g}, {c.n:,} features: {c.verdict}"
        )
    for kind, n in sorted(s.pending.items()):
        typer.echo(f"  pending     {kind}: {n:,} features")
    dollars = "price unknown" if s.usage.dollars is None else f"${s.usage.dollars:,.4f}"
    typer.echo(
        f"  used        {s.usage.calls:,} calls, {s.usage.input_tokens:,} tokens in, "
        f"{s.usage.output_tokens:,} out, {dollars}"
    )


def estimate(
    dump: o.DUMP,
    models: Annotated[
        str | None, typer.Option("--models", help="Comma-separated names. [default: some well-known ones]")
    ] = None,
    base_url: o.BASE_URL = None,
    features: o.FEATURES = "all",
    width: o.WIDTH = None,
    sample: o.SAMPLE = None,
    seed: o.SEED = 0,
    domain: Annotated[str | None, typer.Option("--domain", help="With this second pass.")] = None,
    prices: o.PRICES = None,
    prompts: o.PROMPTS = None,
    allow_outside: o.OUTSIDE = False,
    json: o.JSON = False,
) -> None:
    """Tell what explaining and scoring would take, in tokens and dollars, before anything is sent.

    Example: `autointerp estimate DUMP --features all --models gpt-5-mini,claude-haiku-5.5`
    """
    from rich.console import Console
    from rich.table import Table

    from autointerp.cli.build import print_json, servers
    from autointerp.config import ExplainSettings
    from autointerp.jobs.estimating import MODELS
    from autointerp.jobs.estimating import estimate as job

    names = [name.strip() for name in models.split(",") if name.strip()] if models else MODELS
    if not names:
        raise SettingsError("--models: no model is named; leave it out for some well-known ones")
    found = job(
        dump,
        models=names,
        features=features,
        width=width,
        sample=sample,
        seed=seed,
        settings=ExplainSettings(domain=domain, seed=seed),
        prompts=prompts,
        prices=prices,
        base_url=servers(base_url)[0],
        allow_outside=allow_outside,
    )
    if json:
        print_json(found.model_dump(mode="json"))
        return
    table = Table(title=f"{found.features:,} features, explained and scored", title_justify="left", box=None)
    for heading in ("model", "requests", "tokens in (images)", "tokens out", "dollars (batch)", "$ per 1000"):
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True)
    for m in found.models:
        table.add_row(*_row(m, found.features))
    console = Console()
    # Where stdout is no terminal rich assumes 80 columns, which would cut the figures.
    console.width = max(console.width, 110)
    console.print(table)
    typer.echo(
        f"from the requests of {found.measured} features; ~: image tokens by a disputed or unknown rule; "
        "thinking tokens of reasoning models come on top"
    )


def _row(m: "ModelEstimate", features: int) -> tuple[str, ...]:
    about = "" if m.exact_image_rule else "~"
    batch = "" if m.batch_dollars is None else f" ({m.batch_dollars:,.2f})"
    return (
        m.model,
        f"{m.requests:,}",
        f"{m.input_tokens:,} ({about}{m.image_share:.0%})",
        f"{m.output_tokens:,}",
        "unknown: --prices" if m.dollars is None else f"{m.dollars:,.2f}{batch}",
        "" if m.dollars is None else f"{1000 * m.dollars / features:,.2f}",
    )
