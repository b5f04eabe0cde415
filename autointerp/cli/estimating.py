"""The command that tells beforehand what a job takes: estimate."""

from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o
from autointerp.cli.scoring import DEFAULT_SCORERS
from autointerp.errors import SettingsError

if TYPE_CHECKING:
    from rich.table import Table

    from autointerp.jobs.estimating import Alternative, Amount, Estimate, ModelEstimate

FOOTNOTE = "~: image tokens by a disputed or unknown rule; thinking tokens of reasoning models come on top"
SAMPLED = (
    "with candidates: as if no two had the same words and one were kept; scoring asks as much again about each of "
    "several kept, and --diverse asks of some pairs, in a few words, whether they mean the same"
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
    n_shuffled: Annotated[
        int, typer.Option("--n-shuffled", min=0, help="With --domain: features also asked about a shuffled image set.")
    ] = 20,
    candidates: o.CANDIDATES = None,
    diverse: o.DIVERSE = False,
    scorers: Annotated[str, typer.Option("--scorers", help="Comma-separated, as for `score`.")] = DEFAULT_SCORERS,
    interval: Annotated[
        float | None, typer.Option("--interval", help="Judging on until detection's interval is this narrow.")
    ] = None,
    max_calls: Annotated[int, typer.Option("--max-calls", min=1, help="Most calls a feature with --interval.")] = 40,
    screen: Annotated[int, typer.Option("--screen", min=0, help="Silent images screened on sheets first.")] = 0,
    controls: Annotated[
        int, typer.Option("--controls", min=0, help="Features judged under other explanations too.")
    ] = 20,
    layout: Annotated[str, typer.Option("--layout", help="Of the judge's images: `sheet` or `separate`.")] = "sheet",
    per_call: Annotated[int, typer.Option("--per-call", min=1, max=64, help="Images judged in one call.")] = 12,
    detail: o.DETAIL = "auto",
    prices: o.PRICES = None,
    prompts: o.PROMPTS = None,
    allow_outside: o.OUTSIDE = False,
    json: o.JSON = False,
) -> None:
    """Tell what explaining and scoring would take, in tokens and dollars, before anything is sent.

    Beneath the plan stand its alternatives, each different in one thing, for the models named (or the first of the
    well-known ones). Cheaper is not as good in every case: docs/costs.md has what was measured.

    Example: `autointerp estimate DUMP --features all --models gpt-5-mini,claude-haiku-5.5`
    """
    from autointerp.cli.build import build_settings, print_json, servers
    from autointerp.cli.candidates import counted_candidates
    from autointerp.settings import ExplainSettings, ModelSettings, ScoreSettings
    from autointerp.jobs.estimating import MODELS
    from autointerp.jobs.estimating import estimate as job

    names = [name.strip() for name in models.split(",") if name.strip()] if models else MODELS
    if not names:
        raise SettingsError("--models: no model is named; leave it out for some well-known ones")
    scoring: ScoreSettings = build_settings(
        ScoreSettings,
        scorers=tuple(name.strip() for name in scorers.split(",") if name.strip()),
        interval=interval,
        max_calls=max_calls,
        n_screen=screen,
        n_controls=controls,
        layout=layout,
        per_call=per_call,
        seed=seed,
    )
    found = job(
        dump,
        models=names,
        alternatives_of=names if models else names[:1],
        features=features,
        width=width,
        sample=sample,
        seed=seed,
        settings=build_settings(
            ExplainSettings,
            candidates=counted_candidates(candidates, diverse=diverse),
            domain=domain,
            n_shuffled=n_shuffled,
            seed=seed,
        ),
        scoring=scoring,
        detail=build_settings(ModelSettings, model="any", detail=detail).detail,
        prompts=prompts,
        prices=prices,
        base_url=servers(base_url)[0],
        allow_outside=allow_outside,
    )
    if json:
        print_json(found.model_dump(mode="json"))
    else:
        _print(found)
        if candidates or diverse:
            typer.echo(SAMPLED)


def _print(found: "Estimate") -> None:
    from rich.console import Console

    console = Console()
    # Where stdout is no terminal rich assumes 80 columns, which would cut the figures.
    console.width = max(console.width, 130)
    table = _table(
        f"{found.features:,} features, explained and scored",
        ("model", "requests", "tokens in (images)", "tokens out", "dollars (batch)", "$ per 1000"),
    )
    for m in found.models:
        table.add_row(*_row(m, found.features))
    console.print(table)
    for m in found.models:
        if m.most is not None:
            typer.echo(f"{m.model}: up to {_most(m.most)} where no feature reaches the interval")
    for name in dict.fromkeys(a.model for a in found.alternatives):
        table = _table(
            f"a feature with {name}",
            ("", "options", "requests", "tokens in", "tokens out", "$ per 1000", "relative"),
        )
        for a in found.alternatives:
            if a.model == name:
                table.add_row(*_alternative(a))
        console.print()
        console.print(table)
    typer.echo(f"from the requests of {found.measured} features; {FOOTNOTE}")


def _table(title: str, headings: tuple[str, ...]) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None)
    for heading in headings:
        left = heading in ("", "model", "options")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    return table


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


def _most(most: "Amount") -> str:
    dollars = "" if most.dollars is None else f", ${most.dollars:,.2f}"
    return f"{most.requests:,.0f} requests, {most.input_tokens:,.0f} tokens in{dollars}"


def _alternative(a: "Alternative") -> tuple[str, ...]:
    least, most = a.a_feature, a.most

    def range_of(low: float, high: float | None, form: str) -> str:
        return format(low, form) if high is None else f"{format(low, form)} to {format(high, form)}"

    dollars = ""
    if least.dollars is not None:
        high = None if most is None or most.dollars is None else 1000 * most.dollars
        dollars = range_of(1000 * least.dollars, high, ",.2f")
    return (
        a.name,
        a.options,
        range_of(least.requests, most.requests if most else None, ",.1f"),
        range_of(least.input_tokens / 1000, most.input_tokens / 1000 if most else None, ",.1f") + " k",
        range_of(least.output_tokens / 1000, most.output_tokens / 1000 if most else None, ",.1f") + " k",
        dollars,
        "" if a.relative is None else f"{a.relative:.0%}",
    )
