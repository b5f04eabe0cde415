"""Prints what `autointerp calibrate` found."""

from collections.abc import Iterable, Iterator

from rich.table import Table

from autointerp.cli.printing import exit_code, same_again, show_recorded, table, tell
from autointerp.commands.calibrate import Calibrate
from autointerp.jobs.calibrate import CalibrationResult
from autointerp.scoring.calibration import Agreement, Calibration, ErrorRates, FormatCalibration, corrects, form_text


def show(result: CalibrationResult, settings: Calibrate, *, as_json: bool) -> int:
    """Prints what was found; exit code 1 if calls are missing, 3 if it was stopped."""
    if settings.batch:
        return show_recorded("calibrate", f"{result.selected:,} calls to the judge", result.out.parent, as_json=as_json)
    code = exit_code(complete=result.complete, halted=result.stopped is not None)
    return tell(_lines(result), _as_json(result), as_json=as_json, code=code)


def _as_json(result: CalibrationResult) -> dict[str, object]:
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


def _tables(found: Calibration) -> Iterator[Table | str]:
    title = f"{found.model}: {_format(found)}, {found.side} px, prompt {found.prompt}"
    rows = [("overall", *_rates(found)), *((f"  {kind.kind}", *_rates(kind)) for kind in found.kinds)]
    yield table(("", "sensitivity", "true ones", "specificity", "false ones"), rows, title=title)
    yield ""
    headings = ("format", "sensitivity", "specificity", "calls", "tokens", "$ per 1000 images", "agrees", "kappa")
    yield table(headings, _format_rows(found))
    yield ""


def _format(found: Calibration | FormatCalibration) -> str:
    return form_text(found.layout, found.per_call, found.rendering)


def _rates(rates: ErrorRates) -> tuple[str, str, str, str]:
    return (
        _interval(rates.sensitivity, rates.sensitivity_low, rates.sensitivity_high),
        f"{rates.n_true:,}",
        _interval(rates.specificity, rates.specificity_low, rates.specificity_high),
        f"{rates.n_false:,}",
    )


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _format_rows(found: Calibration) -> Iterable[tuple[str, ...]]:
    by_name = {a.second: a for a in found.agreements}
    for f in found.formats:
        name = _format(f)
        alike = by_name.get(name)
        yield (
            name,
            _interval(f.sensitivity, f.sensitivity_low, f.sensitivity_high),
            _interval(f.specificity, f.specificity_low, f.specificity_high),
            f"{f.calls:,}",
            f"{f.input_tokens + f.output_tokens:,}",
            "unknown" if f.dollars_per_1000 is None else f"{f.dollars_per_1000:,.3f}",
            f"{alike.equal:.1%}" if alike else "",
            _kappa(alike) if alike else "",
        )


def _kappa(alike: Agreement) -> str:
    return "-" if alike.kappa is None else f"{alike.kappa:.2f}"


def _lines(result: CalibrationResult) -> Iterator[Table | str]:
    found, tally = result.calibration, result.tally
    if found is not None:
        yield from _tables(found)
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


def _habits(found: Calibration) -> Iterable[str]:
    for name, share in (("on near misses", found.near_yes), ("on random absent images", found.random_yes)):
        if share is not None:
            yield f"yes {name}: {_interval(share.value, share.low, share.high)} of {share.n:,}"
    if found.order is not None:
        yield f"reversed order: {found.order.equal:.1%} equal answers of {found.order.n:,}, kappa {_kappa(found.order)}"
    if found.position is not None:
        at = found.position
        yield f"place in a call: yes {at.deviation:+.1%} at place {at.place}, the most; p = {at.p:.2g}"
    yield f"unanswered: {found.unanswered:,} judgements"
    yield corrects(found)
