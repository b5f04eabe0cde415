"""The command that measures a judge: calibrate."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o

if TYPE_CHECKING:
    from autointerp.jobs.calibrating import CalibrationResult
    from autointerp.scoring.calibration import Agreement, Calibration, ErrorRates, FormatCalibration


def calibrate(
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "--judge-model",
            envvar="AUTOINTERP_JUDGE_MODEL",
            help="The judge: a name your endpoint knows, or `local` for the embedded model.",
        ),
    ] = None,
    base_url: Annotated[
        list[str] | None,
        typer.Option(
            "--base-url",
            "--judge-base-url",
            envvar=["AUTOINTERP_JUDGE_BASE_URL", "AUTOINTERP_BASE_URL"],
            help="An OpenAI-compatible server, e.g. http://localhost:8000/v1; repeatable. Without it: that of "
            "OPENAI_BASE_URL, else OpenAI.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write. [default: calibration/MODEL.json]", show_default=False),
    ] = None,
    calls: Annotated[int, typer.Option("--calls", help="Calls to the judge, 12 at least.")] = 180,
    layout: Annotated[
        str, typer.Option("--layout", help="`sheet`: one numbered contact sheet a call; `separate` pictures.")
    ] = "sheet",
    per_call: Annotated[int, typer.Option("--per-call", min=1, max=64, help="Images judged in one call.")] = 12,
    side: Annotated[int, typer.Option("--side", min=16, max=4096, help="Longest side of a judged image.")] = 224,
    keep_images: Annotated[
        Path | None,
        typer.Option("--keep-images", help="Folder for the planted images, a dump that `explain` takes as well."),
    ] = None,
    seed: o.SEED = 0,
    temperature: o.TEMPERATURE = 0.0,
    max_tokens: o.MAX_TOKENS = 2000,
    detail: o.DETAIL = "auto",
    concurrency: o.CONCURRENCY = 64,
    requests_per_minute: o.RPM = None,
    tokens_per_minute: o.TPM = None,
    timeout: o.TIMEOUT = 120.0,
    attempts: o.ATTEMPTS = 6,
    budget: o.BUDGET = None,
    cache: o.CACHE = None,
    prices: o.PRICES = None,
    prompts: o.PROMPTS = None,
    batch: o.BATCH = False,
    json: o.JSON = False,
) -> None:
    """Measure a judge on planted images whose truth is known, so that `score` can correct and warn.

    Drawn scenes of known shapes, colours, sizes, places, numbers, textures and shadows are judged in several formats.
    Give `--layout`, `--per-call` and `--side` as you will give them to `score`.

    Example: `autointerp calibrate --model gpt-5-mini --out calibration/gpt-5-mini.json`
    """
    from autointerp.cli.batch import finish_planning
    from autointerp.cli.build import build_settings, model_name, servers
    from autointerp.cli.progress import Live
    from autointerp.config import EngineSettings, ModelSettings, RegionSettings, ScoreSettings
    from autointerp.jobs.batch_planning import batch_calibrate
    from autointerp.jobs.calibrating import calibrate as ask

    first, more = servers(base_url)
    job = batch_calibrate if batch else ask
    asked = build_settings(
        ModelSettings,
        model=model_name(model),
        base_url=first,
        temperature=temperature,
        max_tokens=max_tokens,
        detail=detail,
        seed=seed,
    )
    region = build_settings(RegionSettings, side=side)
    settings = build_settings(ScoreSettings, layout=layout, per_call=per_call, region=region, seed=seed)
    engine = build_settings(
        EngineSettings,
        concurrency=concurrency,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        timeout=timeout,
        attempts=attempts,
        more_base_urls=more,
        budget=budget,
    )
    result = job(
        asked,
        out=out,
        calls=calls,
        seed=seed,
        settings=settings,
        engine=engine,
        prompts=prompts,
        cache=cache,
        prices=prices,
        keep_images=keep_images,
        progress=Live(as_json=json),
    )
    if batch:
        finish_planning("calibrate", f"{result.selected:,} calls to the judge", result.out.parent, as_json=json)
        return
    _finish(result, as_json=json)


def _finish(result: "CalibrationResult", *, as_json: bool) -> None:
    """Prints what was found, and exits with 1 if calls are missing."""
    from autointerp.cli.build import EXIT_FAILURES, print_json

    if as_json:
        print_json(_as_json(result))
    else:
        if result.calibration is not None:
            _print_tables(result.calibration)
        for line in _lines(result):
            typer.echo(line)
    if not result.complete:
        raise typer.Exit(EXIT_FAILURES)


def _as_json(result: "CalibrationResult") -> dict[str, object]:
    return {
        "out": str(result.out) if result.complete else None,
        "calibration": result.calibration.model_dump(mode="json") if result.calibration else None,
        "warnings": list(result.warnings),
        "selected": result.selected,
        "done": result.done,
        "failed": result.failed,
        "failures": [f"{f.kind}: {f.message}" for f in result.failures],
        "gaps": dict(result.gaps),
        "stopped": result.stopped,
        "seconds": round(result.seconds, 3),
        "requests": result.tally.requests,
        "cached": result.tally.cached,
        "usage": result.tally.usage.model_dump(),
        "images": str(result.images) if result.images else None,
    }


def _print_tables(found: "Calibration") -> None:
    from rich.console import Console
    from rich.table import Table

    rates = Table(title=_title(found), title_justify="left", box=None)
    for heading in ("", "sensitivity", "true ones", "specificity", "false ones"):
        rates.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    rates.add_row("overall", *_rates(found))
    for kind in found.kinds:
        rates.add_row(f"  {kind.kind}", *_rates(kind))
    formats = Table(box=None)
    for heading in ("format", "sensitivity", "specificity", "calls", "tokens", "$ per 1000 images", "agrees", "kappa"):
        formats.add_column(heading, justify="left" if heading == "format" else "right", no_wrap=True)
    for row in _format_rows(found):
        formats.add_row(*row)
    console = Console(highlight=False)
    # Where stdout is no terminal rich assumes 80 columns, which would cut the figures.
    console.width = max(console.width, 120)
    console.print(rates, "", formats, "", sep="\n")


def _title(found: "Calibration") -> str:
    shown = f"{found.layout} of {found.per_call}" if found.per_call > 1 else "single images"
    return f"{found.model}: {shown}, {found.side} px, prompt {found.prompt}"


def _rates(rates: "ErrorRates") -> tuple[str, str, str, str]:
    return (
        _interval(rates.sensitivity, rates.sensitivity_low, rates.sensitivity_high),
        f"{rates.n_true:,}",
        _interval(rates.specificity, rates.specificity_low, rates.specificity_high),
        f"{rates.n_false:,}",
    )


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _format_rows(found: "Calibration") -> Iterable[tuple[str, ...]]:
    by_name = {a.second: a for a in found.agreements}
    for f in found.formats:
        name = f"{f.layout} of {f.per_call}" if f.per_call > 1 else "single images"
        alike = by_name.get(name)
        yield (
            name,
            _interval(f.sensitivity, f.sensitivity_low, f.sensitivity_high),
            _interval(f.specificity, f.specificity_low, f.specificity_high),
            f"{f.calls:,}",
            f"{f.input_tokens + f.output_tokens:,}",
            _price(f),
            f"{alike.equal:.1%}" if alike else "",
            _kappa(alike) if alike else "",
        )


def _price(f: "FormatCalibration") -> str:
    return "unknown" if f.dollars_per_1000 is None else f"{f.dollars_per_1000:,.3f}"


def _kappa(alike: "Agreement") -> str:
    return "-" if alike.kappa is None else f"{alike.kappa:.2f}"


def _lines(result: "CalibrationResult") -> Iterable[str]:
    from autointerp.cli.build import same_again

    found, tally = result.calibration, result.tally
    if found is not None:
        yield from _habits(found)
    usage = tally.usage
    cost = "" if usage.dollars is None else f", ${usage.dollars:,.4f}"
    tokens = usage.input_tokens + usage.output_tokens
    yield f"{tally.requests:,} calls, {tally.cached:,} answers from the cache, {tokens:,} tokens{cost}"
    for warning in result.warnings:
        yield f"warning: {warning}"
    if result.failed:
        yield f"{result.failed:,} of {result.selected:,} calls failed; the first:"
        for failure in result.failures[:5]:
            yield f"  {failure.kind}: {failure.message}"
    if result.complete:
        yield f"calibrated in {result.seconds:,.1f} s -> {result.out}"
    else:
        why = f"stopped: {result.stopped}; " if result.stopped else ""
        yield f"{why}no calibration is written yet; {same_again()}"


def _habits(found: "Calibration") -> Iterable[str]:
    for name, share in (("on near misses", found.near_yes), ("on random absent images", found.random_yes)):
        if share is not None:
            yield f"yes {name}: {_interval(share.value, share.low, share.high)} of {share.n:,}"
    if found.order is not None:
        yield f"reversed order: {found.order.equal:.1%} equal answers of {found.order.n:,}, kappa {_kappa(found.order)}"
    if found.position is not None:
        at = found.position
        yield f"place in a call: yes {at.deviation:+.1%} at place {at.place}, the most; p = {at.p:.2g}"
    yield f"unanswered: {found.unanswered:,} judgements"
