"""Prints what `autointerp estimate` found."""

from collections.abc import Iterator

from rich.table import Table

from autointerp.cli.printing import table, tell
from autointerp.commands.estimate import Estimate
from autointerp.jobs.estimate import Alternative, Amount, Forecast, ModelEstimate

FOOTNOTE = "~: image tokens by a disputed or unknown rule; thinking tokens of reasoning models come on top"
SAMPLED = (
    "with candidates: as if no two had the same words and one were kept; scoring asks as much again about each of "
    "several kept; with --diverse as if they had four meanings, of which two contend, and without the few words that "
    "ask of some pairs whether they mean the same"
)


def show(result: Forecast, settings: Estimate, *, as_json: bool) -> int:
    """Prints the plan and its alternatives as tables."""
    lines = _lines(result, sampled=settings.explain.candidates is not None)
    return tell(lines, result.model_dump(mode="json"), as_json=as_json)


def _lines(found: Forecast, *, sampled: bool) -> Iterator[Table | str]:
    headings = ("model", "requests", "tokens in (images)", "tokens out", "dollars (batch)", "$ per 1000")
    rows = (_row(m, found.features) for m in found.models)
    yield table(headings, rows, title=f"{found.features:,} features, explained and scored")
    for m in found.models:
        if m.most is not None:
            yield f"{m.model}: up to {_most(m.most)} where no feature reaches the interval"
    if found.pictures:
        yield found.pictures
    if found.passes:
        yield f"the network that made the dump: up to {found.passes:,} forward passes of its backbone, on this machine"
    if found.painted:
        price = "at an unknown price: --prices" if found.painting_dollars is None else f"${found.painting_dollars:,.2f}"
        less = _by_batch(found.painting_dollars, found.painting_batch_dollars)
        yield f"the image model: up to {found.painted:,} regions painted anew, {price}{less}"
    for name in dict.fromkeys(a.model for a in found.alternatives):
        headings = ("", "options", "requests", "tokens in", "tokens out", "$ per 1000", "relative")
        rows = [_alternative(a) for a in found.alternatives if a.model == name]
        yield ""
        yield table(headings, rows, title=f"a feature with {name}", left=2)
    yield f"from the requests of {found.measured} features; {FOOTNOTE}"
    if sampled:
        yield SAMPLED


def _row(m: ModelEstimate, features: int) -> tuple[str, ...]:
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


def _by_batch(dollars: float | None, batch: float | None) -> str:
    """What a batch job asks for pictures, where that is something else."""
    return "" if dollars is None or batch is None or batch == dollars else f", or ${batch:,.2f} by a batch job"


def _most(most: Amount) -> str:
    dollars = "" if most.dollars is None else f", ${most.dollars:,.2f}"
    return f"{most.requests:,.0f} requests, {most.input_tokens:,.0f} tokens in{dollars}"


def _alternative(a: Alternative) -> tuple[str, ...]:
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
